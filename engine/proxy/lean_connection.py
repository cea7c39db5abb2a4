"""One connection to an upstream: a request out, an answer in, and again as long as both sides like.

Whatever is not as it should be ends the connection, so that nothing of one answer becomes part of another. Must not
know how connections are made or kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

from engine.errors import UpstreamError
from engine.ports.wire import Call, Patience
from engine.proxy import faults
from engine.proxy.again import never_had, repeatable
from engine.proxy.lean_alarm import NEVER, Alarm
from engine.proxy.lean_answer import Answer, Raced
from engine.proxy.lean_syntax import OtherProtocol, Syntax, Unfit
from engine.proxy.url import Destination

_AT_ONCE = 256 * 1024  # bytes of a body that are handed to the socket in one piece
_NONE = Call("", "", (), b"")

Late = Callable[[Destination, Patience], UpstreamError]


class Home(Protocol):
    """Where a connection is kept between two requests."""

    def welcome(self, connection: Connection) -> None:
        """It is made."""

    def take_back(self, connection: Connection) -> None:
        """It can carry another request."""

    def forget(self, connection: Connection) -> None:
        """It is lost."""


class Connection(asyncio.Protocol):
    """See `Carrier` for what an answer may ask of it. `since` is when it became idle."""

    __slots__ = (
        "_alarm",
        "_answer",
        "_call",
        "_full",
        "_home",
        "_late",
        "_loop",
        "_rest",
        "_slow",
        "_syntax",
        "_to",
        "_total",
        "_touched",
        "_transport",
        "_waiter",
        "origin",
        "reused",
        "since",
    )

    __deletable__ = ("_syntax",)  # for mypyc

    def __init__(self, home: Home, origin: str, loop: asyncio.AbstractEventLoop) -> None:
        self.origin = origin
        self.reused = False
        self.since = 0.0
        self._home = home
        self._loop = loop
        self._alarm = Alarm(loop, self._ring)
        self._syntax = Syntax()
        self._answer: Answer | None = None
        self._waiter: asyncio.Future[None] | None = None  # somebody waits for the head of the answer
        self._rest: memoryview | None = None  # of the request, not yet handed to the socket
        self._full = False  # the socket takes no more for now
        self._slow = False  # our reader takes no more for now

    def fit(self, idle: float) -> bool:
        """It can still carry a request, and was idle for less than so many seconds."""
        return not self._transport.is_closing() and self._loop.time() - self.since < idle

    async def ask(self, call: Call, to: Destination, request: bytes, total: float) -> Answer:
        """Send a request, wait for the head of its answer; Raced when it may be sent again. `total` is a deadline."""
        if self._transport.is_closing():
            raise Raced if self.reused else faults.no_answer(to)
        answer = Answer(self)
        self._waiter = waiter = self._loop.create_future()
        self._answer, self._call, self._to, self._total = answer, call, to, total
        self._touched = False
        self._syntax.expect(answer, bodiless=call.method == "HEAD")
        self._arm(call.patience.first_byte, faults.no_answer_yet)
        if len(call.body) <= _AT_ONCE:
            self._transport.write(request + call.body)
        else:
            self._transport.write(request)
            self._rest = memoryview(call.body)
            self._pump()
        try:
            await waiter
        except BaseException:
            answer.give_up()
            raise
        return answer

    def end(self) -> None:
        """Close; whoever waits for an answer is told that none will come."""
        self._transport.abort()

    # --- what an answer asks ---

    def hold(self) -> None:
        if not self._transport.is_closing():
            self._slow = True
            self._transport.pause_reading()
            self._arm(None, faults.stalled)  # the pause is ours

    def go_on(self) -> None:
        if self._slow and not self._transport.is_closing():
            self._slow = False
            self._transport.resume_reading()
            self._arm(self._call.patience.between_bytes, faults.stalled)

    def abandon(self) -> None:
        self._answer = self._waiter = self._rest = None
        self._call = _NONE
        self._alarm.stop()
        self._transport.abort()

    # --- what the loop tells ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name
        self._home.welcome(self)

    def data_received(self, data: bytes) -> None:
        answer, syntax = self._answer, self._syntax
        if answer is None:  # nobody asked for anything
            self.abandon()
            return
        self._touched = True
        try:
            syntax.feed(data)
        except Unfit as unfit:
            self._fail(faults.cut_short(self._to) if self._waiter is None else faults.not_http(self._to, str(unfit)))
            return
        except OtherProtocol:
            self._fail(faults.other_protocol(self._to))
            return
        if not syntax.headed:
            return
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)
        if syntax.over:
            self._complete(answer, keep=syntax.clean)
        elif not self._slow:
            self._arm(self._call.patience.between_bytes, faults.stalled)

    def eof_received(self) -> None:
        """The upstream ended its side in order."""
        answer, syntax = self._answer, self._syntax
        if answer is None:
            return
        if syntax.headed:
            if syntax.ends_by_closing():
                self._complete(answer, keep=False)
            else:
                self._fail(faults.cut_short(self._to))
        else:
            self._fail(self._unanswered(never_had(self._transport)))

    def connection_lost(self, error: Exception | None) -> None:
        self._home.forget(self)
        if self._answer is not None:
            if self._syntax.headed:
                self._fail(faults.cut_short(self._to))
            else:
                self._fail(self._unanswered(isinstance(error, BrokenPipeError)))
        self._alarm.stop()
        del self._syntax  # which knows a parser, which knows it

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._pump()

    # --- its own ---

    def _pump(self) -> None:
        """Hand over of a large body what the socket takes."""
        while self._rest is not None and not self._full:
            piece, rest = self._rest[:_AT_ONCE], self._rest[_AT_ONCE:]
            self._rest = rest if len(rest) else None
            self._transport.write(piece)

    def _arm(self, seconds: float | None, late: Late) -> None:
        """Wait so long for the next thing to happen, and no longer than the whole may take."""
        at = NEVER if seconds is None else self._loop.time() + seconds
        if self._total < at:
            at, late = self._total, faults.took_too_long
        self._late = late
        self._alarm.set(at)

    def _ring(self) -> None:
        if self._answer is not None:
            self._fail(self._late(self._to, self._call.patience))

    def _complete(self, answer: Answer, *, keep: bool) -> None:
        """The answer is whole; the connection goes home if nothing speaks against it."""
        self._answer = None
        self._call = _NONE  # its body may be large
        self._alarm.clear()
        if not keep or self._rest is not None or self._full or self._transport.is_closing():
            self._rest = None
            self._transport.abort()
        else:
            if self._slow:
                self._slow = False
                self._transport.resume_reading()
            self.reused = True
            self.since = self._loop.time()
            self._home.take_back(self)
        answer.end()

    def _unanswered(self, never_had: bool) -> Exception:
        """The connection ended before any head: a fault, or, on one that had served before, maybe only a race."""
        if self.reused and not self._touched and (never_had or self._rest is not None or repeatable(self._call)):
            return Raced()
        return faults.no_answer(self._to)

    def _fail(self, fault: Exception) -> None:
        answer, waiter = self._answer, self._waiter
        self.abandon()
        if waiter is not None:
            if not waiter.done():
                waiter.set_exception(fault)
        elif answer is not None:
            answer.fail(fault)
