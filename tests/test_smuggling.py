"""Requests that two readers could understand differently: whatever is hidden in one never becomes a request.

Each hides a good request in what a laxer reader would take for something else. Wire by wire, `test_wire.py` has more.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path

import on_aiohttp
import pytest
import running as running_module
from neighbours import asked_for, asking, besieged, connected, gone, statuses
from running import CHAT, eventually, running
from scripted import scripted, whole

from engine.proxy import entry

LISTEN = {"lean": entry.listen, "aiohttp": on_aiohttp.listen}
HIDDEN = asking("hidden")
BODY = json.dumps({**CHAT, "model": "seen"}).encode()
CHUNKED = b"Transfer-Encoding: chunked\r\n"
LAST = b"0\r\n\r\n"


@pytest.fixture(params=LISTEN.values(), ids=LISTEN, autouse=True)
def accepted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test is for both servers."""
    monkeypatch.setattr(running_module, "listen", request.param)


def post(fields: bytes, body: bytes, line: bytes = b"POST /v1/chat/completions HTTP/1.1") -> bytes:
    return line + b"\r\nHost: localhost\r\n" + fields + b"\r\n" + body


def length(size: int | bytes) -> bytes:
    return b"Content-Length: %b\r\n" % (size if isinstance(size, bytes) else b"%d" % size)


def chunks(size: bytes, end: bytes = b"\r\n") -> bytes:
    """A body of one chunk whose size is written like this."""
    return size + end + BODY + b"\r\n" + LAST


SIZE = b"%x" % len(BODY)
REFUSED = {
    "a length beside chunks": post(length(6) + CHUNKED, LAST + HIDDEN),
    "chunks beside a length": post(CHUNKED + length(len(LAST + HIDDEN)), LAST + HIDDEN),
    "a length beside chunks, spelt oddly": post(length(6) + b"transfer-ENCODING:\tchunked\r\n", LAST + HIDDEN),
    "chunks after a space": post(length(len(HIDDEN)) + b"Transfer-Encoding : chunked\r\n", LAST + HIDDEN),
    "chunks after a vertical tab": post(length(5) + b"Transfer-Encoding:\x0bchunked\r\n", LAST + HIDDEN),
    "chunks in a folded line": post(length(5) + b"Transfer-Encoding:\r\n chunked\r\n", LAST + HIDDEN),
    "chunks in a line folded from another": post(length(5) + b"X: y\r\n\tTransfer-Encoding: chunked\r\n", HIDDEN),
    "chunks after a bare CR": post(length(5) + b"X: y\rTransfer-Encoding: chunked\r\n", LAST + HIDDEN),
    "chunks after a bare LF": post(length(5) + b"X: y\nTransfer-Encoding: chunked\r\n", LAST + HIDDEN),
    "chunks after a NUL": post(length(5) + b"X: y\0\r\n" + CHUNKED, LAST + HIDDEN),
    "chunks by a list": post(b"Transfer-Encoding: identity, chunked\r\n", chunks(SIZE) + HIDDEN),
    "chunks, and then not": post(CHUNKED + b"Transfer-Encoding: identity\r\n", chunks(SIZE) + HIDDEN),
    "chunks in quotes": post(b'Transfer-Encoding: "chunked"\r\n', chunks(SIZE) + HIDDEN),
    "chunks in HTTP/1.0": post(CHUNKED, chunks(SIZE) + HIDDEN, b"POST /v1/chat/completions HTTP/1.0"),
    "no coding at all": post(b"Transfer-Encoding:\r\n" + length(5), b"hello" + HIDDEN),
    "two lengths": post(length(5) + length(5 + len(HIDDEN)), b"hello" + HIDDEN),
    "one length twice": post(length(5) + b"content-length: 5\r\n", b"hello" + HIDDEN),
    "lengths in a list": post(length(b"5, 5"), b"hello" + HIDDEN),
    "two lengths with a space": post(length(b"5 50"), b"hello" + HIDDEN),
    "a length with a sign": post(length(b"+5"), b"hello" + HIDDEN),
    "a length below zero": post(length(b"-5"), b"hello" + HIDDEN),
    "a length in hexadecimal": post(length(b"0x5"), b"hello" + HIDDEN),
    "a length with a point": post(length(b"5.0"), b"hello" + HIDDEN),
    "a length of nothing": post(length(b""), HIDDEN),
    "a length beyond every machine": post(length(b"9" * 40), b"hello" + HIDDEN),
    "a length that wraps around": post(length(2**64 + 5), b"hello" + HIDDEN),
    "a size with a sign": post(CHUNKED, chunks(b"+" + SIZE) + HIDDEN),
    "a size with 0x": post(CHUNKED, chunks(b"0x" + SIZE) + HIDDEN),
    "a size with a space before it": post(CHUNKED, chunks(b" " + SIZE) + HIDDEN),
    "a size that wraps around": post(CHUNKED, chunks(b"10000000000000000" + SIZE) + HIDDEN),
    "no size": post(CHUNKED, chunks(b"") + HIDDEN),
    "a size that is too small": post(CHUNKED, b"5\r\n" + BODY + b"\r\n" + LAST + HIDDEN),
    "a size that ends in LF": post(CHUNKED, chunks(SIZE, b"\n") + HIDDEN),
    "a size that ends in CR": post(CHUNKED, chunks(SIZE, b"\r") + HIDDEN),
    "a chunk that ends in LF": post(CHUNKED, SIZE + b"\r\n" + BODY + b"\n" + LAST + HIDDEN),
    "an LF in an extension": post(CHUNKED, chunks(SIZE + b";a=\n" + SIZE) + HIDDEN),
    "a CR in an extension": post(CHUNKED, chunks(SIZE + b";a=\r" + SIZE) + HIDDEN),
    "line ends of LF alone": post(length(0), HIDDEN).replace(b"\r\n", b"\n", 4),
    "an LF in the line": post(length(0), HIDDEN, b"POST /v1/chat/completions\nX: HTTP/1.1"),
    "a CR in the line": post(length(0), HIDDEN, b"POST /v1/chat/\rcompletions HTTP/1.1"),
    "a NUL in the line": post(length(0), HIDDEN, b"POST /v1/chat/\0completions HTTP/1.1"),
    "two versions": post(length(0), HIDDEN, b"POST /v1/chat/completions HTTP/1.1 HTTP/1.0"),
    "no version": b"POST /v1/chat/completions\r\n" + HIDDEN,
    "a version with too much": post(length(0), HIDDEN, b"POST /v1/chat/completions HTTP/1.10"),
    "a header without a colon": post(length(0) + b"Nothing\r\n", HIDDEN),
    "a header without a name": post(length(0) + b": nothing\r\n", HIDDEN),
    "a header before the first": b"POST /v1/chat/completions HTTP/1.1\r\n Host: localhost\r\n\r\n" + HIDDEN,
    "two hosts": post(b"Host: other\r\n" + length(0), HIDDEN),
    "a tunnel": b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost\r\n\r\n" + HIDDEN,
    "a target that is an authority": post(length(0), HIDDEN, b"POST localhost:80 HTTP/1.1"),
    "a target of another scheme": post(length(0), HIDDEN, b"POST file:///v1/chat/completions HTTP/1.1"),
    "a line of 20 kB": post(length(0), HIDDEN, b"POST /" + b"a" * 20_000 + b" HTTP/1.1"),
    "a header of 20 kB": post(length(0) + b"X: " + b"a" * 20_000 + b"\r\n", HIDDEN),
    "two hundred headers": post(length(0) + b"X: a\r\n" * 200, HIDDEN),
}


