"""What it means to take claims and to settle them, for stores that keep their numbers in this process or in a file.

Stores say how numbers are read and written; scripts in `redis_scripts.py` do the same sums inside a server. Must not
know where numbers are kept.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from engine.ports.stores import Claim, Rate, Slots, Spend, Standing, Used

ROUNDING = 1e-6  # units that may lack: sums of floats that should be even
DUST = 1e-9  # dollars that are none: what was set aside and given back may leave as much
LATE = 86_400.0  # seconds for which a window that is over is remembered, for what is settled late
FULL = 1.0  # seconds after which it is worth to ask for a slot again: nobody knows when one comes back


Kept = tuple[float, float, float]
"""Of a rate: units that were used, when that was, when they will all have flowed back."""


class Counts(ABC):
    """Numbers by key. A rate is the units that are used and have not flowed back yet, and when that was so: the leaky
    bucket, which is GCRA with its sum in units, so that counting by ones never rounds and a change of the limit keeps
    what was counted.
    """

    def take(self, claims: Sequence[Claim], holder: str, now: float) -> list[Standing]:
        """Take all or nothing. Each claim sees what those before it took, also where two have one key."""
        standings = []
        refused = False
        for claim in claims:
            standing = self._try(claim, holder, now)
            standings.append(standing)
            if not standing.fits and not claim.shadow:
                refused = True
        if not refused:
            return standings
        self.undo()
        return [
            self._look(claim, holder, now) if standing.fits else standing
            for claim, standing in zip(claims, standings, strict=True)
        ]

    def settle(self, uses: Sequence[Used], holder: str, now: float) -> None:
        """Put what was used in the place of what was taken."""
        for use in uses:
            claim = use.claim
            if isinstance(claim, Rate):
                level = self._level(claim, now) + use.used - min(claim.cost, claim.limit)
                self.set_level(claim.key, max(0.0, level), now, max(0.0, level) * claim.period / claim.limit)
            elif isinstance(claim, Slots):
                self.let_go(claim.key, holder)
            else:
                self._settle_spend(claim, use)

    # --- how numbers are kept -----------------------------------------------------------------------------------------

    @abstractmethod
    def level(self, key: str) -> Kept | None:
        """What is known of a rate."""

    @abstractmethod
    def set_level(self, key: str, level: float, now: float, lasts: float) -> None:
        """Keep units; after `lasts` seconds they have flowed back and the key means nothing any more."""

    @abstractmethod
    def held(self, key: str, holder: str, now: float) -> tuple[int, bool]:
        """How many slots are held, and whether the holder has one of them."""

    @abstractmethod
    def hold(self, key: str, holder: str, now: float) -> None:
        """Give a slot."""

    @abstractmethod
    def let_go(self, key: str, holder: str) -> None:
        """Take a slot back."""

    @abstractmethod
    def spent(self, key: str, window: str) -> float | None:
        """Dollars of a window."""

    @abstractmethod
    def set_spent(self, key: str, window: str, spent: float, ends: float) -> None:
        """Keep dollars until LATE after the window's end."""

    @abstractmethod
    def wall(self) -> float:
        """The time by the calendar, in Unix seconds."""

    @abstractmethod
    def undo(self) -> None:
        """Bring back everything as it was before this call to `take`."""

    # --- claims -------------------------------------------------------------------------------------------------------

    def _try(self, claim: Claim, holder: str, now: float) -> Standing:
        """Take a claim if it fits: how it stands then."""
        if isinstance(claim, Rate):
            limit, cost = claim.limit, claim.cost
            level = self._level(claim, now) + (cost if cost < limit else limit)  # noqa: FURB136  half of min's time
            if level - limit > ROUNDING:
                return self._look(claim, holder, now)
            lasts = level * claim.period / limit
            self.set_level(claim.key, level, now, lasts)
            return Standing(True, limit - level if level < limit else 0.0, 0.0, lasts)
        if isinstance(claim, Slots):
            count, mine = self.held(claim.key, holder, now)
            if mine or count >= claim.limit:
                return self._look(claim, holder, now)
            self.hold(claim.key, holder, now)
            return Standing(True, claim.limit - count - 1)
        wall = self.wall()
        label, end = _window(claim, wall)
        spent = self.spent(claim.key, label) or 0.0
        if claim.limit - spent <= DUST:
            return self._look(claim, holder, now)
        spent += claim.cost
        self.set_spent(claim.key, label, spent, end)
        return Standing(True, max(0.0, claim.limit - spent), 0.0, max(0.0, end - wall), label)

    def _look(self, claim: Claim, holder: str, now: float) -> Standing:
        """How a claim stands while nothing of it is taken."""
        if isinstance(claim, Rate):
            level, unit = self._level(claim, now), claim.period / claim.limit
            lacking = level + min(claim.cost, claim.limit) - claim.limit
            fits = lacking <= ROUNDING
            return Standing(fits, max(0.0, claim.limit - level), 0.0 if fits else lacking * unit, level * unit)
        if isinstance(claim, Slots):
            count, mine = self.held(claim.key, holder, now)
            fits = mine or count < claim.limit
            return Standing(fits, max(0, claim.limit - count), 0.0 if fits else FULL)
        wall = self.wall()
        label, end = _window(claim, wall)
        spent = self.spent(claim.key, label) or 0.0
        fits, left = claim.limit - spent > DUST, max(0.0, end - wall)
        return Standing(fits, max(0.0, claim.limit - spent), 0.0 if fits else left, left, label)

    def _level(self, claim: Rate, now: float) -> float:
        """Units that have not flowed back; while a clock stands before its last use, none flow."""
        kept = self.level(claim.key)
        if kept is None:
            return 0.0
        level, since, _ = kept
        if now > since:
            level -= (now - since) * claim.limit / claim.period
        return level if level > 0.0 else 0.0  # noqa: FURB136  half of max's time

    def _settle_spend(self, claim: Spend, use: Used) -> None:
        ends = dict(claim.windows).get(use.window)
        if ends is None:
            return
        spent = self.spent(claim.key, use.window)
        # what was set aside may be forgotten, when a store lost its state; what was spent counts all the same
        self.set_spent(
            claim.key, use.window, use.used if spent is None else max(0.0, spent + use.used - claim.cost), ends
        )


def _window(claim: Spend, wall: float) -> tuple[str, float]:
    """The window that a moment falls into, by label and end."""
    for window in claim.windows:
        if window[1] > wall:
            return window
    return claim.windows[-1]
