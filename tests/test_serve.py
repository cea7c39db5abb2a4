"""The process: what it says at the start, when it does not start, how it reloads and how it ends."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from processes import ROOT, process, serving
from running import CHAT, completion, delta, eventually, upstream
from scripted import Talk, chunk, raw, scripted, whole

from server import main

RULES = """
sinks: {audit: {file: audit.jsonl}}
rules:
  - {name: no, match: {request.user: mallory}, actions: [{reject: Not you.}]}
  - {name: log, phase: log, actions: [{log_to: audit}]}
"""


async def ask(http: httpx.AsyncClient, **body: Any) -> httpx.Response:
    return await http.post("/v1/chat/completions", json={**CHAT, **body})


# --- the start --------------------------------------------------------------------------------------------------------


async def test_the_start_says_what_is_served_and_how_to_try_it(tmp_path: Path) -> None:
    async with serving(tmp_path, RULES + "models: {fast: {}, '*': {}}\n") as (server, http):
        assert "2 rules, 1 model, 0 keys, upstreams: demo; rules version " in server.said
        assert re.search(r", code: (plain|compiled)\n", server.said)
        (curl,) = re.findall(r"curl (.*)", server.said)
        told = await asyncio.create_subprocess_shell(f"curl -s {curl}", stdout=asyncio.subprocess.PIPE)
        out, _ = await told.communicate()
        assert json.loads(out)["choices"][0]["message"]["content"]
        snippet = server.said.partition("OpenAI SDK:\n")[2]
        script = "\n".join(line.strip() for line in snippet.splitlines())
        run = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
        out, _ = await run.communicate()
        assert (run.returncode, out[:14]) == (0, b"ChatCompletion")
        assert (await http.get("/health/ready")).json()["rules"] == 2


@pytest.mark.parametrize(
    ("rules", "options", "status", "says"),
    [
        (
            "rules:\n  - {name: a, match: request.modle == 'x', actions: [{rejct: no}]}\n",
            (),
            1,
            "did you mean `reject`",
        ),
        ("rules: [\n", (), 1, "rules.yaml:"),
        ("", (), 1, "rules.yaml"),
        ("rules: []\nupstreams: {a: {base_url: 'http://x', api_key: os.environ/NO_SUCH}}\n", (), 1, "NO_SUCH"),
        ("rules: []\ncallbacks: [nowhere.at_all]\n", (), 1, "nowhere"),
        ("rules: []\nserver: {host: 0.0.0.0}\n", (), 1, "rules.yaml:2:1: error[no-keys]: refusing to serve 0.0.0.0"),
        ("rules: []\nserver: {auth: my.check}\n", (), 1, "there is no module `my`"),
        ("rules: []\nsuccess_callback: my.log\n", (), 1, "no module `my`"),
        ("rules: []\n", ("--host", "0.0.0.0"), 1, "server.open: true"),
        ("rules: []\n", ("--host", "192.0.2.1"), 1, "without keys"),
        ("rules: []\nserver: {open: true}\n", ("--host", "192.0.2.1"), 1, "cannot listen on 192.0.2.1"),
        ("rules: []\n", ("--port", "65536"), 2, "65536 is no port"),
        ("rules: []\n", ("--port", "-1"), 2, "no port"),
        ("rules: []\n", ("--port", "http"), 2, "http is no port"),
        ("rules: []\n", ("--loud",), 2, "unrecognized arguments: --loud"),
        ("rules: []\n", ("--log-level", "loud"), 2, "invalid choice"),
    ],
)
def test_it_does_not_start(
    rules: str,
    options: tuple[str, ...],
    status: int,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rules.yaml").write_text(rules)
    try:
        ended = main(["rules.yaml", *options])
    except SystemExit as wrong_use:
        ended = wrong_use.code
    error = capsys.readouterr().err
    assert ended == status
    assert says in error
    assert "Traceback" not in error


async def test_no_file_and_a_taken_port(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with process(tmp_path, "rules: []\n", "--port", str(port)) as server:
            error = await server.error()
            assert (await server.ended(), f"127.0.0.1:{port}" in error, "--port" in error) == (1, True, True)
            assert "Traceback" not in error
    gone = await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "server.py"), "nowhere.yaml", cwd=tmp_path, stderr=asyncio.subprocess.PIPE
    )
    _, error_bytes = await gone.communicate()
    assert (gone.returncode, b"nowhere.yaml" in error_bytes, b"Traceback" in error_bytes) == (1, True, False)


async def test_debug_shows_each_rules_decision(tmp_path: Path) -> None:
    async with serving(tmp_path, RULES, "--log-level", "debug") as (server, http):
        await ask(http, user="mallory")
        await ask(http, user="alice")
        server.process.send_signal(signal.SIGTERM)
        error = await server.error()
        for part in ("rule no matches", "rule no does not match", "rule no in request: acted"):
            assert part in error


# --- streaming between processes --------------------------------------------------------------------------------------


async def test_the_first_event_is_there_before_the_second_is_sent(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.send(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            + chunk(f"data: {delta('first')}\n\n".encode())
        )
        await asyncio.wait_for(gate.wait(), 10)
        await talk.send(chunk(f"data: {delta('second')}\n\ndata: [DONE]\n\n".encode()) + b"0\r\n\r\n")

    asked = {**CHAT, "stream": True}
    async with (
        scripted(script) as up,
        serving(tmp_path, upstream(up.url) + RULES) as (_, http),
        http.stream("POST", "/v1/chat/completions", json=asked) as answer,
    ):
        lines = answer.aiter_lines()
        assert "first" in await anext(lines)
        assert len(up.sent) == 1
        gate.set()
        assert "second" in "".join([line async for line in lines])


# --- reload -----------------------------------------------------------------------------------------------------------


async def test_an_edit_is_live_and_a_typo_changes_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path, RULES) as (server, http):
        first = await ask(http, user="mallory")
        assert first.status_code == 400
        server.file.write_text(RULES.replace("mallory", "oscar"))
        await server.until(
            http, "/health/ready", lambda answer: answer.json()["rules_version"] != first.headers["x-pointsman-version"]
        )
        assert [(await ask(http, user=user)).status_code for user in ("mallory", "oscar")] == [200, 400]
        server.file.write_text(RULES.replace("match", "mach"))
        told = await server.until(http, "/health/ready", lambda answer: "problems" in answer.json())
        (problem,) = told.json()["problems"]
        assert (told.status_code, problem["code"], problem["line"]) == (200, "unknown-key", 4)
        assert "match" in problem["help"]
        assert [(await ask(http, user=user)).status_code for user in ("mallory", "oscar")] == [200, 400]
        server.file.write_text(RULES)
        await server.until(http, "/health/ready", lambda answer: "problems" not in answer.json())
        assert (await ask(http, user="mallory")).status_code == 400
        server.process.send_signal(signal.SIGTERM)
        assert "unknown-key" in await server.error()


async def test_a_reload_never_opens_the_gateway_to_the_world(tmp_path: Path) -> None:
    keys = f"keys: [{{name: a, sha256: {hashlib.sha256(b'k').hexdigest()}}}]\n"
    async with serving(tmp_path, keys + RULES, "--host", "0.0.0.0") as (server, http):
        server.file.write_text(RULES)
        told = await server.until(http, "/health/ready", lambda answer: "problems" in answer.json())
        assert told.json()["problems"][0]["code"] == "no-keys"
        assert (await ask(http)).status_code == 401


async def test_sighup_and_callbacks_files(tmp_path: Path) -> None:
    hook = """from engine import Callback

