"""One client's request and the way back to it, on aiohttp's low-level request.

Must not know who serves the request, nor how connections are accepted.
"""

from __future__ import annotations

import asyncio
import socket
import struct

from aiohttp import HttpVersion11, web

from engine.ports.wire import BrokenBody, Headers, TooLarge
from engine.proxy.bodies import SMALL, Bodies
from engine.proxy.coding import Decoder, decoder
from engine.proxy.entry_request import Limits, origin_form
from engine.proxy.fields import readable, unframed
from engine.proxy.taking import Pace

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, for 0 seconds


class HttpClient:
    """The `Client` of `engine.ports.wire` on a socket; `over` once its answer has left, whole or broken off."""

    def __init__(self, request: web.BaseRequest, limits: Limits, bodies: Bodies) -> None:
        self.method = request.method
        self.target, _, self.query_string = origin_form(request.raw_path).partition("?")
        self.headers: Headers = readable(request.raw_headers)
        self.peer = request.remote
        self.started = False
        self.over = False
        self.last = False  # the connection takes no further request
        self.answer: web.StreamResponse | None = None
        self._request = request
        self._limits = limits
        self._bodies = bodies
        self.held = 0

    @property
    def gone(self) -> bool:
        """Nobody is at the other end any more."""
        transport = self._request.transport
        return transport is None or transport.is_closing()

    async def read(self, limit: int) -> bytes:
        undo = decoder(self._request.headers.get("Content-Encoding"))
        content = self._request.content
        if undo is None:
            if (self._request.content_length or 0) > limit:
                raise _too_large(limit)
            if content.is_eof():  # a small body that came with its head
                body = content.read_nowait()
                if len(body) > limit:
                    raise _too_large(limit)
                if len(body) > SMALL:
                    self._hold(len(body))
                return body
        self._ask_for_body()
        return await self._gather(undo, limit)

    async def reply(self, status: int, headers: Headers, body: bytes) -> None:
        answer = web.Response(status=status, headers=unframed(headers), body=body)
        await self._begin(answer)
        await answer.write_eof()
        self.over = True

    async def start(self, status: int, headers: Headers) -> None:
        await self._begin(web.StreamResponse(status=status, headers=unframed(headers)))

    async def write(self, chunk: bytes) -> None:
        assert self.answer is not None, "write() before start()"
        if chunk and self.method != "HEAD":
            await self.answer.write(chunk)

    async def end(self, *, clean: bool = True) -> None:
        if not clean:
            self.break_off()
            return
        assert self.answer is not None, "end() before start()"
        await self.answer.write_eof()
        self.over = True

    def break_off(self) -> None:
        """End the connection without the mark that says an answer is whole."""
        self.over = True
        transport = self._request.transport
        if transport is None:
            return
        if self._request.version < HttpVersion11:
            # Such an answer ends with its connection: only a reset tells that it is not whole.
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            transport.abort()
        else:
            transport.close()  # what was written still goes out

    async def _begin(self, answer: web.StreamResponse) -> None:
        if self.started:
            raise RuntimeError("this client already has an answer")
        answer.headers.setdefault("Server", "pointsman")  # aiohttp would tell its own and Python's version
        if self.last or not self._request.content.is_eof():
            answer.force_close()  # what is left of the body must not be taken for a next request
        await answer.prepare(self._request)
        self.answer = answer
        self.started = True

    def _ask_for_body(self) -> None:
        """Tell a client that waits to be asked to go on; curl does so from a megabyte on."""
        request = self._request
        if request.headers.get("Expect", "").lower() == "100-continue" and not self.gone:
            assert request.transport is not None
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _hold(self, size: int) -> None:
        """So much of the body has come."""
        self._bodies.take(size - self.held, self._limits.bodies)
        self.held = size

    async def _gather(self, undo: Decoder | None, limit: int) -> bytes:
        body, pace = bytearray(), Pace(self._limits.pause)
        while data := await self._next(pace):
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

    async def _next(self, pace: Pace) -> bytes:
        try:
            async with asyncio.timeout_at(pace.latest()):
                data = await self._request.content.readany()
                pace.came(len(data))
                return data
        except TimeoutError:
            raise pace.late() from None
        except web.RequestPayloadError as error:
            raise BrokenBody("the body is not framed as HTTP wants it") from error


def fault(request: web.BaseRequest) -> str | None:
    """What is wrong with a request that aiohttp let through, if anything is."""
    coding = request.headers.get("Transfer-Encoding")
    if coding is not None and (coding.strip().lower() != "chunked" or request.version < HttpVersion11):
        return "the only Transfer-Encoding is chunked, and only in HTTP/1.1"
    path = request.raw_path
    if path.startswith("/") or (path == "*" and request.method == "OPTIONS"):
        return None
    return None if path.lower().startswith(("http://", "https://")) else "the target is not a path"


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is larger than {limit} bytes")
