"""What the language promises of the wire, sentence by sentence, with real sockets; `spec_wire/*.yaml` need none."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from running import AUDIT, CHAT, LOG, completion, running, upstream
from scripted import raw, scripted, whole

from engine.report import as_text
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
    failed = [(verdict.name, [as_text([problem]) for problem in verdict.problems], list(map(str, verdict.failures)))
              for verdict in report.verdicts if not verdict.passed]
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
        status, status, answer.headers["x-request-id"])


# --- what every answer carries ----------------------------------------------------------------------------------------

ANSWERED = {"/": "GET", "/health/live": "GET", "/health/liveliness": "GET", "/health/liveness": "GET",
            "/health/ready": "GET", "/health/readiness": "GET", "/schema.json": "GET", "/v1/models": "GET",
            "/models": "GET", "/nowhere": "GET", "/v1/chat/completions": "POST", "/v1/messages": "POST",
            "/v1/nowhere": "POST", "//": "POST"}


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
    async with scripted(ANSWER) as up, running(
            upstream(up.url) + AUDIT + rules + LOG.replace("full", "redacted"), tmp_path) as run:
        await run.post(body=say)
        await run.post(body={**say, "user": "no"})
        sent, refused = await run.records(2)
        assert json.loads(up.requests[0].body)["messages"][0]["content"] == "I am [redacted], c@d.org"
    assert sent["request"] == {
        "model": "theirs", "messages": [{"role": "user", "content": "I am [redacted], [pii.email]"}]}
    assert refused["request"]["model"] == "mine"
