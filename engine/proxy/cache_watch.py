"""A fresh answer that is looked at as it passes, so that it can be kept once it has passed whole.

Must not know how answers are kept, or what becomes of them on the way.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from engine.document.headers import by_name
from engine.ports.wire import Arrival, Headers
from engine.proxy.cache_entry import too_large


class Watched:
    """An `Arrival` whose body is remembered as it passes, up to `largest` bytes.

    In the end one of two is called, once: `whole` when all of it has passed, else `unfit` with the reason.
    """

    def __init__(
        self, arrival: Arrival, largest: int, whole: Callable[[Watched], None], unfit: Callable[[str], None]
    ) -> None:
        told = by_name(arrival.headers)
        self.status = arrival.status
        self.headers: Headers = arrival.headers
        self.streamed = told.get("content-type", "").partition(";")[0].strip().lower() == "text/event-stream"
        self.coding: str | None = told.get("content-encoding")
        self.passed: list[bytes] = []
        self._arrival = arrival
        self._whole = whole
        self._unfit = unfit
        self._largest = self._room = largest
        self._undecided = True
        announced = told.get("content-length", "")
        if announced.isdecimal() and int(announced) > largest:
            self.give_up(too_large(largest))

    async def read(self) -> bytes:
        body = await self._arrival.read()
        self._take(body)
        self._done()
        return body

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._arrival.chunks():
            self._take(chunk)
            yield chunk
        self._done()

    async def close(self) -> None:
        self.give_up("it did not pass whole")
        await self._arrival.close()

    def give_up(self, why: str) -> None:
        """It is not kept, unless it has passed already."""
        if self._undecided:
            self._undecided = False
            self.passed = []
            self._unfit(why)

    def _take(self, chunk: bytes) -> None:
        if self._undecided:
            self._room -= len(chunk)
            self.passed.append(chunk)
            if self._room < 0:
                self.give_up(too_large(self._largest))

    def _done(self) -> None:
        if self._undecided:
            self._undecided = False
            self._whole(self)
