"""What taking and settling mean, shown on the store in memory, and that it forgets what counts nothing any more."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from store_sequences import DAYS, STEPS, SteppedClock, answers

from engine.ports import store_memory
from engine.ports.store_memory import MemoryStore
from engine.ports.stores import Claim, Rate, Slots, Spend, Standing, Used


class Slow:
    """The same by copying everything before each call: what `take` means, without any care for time."""

    def __init__(self, clock: SteppedClock) -> None:
        self.clock = clock
        self.rates: dict[str, tuple[float, float]] = {}
        self.slots: dict[str, set[str]] = {}
        self.sums: dict[tuple[str, str], float] = {}

    async def take(self, claims: list[Claim], holder: str) -> list[Standing]:
        copies = deepcopy((self.rates, self.slots, self.sums))
        after = [self.one(claim, holder, take=True) for claim in claims]
        if all(standing.fits or claim.shadow for claim, standing in zip(claims, after, strict=True)):
            return after
        self.rates, self.slots, self.sums = copies
        before = [self.one(claim, holder, take=False) for claim in claims]
        return [then if now.fits else now for now, then in zip(after, before, strict=True)]

    def one(self, claim: Any, holder: str, *, take: bool) -> Standing:
        if isinstance(claim, Rate):
            level, now = self.level(claim), self.clock.monotonic()
            fits = level + min(claim.cost, claim.limit) <= claim.limit + 1e-6
            wait = (level + min(claim.cost, claim.limit) - claim.limit) * claim.period / claim.limit
            if take and fits:
                level += min(claim.cost, claim.limit)
                self.rates[claim.key] = level, now
            reset = level * claim.period / claim.limit
            return Standing(fits, max(0.0, claim.limit - level), 0.0 if fits else wait, reset)
        if isinstance(claim, Slots):
            held = self.slots.setdefault(claim.key, set())
            fits = holder in held or len(held) < claim.limit
            if take and fits:
                held.add(holder)
            return Standing(fits, max(0, claim.limit - len(held)), 0.0 if fits else 1.0)
        wall = self.clock.now().timestamp()
        label, end = next((day for day in claim.windows if day[1] > wall), claim.windows[-1])
        fits = self.sums.get((claim.key, label), 0.0) < claim.limit - 1e-9
        if take and fits:
            self.sums[claim.key, label] = self.sums.get((claim.key, label), 0.0) + claim.cost
        left = max(0.0, claim.limit - self.sums.get((claim.key, label), 0.0))
        return Standing(fits, left, 0.0 if fits else max(0.0, end - wall), max(0.0, end - wall), label)

    def level(self, claim: Rate) -> float:
        level, then = self.rates.get(claim.key, (0.0, 0.0))
        return max(0.0, level - (self.clock.monotonic() - then) * claim.limit / claim.period)

    async def settle(self, uses: list[Used], holder: str) -> None:
        for use in uses:
            claim = use.claim
            if isinstance(claim, Rate):
                level = self.level(claim) + use.used - min(claim.cost, claim.limit)
                self.rates[claim.key] = max(0.0, level), self.clock.monotonic()
            elif isinstance(claim, Slots):
                self.slots.get(claim.key, set()).discard(holder)
            else:
                key = claim.key, use.window
                self.sums[key] = max(0.0, self.sums[key] + use.used - claim.cost)


@given(STEPS)
async def test_it_answers_as_the_slow_way_does(steps: list[Any]) -> None:
    clock, slow_clock = SteppedClock(), SteppedClock()
    slow: Any = Slow(slow_clock)
    assert await answers(MemoryStore(clock), clock, steps) == await answers(slow, slow_clock, steps)


async def test_sixty_a_minute_is_sixty_at_once_and_then_one_a_second() -> None:
    clock = SteppedClock()
    store = MemoryStore(clock)
    claim = Rate("k", 60, 60.0)
    for n in range(60):
        assert (await store.take([claim], "h"))[0] == Standing(True, 59 - n, 0.0, n + 1.0)
    assert (await store.take([claim], "h"))[0] == Standing(False, 0.0, 1.0, 60.0)
    clock.advance(0.5)
    assert (await store.take([claim], "h"))[0].retry_after == 0.5
    clock.advance(0.5)
    assert (await store.take([claim], "h"))[0].fits
    assert not (await store.take([claim], "h"))[0].fits


@pytest.mark.parametrize("limit", [1, 7, 999, 1_000_000])
async def test_a_limit_lets_exactly_as_many_through_whatever_does_not_divide(limit: int) -> None:
    store = MemoryStore(SteppedClock())
    claim = Rate("k", limit, 86400.0, cost=limit / min(limit, 999))
    fitted = [(await store.take([claim], "h"))[0].fits for _ in range(1_100)]
    assert sum(fitted) == min(limit, 999)


async def test_a_cost_above_the_limit_waits_for_the_whole_limit() -> None:
    clock = SteppedClock()
    store = MemoryStore(clock)
    assert (await store.take([Rate("k", 10, 60, cost=10_000)], "h"))[0] == Standing(True, 0.0, 0.0, 60.0)
    assert (await store.take([Rate("k", 10, 60, cost=10_000)], "h"))[0].retry_after == 60.0


async def test_what_was_used_beyond_the_limit_is_owed() -> None:
    clock = SteppedClock()
    store = MemoryStore(clock)
    claim = Rate("k", 10, 60, cost=5)
    await store.take([claim], "h")
    await store.settle([Used(claim, 40)], "h")
    assert (await store.take([Rate("k", 10, 60)], "h"))[0] == Standing(False, 0.0, 186.0, 240.0)


async def test_claims_of_one_call_on_one_key_see_each_other() -> None:
    store = MemoryStore(SteppedClock())
    twice = [Rate("k", 3, 60, cost=2), Rate("k", 3, 60, cost=2)]
    assert [standing.fits for standing in await store.take(twice, "h")] == [True, False]
    assert (await store.take([Rate("k", 3, 60, cost=3)], "h"))[0].fits  # nothing was taken


async def test_who_has_a_slot_needs_no_second_one() -> None:
    store = MemoryStore(SteppedClock())
    slot = Slots("s", 1)
    assert [standing.fits for standing in await store.take([slot, slot], "a")] == [True, True]
    assert (await store.take([slot], "a"))[0] == Standing(True, 0)
    assert not (await store.take([slot], "b"))[0].fits
    await store.settle([Used(slot)], "b")
    assert not (await store.take([slot], "b"))[0].fits
    await store.settle([Used(slot), Used(slot)], "a")
    assert (await store.take([slot], "b"))[0].fits


async def test_a_shadow_is_never_in_the_way_and_takes_nothing_from_what_was_refused() -> None:
    store = MemoryStore(SteppedClock())
    shadow, real = Rate("s", 1, 60, shadow=True), Rate("r", 2, 60)
    assert [standing.fits for standing in await store.take([shadow, real], "h")] == [True, True]
    assert [standing.fits for standing in await store.take([shadow, real], "h")] == [False, True]
    other = Rate("o", 1, 60, shadow=True)
    assert [standing.fits for standing in await store.take([other, real], "h")] == [True, False]
    assert (await store.take([other], "h"))[0].remaining == 0


async def test_a_sum_is_settled_in_the_window_it_was_taken_in() -> None:
    clock = SteppedClock()
    store = MemoryStore(clock)
    claim = Spend("d", 1.0, DAYS, cost=0.75)
    first = (await store.take([claim], "h"))[0]
    assert first == Standing(True, 0.25, 0.0, 64800.0, "2026-10-08")
    clock.advance(64800.0)
    assert (await store.take([claim], "h"))[0].window == "2026-10-09"
    await store.settle([Used(claim, 5.0, first.window)], "h")
    assert (await store.take([claim], "h"))[0].remaining == 0.0
    clock.jump(-64800.0)
    assert (await store.take([claim], "h"))[0] == Standing(False, 0.0, 64800.0, 64800.0, "2026-10-08")


@pytest.mark.parametrize("aside", [0.1, 0.000625, 1 / 3])
async def test_a_sum_that_is_spent_is_spent_to_the_last_digit(aside: float) -> None:
    store = MemoryStore(SteppedClock())
    claim = Spend("d", 1.0, DAYS, cost=aside)
    for _ in range(10):
        window = (await store.take([claim], "h"))[0].window
        await store.settle([Used(claim, 0.1, window)], "h")
    assert not (await store.take([claim], "h"))[0].fits


async def test_what_counts_nothing_any_more_is_forgotten() -> None:
    clock = SteppedClock()
    store = MemoryStore(clock)
    for n in range(2_000):
        clock.advance(1.0)
        await store.take([Rate(f"r{n}", 10, 60.0), Slots(f"s{n}", 1)], "h")
        await store.settle([Used(Slots(f"s{n}", 1))], "h")
    assert len(store._counts._levels) < 30  # each counts for six seconds
    assert not store._counts._holders
    for day in range(500):
        ends = clock.now().timestamp() + 86400.0
        await store.take([Spend("d", 1.0, ((f"day {day}", ends),), 0.5)], "h")
        clock.advance(86400.0)
    assert len(store._counts._sums) < 10


async def test_values_end_and_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_memory, "ROOM", 10_000)
    clock = SteppedClock()
    store = MemoryStore(clock)
    await store.put("short", b"a", 5.0)
    await store.put("long", b"b", 50.0)
    clock.advance(5.0)
    assert (await store.get("short"), await store.get("long"), await store.get("none")) == (None, b"b", None)
    for n in range(100):
        await store.put(f"k{n}", b"x" * 800, 50.0)
        assert await store.get("long") == b"b"  # the one that is used stays
    assert (await store.get("k0"), await store.get("k99")) == (None, b"x" * 800)
    assert store._size <= 10_000
    await store.put("k99", b"y" * 20_000, 50.0)
    assert (await store.get("k99"), await store.get("long")) == (None, b"b")
    for n in range(10_000):
        await store.put(f"tiny {n}", b"", 50.0)
    assert len(store._values) < 60
