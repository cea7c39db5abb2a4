"""The cache where an upstream would be called: gives a kept answer, or lets one be asked for and keeps what comes.

Of equal requests at the same time one asks, the leader, and the others wait for what it gets. Must not know rules, or
what becomes of an answer on its way to the client.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from engine.document.exchange import Exchange
from engine.language.values import EvaluationError
from engine.phases import CONVERSATIONS
from engine.ports.caching import Caching
from engine.ports.stores import OpenStore, StoreError, Stores
from engine.ports.wire import Arrival, Call, Transport
from engine.proxy.arrivals import passed_headers
from engine.proxy.cache_entry import Entry, Replayed, Unfit, from_stream, lasting, replayed, unpacked, whole
from engine.proxy.cache_key import key_of
from engine.proxy.cache_notes import MISS, age_of, calling, came_to, failed, hit, not_kept
from engine.proxy.cache_watch import Watched

log = logging.getLogger("pointsman")

_PATIENCE = 120.0  # seconds that a client waits for others at most, where its upstream has no time-out of its own
_LEADERS = 2  # for whom one client waits in vain before it asks by itself


class Flight:
    """One answer that somebody is finding out, in the store or from the upstream; None when it came to nothing."""

    __slots__ = ("landed",)

    def __init__(self) -> None:
        self.landed: asyncio.Future[Entry | None] = asyncio.get_running_loop().create_future()

    def land(self, entry: Entry | None) -> None:
        """Tell all who wait; only the first word counts."""
        if not self.landed.done():
            self.landed.set_result(entry)


@dataclass(slots=True)
class Asked:
    """One exchange at the cache.

    `reads`: the client takes a kept answer; `keeps`: it lets this one be kept. `flight` is its own: others wait for it.
    `down`: what the store could not do. `off`: the rule failed, and has no part in the exchange any more.
    """

    x: Exchange
    caching: Caching
    key: str
    store: OpenStore
    reads: bool
    keeps: bool
    flight: Flight | None = None
    waited: bool = False
    down: StoreError | None = None
    off: bool = False


class Answers:
    """The answers that are kept, and those on their way; one for each process."""

    def __init__(self, stores: Stores, store_failed: Callable[[str], None]) -> None:
        self._stores = stores
        self._store_failed = store_failed  # told of the kind of a store each time it fails
        self._flights: dict[str, Flight] = {}
        self._keeping: set[asyncio.Task[None]] = set()
        self._down: set[str] = set()  # stores of which it was said already

    async def fetch(self, x: Exchange, call: Call, transport: Transport) -> Arrival:
        """The answer to a call, kept or fresh; UpstreamError, and Refused where the rule failed."""
        asked = self._asked(x, call)
        if asked is None:
            calling(x)
            return await transport.send(call)
        x.cache_headers = MISS
        try:
            if asked.reads:
                found = await self._found(asked, _patience(call))
                if found is not None:
                    return found
            calling(x)
            return self._watched(asked, await transport.send(call))
        except BaseException:
            self._over(asked)
            raise

    def _asked(self, x: Exchange, call: Call) -> Asked | None:
        """What is asked of the cache; None where it has no part in this exchange, which the record then says."""
        caching: Caching = x.caching
        why = _unfit(x)
        if not why:
            try:
                key = key_of(x, call, caching)
            except EvaluationError as wrong:
                failed(x, f"{type(wrong).__name__}: {wrong}")
                return None
            if key is not None:
                told = [word.strip().lower() for word in x.headers.get("cache-control", "").split(",")]
                store = self._stores(caching.store)
                return Asked(x, caching, key, store, "no-cache" not in told, "no-store" not in told)
            why = "every value of `key` is null"
        came_to(x, "skipped", why)
        return None

    # --- what is there already ---------------------------------------------------------------------------------------

    async def _found(self, asked: Asked, patience: float) -> Replayed | None:
        """A kept answer, or one that somebody else is getting; None when this exchange must ask, as the leader."""
        entry = await self._from_others(asked, patience)
        if entry is None:
            if asked.keeps and asked.key not in self._flights:
                asked.flight = self._flights[asked.key] = Flight()
            entry = await self._kept(asked)
        found = replayed(entry, asked.x.dialect, asked.x.sent) if entry is not None else None
        if entry is None or found is None:
            return None
        if asked.flight is not None:
            asked.flight.land(entry)
            self._over(asked)
        hit(asked.x, entry, waited=asked.waited)
        return found

    async def _from_others(self, asked: Asked, patience: float) -> Entry | None:
        """What the leader of equal requests gets. When it fails, the first who waits is the next one."""
        loop = asyncio.get_running_loop()
        until = loop.time() + patience
        for _ in range(_LEADERS):
            flight = self._flights.get(asked.key)
            if flight is None:
                break
            if not flight.landed.done():
                asked.waited = True
                await asyncio.wait({flight.landed}, timeout=max(0.0, until - loop.time()))
            if not flight.landed.done():
                break
            entry = flight.landed.result()
            if entry is not None:
                return entry
        return None

    async def _kept(self, asked: Asked) -> Entry | None:
        """What the store has, as long as this rule lets an answer live."""
        try:
            raw = await asked.store.get(asked.key)
        except StoreError as down:
            self._note_down(asked, down)
            if not asked.caching.allows:
                asked.off = True
                failed(asked.x, str(down))
            return None
        self._down.discard(asked.caching.store.address)
        entry = unpacked(raw) if raw is not None else None
        return entry if entry is not None and age_of(asked.x, entry) < asked.caching.ttl else None

    # --- what comes ---------------------------------------------------------------------------------------------------

    def _watched(self, asked: Asked, arrival: Arrival) -> Arrival:
        """A fresh answer that is kept when it has passed whole; one that cannot be kept keeps nobody waiting."""
        if asked.off:
            self._over(asked)
            return arrival
        if not asked.keeps:
            self._not_kept(asked, "the client says no-store")
            return arrival
        if arrival.status != 200:
            self._not_kept(asked, f"its status is {arrival.status}")
            return arrival
        passing = Watched(
            arrival,
            asked.caching.largest,
            lambda passed: self._passed(asked, passed),
            lambda why: self._not_kept(asked, why),
        )
        if passing.streamed and asked.x.call_type not in CONVERSATIONS:
            passing.give_up("it is a stream of no conversation")
        return passing

    def _not_kept(self, asked: Asked, why: str) -> None:
        not_kept(asked.x, why)
        self._over(asked)

    def _passed(self, asked: Asked, passed: Watched) -> None:
        """An answer has passed whole: keep it, beside what goes on with it."""
        task = asyncio.get_running_loop().create_task(self._keep(asked, passed))
        self._keeping.add(task)
        task.add_done_callback(self._keeping.discard)
        asked.x.keeping = task

    async def _keep(self, asked: Asked, passed: Watched) -> None:
        x, largest = asked.x, asked.caching.largest
        try:
            if passed.streamed:
                body = from_stream(passed.passed, passed.coding, largest, x.dialect)
            else:
                body = whole(passed.passed, passed.coding, largest)
            entry = Entry(x.clock.now().timestamp(), lasting(passed_headers(passed, x)), body)
            if asked.flight is not None:
                asked.flight.land(entry)
            await self._put(asked, entry)
        except Unfit as why:
            not_kept(x, str(why))
        except Exception:
            log.exception("%s: rule %s: an answer could not be kept", x.id, asked.caching.rule)
            came_to(x, "error", "the answer could not be kept")
        finally:
            self._over(asked)

    async def _put(self, asked: Asked, entry: Entry) -> None:
        if asked.down is None:
            try:
                await asked.store.put(asked.key, entry.packed(), asked.caching.ttl)
            except StoreError as down:
                self._note_down(asked, down)
        if asked.down is None:
            came_to(asked.x, "acted", "miss, kept")
        else:
            came_to(asked.x, "skipped", f"miss, not kept: {asked.down}")

    def _note_down(self, asked: Asked, down: StoreError) -> None:
        asked.down = down
        self._store_failed(asked.caching.store.name)
        if asked.caching.store.address not in self._down:
            self._down.add(asked.caching.store.address)
            log.warning("rule %s: answers are neither found nor kept: %s", asked.caching.rule, down)

    def _over(self, asked: Asked) -> None:
        """This exchange finds nothing out any more: who still waits looks after himself."""
        flight = asked.flight
        if flight is not None:
            if self._flights.get(asked.key) is flight:
                del self._flights[asked.key]
            flight.land(None)


def _patience(call: Call) -> float:
    """How long to wait for what others ask: no longer than an upstream would be waited for."""
    limits = [limit for limit in (call.patience.first_byte, call.patience.total) if limit is not None]
    return min(limits, default=_PATIENCE)


def _unfit(x: Exchange) -> str:
    """Why a request cannot be answered from a cache; empty where it can."""
    if x.uploads is not None:
        return "a request with files"
    if x.call_type not in CONVERSATIONS and x.sent.get("stream") is True:
        return "a stream of no conversation"
    if x.call_type == "responses":
        if x.sent.get("conversation") is not None:
            return "its `conversation` goes on with every request"
        if x.sent.get("background") is True:
            return "its answer comes in the background"
    return ""
