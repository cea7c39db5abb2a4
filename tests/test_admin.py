"""The admin address: who may ask, what it tells, and what becomes of the start when it cannot be had."""

from __future__ import annotations

import asyncio
import re
import socket
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from processes import process, serving
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text
from running import AUDIT, CHAT, LOG, running

from engine.proxy.addresses import Compiler
from engine.proxy.admin import open_admin
from engine.proxy.alone import Alone
from engine.rules.load import load
from engine.tools.cli import main

KEYED = "server: {admin: '0.0.0.0:0', admin_key: secret-key}\nrules: []\n"
LOCAL = "server: {admin: '127.0.0.1:0'}\nrules: []\n"


class Listening:
    """What of a listening server is measured."""

    running, connections = 1, 2


@asynccontextmanager
async def admin(rules: str, folder: Path) -> AsyncIterator[tuple[httpx.AsyncClient, Alone]]:
    """The admin address of a gateway."""
    async with running(rules, folder) as run:
        told = Alone(run.gateway, Listening())
        listening = await open_admin(told, chosen=True)
        assert listening is not None
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listening.port}") as http:
                yield http, told
        finally:
            await listening.close()


async def test_metrics_come_in_the_format_that_is_asked_for(tmp_path: Path) -> None:
    async with admin(LOCAL, tmp_path) as (http, _):
        plain = await http.get("/metrics")
        modern = await http.get("/metrics", headers={"accept": "application/openmetrics-text;version=1.0.0"})
        head = await http.head("/metrics")
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert modern.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert (head.status_code, head.content) == (200, b"")
    for text, read in ((plain.text, read_text), (modern.text, read_openmetrics)):
        told = {sample.name: sample.value for family in read(text) for sample in family.samples}
        assert told["pointsman_requests_in_flight"] == 1
        assert told["pointsman_connections"] == 2
        assert told["pointsman_workers"] == 1
        assert told["pointsman_last_reload_successful"] == 1


async def test_reload_detail_and_health(tmp_path: Path) -> None:
    async with admin(LOCAL, tmp_path) as (http, told):
        fine = (await http.get("/reload")).json()
        assert (fine["rules"], fine["good"], fine["bad"], fine["tried"], fine["problems"]) == (0, 0, 0, None, [])
        (tmp_path / "rules.yaml").write_text("rules: {}\n")
        told.complain(load(str(tmp_path / "rules.yaml")).problems)
        broken = (await http.get("/reload")).json()
        assert (broken["bad"], broken["problems"][0]["code"], broken["loaded"]) == (1, "wrong-type", fine["loaded"])
        assert "pointsman_last_reload_successful 0.0" in (await http.get("/metrics")).text
        assert (await http.get("/health/ready")).json()["problems"] == broken["problems"]
        told.complain([])
        assert (await http.get("/reload")).json()["good"] == 1
        for path in ("/health/ready", "/health/readiness", "/health/live", "/health/liveliness", "/health/liveness"):
            assert (await http.get(path)).status_code == 200
        told._gateway.draining = True
        assert (await http.get("/health/ready")).status_code == 503


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost"}, 200),
        ({"host": "evil.example"}, 403),
        ({"host": "evil.example:4001"}, 403),
        ({"host": "127.0.0.1.evil.example"}, 403),
        ({"host": "[::1]:4001"}, 200),
        ({"host": "["}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost:3000"}, 200),
    ],
)
async def test_no_web_page_reads_a_loopback_address(headers: dict[str, str], status: int, tmp_path: Path) -> None:
    async with admin(LOCAL, tmp_path) as (http, _):
        for path in ("/metrics", "/reload", "/health/ready", "/"):
            assert (await http.get(path, headers=headers)).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer secret-key"}, 200),
        ({"authorization": "bearer secret-key", "host": "gateway.example"}, 200),
        ({"x-api-key": "secret-key"}, 200),
        ({"authorization": "Bearer secret-ke"}, 401),
        ({"authorization": "Bearer secret-key2"}, 401),
        ({"authorization": "Bearer"}, 401),
        ({"authorization": "Basic secret-key"}, 401),
        ({"authorization": "secret-key"}, 401),
    ],
)
async def test_beyond_loopback_the_key_is_asked_for(headers: dict[str, str], status: int, tmp_path: Path) -> None:
    async with admin(KEYED, tmp_path) as (http, _):
        for path in ("/metrics", "/reload", "/", "/nowhere"):
            answer = await http.get(path, headers=headers)
            assert answer.status_code == (404 if path == "/nowhere" and status == 200 else status)
            assert "secret-key" not in answer.text
        assert (await http.get("/health/ready", headers=headers)).status_code == 200


async def test_the_key_of_the_rules_that_serve_is_the_one_asked_for(tmp_path: Path) -> None:
    from test_reload import reload

    async with admin(KEYED, tmp_path) as (http, told):
        run: Any = type("Run", (), {"folder": tmp_path, "gateway": told._gateway})
        reload(run, KEYED.replace("secret-key", "another"))
        statuses = [
            (await http.get("/metrics", headers={"authorization": f"Bearer {key}"})).status_code
            for key in ("secret-key", "another")
        ]
    assert statuses == [401, 200]


async def test_what_else_is_asked_for_is_refused_in_words(tmp_path: Path) -> None:
    async with admin(LOCAL, tmp_path) as (http, _):
        wrong = await http.get("/v1/models")
        assert (wrong.status_code, "/metrics" in wrong.json()["error"]["message"]) == (404, True)
        posted = await http.post("/metrics", content=b"x" * 100_000)
        assert (posted.status_code, posted.headers["allow"]) == (405, "GET, HEAD")
        assert "/metrics" in (await http.get("/")).json()["pages"]


