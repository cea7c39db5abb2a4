"""Which upstreams fail, and how often they may be asked again: passive health and a budget of retries.

Must not know exchanges or what is sent.
"""

from __future__ import annotations

from collections.abc import Callable

IN_A_ROW = 5
"""Failures after which an upstream rests."""
SHORTEST, LONGEST = 5.0, 60.0
"""Seconds of rest: doubled from one to the next while the probes in between fail."""
_SHARE, _MOST = 0.2, 10.0  # retries per call, and at once


class UpstreamHealth:
    """How one upstream has done lately."""

    __slots__ = ("_credit", "_failures", "_rest", "_until")

    def __init__(self) -> None:
        self._failures = 0
        self._rest = 0.0
        self._until = 0.0
        self._credit = _MOST

    def resting(self, now: float) -> bool:
        """True while it should be passed over. Once the rest is over, one caller may probe it; others still wait."""
        if not self._rest:
            return False
        if now < self._until:
            return True
        self._until = now + SHORTEST
        return False

    def called(self) -> None:
        """An exchange asks here first; each earns a part of a retry."""
        self._credit = min(_MOST, self._credit + _SHARE)

    def answered(self) -> None:
        """It is well."""
        self._failures, self._rest = 0, 0.0

    def failed(self, now: float) -> None:
        """It did not answer, or that it cannot."""
        self._failures += 1
        if self._failures >= IN_A_ROW:
            self._rest = min(LONGEST, 2 * self._rest or SHORTEST)
            self._until = now + self._rest

    def may_retry(self) -> bool:
        """Take one retry out of the budget, if there is one."""
        if self._credit < 1:
            return False
        self._credit -= 1
        return True


class Health:
    """The health of all upstreams of a process, by name; it outlives a reload."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._known: dict[str, UpstreamHealth] = {}

    def of(self, upstream: str) -> UpstreamHealth:
        """The health of an upstream; one never asked is well."""
        known = self._known.get(upstream)
        if known is None:
            known = self._known[upstream] = UpstreamHealth()
        return known

    def resting(self, upstream: str) -> bool:
        return self.of(upstream).resting(self._now())

    def note(self, upstream: str, *, well: bool) -> None:
        """What came of a call."""
        if well:
            self.of(upstream).answered()
        else:
            self.of(upstream).failed(self._now())
