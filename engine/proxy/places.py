"""Bounds how many calls an upstream gets at once; who comes later waits in line. Must not know how calls are made."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from engine.ports.wire import Arrival, Call, Transport
from engine.proxy.faults import no_place
from engine.proxy.url import destination


class Places:
    """A transport for `most` calls at once, from their first byte to the last of their answers.

    A call waits for its place no longer than it would for its answer to begin, and leaves the line with its client.
    """

    def __init__(self, transport: Transport, most: int) -> None:
        self._transport = transport
        self._most = most
        self._taken = 0
        self._line: deque[asyncio.Future[None]] = deque()

    @property
    def most(self) -> int:
        """How many; another number holds from then on."""
        return self._most

    @most.setter
    def most(self, most: int) -> None:
        if most != self._most:
            self._most = most
            self._admit()

    async def send(self, call: Call) -> Arrival:
        if self._taken < self._most and not self._line:
            self._taken += 1
        else:
            await self._wait(call)
        try:
            return _Placed(await self._transport.send(call), self._leave)
        except BaseException:
            self._leave()
            raise

    async def close(self) -> None:
        """The transport is not its own."""

    async def _wait(self, call: Call) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(place)
        within = min(
            (most for most in (call.patience.first_byte, call.patience.total) if most is not None), default=None
        )
        try:
            async with asyncio.timeout(within):
                await place
        except BaseException as ending:
            if place.done() and not place.cancelled():
                self._leave()  # it was called up at the very moment
            elif place in self._line:
                self._line.remove(place)
            if isinstance(ending, TimeoutError):
                raise no_place(destination(call.url), self._most, within or 0.0) from None
            raise

    def _leave(self) -> None:
        self._taken -= 1
        self._admit()

    def _admit(self) -> None:
        while self._line and self._taken < self._most:
            place = self._line.popleft()
            if not place.done():
                self._taken += 1
                place.set_result(None)


class _Placed:
    """An answer that gives its place back once it is whole, or closed."""

    def __init__(self, arrival: Arrival, leave: Callable[[], None]) -> None:
        self.status = arrival.status
        self.headers = arrival.headers
        self._arrival = arrival
        self._leave: Callable[[], None] | None = leave

    async def read(self) -> bytes:
        try:
            return await self._arrival.read()
        finally:
            self._free()

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._arrival.chunks():
                yield piece
        finally:
            self._free()

    async def close(self) -> None:
        try:
            await self._arrival.close()
        finally:
            self._free()

    def _free(self) -> None:
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()
