"""How rules and records show a moment. Must not know whose moment it is."""

from __future__ import annotations

from datetime import datetime, tzinfo
from functools import lru_cache

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def written_time(now: datetime) -> str:
    """RFC 3339, to the second."""
    return _written_second(int(now.timestamp()), now.tzinfo)


@lru_cache(maxsize=2)
def _written_second(second: int, zone: tzinfo | None) -> str:
    """Spelt once a second, not once an exchange."""
    return datetime.fromtimestamp(second, zone).isoformat().replace("+00:00", "Z")
