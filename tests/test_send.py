"""From a request to the upstream's call: which upstream, which model, which headers; read off the raw bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from running import CHAT, running, upstream
from scripted import scripted, whole

OPEN = "rules: []\n"
MODELS = """
models:
  fast: {upstream: second, model: gpt-4o-mini}
  alias: {model: fast}
  own: {upstream: second}
  plain: {}
  "langfuse/*": {upstream: second, model: "*"}
  "team-?": {model: "shared"}
"""


def upstreams(first: str, second: str) -> str:
    return f"upstreams: {{first: {{base_url: '{first}'}}, second: {{base_url: '{second}'}}}}\n"


@pytest.mark.parametrize(
    ("asked", "name", "sent"),
    [
        ("fast", "second", "gpt-4o-mini"),
        ("alias", "second", "gpt-4o-mini"),
        ("own", "second", "own"),
        ("plain", "first", "plain"),
        ("langfuse/gpt-4o", "second", "gpt-4o"),
        ("team-a", "first", "shared"),
    ],
)
async def test_models_and_upstreams(asked: str, name: str, sent: str, tmp_path: Path) -> None:
    async with scripted(whole()) as first, scripted(whole()) as second:
        async with running(upstreams(f"{first.url}/v1", f"{second.url}/api") + MODELS + OPEN, tmp_path) as run:
            answer = await run.post(body={**CHAT, "model": asked})
            assert answer.status_code == 200, answer.text
        there, elsewhere = (first, second) if name == "first" else (second, first)
        (request,) = there.requests
        assert request.line == f"POST {'/v1' if name == 'first' else '/api'}/chat/completions HTTP/1.1"
        assert request.body == json.dumps({**CHAT, "model": sent}, separators=(",", ":")).encode()
        assert not elsewhere.requests


@pytest.mark.parametrize(
    ("model", "status", "says"),
    [
        ("fsat", 404, "did you mean `fast`"),
        ("team-ab", 404, "unknown model"),
        ("langfuse", 404, "unknown model"),
        (None, 400, "Missing required parameter: 'model'."),
    ],
)
async def test_models_that_nobody_defined(model: str | None, status: int, says: str, tmp_path: Path) -> None:
    async with scripted(whole()) as up, running(upstreams(up.url, up.url) + MODELS + OPEN, tmp_path) as run:
        answer = await run.post(body={**CHAT, "model": model})
        error = answer.json()["error"]
        assert (answer.status_code, error["param"]) == (status, "model")
        assert says in error["message"]
        assert error["code"] == ("model_not_found" if status == 404 else "missing_required_parameter")
        assert not up.requests


async def test_without_models_any_goes_to_the_first_upstream(tmp_path: Path) -> None:
    async with (
        scripted(whole()) as first,
        scripted(whole()) as second,
        running(upstreams(first.url, second.url) + OPEN, tmp_path) as run,
    ):
        for model in ("anything", None):
            await run.post(body={**CHAT, "model": model})
        assert len(first.requests) == 2
        assert not second.requests


async def test_what_only_the_gateway_reads_stays_here(tmp_path: Path) -> None:
    own = {"prompt_id": "none", "prompt_variables": {"a": 1}, "prompt_label": "x", "prompt_version": 2}
    rule = """rules:
  - {name: later, match: {request.prompt_id: none}, actions: [{set: {user: "{{ request.prompt_label }}"}}]}
