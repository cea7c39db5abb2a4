"""A gateway with well-behaved callers beside whatever a test does to it: they must not notice."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from processes import Process
from running import CHAT, Running, completion, delta, running
from scripted import Script, Scripted, Talk, chunk, scripted, stream, whole

ANSWER = completion("well")
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
SECONDS = 8.0  # that a well-behaved caller may wait on a busy machine: far less than for ever


def asking(model: str, *, streamed: bool = False, path: str = "/v1/chat/completions", fields: str = "") -> bytes:
    """A good request for a model, byte by byte."""
    body = json.dumps({**CHAT, "model": model, "stream": streamed}).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{fields}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def by_model(scripts: Mapping[str, Script]) -> Script:
    """Does what the script of the asked model does; other models get a plain answer."""
    plain = whole(json.dumps(ANSWER).encode())

    async def script(talk: Talk) -> None:
        await scripts.get(model_of(talk.request.body), plain)(talk)

    return script


def model_of(body: bytes) -> str:
    return str(json.loads(body)["model"])


def asked_for(upstream: Scripted) -> list[str]:
    """The models that the upstream was asked for, but for those of the callers beside."""
    models = [model_of(request.body) for request in upstream.requests]
    return [model for model in models if not model.startswith("beside")]


def until(gate: asyncio.Event) -> Script:
    """A stream whose first event comes at once and whose end when the gate opens."""

    async def script(talk: Talk) -> None:
        await talk.send(STREAM_HEAD + chunk(f"data: {delta('first')}\n\n".encode()))
        await gate.wait()
        last = f"data: {delta('last', 'stop')}\n\n".encode()
        await talk.send(chunk(last) + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")

    return script


@asynccontextmanager
async def besieged(
    folder: Path, scripts: Mapping[str, Script], server: str = "", upstreams: str = "", rules: str = "rules: []\n"
) -> AsyncIterator[tuple[Running, Scripted]]:
    """A gateway, and two callers beside the test: one asks again and again, one has a stream from start to end.

    `server` are options of the section, `upstreams` further ones by the models of their names, on the same address.
    """
    gate = asyncio.Event()
    known = {**scripts, "beside-stream": until(gate), "beside-short": stream([delta("a"), delta("b", "stop")])}
    async with scripted(by_model(known)) as up:
        names = json.loads(upstreams or "{}")
        doors = {"main": {"base_url": f"{up.url}/v1"}}
        doors |= {name: {"base_url": f"{up.url}/v1", **options} for name, options in names.items()}
        models = {**{name: {"upstream": name} for name in names}, "*": {"upstream": "main"}}
        sections = f"upstreams: {json.dumps(doors)}\nmodels: {json.dumps(models)}\nserver: {{{server}}}\n"
        async with running(sections + rules, folder) as run:
            begun = asyncio.Event()
            streaming = asyncio.create_task(_stream(run, begun))
            await asyncio.wait_for(begun.wait(), SECONDS)
            over = asyncio.Event()
            asked = asyncio.create_task(_ask(run, over))
            try:
                yield run, up
            finally:
                over.set()
                gate.set()
                told = await asyncio.gather(asked, streaming, return_exceptions=True)
            noticed = [wrong for wrong in told if wrong is not None]
            assert not noticed, "a caller beside the test noticed"


async def _ask(run: Running, over: asyncio.Event) -> None:
    """One request after the other, whole answers and short streams in turn, and two more when all else is over."""
    rest = 2
    while rest:
        rest -= over.is_set()
        async with asyncio.timeout(SECONDS):
            answer = await run.post(body={**CHAT, "model": "beside"})
            assert (answer.status_code, answer.json()) == (200, ANSWER)
            answer = await run.post(body={**CHAT, "model": "beside-short", "stream": True})
            assert answer.content.endswith(b"data: [DONE]\n\n")
        await asyncio.sleep(0.01)


async def _stream(run: Running, begun: asyncio.Event) -> None:
    """A stream that is under way all the time and arrives whole."""
    body = {**CHAT, "model": "beside-stream", "stream": True}
    async with run.http.stream("POST", "/v1/chat/completions", json=body, timeout=60) as answer:
        said = b""
        async for piece in answer.aiter_raw():
            said += piece
            begun.set()
    assert b"first" in said
    assert said.endswith(b"data: [DONE]\n\n")


@asynccontextmanager
async def connected(
    run: Running | Process, *, buffer: int | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a gateway; `buffer` bounds what the system takes of an answer that nobody reads."""
    sock = socket.socket()
    sock.setblocking(False)
    if buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", run.port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=1 << 16)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)


async def gone(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the gateway ends the connection, in order or not."""
    came = b""
    async with asyncio.timeout(10):
        while True:
            try:
                piece = await reader.read(1 << 16)
            except ConnectionError:
                return came
            if not piece:
                return came
            came += piece


def statuses(came: bytes) -> list[int]:
    """Those of the answers in these bytes."""
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] ([0-9]{3}) ", came)]
