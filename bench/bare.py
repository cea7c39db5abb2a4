"""The least that a gateway in Python can do, as a measure for ours: decode, encode, ask, pass on. No rules.

aiohttp's low-level server towards clients, httptools towards the upstream, without time-outs, checks or care for what
may go wrong. `python bare.py UPSTREAM_URL` prints its port and serves until it is ended.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import msgspec
import uvloop
from aiohttp import web
from httptools import HttpResponseParser

decode = msgspec.json.Decoder().decode
encode = msgspec.json.Encoder().encode


class Connection(asyncio.Protocol):
    """One connection, one answer at a time; a future for whoever waits for the whole, a queue for a stream."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.parser = HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def ask(self, message: bytes) -> asyncio.Future[None]:
        self.body: list[bytes] = []
        self.kind = b""
        self.whole = False
        self.head, self.news = self.loop.create_future(), self.loop.create_future()
        self.transport.write(message)
        return self.head

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)
        if not self.head.done():
            self.head.set_result(None)
        if not self.news.done():
            self.news.set_result(None)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"content-type":
            self.kind = value

    def on_body(self, piece: bytes) -> None:
        self.body.append(piece)

    def on_message_complete(self) -> None:
        self.whole = True


class Upstream:
    """Connections to one origin, as many as are needed."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname, parts.port
        self.free: list[Connection] = []

    async def ask(self, path: str, body: bytes) -> Connection:
        """A connection on which the head of an answer, and maybe all of it, has come."""
        connection = self.free.pop() if self.free else None
        if connection is None:
            _, connection = await asyncio.get_running_loop().create_connection(Connection, self.host, self.port)
        head = f"POST {path} HTTP/1.1\r\nhost: {self.host}:{self.port}\r\ncontent-type: application/json\r\n"
        await connection.ask(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        return connection

    async def whole(self, path: str, body: bytes) -> tuple[bytes, bytes]:
        """The content type and body of an answer."""
        connection = await self.ask(path, body)
        pieces = [piece async for piece in self.pieces(connection)]
        return connection.kind, pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def pieces(self, connection: Connection) -> AsyncIterator[bytes]:
        """A body as it comes."""
        while True:
            if connection.body:
                taken, connection.body = connection.body, []
                yield taken[0] if len(taken) == 1 else b"".join(taken)
            elif connection.whole:
                break
            else:
                connection.news = connection.loop.create_future()
                await connection.news
        self.free.append(connection)

    async def close(self) -> None:
        for connection in self.free:
            connection.transport.abort()


async def main(url: str) -> None:
    upstream = Upstream(url)

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        body = decode(await request.read())
        if not body.get("stream"):
            kind, answer = await upstream.whole(request.path, encode(body))
            return web.Response(body=encode(decode(answer)), headers={"content-type": kind.decode()})
        connection = await upstream.ask(request.path, encode(body))
        out = web.StreamResponse(headers={"content-type": connection.kind.decode()})
        await out.prepare(request)
        async for piece in upstream.pieces(connection):
            await out.write(piece)
        await out.write_eof()
        return out

    server = web.Server(handle, access_log=None)
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await listening.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
