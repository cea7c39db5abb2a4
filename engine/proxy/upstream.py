"""Reaches upstreams with aiohttp's client, behind the `Transport` of `engine.ports.wire`.

Must not know dialects, models or rules, what a request says, nor whether another upstream could be asked.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextvars import ContextVar
from functools import lru_cache, partial
from ssl import SSLContext
from typing import Any
from weakref import WeakSet

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from engine.ports.wire import Arrival, Call, Headers
from engine.proxy import faults
from engine.proxy.again import never_had, repeatable
from engine.proxy.fields import readable, unframed
from engine.proxy.upstream_faults import broke_off, no_answer
from engine.proxy.url import Destination, destination

HEADER_LINE = 64 * 1024  # most bytes of one header of an answer; content security policies are long
HEADERS = 256
_AT_ONCE = 256 * 1024  # bytes up to which a body is handed to the socket in one piece


class AiohttpTransport:
    """Upstreams by aiohttp: no redirects, no cookies, no decompression; connections are kept, as many as are needed.

    `trust_env` takes HTTP proxies from the environment, as curl does; `ssl` replaces the system's certificates.
    """

    def __init__(self, *, trust_env: bool = False, ssl: SSLContext | None = None, idle: float = 30.0) -> None:
        self._trust_env = trust_env
        self._ssl = ssl or True
        self._idle = idle
        self._kept: aiohttp.ClientSession | None = None  # sessions belong to the loop that runs when they are made
        self._fresh: aiohttp.ClientSession | None = None

    async def send(self, call: Call) -> Arrival:
        to = destination(call.url, trust_env=self._trust_env)
        if self._kept is None:
            self._kept = _session(ssl=self._ssl, keepalive_timeout=self._idle)
        try:
            return await _attempt(self._kept, call, to)
        except _Raced:
            pass
        if self._fresh is None:
            self._fresh = _session(ssl=self._ssl, force_close=True)
        return await _attempt(self._fresh, call, to)

    async def close(self) -> None:
        for session in (self._kept, self._fresh):
            if session is not None:
                await session.close()
        self._kept = self._fresh = None


class _Raced(Exception):
    """A connection that had served before was ended by the upstream before it can have had this request."""


class _Handler(ResponseHandler):
    """aiohttp's end of a connection, noting how it ended; see `engine.proxy.again`."""

    answered = False
    unheard = False

    def data_received(self, data: bytes) -> None:
        self.answered = True
        super().data_received(data)

    def eof_received(self) -> None:
        self.unheard = never_had(self.transport)
        super().eof_received()

    def connection_lost(self, exc: BaseException | None) -> None:
        self.unheard = self.unheard or isinstance(exc, BrokenPipeError)
        super().connection_lost(exc)


class _Attempt:
    """What aiohttp does not tell of a request under way: its connection, and whether that was used before."""

    __slots__ = ("_protocol", "_transport", "deadline", "first_byte", "reused")

    def __init__(self, deadline: asyncio.Timeout, first_byte: float | None) -> None:
        self.deadline = deadline
        self.first_byte = first_byte
        self.reused = False
        self._protocol: _Handler | None = None
        self._transport: asyncio.Transport | None = None

    def connected(self, protocol: _Handler, *, reused: bool) -> None:
        """The request goes out now: from here on the upstream owes an answer."""
        self._protocol, self._transport, self.reused = protocol, protocol.transport, reused
        protocol.answered = False
        if self.first_byte is not None:
            self.deadline.reschedule(asyncio.get_running_loop().time() + self.first_byte)

    def raced(self, call: Call, error: Exception) -> bool:
        """The upstream ended a kept connection while the request was on its way: it may be sent once more."""
        if not self.reused or not isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError):
            return False
        assert self._protocol is not None
        unsent = isinstance(error.__cause__, aiohttp.ClientConnectionResetError)  # lost before all was written
        return not self._protocol.answered and (unsent or self._protocol.unheard or repeatable(call))

    def abort(self) -> None:
        """End the connection now; closing would first send what is buffered, to a peer that may never take it."""
        if self._transport is not None:
            self._transport.abort()


_ATTEMPT: ContextVar[_Attempt] = ContextVar("attempt")


