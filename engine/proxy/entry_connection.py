"""One client's connection: requests in, one at a time, answers out, until one side has had enough.

Must not know what an exchange does, nor how connections are accepted.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol, cast

from engine.proxy.entry_answer import head
from engine.proxy.entry_client import EntryClient
from engine.proxy.entry_request import Limits
from engine.proxy.entry_syntax import Malformed, Syntax
from engine.proxy.lean_alarm import Alarm
from engine.proxy.serving import Serving, refusal
from engine.proxy.taking import Taking

_LINGER = 5.0  # seconds for which a client may go on sending what nobody reads, so that it gets to read the answer


class House(Protocol):
    """What a connection belongs to."""

    limits: Limits
    serving: Serving

    def made(self, connection: Connection) -> None:
        """A client has come."""

    def lost(self, connection: Connection) -> None:
        """It is gone."""


class Connection(asyncio.Protocol):
    """A connection; `full`: the socket takes no more for now; `fresh`: no request has come over it."""

    __slots__ = (
        "_alarm",
        "_client",
        "_deaf",
        "_fault",
        "_held",
        "_house",
        "_loop",
        "_paused",
        "_peer",
        "_since",
        "_syntax",
        "_taking",
        "_task",
        "_waiting",
        "fresh",
        "full",
        "transport",
    )

    __deletable__ = ("_syntax",)  # for mypyc

    def __init__(self, house: House, loop: asyncio.AbstractEventLoop) -> None:
        self.full = False
        self.fresh = True
        self._since = 0.0  # when it had served its last request
        self._house = house
        self._loop = loop
        self._alarm = Alarm(loop, self._ring)
        self._syntax = Syntax(self, house.limits)
        self._client: EntryClient | None = None
        self._task: asyncio.Task[Any] | None = None
        self._fault: Malformed | None = None  # to be told after the requests before it
        self._deaf = False  # what still comes is nobody's
        self._held = False  # a body is read too slowly
        self._paused = False
        self._waiting: asyncio.Future[None] | None = None
        self._taking: Taking | None = None  # where it once was full

    def unused(self, seconds: float) -> bool:
        """It has served nothing for so long, and serves nothing now; true of those too that never served."""
        return self._client is None and not self._deaf and self._loop.time() - self._since >= seconds

    def refuse(self, fault: Malformed) -> None:
        """Tell its client so, whatever it was about to say."""
        self.transport.write(told(fault))
        self._linger()

    def close(self) -> None:
        """Close once what was written has left, and not much later than that."""
        self._deaf = True
        self.transport.close()
        self._alarm.set(self._loop.time() + self._house.limits.idle)

    def finish(self) -> None:
        """Close, after the request that is being served if there is one."""
        if self._client is None:
            self.close()
        else:
            self._client.last = True

    async def drained(self) -> None:
        if self.transport.is_closing():
            raise ConnectionResetError("the client left")
        self._waiting = self._loop.create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None

    # --- what a request asks ---

    def hold(self) -> None:
        self._held = True
        self._flow()

    def go_on(self) -> None:
        self._held = False
        self._flow()

    # --- what the loop tells ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name
        name = transport.get_extra_info("peername")
        self._peer = str(name[0]) if isinstance(name, (list, tuple)) else None
        self._alarm.set(self._loop.time() + self._house.limits.idle)
        self._house.made(self)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        try:
            self._syntax.feed(data)
        except Malformed as fault:
            self._fault, self._deaf = fault, True
        if self._client is None:
            self._next()
        elif self._syntax.came:
            self._flow()

    def connection_lost(self, error: Exception | None) -> None:
        self._house.lost(self)
        self._alarm.stop()
        if self._taking is not None:
            self._taking.end()
        if self._client is not None and self._task is not None and not self._client.over:
            self._task.cancel(None if self._taking is None else self._taking.verdict)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionResetError("the client left"))
        del self._syntax  # which knows a parser, which knows it

    def pause_writing(self) -> None:
        self.full = True
        if self._taking is None:
            self._taking = Taking(self._loop, self.transport, self._house.limits.pause)
        self._taking.begin()

    def resume_writing(self) -> None:
        self.full = False
        if self._taking is not None:
            self._taking.end()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    # --- its own ---

    def _next(self) -> None:
        """Serve the next request that has come, else tell what is wrong with it, else wait for it."""
        if self._syntax.came:
            request = self._syntax.came.popleft()
            self.fresh = False
            self._client = client = EntryClient(
                request, self, self._peer, self._house.limits, self._house.serving.bodies
            )
            client.last = self._house.serving.last()
            self._alarm.clear()
            self._task = self._loop.create_task(self._serve(client))
        elif self._fault is not None:
            self.refuse(self._fault)

    async def _serve(self, client: EntryClient) -> None:
        assert self._task is not None
        try:
            await self._house.serving.serve(client, self._task)
        finally:
            self._vacate(client)

    def _vacate(self, client: EntryClient) -> None:
        """The client is served."""
        self._client = self._task = None
        if self.transport.is_closing():
            return
        if client.closes or client.last:
            self._linger()
            return
        self._held = False
        self._flow()
        self._since = now = self._loop.time()
        self._alarm.set(now + self._house.limits.idle)
        if self._syntax.came or self._fault is not None:
            self._next()

    def _flow(self) -> None:
        """Read on, unless enough has come that nobody has taken."""
        if self.transport.is_closing():
            return
        enough = not self._deaf and (self._held or (self._client is not None and len(self._syntax.came) > 0))
        if enough and not self._paused:
            self._paused = True
            self.transport.pause_reading()
        elif self._paused and not enough:
            self._paused = False
            self.transport.resume_reading()

    def _linger(self) -> None:
        """End our side; a client that is still sending gets to read the answer before its own side is cut."""
        self._deaf = True
        self._syntax.came.clear()
        self._flow()
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._alarm.set(self._loop.time() + min(_LINGER, self._house.limits.pause))
        else:
            self.close()

    def _ring(self) -> None:
        """Nothing came in time: no request, or no end of a connection that was to end."""
        if self.transport.is_closing():
            self.transport.abort()
        elif self._client is None:
            self.close()


def told(fault: Malformed) -> bytes:
    """The answer to what is no request, or may not be one."""
    headers, body = refusal(fault.status, fault.message, fault.code)
    return head(fault.status, headers, f"Content-Length: {len(body)}\r\nConnection: close\r\n") + body
