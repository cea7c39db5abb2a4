"""A real upstream on raw sockets that does as it is told: for tests of everything that meets a network.

A test gives one script per request expected on a connection, or one for all; the server notes the raw bytes of every
request with its times. Must not know aiohttp: what it sends is exactly what was written down.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Received:
    """A request as it came: head and body bytes, the connection's number, when it was whole."""

    head: bytes
    body: bytes
    connection: int
    at: float

    @property
    def line(self) -> str:
        return self.head.split(b"\r\n", 1)[0].decode("latin-1")

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Fields in order, spelt as they came."""
        rows = [row.partition(":") for row in self.head.decode("latin-1").split("\r\n")[1:]]
        return [(name, value.strip()) for name, _, value in rows]


@dataclass
class Talk:
    """One request's side of a connection, for a script to act on."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    upstream: Scripted
    request: Received

    async def send(self, data: bytes) -> None:
        """Write and flush; the time is noted in `upstream.sent`."""
        self.writer.write(data)
        await self.writer.drain()
        self.upstream.sent.append((time.monotonic(), data))

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def close(self) -> None:
        """End the connection in order."""
        self.writer.close()


Script = Callable[[Talk], Awaitable[None]]


@dataclass
class Scripted:
    """The running upstream; `requests`, `sent` and `connections` are for asserting on."""

    scripts: Sequence[Script]
    read_body: bool = True
    port: int = 0
    connections: int = 0
    requests: list[Received] = field(default_factory=list)
    sent: list[tuple[float, bytes]] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)  # a client closed or reset its connection
    gone: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: request after request until one side ends it."""
        self.connections += 1
        number = self.connections
        try:
            while not writer.is_closing():
                request = await self._receive(reader, number)
                script = self.scripts[min(len(self.requests), len(self.scripts)) - 1]
                await script(Talk(reader, writer, self, request))
        except (asyncio.IncompleteReadError, ConnectionError):
            self.gone += 1
            self.left.set()
        finally:
            writer.close()

    async def _receive(self, reader: asyncio.StreamReader, number: int) -> Received:
        head = (await reader.readuntil(b"\r\n\r\n"))[:-4]
        body = await _body(reader, head.lower()) if self.read_body else b""
        request = Received(head, body, number, time.monotonic())
        self.requests.append(request)
        return request


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    if b"transfer-encoding: chunked" in head:
        body = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readuntil(b"\r\n")
        return body
    length = head.partition(b"content-length:")[2].split(b"\r\n", 1)[0].strip()
    return await reader.readexactly(int(length or 0))


@asynccontextmanager
async def scripted(
    *scripts: Script, read_body: bool = True, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Scripted]:
    """An upstream whose nth request gets the nth script, the last one serving all that follow."""
    upstream = Scripted(scripts, read_body)
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await upstream.serve(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            tasks.discard(task)

    server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=1 << 20, ssl=tls)
    upstream.port = server.sockets[0].getsockname()[1]
    try:
        yield upstream
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


def whole(body: bytes = b"{}", status: str = "200 OK", headers: str = "content-type: application/json\r\n") -> Script:
    """A plain answer of known length; `headers` are lines that end in CRLF."""
    return raw(f"HTTP/1.1 {status}\r\n{headers}content-length: {len(body)}\r\n\r\n".encode() + body)


def raw(*pieces: bytes, pause: float = 0.0, then: str = "keep") -> Script:
    """Exactly these bytes, `pause` seconds apart; then `keep`, `close`, `reset` or `hang`."""

    async def script(talk: Talk) -> None:
        for at, piece in enumerate(pieces):
            if at and pause:
                await asyncio.sleep(pause)
            await talk.send(piece)
        await _then(talk, then)

    return script


def stream(events: Sequence[str], pause: float = 0.0, then: str = "keep", *, done: bool = True) -> Script:
    """Server-sent events, chunked, `pause` seconds apart; `done` adds `[DONE]` and the last chunk."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    pieces = [chunk(f"data: {event}\n\n".encode()) for event in events]
    tail = [chunk(b"data: [DONE]\n\n"), b"0\r\n\r\n"] if done else []
    return raw(head, *pieces, *tail, pause=pause, then=then)


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


async def _then(talk: Talk, what: str) -> None:
    match what:
        case "keep":
            return
        case "close":
            talk.close()
        case "reset":
            talk.reset()
        case "hang":
            await talk.reader.read()  # until the client leaves
            raise ConnectionResetError("the client left")
        case _:
            raise ValueError(f"{what!r} is not keep, close, reset or hang")