"""
    async with scripted(whole()) as up, running(upstream(up.url) + rule, tmp_path) as run:
        await run.post(body={**CHAT, **own})
        assert json.loads(up.requests[0].body) == {**CHAT, "user": "x"}


# --- headers ----------------------------------------------------------------------------------------------------------

GIVEN = [
    ("authorization", "Bearer client"),
    ("x-api-key", "client"),
    ("api-key", "client"),
    ("cookie", "c=1"),
    ("proxy-authorization", "Basic x"),
    ("connection", "keep-alive, x-hop"),
    ("x-hop", "1"),
    ("keep-alive", "1"),
    ("te", "trailers"),
    ("trailer", "x"),
    ("upgrade", "h2c"),
    ("accept-encoding", "gzip, br"),
    ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ("tracestate", "a=1"),
    ("x-team", "core"),
    ("x-twice", "1"),
    ("x-twice", "2"),
    ("openai-organization", "org"),
    ("user-agent", "sdk/1"),
    ("content-type", "text/plain"),
    ("x-request-id", "id-1"),
]


async def sent_headers(more: str, tmp_path: Path, rules: str = OPEN, **options: Any) -> list[tuple[str, str]]:
    async with scripted(whole()) as up, running(upstream(up.url, **options) + more + rules, tmp_path) as run:
        answer = await run.post(content=json.dumps(CHAT).encode(), headers=[*GIVEN, ("x-key", "k")])
        assert answer.status_code == 200, answer.text
        return [(name.lower(), value) for name, value in up.requests[0].headers]


async def test_headers_that_are_passed_on(tmp_path: Path) -> None:
    sent = await sent_headers("", tmp_path)
    for pair in GIVEN[12:19]:
        assert pair in sent
    names = [name for name, _ in sent]
    for name in ("proxy-authorization", "x-hop", "keep-alive", "te", "trailer", "upgrade", "transfer-encoding"):
        assert name not in names
    assert [value for name, value in sent if name == "accept-encoding"] == ["identity"]
    assert [value for name, value in sent if name == "content-type"] == ["application/json"]
    assert [value for name, value in sent if name == "x-request-id"] == ["id-1"]
    assert len([name for name in names if name in ("host", "content-length")]) == 2
    assert ("host", "127.0.0.1") not in sent


CREDENTIALS = {"authorization", "x-api-key", "api-key", "cookie"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"authorization": "Bearer client", "x-api-key": "client", "api-key": "client", "cookie": "c=1"}),
        ({"api_key": "ours"}, {"authorization": "Bearer ours"}),
        ({"api_key": "ours", "auth": "x-api-key"}, {"x-api-key": "ours"}),
        ({"api_key": "ours", "auth": "api-key"}, {"api-key": "ours"}),
        ({"api_key": "ours", "kind": "anthropic"}, {"x-api-key": "ours"}),
        (
            {"headers": {"Authorization": "Bearer theirs"}, "api_key": "x", "auth": "api-key"},
            {"authorization": "Bearer theirs", "api-key": "x"},
        ),
    ],
)
async def test_credentials(options: dict[str, Any], expected: dict[str, str], tmp_path: Path) -> None:
    sent = await sent_headers("", tmp_path, **options)
    assert {name: value for name, value in sent if name in CREDENTIALS} == expected


async def test_with_keys_no_credential_of_the_client_goes_on(tmp_path: Path) -> None:
    keys = "keys: [{name: a, sha256: 948fe603f61dc036b5c596dc09fe3ce3f3d30dc90f024c85f3c82db2ccab679d}]\n"
    async with scripted(whole()) as up, running(upstream(up.url) + keys + OPEN, tmp_path) as run:
        answer = await run.post(headers=[("x-api-key", "client"), ("cookie", "c"), ("authorization", "Basic client")])
        assert answer.status_code in {200, 401}
        for request in up.requests:
            assert b"client" not in request.head


async def test_headers_that_rules_and_the_upstream_add(tmp_path: Path) -> None:
    rule = """rules:
  - name: a
    actions:
      - set_header: {x-team: "{{ key.name || 'open' }}", x-new: "1"}
      - remove_header: [tracestate, x-twice]
"""
    added = {"X-Static": "s", "user-agent": "gateway"}
    sent = await sent_headers("", tmp_path, rule, headers=added, query={"api-version": "2024 1"})
    assert {("x-team", "open"), ("x-new", "1"), ("x-static", "s"), ("user-agent", "gateway")} <= set(sent)
    assert ("user-agent", "sdk/1") not in sent
    assert [value for name, value in sent if name == "accept-encoding"] == ["identity"]
    assert not {"tracestate", "x-twice"} & {name for name, _ in sent}


async def test_the_query_of_the_client_and_of_the_upstream(tmp_path: Path) -> None:
    query = {"api-version": "2024 1"}
    async with scripted(whole()) as up, running(upstream(up.url, query=query) + OPEN, tmp_path) as run:
        await run.post("/v1/chat/completions?beta=true")
        assert up.requests[0].line == "POST /v1/chat/completions?beta=true&api-version=2024+1 HTTP/1.1"
