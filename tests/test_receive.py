"""What a client may send, and what it is told when it sends something else: on real sockets, in the client's shape."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from running import AUDIT, CHAT, LOG, running, upstream
from scripted import scripted, whole

CASES = yaml.safe_load((Path(__file__).parent / "receive.yaml").read_text())
OPEN = "rules: []\n"


def ids(case: dict[str, Any]) -> str:
    return str(case["name"])


def raw_of(case: dict[str, Any]) -> bytes:
    made = {
        "many digits": b'{"n": ' + b"1" * 5000 + b"}",
        "deep": b'{"messages": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        "deeper than walkers": b'{"messages": ' + b"[" * 140 + b"]" * 140 + b"}",
        "latin": b'{"model": "\xe9"}',
        "surrogate bytes": b'{"model": "\xed\xa0\x80"}',
        "utf-16": '{"a": 1}'.encode("utf-16"),
    }
    return made[case["made"]] if "made" in case else case["raw"].encode()


@pytest.mark.parametrize("case", CASES["broken"], ids=ids)
async def test_a_body_that_is_no_json_object(case: dict[str, Any], tmp_path: Path) -> None:
    async with running(OPEN, tmp_path) as run:
        answer = await run.post(content=raw_of(case))
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["type"]) == (
            400,
            case.get("code", "invalid_json"),
            "invalid_request_error",
        )
        for part in case["says"]:
            assert part in error["message"]


@pytest.mark.parametrize("case", CASES["types"], ids=lambda case: f"{case['field']} {case['value']!r}")
async def test_a_known_field_of_a_wrong_type(case: dict[str, Any], tmp_path: Path) -> None:
    async with scripted(whole()) as up, running(upstream(up.url) + OPEN, tmp_path) as run:
        answer = await run.post(body={**CHAT, case["field"]: case["value"]})
        error = answer.json()["error"]
        assert (answer.status_code, error["param"], error["code"]) == (400, case["field"], "invalid_type")
        assert case["says"] in error["message"]
        assert not up.requests


@pytest.mark.parametrize("case", CASES["fine"], ids=ids)
async def test_what_is_read_as_json(case: dict[str, Any], tmp_path: Path) -> None:
    async with scripted(whole()) as up, running(upstream(up.url) + OPEN, tmp_path) as run:
        answer = await run.post(content=case["raw"].encode(), headers=case.get("headers", {}))
        assert answer.status_code == 200, answer.text
        assert json.loads(up.requests[0].body) == case["sent"]
        assert up.requests[0].body.count(b'"model"') == 1


@pytest.mark.parametrize("case", CASES["paths"], ids=lambda case: f"{case.get('method', 'POST')} {case['path']}")
async def test_paths_and_methods(case: dict[str, Any], tmp_path: Path) -> None:
    async with scripted(whole(b'{"object": "x"}')) as up, running(upstream(up.url) + OPEN, tmp_path) as run:
        body = json.dumps({**CHAT, "input": "hi", "prompt": "hi"}).encode()
        lines = [
            f"{case.get('method', 'POST')} {case['path']} HTTP/1.1",
            "host: 127.0.0.1",
            "connection: close",
            f"content-length: {len(body)}",
        ]
        head, _, told = (await run.wire("\r\n".join(lines).encode() + b"\r\n\r\n" + body)).partition(b"\r\n\r\n")
        assert int(head.split(b" ")[1]) == case["status"], told
        assert case.get("says", "") in told.decode()
        sent = [f"POST {case['sent']} HTTP/1.1"] if "sent" in case else []
        assert [request.line for request in up.requests] == sent


@pytest.mark.parametrize("case", CASES["origins"], ids=ids)
async def test_a_foreign_page_cannot_spend_the_key(case: dict[str, Any], tmp_path: Path) -> None:
    async with scripted(whole()) as up:
        rules = upstream(up.url) + f"server: {json.dumps(case.get('server', {}))}\n" + OPEN
        async with running(rules, tmp_path) as run:
            answer = await run.post(headers=case["headers"])
            assert answer.status_code == case["status"], answer.text
            assert len(up.requests) == (case["status"] == 200)
            if case["status"] == 403:
                assert answer.json()["error"]["code"] == "foreign_origin"
                assert (await run.http.get("/v1/models", headers=case["headers"])).status_code == 403


def keys() -> str:
    def sha(key: str) -> str:
        return hashlib.sha256(key.encode()).hexdigest()

    return f"""
