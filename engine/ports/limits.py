"""Limits that hold for one exchange, as its rules declared them, and what of them was taken.

Must not know rules, how stores count or when an exchange takes.
"""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from engine.ports.stores import Claim, Standing, Store

Unit = Literal["requests", "tokens", "concurrent", "usd"]
_LONGEST = 100  # characters of a value in a key; a longer one stands there as its hash


@dataclass(slots=True)
class Limit:
    """One limit of one rule, the same for everybody whom it is counted for.

    `start` begins the name under which a store counts. `most` is per `period`: seconds, or `day` or `month` of the
    calendar for dollars, 0 for what is held at once. `allows`: a store that is down lets the exchange pass. `unpriced`:
    dollars are not counted where there is no price. `shadow`: it counts, and never refuses.
    """

    rule: str
    unit: Unit
    start: str
    most: float
    period: float | str
    store: Store
    allows: bool = False
    unpriced: bool = False
    shadow: bool = False


Declared = tuple[Limit, str]
"""A limit that holds for an exchange, and the name under which a store counts it."""


@dataclass(slots=True)
class Taken:
    """What an exchange took under one limit, to be settled or given back at its end; `holder` holds its slots."""

    limit: Limit
    claim: Claim
    standing: Standing
    holder: str


def key_of(limit: Limit, by: str) -> str:
    """The name under which a store counts for one value of `by`."""
    if len(by) > _LONGEST:
        by = "sha256 " + hashlib.sha256(by.encode("utf-8", "surrogatepass")).hexdigest()
    return limit.start + by


def windows(per: str, now: datetime.datetime) -> tuple[tuple[str, float], ...]:
    """Label and end of the days or months before, around and after a moment, in that moment's zone."""
    return _windows(per, now.date(), now.tzinfo)


@lru_cache(maxsize=64)
def _windows(per: str, day: datetime.date, zone: datetime.tzinfo | None) -> tuple[tuple[str, float], ...]:
    starts = [_start(per, day, step) for step in range(-1, 3)]
    form = "%Y-%m-%d" if per == "day" else "%Y-%m"
    return tuple(
        (start.strftime(form), datetime.datetime.combine(end, datetime.time(), zone).timestamp())
        for start, end in pairwise(starts)
    )


def _start(per: str, day: datetime.date, step: int) -> datetime.date:
    """The first day of the window that is `step` windows after the one of a day."""
    if per == "day":
        return day + datetime.timedelta(days=step)
    months = day.year * 12 + day.month - 1 + step
    return datetime.date(months // 12, months % 12 + 1, 1)