class H(Callback):
    def request(self, context):
        context.reject("{}")
"""
    (tmp_path / "my_hooks.py").write_text(hook.format("one"))
    async with serving(tmp_path, "callbacks: my_hooks.H\nrules: []\n") as (server, http):
        assert (await ask(http)).json()["error"]["message"] == "one"
        (tmp_path / "my_hooks.py").write_text(hook.format("twice"))
        server.process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(10):
            while (await ask(http)).json()["error"]["message"] != "twice":  # noqa: ASYNC110
                await asyncio.sleep(0.02)


# --- the end ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
async def test_what_runs_may_finish_and_every_record_is_written(sign: signal.Signals, tmp_path: Path) -> None:
    body = json.dumps(completion("late")).encode()
    slow = raw(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body), body, pause=0.5
    )
    async with (
        scripted(whole(body), whole(body), slow) as up,
        serving(tmp_path, upstream(up.url) + RULES) as (server, http),
    ):
        for _ in range(2):
            await ask(http)
        late = asyncio.create_task(ask(http))
        await eventually(lambda: len(up.requests) == 3)
        server.process.send_signal(sign)
        assert (await late).json() == completion("late")
        assert await server.ended() == 0
        records = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
        assert [record["status"] for record in records] == [200, 200, 200]


async def test_what_does_not_finish_in_time_is_cut_and_recorded(tmp_path: Path) -> None:
    rules = "server: {drain: 200ms}\n" + RULES
    async with scripted(raw(then="hang")) as up, serving(tmp_path, upstream(up.url) + rules) as (server, http):
        never = asyncio.create_task(ask(http))
        await eventually(lambda: bool(up.requests))
        server.process.send_signal(signal.SIGTERM)
        answer = await never
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "shutting_down")
        assert await server.ended() == 0
        (record,) = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
        assert (record["status"], "shut down" in record["error"]["message"]) == (503, True)


def test_what_needs_a_missing_package_is_checked_but_not_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from engine.tools.cli import main

    monkeypatch.setattr("engine.ports.extras.find_spec", lambda name: None)
    rule = "rules: [{name: few, actions: [{rate_limit: {requests: 1/min, store: shared}}]}]\n"
    test = "tests: [{name: t, request: {body: {model: m, messages: []}}, expect: {response: {status: 200}}}]\n"
    file = tmp_path / "rules.yaml"
    file.write_text("stores: {shared: {redis: 'redis://127.0.0.1:1'}}\n" + rule + test)
    assert main(["validate", str(file)]) == 0
    assert main(["test", str(file)]) == 0
    capsys.readouterr()
    assert main(["serve", str(file), "--port", "0", "--admin", "off"]) == 1
    assert "error[missing-package]" in capsys.readouterr().err