keys:
  - {{name: ci, sha256: {sha("sk-ci")}, team: core, models: [fast, "gpt-*"], metadata: {{tier: gold}}}}
  - {{name: all, sha256: {sha("sk-all")}}}
models:
  fast: {{model: small}}
  dear: {{}}
  "gpt-*": {{}}
"""


@pytest.mark.parametrize("case", CASES["keys"], ids=ids)
async def test_keys(case: dict[str, Any], tmp_path: Path) -> None:
    change = """rules:
  - {name: up, match: {request.user: up}, actions: [{set_model: dear}]}
  - {name: down, match: {request.user: down}, actions: [{set_model: fast}]}
"""
    async with scripted(whole()) as up, running(upstream(up.url) + keys() + change, tmp_path) as run:
        body = {**CHAT, "model": case.get("model", "fast"), "user": case.get("user", "u")}
        path = case.get("path", "/v1/chat/completions")
        answer = await run.post(path, body, headers=case["headers"])
        assert answer.status_code == case["status"], answer.text
        assert case.get("says", "") in answer.text
        assert len(up.requests) == (case["status"] == 200)
        for request in up.requests:
            assert b"sk-" not in request.head
        if case["status"] != 200:
            assert "sk-" not in answer.text


async def test_what_rules_see_of_a_key(tmp_path: Path) -> None:
    rule = """rules:
  - name: told
    match: {key.team: core, key.metadata.tier: gold}
    actions: [{set: {user: "{{ key.name }}"}}]
"""
    async with scripted(whole()) as up, running(upstream(up.url) + keys() + rule, tmp_path) as run:
        for key in ("sk-ci", "sk-all"):
            await run.post(body={**CHAT, "model": "fast"}, headers={"authorization": f"Bearer {key}"})
        assert [json.loads(request.body).get("user") for request in up.requests] == ["ci", None]


LARGE = json.dumps({"x": "y" * 90_000}).encode()


@pytest.mark.parametrize("body", [LARGE, gzip.compress(LARGE, mtime=0)], ids=["plain", "small until it is unfolded"])
async def test_a_body_over_the_limit(body: bytes, tmp_path: Path) -> None:
    headers = {"content-encoding": "gzip"} if body[:1] == b"\x1f" else {}
    async with running("server: {body_limit: 2000}\n" + AUDIT + "rules:" + LOG, tmp_path) as run:
        answer = await run.post(content=body, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")
        assert "2000 bytes" in answer.json()["error"]["message"]
        record = await run.record()
        assert (record["status"], record["call_type"], record["error"]["source"]) == (413, "completion", "client")


async def test_compressed_bodies(tmp_path: Path) -> None:
    async with scripted(whole()) as up, running(upstream(up.url) + OPEN, tmp_path) as run:
        packed = gzip.compress(json.dumps(CHAT).encode())
        assert (await run.post(content=packed, headers={"content-encoding": "gzip"})).status_code == 200
        assert json.loads(up.requests[0].body) == CHAT
        assert "content-encoding" not in dict(up.requests[0].headers)
        unknown = await run.post(content=packed, headers={"content-encoding": "br"})
        assert (unknown.status_code, unknown.json()["error"]["code"]) == (415, "unknown_coding")
        torn = await run.post(content=packed[:-4], headers={"content-encoding": "gzip"})
        assert (torn.status_code, torn.json()["error"]["code"]) == (400, "broken_body")


async def test_errors_on_messages_have_anthropics_shape(tmp_path: Path) -> None:
    async with running(OPEN, tmp_path) as run:
        answer = await run.post("/v1/messages", content=b"{,}", headers={"x-request-id": "abc"})
        told = answer.json()
        assert (answer.status_code, told["type"], told["error"]["type"], told["request_id"]) == (
            400,
            "error",
            "invalid_request_error",
            "abc",
        )


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("abc-1", True),
        ("x" * 128, True),
        ("x" * 129, False),
        ("a b", False),
        ("a<b", False),
        ("a>b", False),
        ("", False),
    ],
)
async def test_request_ids(given: str, kept: bool, tmp_path: Path) -> None:
    async with scripted(whole()) as up, running(upstream(up.url) + OPEN, tmp_path) as run:
        answer = await run.post(headers={"x-request-id": given})
        told = answer.headers["x-request-id"]
        assert (told == given) is kept
        assert told
        assert dict(up.requests[0].headers)["x-request-id"] == told
