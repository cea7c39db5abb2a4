"""Answers that are no JSON: sound and subtitles leave as they come, and no rule is passed by in silence."""

from __future__ import annotations

from pathlib import Path

import pytest
from running import AUDIT, LOG, running, upstream
from scripted import Scripted, raw, scripted, whole

SOUND = bytes(range(256)) * 40


def served(up: Scripted, rules: str = "", server: str = "{}") -> str:
    return upstream(up.url) + AUDIT + f"server: {server}\nrules:{rules}" + LOG


BODILESS = """
  - name: head
    phase: response
    match: {response.status: 200}
    actions: [{set_header: {x-kind: '{{ response.headers."content-type" }}'}}]
  - name: body
    phase: response
    match: {completion_text: {contains: secret}}
    actions: [{redact: {patterns: [secret]}}]
  - {name: piece, phase: stream, call_types: [audio_transcription], actions: [{redact: {patterns: [secret]}}]}
  - {name: other, phase: response, match: {request.model: other}, actions: [{redact: {patterns: [secret]}}]}
"""


@pytest.mark.parametrize(
    ("path", "kind", "content"),
    [
        ("/v1/audio/speech", "audio/mpeg", b"\xff\xfb" + SOUND),
        ("/v1/audio/speech", "application/octet-stream", SOUND),
        ("/v1/audio/transcriptions", "text/plain; charset=utf-8", "a secret ö\n".encode()),
        ("/v1/audio/transcriptions", "application/x-subrip", b"1\n00:00:00,000 --> 00:00:01,000\nsecret\n"),
        ("/v1/audio/translations", "text/vtt", b"WEBVTT\n\nsecret"),
    ],
)
async def test_sound_and_subtitles_leave_as_they_came(path: str, kind: str, content: bytes, tmp_path: Path) -> None:
    script = whole(content, headers=f"content-type: {kind}\r\n")
    async with scripted(script) as up, running(served(up, BODILESS), tmp_path) as run:
        answer = await run.post(path, {"model": "m", "input": "hi"})
        assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, content, kind)
        assert answer.headers["x-kind"] == kind
        record = await run.record()
        assert record["matched"] == ["head", "audit"]
        piece = [("piece", "skipped", "not a stream")] if "transl" in path or "transc" in path else []
        assert [(each["rule"], each["result"], each["why"]) for each in record["outcomes"]] == [
            ("head", "acted", None),
            *piece,
            ("body", "skipped", "the answer is not JSON"),
            ("audit", "acted", None),
        ]
        assert record["response"]["body"] is None


async def test_speech_streams(tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: 6\r\n\r\n"
    async with (
        scripted(raw(head, b"abc", then="hang")) as up,
        running(served(up), tmp_path) as run,
        run.http.stream("POST", "/v1/audio/speech", json={"model": "m", "input": "hi"}) as answer,
    ):
        assert await anext(answer.aiter_bytes()) == b"abc", "before the rest was there"


async def test_speech_that_breaks_off_is_never_whole(tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: 6\r\n\r\n"
    async with scripted(raw(head, b"abc", then="close")) as up, running(served(up), tmp_path) as run:
        body = b'{"model": "m", "input": "hi"}'
        lines = [b"POST /v1/audio/speech HTTP/1.1", b"host: localhost", b"content-length: %d" % len(body)]
        told = await run.wire(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        assert b"abc" in told
        assert not told.endswith(b"0\r\n\r\n")
        assert (await run.record())["error"]["source"] == "connection"


async def test_a_rule_may_refuse_speech_by_its_head(tmp_path: Path) -> None:
    rule = """
  - {name: no-sound, phase: response, match: {response.headers.x-voice: loud}, actions: [{reject: Too loud}]}
"""
    script = whole(b"abc", headers="content-type: audio/mpeg\r\nx-voice: loud\r\n")
    async with scripted(script) as up, running(served(up, rule), tmp_path) as run:
        answer = await run.post("/v1/audio/speech", {"model": "m", "input": "hi"})
        assert (answer.status_code, answer.json()["error"]["message"]) == (400, "Too loud")


async def test_a_transcript_in_json_is_an_answer_like_any(tmp_path: Path) -> None:
    async with scripted(whole(b'{"text": "a secret"}')) as up, running(served(up, BODILESS), tmp_path) as run:
        answer = await run.post("/v1/audio/transcriptions", {"model": "m"})
        assert answer.json() == {"text": "a [redacted]"}


async def test_a_chat_answer_that_is_no_json_is_an_error(tmp_path: Path) -> None:
    page = whole(b"<html>", headers="content-type: text/html\r\n")
    async with scripted(page) as up, running(served(up), tmp_path) as run:
        answer = await run.post()
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_answer")