@pytest.mark.parametrize("sent", REFUSED.values(), ids=REFUSED)
async def test_what_is_hidden_in_a_request_is_not_asked(sent: bytes, tmp_path: Path) -> None:
    async with besieged(tmp_path, {}, "client_timeout: 2s") as (run, up):
        async with connected(run) as (reader, writer):
            writer.write(sent)
            assert statuses(await gone(reader)) in ([400], [431])
        assert asked_for(up) == []


TAKEN = {
    "a chunk with an extension": post(CHUNKED, chunks(SIZE + b";name=value")),
    "a size with zeros before it": post(CHUNKED, chunks(b"0000" + SIZE)),
    "a body with another in it": post(length(len(BODY) + len(HIDDEN)), BODY + b" " * len(HIDDEN)),
    "an empty line before": b"\r\n" + post(length(len(BODY)), BODY),
    "a whole URL": post(length(len(BODY)), BODY, b"POST http://localhost/v1/chat/completions HTTP/1.1"),
    "trailers": post(CHUNKED, SIZE + b"\r\n" + BODY + b"\r\n0\r\nContent-Length: 5\r\nX: y\r\n\r\n"),
    "a body of GET": post(length(len(HIDDEN)), HIDDEN, b"GET /v1/models HTTP/1.1") + post(length(len(BODY)), BODY),
    "a body of a wrong path": post(length(len(HIDDEN)), HIDDEN, b"POST /nowhere HTTP/1.1"),
}


@pytest.mark.parametrize("sent", TAKEN.values(), ids=TAKEN)
async def test_what_is_only_unusual_is_one_request_and_no_more(sent: bytes, tmp_path: Path) -> None:
    async with besieged(tmp_path, {}) as (run, up), connected(run) as (reader, writer):
        writer.write(sent + asking("next"))
        came = asyncio.create_task(gone(reader))
        await eventually(lambda: "next" in asked_for(up) or came.done())
        writer.write_eof()
        assert statuses(await came)[0] in (200, 400, 404)
        assert set(asked_for(up)) <= {"seen", "next"}


KEYS = f"keys: [{{name: me, sha256: {hashlib.sha256(b'sk-mine').hexdigest()}}}]\n"


@pytest.mark.parametrize("field", [b"Authorization: Bearer sk-mine", b"x-api-key: sk-mine"])
async def test_a_trailer_is_no_header(field: bytes, tmp_path: Path) -> None:
    """Not even where it comes in one packet with the head."""
    async with scripted(whole()) as up:
        text = f"upstreams: {{main: {{base_url: '{up.url}/v1'}}}}\n{KEYS}rules: []\n"
        async with running(text, tmp_path) as run:
            sent = post(CHUNKED + b"Connection: close\r\n", SIZE + b"\r\n" + BODY + b"\r\n0\r\n" + field + b"\r\n\r\n")
            assert statuses(await run.wire(sent)) == [401]
        assert up.requests == []
