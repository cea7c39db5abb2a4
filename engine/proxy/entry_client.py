"""One client's request and the way back to it, on a connection of our own.

Must not know who serves the request, nor how connections are accepted.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Protocol

from engine.ports.wire import Headers, TooLarge
from engine.proxy.bodies import SMALL, Bodies
from engine.proxy.coding import Decoder, decoder
from engine.proxy.entry_answer import head
from engine.proxy.entry_request import Limits, Request, origin_form
from engine.proxy.taking import Pace

_AT_ONCE = 64 * 1024  # bytes of a body that leave in one piece with their head
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, for 0 seconds
_BODILESS = frozenset({204, 304})


class Outlet(Protocol):
    """A connection as its client's answer needs it."""

    transport: asyncio.Transport
    full: bool

    async def drained(self) -> None:
        """Wait until the socket takes more; ConnectionError when it never will."""

    def close(self) -> None:
        """Close once what was written has left."""


class EntryClient:
    """The `Client` of `engine.ports.wire` on a socket; `over` once its answer has left, whole or broken off.

    `last`: the connection takes no further request; `closes`: its client has been told so.
    """

    __slots__ = (
        "_bodies",
        "_bodiless",
        "_chunked",
        "_connection",
        "_limits",
        "_request",
        "closes",
        "headers",
        "held",
        "last",
        "method",
        "over",
        "peer",
        "query_string",
        "started",
        "target",
    )

    def __init__(self, request: Request, connection: Outlet, peer: str | None, limits: Limits, bodies: Bodies) -> None:
        self.method = request.method
        self.target, _, self.query_string = origin_form(request.target).partition("?")
        self.headers: Headers = request.headers
        self.peer = peer
        self.started = self.over = self.last = self.closes = False
        self._request = request
        self._connection = connection
        self._limits = limits
        self._bodies = bodies
        self.held = 0
        self._bodiless = self._chunked = False

    @property
    def gone(self) -> bool:
        """Nobody is at the other end any more."""
        return self._connection.transport.is_closing()

    async def read(self, limit: int) -> bytes:
        request = self._request
        undo = decoder(request.coding) if request.coding is not None else None
        if undo is None:
            if request.length is not None and request.length > limit:
                raise _too_large(limit)
            if request.whole:  # a small body that came with its head
                body = request.rest()
                if len(body) > limit:
                    raise _too_large(limit)
                if len(body) > SMALL:
                    self._hold(len(body))
                return body
        if request.expects and not request.whole and not self.gone:
            request.expects = False
            self._connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return await self._gather(undo, limit)

    async def reply(self, status: int, headers: Headers, body: bytes) -> None:
        bare = status in _BODILESS
        self._begin(status, headers, "" if bare else f"Content-Length: {len(body)}\r\n", body)
        if self._connection.full:
            await self._connection.drained()
        self.over = True

    async def start(self, status: int, headers: Headers) -> None:
        self._bodiless = self.method == "HEAD" or status in _BODILESS
        self._chunked = self._request.modern and not self._bodiless
        self._begin(status, headers, "Transfer-Encoding: chunked\r\n" if self._chunked else "", b"")

    async def write(self, chunk: bytes) -> None:
        assert self.started, "write() before start()"
        if not chunk or self._bodiless:
            return
        transport = self._connection.transport
        if transport.is_closing():
            raise ConnectionResetError("the client left")
        transport.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if self._chunked else chunk)
        if self._connection.full:
            await self._connection.drained()

    async def end(self, *, clean: bool = True) -> None:
        if not clean:
            self.break_off()
            return
        assert self.started, "end() before start()"
        if self._chunked and not self.gone:
            self._connection.transport.write(b"0\r\n\r\n")
        if self._connection.full:
            await self._connection.drained()
        self.over = True

    def break_off(self) -> None:
        """End the connection without the mark that says an answer is whole."""
        self.over = True
        transport = self._connection.transport
        if transport.is_closing():
            return
        if self._request.modern:
            self._connection.close()  # what was written still goes out
        else:
            # Such an answer ends with its connection: only a reset tells that it is not whole.
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            transport.abort()

    def _begin(self, status: int, headers: Headers, framing: str, body: bytes) -> None:
        """The head, and a body that is known."""
        if self.started:
            raise RuntimeError("this client already has an answer")
        transport, request = self._connection.transport, self._request
        if transport.is_closing():
            raise ConnectionResetError("the client left")
        # What is left of a request's body must not be taken for a next request.
        closes = self.last or not request.whole or not request.keeps or not request.modern
        text = head(status, headers, framing + "Connection: close\r\n" if closes else framing)
        self.closes, self.started = closes, True
        if self.method == "HEAD" or status in _BODILESS:
            transport.write(text)
        elif len(body) <= _AT_ONCE:
            transport.write(text + body)
        else:
            transport.write(text)
            transport.write(body)

    def _hold(self, size: int) -> None:
        """So much of the body has come."""
        self._bodies.take(size - self.held, self._limits.bodies)
        self.held = size

    async def _gather(self, undo: Decoder | None, limit: int) -> bytes:
        body, pace = bytearray(), Pace(self._limits.pause)
        while data := await self._request.more(pace):
            for piece in undo.pieces(data) if undo else (data,):
                body += piece
                if len(body) > limit:
                    raise _too_large(limit)
                if len(body) > SMALL:
                    self._hold(len(body))
                if undo:
                    await asyncio.sleep(0)  # others have their turn while a large body unfolds
        if undo:
            undo.finish()
        return bytes(body)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is larger than {limit} bytes")