class _Connector(aiohttp.TCPConnector):
    """aiohttp's pool, telling the attempt under way which connection it got."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._factory = partial(_Handler, loop=self._loop)  # type: ignore[assignment]  # one of our own
        self._met: WeakSet[ResponseHandler] = WeakSet()

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  aiohttp's signature
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        while connection.protocol is not None and connection.protocol.should_close:
            connection.close()  # something came on it that nobody asked for: aiohttp would take it for the next answer
            connection = await super().connect(req, traces, timeout)
        protocol = connection.protocol
        assert isinstance(protocol, _Handler)
        known = protocol in self._met
        if not known:
            self._met.add(protocol)
            if protocol.closed is not None:
                protocol.closed.add_done_callback(_heard)
        _ATTEMPT.get().connected(protocol, reused=known)
        return connection


def _heard(closed: asyncio.Future[None]) -> None:
    """The error that ended a connection is told by whatever was under way on it; here it is only taken note of."""
    if not closed.cancelled():
        closed.exception()


class _Answer:
    """An answer whose head has come; see `Arrival`."""

    def __init__(self, response: aiohttp.ClientResponse, attempt: _Attempt, call: Call, to: Destination) -> None:
        self.status = response.status
        self.headers: Headers = readable(response.raw_headers)
        self._response = response
        self._attempt = attempt
        self._patience = call.patience
        self._to = to
        self._protocol: ResponseHandler | None = None
        self._closed: asyncio.Future[None] | None = None
        if response.connection is not None:  # the body is not complete yet
            self._watch(response.connection.protocol)

    async def read(self) -> bytes:
        pieces = [piece async for piece in self.chunks()]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def chunks(self) -> AsyncIterator[bytes]:
        content = self._response.content
        try:
            while piece := await content.readany():
                yield piece
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._break_off()
            raise broke_off(self._to, self._patience, error) from error
        except BaseException:
            self._break_off()
            raise
        finally:
            self._unwatch()
        if self._cut():
            raise faults.cut_short(self._to)

    async def close(self) -> None:
        self._unwatch()
        if not self._response.closed:
            self._break_off()

    def _watch(self, protocol: ResponseHandler | None) -> None:
        assert protocol is not None
        self._protocol = protocol
        protocol.read_timeout = self._patience.between_bytes
        protocol.start_timeout()
        self._closed = protocol.closed
        if self._closed is not None:
            self._closed.add_done_callback(self._on_closed)

    def _unwatch(self) -> None:
        if self._closed is not None:
            self._closed.remove_done_callback(self._on_closed)  # the connection may live on for others
            self._closed = None

    def _on_closed(self, closed: asyncio.Future[None]) -> None:
        """When chunks turn into garbage, aiohttp closes the connection but leaves whoever reads the body waiting."""
        content = self._response.content
        if not content.is_eof() and content.exception() is None:
            content.set_exception(aiohttp.ClientPayloadError("the connection was closed"))

    def _cut(self) -> bool:
        """A body that ends with its connection was ended by a reset: aiohttp takes that for its end."""
        return self._protocol is not None and isinstance(self._protocol.exception(), aiohttp.ClientOSError)

    def _break_off(self) -> None:
        self._attempt.abort()
        self._response.close()


async def _attempt(session: aiohttp.ClientSession, call: Call, to: Destination) -> _Answer:
    """One request on one connection; _Raced when it may be made again."""
    deadline = asyncio.timeout(None)
    attempt = _Attempt(deadline, call.patience.first_byte)
    token = _ATTEMPT.set(attempt)
    try:
        async with deadline:
            response = await _request(session, call, to)
    except (aiohttp.ClientError, OSError) as error:  # time-outs are OSErrors
        attempt.abort()
        if attempt.raced(call, error):
            raise _Raced from error
        raise no_answer(to, call.patience, error, late=deadline.expired()) from error
    except BaseException:
        attempt.abort()
        raise
    finally:
        _ATTEMPT.reset(token)
    if response.status < 200:
        attempt.abort()
        response.close()
        raise faults.other_protocol(to)
    return _Answer(response, attempt, call, to)


async def _request(session: aiohttp.ClientSession, call: Call, to: Destination) -> aiohttp.ClientResponse:
    headers = unframed(call.headers)
    if to.authorization is not None:
        headers.setdefault("Authorization", to.authorization)
    body = io.BytesIO(call.body) if len(call.body) > _AT_ONCE else call.body or None
    return await session.request(
        call.method,
        to.url,
        headers=headers,
        data=body,
        proxy=to.proxy,
        timeout=_timeout(call.patience.connect, call.patience.total),
        allow_redirects=False,
    )


def _session(**options: Any) -> aiohttp.ClientSession:
    connector = _Connector(limit=0, ttl_dns_cache=300, **options)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        max_line_size=HEADER_LINE,
        max_field_size=HEADER_LINE,
        max_headers=HEADERS,
    )


@lru_cache
def _timeout(connect: float | None, total: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(connect=connect, total=total)
