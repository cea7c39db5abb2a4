"""What the language promises of the wire, sentence by sentence, with real sockets; `spec_wire/*.yaml` need none."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from running import AUDIT, CHAT, LOG, completion, delta, eventually, running, upstream
from scripted import Script, Talk, chunk, raw, scripted, whole

from engine.report import as_text
from engine.rules.compile import compile_program
from engine.rules.load import load
from engine.tools.cases import run_files

CASES = sorted((Path(__file__).parent / "spec_wire").glob("*.yaml"))
ANSWER = whole(json.dumps(completion("hello")).encode())
KEYS = f"keys: [{{name: ci, team: core, models: [mine, gpt-4o], sha256: {hashlib.sha256(b'sk-1').hexdigest()}}}]\n"
KEY = {"authorization": "Bearer sk-1"}
RULES = "rules:" + LOG


@pytest.mark.parametrize("file", CASES, ids=lambda path: path.stem)
def test_cases(file: Path) -> None:
    report = run_files([str(file)])
    assert not as_text([problem for problem in report.problems if problem.severity == "error"])
    failed = [
        (verdict.name, [as_text([problem]) for problem in verdict.problems], list(map(str, verdict.failures)))
        for verdict in report.verdicts
        if not verdict.passed
    ]
    assert not failed
    assert report.fine


# --- statuses and shapes ----------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[dict[str, Any], int, str, str | None, str | None]] = {
    "no key": ({"headers": {}}, 401, "authentication_error", "missing_api_key", None),
    "an unknown key": ({"headers": {"x-api-key": "nobody's"}}, 401, "authentication_error", "invalid_api_key", None),
    "not JSON": ({"content": b"{"}, 400, "invalid_request_error", "invalid_json", None),
    "a wrong type": ({"body": {**CHAT, "model": 7}}, 400, "invalid_request_error", "invalid_type", "model"),
    "half a surrogate": ({"content": b'{"model": "\\ud800"}'}, 400, "invalid_request_error", "invalid_unicode", None),
    "too large": ({"content": b" " * 5000}, 413, "request_too_large", None, None),
    "an unknown coding": ({"headers": {**KEY, "content-encoding": "br"}}, 415, "invalid_request_error", None, None),
    "an unknown model": ({"body": {**CHAT, "model": "x"}}, 404, "not_found_error", "model_not_found", "model"),
    "a model of others": ({"body": {**CHAT, "model": "theirs"}}, 403, "permission_error", "model_not_allowed", "model"),
    "a refusal": ({"body": {**CHAT, "user": "no"}}, 429, "rate_limit_error", "rule_rejected", None),
    "no connection": ({"body": {**CHAT, "model": "gpt-4o"}}, 502, "api_error", "upstream_connection", None),
    "a time-out": ({"body": {**CHAT, "model": "mine"}}, 504, "timeout_error", "upstream_timeout", None),
}
REFUSING = """
server: {body_limit: 4096}
models: {mine: {upstream: slow}, gpt-4o: {upstream: gone}, theirs: {}}
rules:
  - {name: limit, match: {request.user: "no"}, actions: [{reject: {message: Slow down, status: 429}}]}
"""


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/completions", "/v1/responses", "/v1/messages", "/messages"])
@pytest.mark.parametrize("name", REFUSED)
async def test_every_refusal_has_its_status_and_the_clients_shape(name: str, path: str, tmp_path: Path) -> None:
    given, status, kind, code, param = REFUSED[name]
    async with scripted(raw(then="hang")) as slow, scripted(raw(then="reset")) as gone:
        ways = {"slow": {"base_url": slow.url, "first_byte": "100ms"}, "gone": {"base_url": gone.url}}
        async with running(f"upstreams: {json.dumps(ways)}\n" + AUDIT + KEYS + REFUSING + LOG, tmp_path) as run:
            answer = await run.post(path, **{"headers": KEY, **given})
            record = await run.record()
    body, error = answer.json(), answer.json()["error"]
    assert (answer.status_code, error["type"]) == (status, kind), answer.text
    if "messages" in path:
        assert (body["type"], body["request_id"]) == ("error", answer.headers["x-request-id"])
        assert set(error) == {"type", "message"}
    else:
        assert set(body) == {"error"}
        assert set(error) == {"message", "type", "param", "code"}
        assert error["param"] == param
        assert code is None or error["code"] == code
    assert ("x-should-retry" in answer.headers) == ("x-pointsman-rule" in answer.headers) == (name == "a refusal")
    assert (record["status"], record["error"]["status"], record["id"]) == (
        status,
        status,
        answer.headers["x-request-id"],
    )


# --- what every answer carries ----------------------------------------------------------------------------------------

ANSWERED = {
    "/": "GET",
    "/health/live": "GET",
    "/health/liveliness": "GET",
    "/health/liveness": "GET",
    "/health/ready": "GET",
    "/health/readiness": "GET",
    "/schema.json": "GET",
    "/v1/models": "GET",
    "/models": "GET",
    "/nowhere": "GET",
    "/v1/chat/completions": "POST",
    "/v1/messages": "POST",
    "/v1/nowhere": "POST",
    "//": "POST",
}


@pytest.mark.parametrize("path", ANSWERED)
async def test_every_answer_says_which_request_and_which_rules(path: str, tmp_path: Path) -> None:
    async with scripted(ANSWER) as up, running(upstream(up.url) + "rules: []\n", tmp_path) as run:
        answer = await run.http.request(ANSWERED[path], f"{run.url}{path}", json=CHAT, headers={"x-request-id": "a-1"})
        made = await run.http.request(ANSWERED[path], f"{run.url}{path}", headers={"x-request-id": "two words"})
        assert answer.headers["x-request-id"] == "a-1"
        assert made.headers["x-request-id"] not in ("", "two words")
        assert answer.headers["x-pointsman-version"] == run.gateway.program.version
        assert answer.headers["x-pointsman-rules"] == ""


async def test_health_needs_no_key_and_the_list_of_models_does(tmp_path: Path) -> None:
    models = "models: {mine: {}, theirs: {}, '*-mini': {}}\n"
    async with scripted(ANSWER) as up, running(upstream(up.url) + KEYS + models + "rules: []\n", tmp_path) as run:
        for path in ("/health/live", "/health/ready", "/health/liveliness", "/health/readiness"):
            assert (await run.http.get(path)).status_code == 200
        assert (await run.http.get("/v1/models")).status_code == 401
        listed = (await run.http.get("/v1/models", headers=KEY)).json()
        assert (listed["object"], [model["id"] for model in listed["data"]]) == ("list", ["mine"])


# --- records ----------------------------------------------------------------------------------------------------------


async def test_a_record_shows_the_body_as_it_was_sent(tmp_path: Path) -> None:
    rules = """
