"""What has been fetched from sources of prompts: served at once, fetched again behind the requests, bounded.

Must not know rules, nor what any service is asked.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakValueDictionary

from engine.ports.prompt_fetching import Fetched, FetchedPrompts, PromptName, SourceFailed
from engine.ports.prompt_text import PromptTemplate

if TYPE_CHECKING:
    from engine.document.moments import Clock
    from engine.ports.wire import Ways

log = logging.getLogger("pointsman.prompts")

MOST = 2_000  # prompts that are kept, and as many names for which there is none; the ones longest unused go first
ROOM = 64 * 1024 * 1024  # bytes of prompts, as they came
AT_ONCE = 8  # fetches from one source; further ones wait
_UNKNOWN_FOR = 10.0  # seconds for which a name that the source does not know is not asked for again
_FAILED_FOR = 1.0  # the same for a prompt that could not be had and was never had
_AGAIN = 5.0  # seconds until a prompt that could not be fetched again is tried once more

Key = tuple[str, PromptName]


class Wanted(NamedTuple):
    """A prompt that rules name as it is, so that it can be fetched before anybody asks."""

    source: FetchedPrompts
    name: PromptName


@dataclass(slots=True)
class _Kept:
    """A prompt that was had: until when it is fresh, and why it could not be fetched again last time."""

    template: PromptTemplate
    fresh_until: float
    size: int
    failing: bool = False


@dataclass(slots=True)
class _Missing:
    """A name without a prompt: the source knows none, or (then `why` says so) could not be asked."""

    until: float
    why: str = ""


class PromptCache:
    """The fetched prompts of a process. They outlive a reload: a source that is defined the same keeps its prompts.

    `counts` are (source, what): `fetched`, `unknown`, `failed` fetches, and `stale` servings while a source failed.
    """

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._missing: OrderedDict[Key, _Missing] = OrderedDict()
        self._running: dict[Key, asyncio.Task[Fetched | SourceFailed]] = {}
        self._gates: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._size = 0

    def known(self, source: FetchedPrompts, name: PromptName, clock: Clock, ways: Ways) -> PromptTemplate | None:
        """The prompt if it is here, without waiting; one that is no longer fresh is fetched again behind this."""
        key = source.address, name
        kept = self._kept.get(key)
        if kept is None or not source.ttl:
            return None
        self._kept.move_to_end(key)
        if clock.monotonic() >= kept.fresh_until:
            self._start(key, source, clock, ways)
        if kept.failing:
            self.counts[source.label, "stale"] += 1
        return kept.template

    async def find(self, source: FetchedPrompts, name: PromptName, clock: Clock, ways: Ways) -> PromptTemplate | None:
        """The prompt, asked for if it is not here; None when the source has none, SourceFailed when it cannot tell.

        Whoever asks for the same meanwhile waits for the same answer. One who no longer waits stops nothing.
        """
        known = self.known(source, name, clock, ways)
        if known is not None:
            return known
        key = source.address, name
        missing = self._missing.get(key)
        if missing is not None and clock.monotonic() < missing.until:
            if missing.why:
                raise SourceFailed(missing.why)
            return None
        got = await asyncio.shield(self._start(key, source, clock, ways))
        if isinstance(got, Fetched):
            return got.template
        kept = self._kept.get(key)
        if kept is None:
            raise got
        self.counts[source.label, "stale"] += 1
        return kept.template

    def prefetch(self, wanted: Iterable[Wanted], clock: Clock, ways: Ways) -> None:
        """Begin to fetch what is not here yet."""
        for source, name in wanted:
            if (source.address, name) not in self._kept:
                self._start((source.address, name), source, clock, ways)

    async def settled(self) -> None:
        """Wait until nothing is being fetched."""
        while self._running:
            await asyncio.wait(self._running.values())

    async def close(self) -> None:
        """Fetch no more."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)

    # --- fetching -----------------------------------------------------------------------------------------------------

    def _start(
        self, key: Key, source: FetchedPrompts, clock: Clock, ways: Ways
    ) -> asyncio.Task[Fetched | SourceFailed]:
        """The fetch under way for a prompt; there is one at a time."""
        task = self._running.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._fetch(key, source, clock, ways))
            self._running[key] = task
            task.add_done_callback(lambda _: self._running.pop(key, None))
        return task

    async def _fetch(self, key: Key, source: FetchedPrompts, clock: Clock, ways: Ways) -> Fetched | SourceFailed:
        gate = self._gates.get(source.address)
        if gate is None:
            gate = self._gates[source.address] = asyncio.Semaphore(AT_ONCE)
        try:
            async with gate:
                got = await source.fetch(key[1], ways(None))
        except Exception as error:  # noqa: BLE001  whoever waits must be told, whatever it was
            failed = error if isinstance(error, SourceFailed) else SourceFailed(type(error).__name__)
            self._failed(key, source, failed, clock.monotonic())
            return failed
        self._took(key, source, got, clock.monotonic())
        return got

    def _took(self, key: Key, source: FetchedPrompts, got: Fetched, now: float) -> None:
        before = self._forget(key)
        if before is not None and before.failing:
            log.warning("%s: prompt '%s' is fetched again", source.label, key[1].id)
        if got.template is None:
            self.counts[source.label, "unknown"] += 1
            self._miss(key, _Missing(now + _UNKNOWN_FOR))
            return
        self.counts[source.label, "fetched"] += 1
        self._missing.pop(key, None)
        self._kept[key] = _Kept(got.template, now + source.ttl, got.size)
        self._size += got.size
        while len(self._kept) > MOST or (self._size > ROOM and len(self._kept) > 1):
            self._forget(next(iter(self._kept)))

    def _failed(self, key: Key, source: FetchedPrompts, failed: SourceFailed, now: float) -> None:
        self.counts[source.label, "failed"] += 1
        kept = self._kept.get(key)
        if kept is None:
            log.warning("%s: prompt '%s' cannot be fetched: %s", source.label, key[1].id, failed)
            self._miss(key, _Missing(now + _FAILED_FOR, str(failed)))
            return
        if not kept.failing:
            log.warning(
                "%s: prompt '%s' cannot be fetched, the last good one serves: %s", source.label, key[1].id, failed
            )
        kept.failing, kept.fresh_until = True, now + _AGAIN

    def _miss(self, key: Key, missing: _Missing) -> None:
        self._missing.pop(key, None)
        self._missing[key] = missing
        if len(self._missing) > MOST:
            self._missing.popitem(last=False)

    def _forget(self, key: Key) -> _Kept | None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._size -= kept.size
        return kept