async def test_clients_find_no_metrics_on_their_port(tmp_path: Path) -> None:
    async with running(LOCAL, tmp_path) as run:
        answers = [await run.http.get(path) for path in ("/metrics", "/reload")]
        assert [answer.status_code for answer in answers] == [404, 404]


# --- the process ------------------------------------------------------------------------------------------------------


def admin_url(said: str) -> str:
    found = re.search(r"metrics and health on (\S+)", said)
    assert found, said
    return found[1]


async def test_a_process_tells_what_it_answered_and_that_it_drains(tmp_path: Path) -> None:
    rules = AUDIT + "rules:\n" + LOG
    async with serving(tmp_path, rules, "--admin", "127.0.0.1:0") as (server, http):
        url = admin_url(server.said)
        for _ in range(3):
            assert (await http.post("/v1/chat/completions", json=CHAT)).status_code == 200
        async with asyncio.timeout(10), httpx.AsyncClient(base_url=url) as asked:
            while 'result="written"} 3.0' not in (text := (await asked.get("/metrics")).text):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert 'pointsman_requests_total{call_type="completion",status="200",upstream="demo"} 3.0' in text


async def test_two_gateways_on_one_machine(tmp_path: Path) -> None:
    """The first has the default address, or somebody else has; in either case the second serves without."""
    (tmp_path / "second").mkdir()
    async with serving(tmp_path, "rules: []\n"), serving(tmp_path / "second", "rules: []\n") as (second, http):
        assert "metrics and health on" not in second.said
        assert (await http.post("/v1/chat/completions", json=CHAT)).status_code == 200
        second.process.terminate()
        error = await second.error()
        assert "no metrics: cannot listen on 127.0.0.1:4001" in error
        assert "--admin" in error


async def test_off_is_off(tmp_path: Path) -> None:
    async with serving(tmp_path, "server: {admin: off}\nrules: []\n") as (server, _):
        assert "metrics" not in server.said
        server.process.terminate()
        assert await server.error() == ""


@pytest.mark.parametrize(
    ("options", "rules"),
    [
        (["--admin", "127.0.0.1:{}"], ""),
        ([], "server: {{admin: '127.0.0.1:{}'}}\n"),
        (["--admin", "127.0.0.1:{}", "--workers", "2"], ""),
    ],
)
async def test_a_chosen_address_that_is_taken_keeps_it_from_starting(
    options: list[str], rules: str, tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        words = [word.format(port) for word in options]
        async with process(tmp_path, rules.format(port) + "rules: []\n", "--port", "0", *words) as server:
            error = await server.error()
            assert await server.ended() == 1
    assert f"cannot listen on 127.0.0.1:{port}" in error
    assert "--admin" in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["--admin", "0.0.0.0:4001"], 1, "error[no-admin-key]: refusing to serve metrics on 0.0.0.0:4001"),
        (["--admin", "4001"], 2, "4001 is no address"),
        (["--admin", "127.0.0.1:65536"], 2, "no address"),
        (["--admin", "::1:80"], 2, "no address"),
        (["--workers", "0"], 2, "0 is no number of processes"),
        (["--workers", "two"], 2, "two is no number of processes"),
        (["--workers", "300"], 2, "from 1 to 256"),
    ],
)
def test_the_command_line_is_checked(
    words: list[str],
    status: int,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rules.yaml").write_text("rules: []\n")
    assert main(["serve", "rules.yaml", *words]) == status
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    "address", ["127.0.0.1", ":4001", "localhost:", "a b:1", "http://x:1", "[::1]", "x:123456", "[x]:1"]
)
def test_what_is_no_address_is_a_problem(address: str, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(f"server: {{admin: {address!r}}}\nrules: []\n")
    (problem,) = load(str(tmp_path / "rules.yaml")).problems
    assert (problem.code, "127.0.0.1:4001" in problem.help) == ("wrong-type", True)


def test_an_empty_key_opens_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN_KEY_OF_A_TEST", "")
    (tmp_path / "rules.yaml").write_text(
        "server: {admin: '0.0.0.0:0', admin_key: os.environ/ADMIN_KEY_OF_A_TEST}\nrules: []\n"
    )
    (problem,) = load(str(tmp_path / "rules.yaml")).problems
    assert problem.severity == "error"


def test_another_address_is_for_the_next_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "rules.yaml"
    compiler = Compiler(Namespace(host=None, port=0, admin=None, workers=None, worker=None, log_level="info"))

    def compiled(text: str) -> Any:
        file.write_text(text + "\nrules: []\n")
        return compiler(load(str(file))).server

    assert vars(compiled("server: {host: 127.0.0.1, port: 4000, drain: 1s}"))["port"] == 0
    assert caplog.text == ""
    server = compiled("server: {host: localhost, port: 4000, drain: 2s, admin: '127.0.0.1:9', workers: 3}")
    assert (server.host, server.port, server.admin, server.workers) == ("127.0.0.1", 0, "127.0.0.1:4001", 1)
    assert server.drain == 2
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "another server.host is taken at the next start; it is still 127.0.0.1",
        "another server.admin is taken at the next start; it is still 127.0.0.1:4001",
        "another server.workers is taken at the next start; it is still 1",
    ]