models: {mine: {model: theirs}}
rules:
  - {name: hide, phase: attempt, actions: [{redact: {patterns: [bob]}}]}
  - {name: no, match: {request.user: "no"}, actions: [{reject: Not you}]}
"""
    say = {"model": "mine", "prompt_id": "7", "messages": [{"role": "user", "content": "I am bob, c@d.org"}]}
    async with (
        scripted(ANSWER) as up,
        running(upstream(up.url) + AUDIT + rules + LOG.replace("full", "redacted"), tmp_path) as run,
    ):
        await run.post(body=say)
        await run.post(body={**say, "user": "no"})
        sent, refused = await run.records(2)
        assert json.loads(up.requests[0].body)["messages"][0]["content"] == "I am [redacted], c@d.org"
    assert sent["request"] == {
        "model": "theirs",
        "messages": [{"role": "user", "content": "I am [redacted], [pii.email]"}],
    }
    assert refused["request"]["model"] == "mine"


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
PART = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"
FIRST = chunk(f"data: {delta('a')}\n\n".encode())
HANG = raw(then="hang")
STREAM = {**CHAT, "stream": True}
HOLDS = "  - {name: holds, phase: response, actions: [{set: {x: 1}}]}\n"
AGAIN = "  - {name: again, phase: failure, actions: [{retry: {times: 3, backoff: 20s}}]}\n"
LEAVING: dict[str, tuple[str, Script, dict[str, Any], int | None, int, int]] = {  # …, cut, status, attempts
    "within the body": ("", HANG, CHAT, -9, 499, 0),
    "before the upstream answers": ("", HANG, CHAT, None, 499, 1),
    "within a whole answer": ("", raw(PART, then="hang"), CHAT, None, 499, 1),
    "within a stream": ("", raw(HEAD, FIRST, then="hang"), STREAM, None, 200, 1),
    "within a held stream": (HOLDS, raw(HEAD, FIRST, then="hang"), STREAM, None, 499, 1),
    "before a retry": (AGAIN, whole(b"{}", "500 Broken"), CHAT, None, 499, 1),
}


@pytest.mark.parametrize("name", LEAVING)
async def test_a_client_that_leaves_has_one_record_and_no_call(name: str, tmp_path: Path) -> None:
    rules, script, body, cut, status, attempts = LEAVING[name]
    async with scripted(script) as up, running(upstream(up.url) + AUDIT + "rules:\n" + rules + LOG, tmp_path) as run:
        raw_body = json.dumps(body).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
            f"Content-Length: {len(raw_body)}\r\n\r\n"
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", run.port)
        writer.write(head.encode())
        await reader.readuntil(b"100 Continue\r\n\r\n")
        writer.write(raw_body[:cut])
        await eventually(lambda: len(up.requests) == attempts)
        if status == 200:
            await reader.readuntil(b"\n\n")
        writer.close()
        record = await run.record()
        if script is HANG and attempts:
            await asyncio.wait_for(up.left.wait(), 5)
        assert len(up.requests) == attempts
    assert (record["status"], record["attempts"]) == (status, attempts)
    assert record["error"]["source"] == "client" or name == "before a retry"


async def test_a_stream_ends_on_the_rules_that_it_began_on(tmp_path: Path) -> None:
    go = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.send(HEAD + FIRST)
        await go.wait()
        await talk.send(chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")

    rules = AUDIT + "rules:\n  - {name: late, phase: log, actions: [{tag: old}]}" + LOG
    async with scripted(script) as up, running(upstream(up.url) + rules, tmp_path) as run:
        async with run.http.stream("POST", "/v1/chat/completions", json=STREAM) as answer:
            version = answer.headers["x-pointsman-version"]
            (tmp_path / "rules.yaml").write_text(upstream(up.url) + rules.replace("old", "new"))
            run.gateway.adopt(compile_program(load(str(tmp_path / "rules.yaml"), run.gateway.program.sinks)))
            go.set()
            assert b"[DONE]" in await answer.aread()
        again = await run.post(body=STREAM)
        old, new = await run.records(2)
    assert (old["rules_version"], old["tags"]) == (version, ["old"])
    assert (new["rules_version"], new["tags"]) == (again.headers["x-pointsman-version"], ["new"])
    assert version != again.headers["x-pointsman-version"]
