"""Random sequences of what is asked of a store, and what a store answers to them; stores must agree.

Times are multiples of 1/64 s, which every clock and every store keeps exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from engine.ports.stores import Claim, OpenStore, Rate, Slots, Spend, Standing, Used, taken

MORNING = datetime(2026, 10, 8, 6, tzinfo=UTC)
RATES = {"r1": (3, 60), "r2": (10, 1), "r3": (1, 7), "r4": (2.5, 3600)}
LIMITS = {"s1": 1, "s2": 2}
DAYS = (("2026-10-08", datetime(2026, 10, 9, tzinfo=UTC).timestamp()), ("2026-10-09", 1791590400.0))


class SteppedClock:
    """Time that moves when told to; the wall clock may jump."""

    def __init__(self) -> None:
        self._wall = MORNING
        self._passed = 0.0

    def now(self) -> datetime:
        return self._wall

    def monotonic(self) -> float:
        return self._passed

    def advance(self, seconds: float) -> None:
        self._wall += timedelta(seconds=seconds)
        self._passed += seconds

    def jump(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self._wall += timedelta(seconds=seconds)


@dataclass(frozen=True)
class Take:
    claims: list[Claim]
    holder: str


@dataclass(frozen=True)
class Settle:
    """Of the last so many takes that took something, the oldest is settled, with a share of what it asked for."""

    last: int
    share: float


@dataclass(frozen=True)
class Wait:
    seconds: float


def _rate(name: str, cost: float, shadow: bool) -> Rate:
    limit, period = RATES[name]
    return Rate(name, limit, period, cost, shadow)


_shadow = st.sampled_from([False, False, False, True])
_claims = st.one_of(
    st.builds(_rate, st.sampled_from(sorted(RATES)), st.sampled_from([0, 0.5, 1, 1, 2, 100]), _shadow),
    st.builds(lambda key, shadow: Slots(key, LIMITS[key], shadow), st.sampled_from(sorted(LIMITS)), _shadow),
    st.builds(
        lambda key, cost, shadow: Spend(key, 2.0, DAYS, cost, shadow),
        st.sampled_from(["d1", "d2"]),
        st.sampled_from([0.0, 0.25, 1.5]),
        _shadow,
    ),
)
STEPS = st.lists(
    st.one_of(
        st.builds(Take, st.lists(_claims, min_size=1, max_size=4), st.sampled_from(["a", "b", "c"])),
        st.builds(Settle, st.integers(1, 3), st.sampled_from([0.0, 0.5, 1.0, 3.0])),
        st.builds(Wait, st.sampled_from([1 / 64, 0.5, 1.0, 6.5, 20.0, 60.0, 3600.0, 43200.0])),
    ),
    max_size=30,
)


@dataclass(frozen=True)
class Answers:
    """What a store answered, call by call. No two ways to add are the same to the last digit."""

    given: list[list[Standing]]

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, Answers)
        return [len(some) for some in self.given] == [len(some) for some in other.given] and all(
            alike(one, two)
            for mine, theirs in zip(self.given, other.given, strict=True)
            for one, two in zip(mine, theirs, strict=True)
        )

    __hash__ = None  # type: ignore[assignment]


def alike(one: Standing, two: Standing) -> bool:
    """Equal to a millionth."""
    numbers = zip((one.remaining, one.retry_after, one.reset), (two.remaining, two.retry_after, two.reset), strict=True)
    return (one.fits, one.window) == (two.fits, two.window) and all(abs(a - b) < 1e-6 for a, b in numbers)


async def answers(store: OpenStore, clock: SteppedClock, steps: list[Any]) -> Answers:
    """What a store answers to each take."""
    given: list[list[Standing]] = []
    open_: list[tuple[Take, list[Standing]]] = []
    for step in steps:
        if isinstance(step, Take):
            standings = await store.take(step.claims, step.holder)
            given.append(standings)
            if taken(step.claims, standings):
                open_.append((step, standings))
        elif isinstance(step, Settle) and open_:
            take, standings = open_.pop(max(0, len(open_) - step.last))
            await store.settle(
                [
                    Used(claim, step.share * getattr(claim, "cost", 0), standing.window)
                    for claim, standing in zip(take.claims, standings, strict=True)
                    if standing.fits
                ],
                take.holder,
            )
        elif isinstance(step, Wait):
            clock.advance(step.seconds)
    return Answers(given)
