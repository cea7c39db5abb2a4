"""`memory`: state of this process alone, gone when it ends. Must not know what is counted."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.catalogue import Example
from engine.ports.stores import Claim, OpenStore, Rate, Slots, Standing, Store, Used

if TYPE_CHECKING:
    from engine.document.exchange import Clock

ROOM = 64 * 1024 * 1024  # bytes of values that are kept; the ones longest unused go first
_SWEEP = 10_000  # keys from which on those that count nothing any more are looked for


class Memory(Store, name="memory"):
    """State of this process: nothing to set up, gone when it ends, and every worker has its own.

    Kept values take 64 MiB at most; the ones longest unused go first.
    """

    address = "memory"

    examples = [Example("the built-in store under a name of its own", "here: memory")]

    def open(self, clock: Clock) -> OpenStore:
        return MemoryStore(clock)


class MemoryStore:
    """Counts in dictionaries. Nothing in it waits, so each call is atomic on its loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._full_at: dict[str, float] = {}  # of rates: when all that was taken has flowed back (GCRA's TAT)
        self._spent: dict[tuple[str, str], list[float]] = {}  # key and window: dollars, end of the window
        self._held: dict[str, set[str]] = {}
        self._values: OrderedDict[str, tuple[bytes, float]] = OrderedDict()
        self._size = 0
        self._sweep_at = _SWEEP

    async def take(self, claims: Sequence[Claim], holder: str) -> list[Standing]:
        now = self._clock.monotonic()
        found = [self._look(claim, now) for claim in claims]
        for claim, standing in zip(claims, found, strict=True):
            if not standing.fits and not claim.shadow:
                return found
        return [
            self._take(claim, standing, holder, now) if standing.fits else standing
            for claim, standing in zip(claims, found, strict=True)
        ]

    async def settle(self, uses: Sequence[Used], holder: str) -> None:
        for use in uses:
            claim = use.claim
            if isinstance(claim, Rate):
                more = (use.used - min(claim.cost, claim.limit)) * claim.period / claim.limit
                now = self._clock.monotonic()
                self._full_at[claim.key] = max(self._full_at.get(claim.key, now), now) + more
            elif isinstance(claim, Slots):
                held = self._held.get(claim.key)
                if held is not None:
                    held.discard(holder)
                    if not held:
                        del self._held[claim.key]
            else:
                spent = self._spent.get((claim.key, use.window))
                if spent is not None:
                    spent[0] += use.used - claim.cost

    async def get(self, key: str) -> bytes | None:
        found = self._values.get(key)
        if found is None:
            return None
        if found[1] <= self._clock.monotonic():
            self._forget(key)
            return None
        self._values.move_to_end(key)
        return found[0]

    async def put(self, key: str, value: bytes, ttl: float) -> None:
        if key in self._values:
            self._forget(key)
        if len(value) > ROOM:
            return
        self._values[key] = value, self._clock.monotonic() + ttl
        self._size += len(value)
        while self._size > ROOM:
            self._forget(next(iter(self._values)))

    async def close(self) -> None:
        """Nothing is held open."""

    def _look(self, claim: Claim, now: float) -> Standing:
        """How a claim would stand if nothing were taken."""
        if isinstance(claim, Rate):
            unit = claim.period / claim.limit
            waiting = max(0.0, self._full_at.get(claim.key, now) - now)
            late = waiting + min(claim.cost, claim.limit) * unit - claim.period
            left = max(0.0, (claim.period - waiting) / unit)
            return Standing(late <= _ROUNDING, left, max(0.0, late), waiting)
        if isinstance(claim, Slots):
            left = claim.limit - len(self._held.get(claim.key, ()))
            return Standing(left > 0, max(0, left), 0.0 if left > 0 else 1.0)
        wall = self._clock.now().timestamp()
        label, end = next((window for window in claim.windows if window[1] > wall), claim.windows[-1])
        spent = self._spent.get((claim.key, label), (0.0,))[0]
        ends = max(0.0, end - wall)
        fits = spent < claim.limit
        return Standing(fits, max(0.0, claim.limit - spent), 0.0 if fits else ends, ends, label)

    def _take(self, claim: Claim, before: Standing, holder: str, now: float) -> Standing:
        """Take a claim that fits; two claims of one call may have one key, so nothing is remembered from looking."""
        if isinstance(claim, Rate):
            cost = min(claim.cost, claim.limit)
            if claim.key not in self._full_at and len(self._full_at) >= self._sweep_at:
                self._sweep(now)
            full_at = max(self._full_at.get(claim.key, now), now) + cost * claim.period / claim.limit
            self._full_at[claim.key] = full_at
            return Standing(True, max(0.0, before.remaining - cost), 0.0, full_at - now)
        if isinstance(claim, Slots):
            self._held.setdefault(claim.key, set()).add(holder)
            return Standing(True, before.remaining - 1)
        end = next(end for label, end in claim.windows if label == before.window)
        self._spent.setdefault((claim.key, before.window), [0.0, end])[0] += claim.cost
        return Standing(True, max(0.0, before.remaining - claim.cost), 0.0, before.reset, before.window)

    def _sweep(self, now: float) -> None:
        """Forget what counts nothing any more; the next look is when there is twice as much."""
        self._full_at = {key: at for key, at in self._full_at.items() if at > now}
        wall = self._clock.now().timestamp()
        self._spent = {key: spent for key, spent in self._spent.items() if spent[1] > wall}
        self._sweep_at = max(_SWEEP, 2 * len(self._full_at))

    def _forget(self, key: str) -> None:
        value, _ = self._values.pop(key)
        self._size -= len(value)


_ROUNDING = 1e-9  # seconds: sums of floats that should be even
