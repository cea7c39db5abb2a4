"""Where moments come from, and how rules and records show them. Must not know whose they are."""

from __future__ import annotations

from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Protocol

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Clock(Protocol):
    """Where the time comes from; tests freeze it."""

    def now(self) -> datetime:
        """The wall clock, aware, in `server.timezone`."""

    def monotonic(self) -> float:
        """Seconds that never jump, for durations."""


def written_time(now: datetime) -> str:
    """RFC 3339, to the second."""
    return _written_second(int(now.timestamp()), now.tzinfo)


@lru_cache(maxsize=2)
def _written_second(second: int, zone: tzinfo | None) -> str:
    """Spelt once a second, not once an exchange."""
    return datetime.fromtimestamp(second, zone).isoformat().replace("+00:00", "Z")
