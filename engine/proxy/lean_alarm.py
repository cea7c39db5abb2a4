"""A deadline that moves with every byte, for the price of an assignment.

Must not know what is waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

NEVER = float("inf")
_RESOLUTION = 0.001  # of a loop's timers, in seconds


class Alarm:
    """Calls `ring` once its time has come.

    The loop's timer is not moved when the time is put off, as it is with every request and every byte: it looks, when
    it fires, whether it still means anything.
    """

    __slots__ = ("_at", "_loop", "_ring", "_rings", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._loop = loop
        self._ring = ring
        self._at = self._rings = NEVER
        self._timer: asyncio.TimerHandle | None = None

    def set(self, at: float) -> None:
        """Ring at this time of the loop's clock and at none that was set before."""
        self._at = at
        if at < self._rings:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(at, self._look)
            self._rings = at

    def clear(self) -> None:
        """Do not ring."""
        self._at = NEVER

    def stop(self) -> None:
        """Do not ring, and leave nothing with the loop."""
        self._at = self._rings = NEVER
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        self._rings = NEVER
        if self._at <= self._loop.time() + _RESOLUTION:
            self._at = NEVER
            self._ring()
        elif self._at != NEVER:
            self.set(self._at)
