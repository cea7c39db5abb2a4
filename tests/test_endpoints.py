"""Every endpoint through the server on real sockets: what reaches the upstream, what comes back, what is refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from running import AUDIT, LOG, Running, completion, running, upstream
from scripted import Scripted, scripted, stream, whole

from engine.document.dialects import ENDPOINTS

FOLDER = Path(__file__).parent / "endpoints"
SURVIVE, REFUSED = (yaml.safe_load((FOLDER / f"{name}.yaml").read_text()) for name in ("survive", "refused"))
LOOKING = """
  - name: look
    match: {none: [{prompt_text: {contains: never}}]}
    actions: [{set_var: {opaque: "{{ opaque }}", text: "{{ prompt_text }}"}}]
  - name: bound
    match: {original.model: m}
    actions: [{remove: [nothing.here]}, {redact: {patterns: [secret.aws_key]}}]
  - {name: after, phase: response, match: {none: [{completion_text: {contains: never}}]}, actions: [{tag: seen}]}
  - {name: clean, phase: response, actions: [{redact: {patterns: [secret.aws_key]}}]}
"""
KEYS = f"keys: [{{name: a, sha256: {hashlib.sha256(b'right').hexdigest()}}}]\n"
POSTED = sorted(path for path in ENDPOINTS if path.startswith("/v1/"))


def name_of(case: dict[str, Any]) -> str:
    return str(case["name"])


def served(up: Scripted, rules: str = LOOKING, server: str = "{}") -> str:
    return upstream(up.url) + AUDIT + f"server: {server}\nrules:{rules}" + LOG


# --- what survives ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", SURVIVE, ids=name_of)
async def test_a_request_arrives_as_it_was_sent(case: dict[str, Any], tmp_path: Path) -> None:
    async with scripted(whole(b'{"object": "x"}')) as up, running(served(up), tmp_path) as run:
        answer = await run.post(case["path"], case["body"])
        assert answer.status_code == 200, answer.text
        (request,) = up.requests
        assert request.line == f"POST {case.get('sent', case['path'])} HTTP/1.1"
        assert json.loads(request.body) == case["body"]
        record = await run.record()
        assert record["vars"]["opaque"] == case["opaque"]
        for text in case["text"]:
            assert text in record["vars"]["text"]
        assert record["matched"] == ["look", "bound", "after", "clean", "audit"]


ANSWERS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": completion(
        "hi",
        service_tier="x",
        choices=[
            {
                "index": index,
                "message": {
                    "role": "assistant",
                    "content": "hi",
                    "reasoning_content": "hm",
                    "new": [1.50],
                    "tool_calls": [
                        {
                            "id": "c",
                            "type": "function",
                            "extra": 1,
                            "function": {"name": "f", "arguments": '{"a": 1.50}'},
                        }
                    ],
                },
                "finish_reason": "tool_calls",
                "logprobs": {"content": []},
            }
            for index in range(2)
        ],
    ),
    "/v1/responses": {
        "id": "r",
        "output": [
            {"type": "reasoning", "summary": []},
            {"type": "future", "x": 1},
            {"type": "message", "content": [{"type": "output_text", "text": "hi"}]},
        ],
    },
    "/v1/messages": {
        "id": "m",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
        ],
    },
    "/v1/images/generations": {"created": 1, "data": [{"b64_json": "iVBORw0=", "revised_prompt": "a"}], "usage": {}},
    "/v1/embeddings": {"data": [{"embedding": "AACAPw==", "index": 0}], "usage": {"prompt_tokens": 1}},
    "/v1/rerank": {"results": [{"index": 1, "relevance_score": 0.50, "document": {"text": "a"}}]},
}


@pytest.mark.parametrize("path", ANSWERS)
async def test_an_answer_comes_back_as_it_was_sent(path: str, tmp_path: Path) -> None:
    told = json.dumps(ANSWERS[path], indent=1).encode()
    async with scripted(whole(told)) as up, running(served(up), tmp_path) as run:
        answer = await run.post(path, {"model": "m"})
        assert (answer.status_code, answer.content) == (200, told)


async def test_a_stream_of_several_choices_comes_back_as_it_was_sent(tmp_path: Path) -> None:
    events = [
        json.dumps(
            {
                "choices": [
                    {"index": index, "delta": {"content": "hi", "reasoning_content": "hm", "x": 1}, "logprobs": None}
                ],
                "unknown": {"a": 1.50},
            }
        )
        for index in (0, 1, 0)
    ]
    events.append(json.dumps({"choices": [], "usage": {"total_tokens": 3}}))
    body = {"model": "m", "n": 2, "stream": True, "stream_options": {"include_usage": True}, "messages": []}
    async with scripted(stream(events)) as up, running(served(up), tmp_path) as run:
        answer = await run.post(body=body)
        assert answer.content == "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"]).encode()
        assert json.loads(up.requests[0].body) == body
        assert (await run.record())["usage"]["total_tokens"] == 3


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", REFUSED, ids=name_of)
async def test_what_no_rule_decides(case: dict[str, Any], tmp_path: Path) -> None:
    server = json.dumps(case.get("server", {}))
    async with scripted(whole()) as up, running(served(up, server=server), tmp_path) as run:
        if "form" in case:
            parts = {
                name: ("f", value[1:].encode()) if value.startswith("@") else (None, value)
                for name, value in case["form"].items()
            }
            answer = await run.http.post(case["path"], files=parts)
        elif "raw" in case:
            answer = await run.post(case["path"], content=case["raw"].encode(), headers={"content-type": case["type"]})
        else:
            answer = await run.post(case["path"], case["body"])
        assert answer.status_code == case["status"], answer.text
        assert case.get("says", "") in (answer.json().get("error", {}).get("message", "") + answer.text)
        assert len(up.requests) == (case["status"] == 200)
        for name in {"code", "param"} & case.keys():
            assert answer.json()["error"][name] == case[name]
        if "sent" in case:
            assert json.loads(up.requests[0].body) == case["sent"]
            assert dict(up.requests[0].headers)["content-type"] == "application/json"
        assert (await run.record())["status"] == case["status"]


@pytest.mark.parametrize("path", POSTED)
async def test_require_field_holds_on_every_post_and_on_no_get(path: str, tmp_path: Path) -> None:
    rule = "\n  - {name: who, actions: [{require_field: user}]}"
    async with scripted(whole()) as up, running(served(up, rule), tmp_path) as run:
        for user in ({}, {"user": ""}, {"user": None}):
            refused = await run.post(path, {"model": "m", **user})
            error = refused.json()["error"]
            assert (refused.status_code, error["type"]) == (400, "invalid_request_error")
            assert error["message"] == "Missing required parameter: 'user'."
            assert error.get("param") == (None if "messages" in path else "user")
        assert not up.requests
        assert (await run.post(path, {"model": "m", "user": "ann"})).status_code == 200
        got = await run.http.get(path)
        assert got.status_code == 405
        assert "user" not in got.text
        for other in ("/", "/v1/models", "/health/live"):
            assert (await run.http.get(other)).status_code == 200
        assert (await run.http.head("/")).status_code == 200


@pytest.mark.parametrize(
    "path", ["/v1/audio/transcriptions", "/v1/audio/translations", "/v1/images/edits", "/v1/images/variations"]
)
async def test_require_field_holds_for_forms(path: str, tmp_path: Path) -> None:
    rule = "\n  - {name: who, actions: [{require_field: user}]}"
    async with scripted(whole()) as up, running(served(up, rule), tmp_path) as run:
        for form in ({"model": "m"}, {"model": "m", "user": ""}):
            refused = await run.http.post(path, data=form, files={"file": b"x"})
            assert (refused.status_code, refused.json()["error"]["param"]) == (400, "user")
        assert not up.requests
        assert (await run.http.post(path, data={"model": "m", "user": "a"}, files={"file": b"x"})).status_code == 200
        assert up.requests[0].line == f"POST {path} HTTP/1.1"


# --- Anthropic's clients ----------------------------------------------------------------------------------------------


async def test_what_anthropics_clients_send_goes_on(tmp_path: Path) -> None:
    headers = {
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "a,b",
        "x-api-key": "k",
        "x-stainless-lang": "js",
        "anthropic-dangerous-direct-browser-access": "true",
    }
    body = {"model": "m", "max_tokens": 1, "messages": []}
    async with scripted(whole(b'{"content": []}')) as up, running(served(up), tmp_path) as run:
        answer = await run.post("/v1/messages?beta=true", body, headers=headers)
        assert answer.headers["request-id"] == answer.headers["x-request-id"]
        (request,) = up.requests
        assert request.line == "POST /v1/messages?beta=true HTTP/1.1"
        assert headers.items() <= dict(request.headers).items()


@pytest.mark.parametrize(
    ("path", "status", "kind", "options"),
    [
        ("/v1/messages", 401, "authentication_error", {}),
        ("/v1/messages", 401, "authentication_error", {"headers": {"x-api-key": "wrong"}}),
        ("/v1/messages/batches", 404, "not_found_error", {}),
        ("/v1/complete", 404, "not_found_error", {"headers": {"anthropic-version": "2023-06-01"}}),
        ("/v1//messages", 400, "invalid_request_error", {}),
        ("/v1/messages", 413, "request_too_large", {"content": b"x" * 5000, "headers": {"x-api-key": "right"}}),
        ("/v1/messages", 400, "invalid_request_error", {"content": b"{", "headers": {"x-api-key": "right"}}),
        ("/v1/messages", 415, "invalid_request_error", {"headers": {"x-api-key": "right", "content-encoding": "br"}}),
        ("/v1/messages", 404, "not_found_error", {"headers": {"x-api-key": "right"}, "body": {"model": "none"}}),
        ("/v1/messages", 502, "api_error", {"headers": {"x-api-key": "right"}, "body": {"model": "m"}}),
    ],
)
async def test_errors_in_anthropics_shape(
    path: str, status: int, kind: str, options: dict[str, Any], tmp_path: Path
) -> None:
    rules = upstream("http://127.0.0.1:9") + KEYS + "models: {m: {}}\nserver: {body_limit: 2000}\nrules: []\n"
    async with running(rules, tmp_path) as run:
        answer = await run.post(path, **options)
        told = answer.json()
        assert (answer.status_code, told["type"], told["error"]["type"]) == (status, "error", kind)
        assert told["request_id"] == answer.headers["request-id"]
        assert told["error"].keys() == {"type", "message"}


# --- who is calling ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trusted", "told", "ip"),
    [
        ([], ["9.9.9.9"], "127.0.0.1"),
        (["10.0.0.0/8"], ["9.9.9.9"], "127.0.0.1"),
        (["127.0.0.1"], ["9.9.9.9"], "9.9.9.9"),
        (["127.0.0.0/8", "10.0.0.0/8"], ["1.1.1.1, 9.9.9.9, 10.1.1.1"], "9.9.9.9"),
        (["127.0.0.0/8"], ["1.1.1.1, 9.9.9.9"], "9.9.9.9"),
        (["127.0.0.0/8"], ["1.1.1.1", "9.9.9.9"], "9.9.9.9"),
        (["127.0.0.0/8"], [], "127.0.0.1"),
        (["127.0.0.0/8", "10.0.0.0/8"], ["10.0.0.1"], "10.0.0.1"),
    ],
)
async def test_the_address_behind_trusted_proxies(trusted: list[str], told: list[str], ip: str, tmp_path: Path) -> None:
    rule = "\n  - {name: who, actions: [{set_var: {ip: '{{ client.ip }}'}}]}"
    async with (
        scripted(whole()) as up,
        running(served(up, rule, json.dumps({"trusted_proxies": trusted})), tmp_path) as run,
    ):
        await run.post(headers=[("x-forwarded-for", value) for value in told])
        assert (await run.record())["vars"]["ip"] == ip


# --- answers of rules -------------------------------------------------------------------------------------------------

WHOLE = {"completion", "text_completion", "responses", "messages"}


async def refusing(run: Running, path: str) -> tuple[int, dict[str, Any]]:
    answer = await run.post(path, {"model": "m", "stream": False})
    return answer.status_code, answer.json()


@pytest.mark.parametrize("path", POSTED)
async def test_every_endpoint_refuses_in_its_own_shape(path: str, tmp_path: Path) -> None:
    rule = "\n  - {name: 'no', actions: [{reject: {message: Not here, status: 403}}]}"
    async with scripted(whole()) as up, running(served(up, rule), tmp_path) as run:
        status, told = await refusing(run, path)
        error = {"message": "Not here", "type": "permission_error"}
        assert (status, told["error"].items() >= error.items()) == (403, True)
        assert ("request_id" in told) is ("messages" in path)
        assert not up.requests


@pytest.mark.parametrize("path", POSTED)
async def test_every_endpoint_is_answered_by_a_rule(path: str, tmp_path: Path) -> None:
    call_type = ENDPOINTS[path]
    rule = "\n  - {name: 'no', actions: [{reject_with_message: Not here}]}"
    async with scripted(whole()) as up, running(served(up, rule), tmp_path) as run:
        status, told = await refusing(run, path)
        if call_type in WHOLE and not path.endswith("count_tokens"):
            assert status == 200
            assert "Not here" in json.dumps(told)
        else:
            assert (status, told["error"]["message"]) == (400, "Not here")
        assert not up.requests
