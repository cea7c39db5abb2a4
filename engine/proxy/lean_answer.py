"""An answer as it comes over a lean connection: what has come of it, and who waits for more.

Must not know sockets or HTTP's syntax; the connection that carries an answer tells it what happens.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Protocol

from engine.errors import UpstreamError
from engine.ports.wire import Headers
from engine.proxy.fields import readable
from engine.proxy.lean_chunks import chunks

MOST_HELD = 256 * 1024  # bytes waiting for a reader from which on the upstream is held back


class Carrier(Protocol):
    """The connection that an answer comes over, as long as it does."""

    def hold(self) -> None:
        """Take nothing more from the socket for now."""

    def go_on(self) -> None:
        """Take from the socket again."""

    def abandon(self) -> None:
        """End the connection now: nobody wants the rest."""


class Raced(Exception):
    """A connection that had served before was ended by the upstream before it can have had this request."""


class Answer:
    """An answer of an upstream; see `Arrival`. Once `complete` or failed it knows no connection any more."""

    __slots__ = ("_carrier", "_fault", "_held", "_most", "_pieces", "_slow", "_waiter", "complete", "headers", "status")

    status: int
    headers: Headers

    def __init__(self, carrier: Carrier) -> None:
        self.complete = False
        self._carrier: Carrier | None = carrier
        self._fault: Exception | None = None
        self._pieces: list[bytes] = []
        self._held = 0
        self._most = MOST_HELD
        self._slow = False  # the upstream is held back
        self._waiter: asyncio.Future[None] | None = None  # somebody waits for more

    # --- what the connection tells ---

    def begin(self, status: int, fields: list[tuple[bytes, bytes]]) -> None:
        """The head has come."""
        self.status = status
        self.headers = readable(fields)

    def add(self, piece: bytes) -> None:
        """A piece of the body."""
        self._pieces.append(piece)
        self._held += len(piece)
        if self._waiter is not None:
            self._wake()
        elif self._held > self._most and not self._slow and self._carrier is not None:
            self._slow = True
            self._carrier.hold()

    def end(self) -> None:
        """The body is whole."""
        self.complete = True
        self._carrier = None
        self._wake()

    def fail(self, fault: Exception) -> None:
        """Nothing more will come."""
        if self.complete or self._fault is not None:
            return
        self._fault = fault
        self._carrier = None
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(fault)

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # --- what the caller asks ---

    async def read(self) -> bytes:
        if not self.complete:
            self._most = sys.maxsize
            if self._slow:
                self._go_on()
            while not self.complete:
                await self.more()
        return self._take()

    def chunks(self) -> AsyncIterator[bytes]:
        return chunks(self)

    def taken(self) -> bytes:
        """What has come and was not taken; empty where nothing has."""
        if self._slow and not self._pieces:
            self._go_on()
        return self._take() if self._pieces else b""

    async def close(self) -> None:
        self.give_up()
        self._pieces.clear()

    async def more(self) -> None:
        """Wait until something has come, or nothing can any more."""
        if self._fault is not None:
            raise self._fault
        if self._waiter is not None:
            raise RuntimeError("two readers of one answer")
        self._waiter = waiter = asyncio.get_running_loop().create_future()
        try:
            await waiter
        except asyncio.CancelledError:
            self.give_up()
            raise

    def _take(self) -> bytes:
        pieces = self._pieces
        if len(pieces) == 1:
            taken = pieces[0]
            pieces.clear()
        else:
            taken = b"".join(pieces)
            self._pieces = []
        self._held = 0
        return taken

    def _go_on(self) -> None:
        self._slow = False
        if self._carrier is not None:
            self._carrier.go_on()

    def give_up(self) -> None:
        """Nobody wants the rest."""
        carrier = self._carrier
        if carrier is not None:
            self.fail(UpstreamError("connection", "the answer was closed before its end"))
            carrier.abandon()
