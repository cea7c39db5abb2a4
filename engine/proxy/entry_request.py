"""A client's request as it comes: its head, and its body piece by piece, for whoever waits for it.

Must not know sockets or HTTP's syntax; the connection that carries a request tells it what happens.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from typing import Protocol

from engine.ports.wire import BrokenBody
from engine.proxy.taking import Pace

MOST_HELD = 256 * 1024  # bytes of a body waiting for a reader from which on the client is held back


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may take: bytes of a header line and of a head, headers, seconds; and all clients together."""

    line: int = 16 * 1024
    head: int = 64 * 1024
    headers: int = 128
    idle: float = 75.0  # an open connection without a whole request; longer than the 60 s of common load balancers
    pause: float = 60.0  # between two pieces of a body, or without taking anything of an answer
    connections: int = sys.maxsize
    bodies: int = sys.maxsize  # bytes of all large bodies


class Carrier(Protocol):
    """The connection that a request comes over."""

    def hold(self) -> None:
        """Take nothing more from the socket for now."""

    def go_on(self) -> None:
        """Take from the socket again."""


class Request:
    """`modern`: of HTTP/1.1; `keeps`: its client wants to go on; `whole`: all of it has come."""

    __slots__ = (
        "_broken",
        "_carrier",
        "_held",
        "_pieces",
        "_slow",
        "_waiter",
        "coding",
        "expects",
        "headers",
        "keeps",
        "length",
        "method",
        "modern",
        "target",
        "whole",
    )

    def __init__(self, carrier: Carrier, method: str, target: str, headers: list[tuple[str, str]]) -> None:
        self.method = method
        self.target = target
        self.headers = headers  # names in lower case
        self.coding: str | None = None  # of its body
        self.expects = False  # it waits to be asked for its body
        self.length: int | None = None  # of its body, as announced
        self.keeps = self.modern = True
        self.whole = False
        self._carrier = carrier
        self._pieces: list[bytes] = []
        self._held = 0
        self._slow = False
        self._broken = False
        self._waiter: asyncio.Future[None] | None = None

    # --- what the connection tells ---

    def add(self, piece: bytes) -> None:
        """A piece of the body."""
        self._pieces.append(piece)
        self._held += len(piece)
        if self._waiter is not None:
            self._wake()
        elif self._held > MOST_HELD and not self._slow:
            self._slow = True
            self._carrier.hold()

    def end(self, *, keeps: bool) -> None:
        """The body is whole."""
        self.whole = True
        self.keeps = keeps
        self._wake()

    def break_off(self) -> None:
        """Its framing is broken: no more of it can be had."""
        self._broken = True
        self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # --- what the client is asked for ---

    def rest(self) -> bytes:
        """All that has come and was not taken."""
        pieces, self._pieces = self._pieces, []
        self._held = 0
        if self._slow:
            self._slow = False
            self._carrier.go_on()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def more(self, pace: Pace) -> bytes:
        """What comes next of the body, empty at its end; BrokenBody when it does not come."""
        if not self._pieces and not self.whole and not self._broken:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout_at(pace.latest()):
                    await self._waiter
            except TimeoutError:
                raise pace.late() from None
            finally:
                self._waiter = None
        if self._broken:
            raise BrokenBody("the body is not framed as HTTP wants it")
        data = self.rest()
        pace.came(len(data))
        return data


def origin_form(target: str) -> str:
    """The path and query of a target that may carry scheme and host before them, as proxies send it."""
    if target.startswith("/") or target == "*":
        return target
    rest = target.partition("://")[2]
    cut = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    return rest[cut:] if rest[cut:].startswith("/") else "/" + rest[cut:]
