"""What `engine.proxy.entry` does, on aiohttp's low-level server: the baseline that suites hold that against.

Where both hold, a test tells of HTTP and not of an implementation; what only one of them can do is marked there.
"""

from __future__ import annotations

import asyncio
import logging
from ssl import SSLContext
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from on_aiohttp_client import HttpClient, fault

from engine.proxy.entry_request import Limits
from engine.proxy.serving import Exchange, Serving, refusal
from engine.proxy.taking import Taking, notice_silence

_log = logging.getLogger("pointsman")


async def listen(
    exchange: Exchange,
    host: str,
    port: int,
    *,
    limits: Limits | None = None,
    reuse_port: bool = False,
    ssl: SSLContext | None = None,
) -> Listening:
    """The same as `engine.proxy.entry.listen`."""
    listening = Listening(exchange, limits or Limits())
    await listening.open(host, port, reuse_port=reuse_port, ssl=ssl)
    return listening


class Listening:
    """A server that takes requests until it is closed."""

    def __init__(self, exchange: Exchange, limits: Limits) -> None:
        self._limits = limits
        self.serving = Serving(exchange)
        self._accepting: asyncio.AbstractServer
        self.port: int
        self._web = _Server(
            self._serve,
            access_log=None,
            auto_decompress=False,
            logger=_log,
            lingering_time=min(5.0, limits.pause),
            keepalive_timeout=limits.idle,
            max_line_size=limits.line,
            max_field_size=limits.line,
            max_headers=limits.headers,
            pause=limits.pause,
        )

    async def open(self, host: str, port: int, **options: Any) -> None:
        """Begin to accept; the options are those of `loop.create_server`."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._web, host, port, backlog=1024, **options)
        for sock in server.sockets:
            notice_silence(sock)
        self._accepting = server
        self.port = server.sockets[0].getsockname()[1]

    @property
    def connections(self) -> int:
        """Open connections."""
        return self._web.open

    async def close(self, drain_seconds: float = 0.0) -> None:
        """Accept nothing more, let what runs go on for `drain_seconds`, then cancel it."""
        self.serving.draining = True
        self._accepting.close()
        for connection in self._web.connections:
            assert isinstance(connection, _Connection)
            connection.finish()
        await self.serving.drain(drain_seconds)
        await self._web.shutdown(0.1)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request from aiohttp's hands into the exchange's and back."""
        wrong = fault(request)
        if wrong:
            return _error(400, f"The request is not valid HTTP: {wrong}.", "malformed_http")
        connection = request.protocol
        task = asyncio.current_task()
        assert isinstance(connection, _Connection)
        assert task is not None
        client = HttpClient(request, self._limits, self.serving.bodies)
        client.last = self.serving.last()
        connection.occupy(client, task)
        try:
            await self.serving.serve(client, task)
        finally:
            connection.vacate(request)
        return client.answer or web.Response()  # the latter for a client that left, and reaches nobody


class _Server(web.Server):
    """aiohttp's server, making our connections; `open` counts them."""

    def __init__(self, handler: Any, **options: Any) -> None:
        super().__init__(handler, **options)
        self.open = 0

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        self.open += 1

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        self.open -= 1

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Connection(web.RequestHandler):
    """aiohttp's connection with three differences.

    Its own errors are JSON. A client that leaves cancels its exchange, but only while it is owed something. A body
    whose framing breaks midway ends the wait for it: aiohttp queues the parser's error like a next request, behind the
    one that waits for that body.
    """

    __slots__ = ("_client", "_pause", "_taking", "_task")

    def __init__(self, server: web.Server, *, pause: float, **options: Any) -> None:
        super().__init__(server, **options)
        self._pause = pause
        self._taking: Taking | None = None
        self._client: HttpClient | None = None
        self._task: asyncio.Task[Any] | None = None

    def occupy(self, client: HttpClient, task: asyncio.Task[Any]) -> None:
        """From here on this task serves the connection's client."""
        self._client = client
        self._task = task
        self._notice_broken_body()

    def vacate(self, request: web.BaseRequest) -> None:
        """The client of this request is served."""
        self._client = self._task = None
        if request.content.exception() is not None:
            self.force_close()  # nobody knows where a next request would begin

    def finish(self) -> None:
        """Close, after the request that is being served if there is one."""
        if self._client is None:
            self.force_close()
        else:
            self._client.last = True
            self.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        assert self.transport is not None
        self._taking = Taking(asyncio.get_running_loop(), self.transport, self._pause)
        self._taking.begin()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._taking is not None:
            self._taking.end()

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        if self._taking is not None:
            self._taking.end()
        if self._client is not None and self._task is not None and not self._client.over:
            self._task.cancel(None if self._taking is None else self._taking.verdict)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._client is not None:
            self._notice_broken_body()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        if isinstance(exc, LineTooLong):
            return _error(431, f"The request line or a header is longer than {self.max_field_size} bytes.", "too_long")
        if status < 500:
            return _error(status, f"The request is not valid HTTP: {_first_line(message)}.", "malformed_http")
        _log.error("serving %s failed", request.remote, exc_info=exc)
        return _error(status, "Internal error.", "internal_error")

    def _notice_broken_body(self) -> None:
        request = self._current_request
        if request is not None and self._messages and not request.content.is_eof():
            request.content.set_exception(web.RequestPayloadError("malformed body"))


def _error(status: int, message: str, code: str) -> web.Response:
    headers, body = refusal(status, message, code)
    answer = web.Response(status=status, body=body, headers={**dict(headers), "Server": "pointsman"})
    answer.force_close()
    return answer


def _first_line(message: str | None) -> str:
    """What the parser said, without the piece of the request that it quotes."""
    lines = (message or "malformed").strip().splitlines()
    return lines[0].strip().rstrip(":.")
