"""`memory`: state of this process alone, gone when it ends. Must not know what is counted."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from engine.catalogue import Example
from engine.ports.store_counts import LATE, Counts, Kept
from engine.ports.stores import Claim, OpenStore, Standing, Store, Used

if TYPE_CHECKING:
    from engine.document.moments import Clock

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

ROOM = 64 * 1024 * 1024  # bytes of values that are kept; the ones longest unused go first
_AROUND = 200  # bytes that keeping a value takes beside its own and those of its key


class Memory(Store, name="memory"):
    """State of this process: nothing to set up, gone when it ends, and every worker has its own.

    Kept values take 64 MiB at most; the ones longest unused go first.
    """

    address = "memory"

    examples = [Example("the built-in store under a name of its own", "here: memory")]

    def open(self, clock: Clock) -> OpenStore:
        return MemoryStore(clock)


class MemoryStore:
    """Nothing in it waits, so each call is atomic on its loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts = Numbers(clock)
        self._values: OrderedDict[str, tuple[bytes, float]] = OrderedDict()  # value, when its time is over
        self._size = 0

    async def take(self, claims: Sequence[Claim], holder: str) -> list[Standing]:
        counts = self._counts
        counts.log = [] if len(claims) > 1 else None  # a claim alone that does not fit has changed nothing
        return counts.take(claims, holder, self._clock.monotonic())

    async def settle(self, uses: Sequence[Used], holder: str) -> None:
        self._counts.settle(uses, holder, self._clock.monotonic())

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
        size = _size(key, value)
        if size > ROOM:
            return
        self._values[key] = value, self._clock.monotonic() + ttl
        self._size += size
        while self._size > ROOM:
            self._forget(next(iter(self._values)))

    async def close(self) -> None:
        """Nothing is held open."""

    def _forget(self, key: str) -> None:
        value, _ = self._values.pop(key)
        self._size -= _size(key, value)


class Numbers(Counts):
    """Counts in dictionaries. Each new key has two old ones looked at, and forgotten if they count nothing any more:
    there are never many more than those that do, and no call pays for all of them.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._levels: OrderedDict[str, Kept] = OrderedDict()
        self._sums: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()  # dollars, when it is forgotten
        self._holders: dict[str, set[str]] = {}
        self.log: list[tuple[Callable[..., Any], Any, Any]] | None = None  # how to undo what this call did

    def level(self, key: str) -> Kept | None:
        return self._levels.get(key)

    def set_level(self, key: str, level: float, now: float, lasts: float) -> None:
        levels = self._levels
        before = levels.get(key)
        if self.log is not None:
            self._note(levels, key, before)
        levels[key] = level, now, now + lasts
        if before is None:
            _pass_over(levels, lambda kept: kept[2] <= now)

    def held(self, key: str, holder: str, now: float) -> tuple[int, bool]:
        holders = self._holders.get(key)
        if not holders:
            return 0, False
        return len(holders), holder in holders

    def hold(self, key: str, holder: str, now: float) -> None:
        self._holders.setdefault(key, set()).add(holder)
        if self.log is not None:
            self.log.append((self.let_go, key, holder))

    def let_go(self, key: str, holder: str) -> None:
        holders = self._holders.get(key)
        if holders is not None:
            holders.discard(holder)
            if not holders:
                del self._holders[key]

    def spent(self, key: str, window: str) -> float | None:
        kept = self._sums.get((key, window))
        return None if kept is None else kept[0]

    def set_spent(self, key: str, window: str, spent: float, ends: float) -> None:
        before = self._sums.get((key, window))
        if self.log is not None:
            self._note(self._sums, (key, window), before)
        self._sums[key, window] = spent, ends + LATE
        if before is None:
            wall = self.wall()
            _pass_over(self._sums, lambda kept: kept[1] <= wall)

    def wall(self) -> float:
        return self._clock.now().timestamp()

    def undo(self) -> None:
        for change, key, before in reversed(self.log or ()):
            change(key, before)
        self.log = None

    def _note(self, kept: OrderedDict[K, V], key: K, before: V | None) -> None:
        assert self.log is not None
        self.log.append((kept.pop if before is None else kept.__setitem__, key, before))


def _pass_over(kept: OrderedDict[K, V], is_over: Callable[[V], bool]) -> None:
    """Forget the two that waited longest for a look, or let them wait again."""
    for _ in range(min(2, len(kept))):
        key = next(iter(kept))
        if is_over(kept[key]):
            del kept[key]
        else:
            kept.move_to_end(key)


def _size(key: str, value: bytes) -> int:
    return len(key) + len(value) + _AROUND
