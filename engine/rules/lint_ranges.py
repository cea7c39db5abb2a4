"""Numbers, texts and lengths between two bounds, and what operators make of them. Must not know values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from engine.language.operators import Operators
from engine.language.values import is_number


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers or texts between two bounds; None is no bound."""

    low: Any = None
    low_open: bool = False
    high: Any = None
    high_open: bool = False

    def within(self, other: Range) -> Range:
        """What both have."""
        low, low_open, high, high_open = self.low, self.low_open, self.high, self.high_open
        if other.low is not None and (low is None or (other.low, other.low_open) > (low, low_open)):
            low, low_open = other.low, other.low_open
        if other.high is not None and (high is None or (other.high, not other.high_open) < (high, not high_open)):
            high, high_open = other.high, other.high_open
        return Range(low, low_open, high, high_open)

    @property
    def empty(self) -> bool:
        if self.low is None or self.high is None:
            return False
        return bool(self.low > self.high or (self.low == self.high and (self.low_open or self.high_open)))


def range_of(name: str, constant: Any) -> Range | None:
    """The values for which an ordering operator holds."""
    if name == "gt":
        return Range(low=constant, low_open=True)
    if name == "gte":
        return Range(low=constant)
    if name == "lt":
        return Range(high=constant, high_open=True)
    if name == "lte":
        return Range(high=constant)
    return Range(low=constant[0], high=constant[1]) if name == "between" else None


def lengths(size: Any) -> list[Range]:
    """The whole numbers that a `length` allows, as closed ranges; what is no bound on it is left out."""
    tests = size if isinstance(size, Operators) else None
    if tests is None:
        return [Range(low=size, high=size)]
    found = []
    for operator in tests:
        bounds = (
            Range(low=operator.value, high=operator.value)
            if operator.name == "equals"
            else range_of(operator.name, operator.value)
        )
        if bounds is not None and all(end is None or is_number(end) for end in (bounds.low, bounds.high)):
            found.append(_whole(bounds))
    return found


def _whole(bounds: Range) -> Range:
    """The whole numbers of a range, with its ends in it."""
    low, high = bounds.low, bounds.high
    if low is not None:
        low = math.floor(low) + 1 if bounds.low_open else math.ceil(low)
    if high is not None:
        high = math.ceil(high) - 1 if bounds.high_open else math.floor(high)
    return Range(low=low, high=high)
