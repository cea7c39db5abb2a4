"""A time-out that does not take the waiting side's own delay for the other side's. Must not know who waits for whom."""

from __future__ import annotations

import asyncio
from types import TracebackType

_MOMENT = 0.02  # seconds


class Patience:
    """`async with Patience(0.5)`: TimeoutError after so many seconds, and a moment.

    In that moment what came in time is read: while the loop was held up by something else, nobody could.
    """

    __slots__ = ("_limit", "_seconds", "_timer")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._limit = asyncio.timeout(None)

    async def __aenter__(self) -> None:
        await self._limit.__aenter__()
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._end_soon)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        await self._limit.__aexit__(kind, error, trace)

    def _end_soon(self) -> None:
        self._limit.reschedule(asyncio.get_running_loop().time() + _MOMENT)
