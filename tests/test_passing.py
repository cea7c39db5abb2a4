"""What `server.passthrough` lets through: bytes as they came, with a key, on paths that no trick widens."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from running import AUDIT, LOG, running, upstream
from scripted import Scripted, scripted, whole


def served(up: Scripted, rules: str = "", server: str = "{}") -> str:
    return upstream(up.url) + AUDIT + f"server: {server}\nrules:{rules}" + LOG


BODIES = """
  - {name: look, match: {prompt_text: {contains: not}}, actions: [{reject: Seen}]}
  - {name: bound, actions: [{set: {user: ann}}]}
  - {name: who, actions: [{require_field: user}]}
  - {name: after, phase: response, match: {completion_text: {contains: answer}}, actions: [{reject: Seen}]}
  - {name: say, actions: [{set_header: {x-by: '{{ client.ip }}'}}]}
"""

KEYS = f"keys: [{{name: a, sha256: {hashlib.sha256(b'right').hexdigest()}}}]\n"
PASSING = '{passthrough: ["/v1/files*", "/v1/batches/?"]}'


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("GET", "/v1/files?limit=2", "/v1/files?limit=2"),
        ("DELETE", "/files/file-1", "/v1/files/file-1"),
        ("GET", "/v1/files/a%20b%2Fc/content", "/v1/files/a%20b/c/content"),
        ("POST", "/v1/batches/1", "/v1/batches/1"),
        ("PUT", "/v1/files/%C3%B6", "/v1/files/%C3%B6"),
    ],
)
async def test_what_is_passed_through(method: str, path: str, sent: str, tmp_path: Path) -> None:
    body = b"--b\r\n\xff not { JSON" if method in ("POST", "PUT") else b""
    script = whole(b"\x00answer", status="201 Created", headers="content-type: application/x-any\r\nx-more: 1\r\n")
    async with scripted(script) as up, running(served(up, BODIES, PASSING), tmp_path) as run:
        headers = {"content-type": "application/x-own", "x-a": "b"}
        answer = await run.http.request(method, path, content=body, headers=headers)
        assert (answer.status_code, answer.content, answer.headers["content-type"], answer.headers["x-more"]) == (
            201,
            b"\x00answer",
            "application/x-any",
            "1",
        )
        (request,) = up.requests
        assert (request.line, request.body) == (f"{method} {sent} HTTP/1.1", body)
        assert {("content-type", "application/x-own"), ("x-a", "b"), ("x-by", "127.0.0.1")} <= set(request.headers)
        record = await run.record()
        assert (record["status"], record["call_type"], record["upstream"]) == (201, None, "main")
        assert record["passthrough"] == ("/v1/files*" if "files" in path else "/v1/batches/?")
        assert record["request"] is None


@pytest.mark.parametrize("path", ["/v1/batches/12", "/v1/batches", "/v2/files", "/v1/fine_tuning/jobs"])
async def test_what_no_glob_names_is_unknown(path: str, tmp_path: Path) -> None:
    async with scripted(whole()) as up, running(served(up, server=PASSING), tmp_path) as run:
        answer = await run.http.get(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_endpoint")
        assert not up.requests


@pytest.mark.parametrize(
    "path",
    [
        "/v1/files/../chat/completions",
        "/v1/files/%2e%2e/models",
        "/v1/files//a",
        "/v1/files/./a",
        "/v1/files/..;/models",
        "/v1/files/%FF",
        "/v1/files/..",
    ],
)
async def test_no_glob_lets_a_crooked_path_through(path: str, tmp_path: Path) -> None:
    async with scripted(whole()) as up, running(served(up, server=PASSING), tmp_path) as run:
        told = await run.wire(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
        assert told.startswith(b"HTTP/1.1 400 ")
        assert not up.requests


async def test_a_path_of_the_table_is_never_passed_through(tmp_path: Path) -> None:
    rule = "\n  - {name: 'no', actions: [{reject: Not here}]}"
    async with scripted(whole()) as up, running(served(up, rule, '{passthrough: ["*"]}'), tmp_path) as run:
        assert (await run.post()).json()["error"]["message"] == "Not here"
        assert (await run.http.get("/v1/chat/completions")).status_code == 405
        for alias in (
            "/v1/chat/completions/",
            "/v1/Chat/completions",
            "/v1/chat;a=1/completions",
            "/v1/v1/responses",
            "/v1/messages%20",
            "/chat/completions;x",
            "/V1/messages",
            "/v1/embeddings.",
        ):
            assert (await run.post(alias)).status_code == 404, alias
        assert (await run.http.get("/v1/anything")).json()["error"]["message"] == "Not here", "it needs no body"
        assert not up.requests


async def test_what_is_passed_through_needs_a_key(tmp_path: Path) -> None:
    async with scripted(whole()) as up, running(KEYS + served(up, server=PASSING), tmp_path) as run:
        assert (await run.http.get("/v1/files")).status_code == 401
        allowed: Any = await run.http.get("/v1/files", headers={"authorization": "Bearer right"})
        assert allowed.status_code == 200
        assert b"right" not in up.requests[0].head
        assert [record["key"] for record in await run.records(2)] == [None, "a"]


async def test_an_upstreams_own_error_is_passed_on_unless_a_rule_mends_it(tmp_path: Path) -> None:
    rules = """
  - {name: after, phase: response, actions: [{reject: Never}]}
  - {name: mend, phase: failure, match: {error.status: 503}, actions: [{set_error: {message: Come back later}}]}
"""
    broken = whole(b"<html>", status="418 No", headers="content-type: text/html\r\n")
    async with scripted(broken, whole(status="503 No")) as up, running(served(up, rules, PASSING), tmp_path) as run:
        answer = await run.http.get("/v1/files")
        assert (answer.status_code, answer.content, answer.headers["content-type"]) == (418, b"<html>", "text/html")
        mended = await run.http.get("/v1/files")
        assert (mended.status_code, mended.json()["error"]["message"]) == (503, "Come back later")
        assert [record["matched"] for record in await run.records(2)] == [["audit"], ["mend", "audit"]]


async def test_an_upstream_that_is_away_is_said_so(tmp_path: Path) -> None:
    rules = upstream("http://127.0.0.1:9") + f"server: {PASSING}\nrules: []\n"
    async with running(rules, tmp_path) as run:
        answer = await run.http.get("/v1/files")
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_connection")
