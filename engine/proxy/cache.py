"""The cache where an upstream would be called: gives a kept answer, or lets one be asked for and keeps what comes.

Of equal requests at the same time one asks, the leader, and the others wait for what it gets. Must not know rules, or
what becomes of an answer on its way to the client.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from engine.document.answers import Refusal, Refused
from engine.document.exchange import Exchange
from engine.language.values import EvaluationError
from engine.phases import CONVERSATIONS
from engine.ports.caching import Caching
from engine.ports.stores import OpenStore, StoreError, Stores
from engine.ports.wire import Arrival, Call, Transport
from engine.proxy.arrivals import passed_headers
from engine.proxy.cache_entry import Entry, Replayed, Unfit, from_stream, lasting, replayed, unpacked, whole
from engine.proxy.cache_key import key_of
from engine.proxy.cache_watch import Watched

log = logging.getLogger("pointsman")

_PATIENCE = 120.0  # seconds that a client waits for others at most, where its upstream has no time-out of its own
_LEADERS = 2  # that one client waits for in vain before it asks by itself


class Flight:
    """One answer that somebody is finding out: in the store, or from the upstream; None when it came to nothing."""

    __slots__ = ("landed",)

    def __init__(self) -> None:
        self.landed: asyncio.Future[Entry | None] = asyncio.get_running_loop().create_future()

    def land(self, entry: Entry | None) -> None:
        """Tell all who wait; only the first word counts."""
        if not self.landed.done():
            self.landed.set_result(entry)


@dataclass(slots=True)
class Asked:
    """One exchange at the cache. `flight` is its own: others wait for it."""

    x: Exchange
    caching: Caching
    key: str
    store: OpenStore
    reads: bool  # False: the client wants a fresh answer
    keeps: bool  # False: the client wants nothing kept
    flight: Flight | None = None
    waited: bool = False
    down: list[StoreError] = field(default_factory=list)


class Answers:
    """The answers that are kept, and those on their way."""

    def __init__(self, stores: Stores, failed: Callable[[str], None]) -> None:
        self._stores = stores
        self._failed = failed  # told of the kind of a store each time it fails
        self._flights: dict[str, Flight] = {}
        self._keeping: set[asyncio.Task[None]] = set()

    async def fetch(self, x: Exchange, call: Call, transport: Transport) -> Arrival:
        """The answer to a call, kept or fresh; UpstreamError, and Refused where the rule's on_error says so."""
        asked = self._asked(x, call)
        if asked is None:
            _calling(x)
            return await transport.send(call)
        x.cache_headers = (("x-pointsman-cache", "miss"),)
        try:
            if asked.reads:
                found = await self._found(asked, call.patience.first_byte or _PATIENCE)
                if found is not None:
                    return found
            _calling(x)
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
                _failed(x, caching, f"{type(wrong).__name__}: {wrong}")
                return None
            if key is not None:
                told = [word.strip().lower() for word in x.headers.get("cache-control", "").split(",")]
                store = self._stores(caching.store)
                return Asked(x, caching, key, store, "no-cache" not in told, "no-store" not in told)
            why = "every value of `key` is null"
        _note(x, caching, "skipped", why)
        return None

    # --- what is there already ---------------------------------------------------------------------------------------

    async def _found(self, asked: Asked, patience: float) -> Replayed | None:
        """A kept answer, or one that somebody else is getting; None when this exchange must ask, as the leader."""
        entry = await self._from_others(asked, patience)
        if entry is None:
            if asked.keeps and asked.key not in self._flights:
                asked.flight = self._flights[asked.key] = Flight()
            entry = await self._kept(asked)
        x = asked.x
        found = replayed(entry, x.dialect, x.sent) if entry is not None else None
        if entry is None or found is None:
            return None
        if asked.flight is not None:
            asked.flight.land(entry)
            self._over(asked)
        _hit(asked, entry)
        return found

    async def _from_others(self, asked: Asked, patience: float) -> Entry | None:
        """What the leader of equal requests gets. When it fails, the first who waits is the next one."""
        loop = asyncio.get_running_loop()
        until = loop.time() + patience
        for _ in range(_LEADERS):
            flight = self._flights.get(asked.key)
            if flight is None:
                break
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
            self._down(asked, down)
            if not asked.caching.allows:
                _failed(asked.x, asked.caching, f"the store is down: {down}")
            return None
        entry = unpacked(raw) if raw is not None else None
        return entry if entry is not None and _age(asked.x, entry) < asked.caching.ttl else None

    # --- what comes ---------------------------------------------------------------------------------------------------

    def _watched(self, asked: Asked, arrival: Arrival) -> Arrival:
        """A fresh answer that is kept when it has passed whole; one that cannot be kept keeps nobody waiting."""
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
        _note(asked.x, asked.caching, "acted", f"miss, not kept: {why}")
        self._over(asked)

    def _passed(self, asked: Asked, passed: Watched) -> None:
        """An answer has passed whole: keep it, beside what goes on with it."""
        task = asyncio.get_running_loop().create_task(self._keep(asked, passed))
        self._keeping.add(task)
        task.add_done_callback(self._keeping.discard)
        asked.x.keeping = task

    async def _keep(self, asked: Asked, passed: Watched) -> None:
        x, caching = asked.x, asked.caching
        try:
            body = _body(x, passed, caching.largest)
            entry = Entry(x.clock.now().timestamp(), lasting(passed_headers(passed, x)), body)
            if asked.flight is not None:
                asked.flight.land(entry)
            await self._put(asked, entry)
        except Unfit as why:
            _note(x, caching, "acted", f"miss, not kept: {why}")
        except Exception:
            log.exception("%s: rule %s: an answer could not be kept", x.id, caching.rule)
            _note(x, caching, "error", "the answer could not be kept")
        finally:
            self._over(asked)

    async def _put(self, asked: Asked, entry: Entry) -> None:
        x, caching = asked.x, asked.caching
        try:
            if not asked.down:
                await asked.store.put(asked.key, entry.packed(), caching.ttl)
        except StoreError as down:
            self._down(asked, down)
        if asked.down:
            log.warning("%s: rule %s: the store is down, an answer is not kept: %s", x.id, caching.rule, asked.down[0])
            _note(x, caching, "skipped", f"the store is down: {asked.down[0]}")
        else:
            _note(x, caching, "acted", "miss, kept")

    def _down(self, asked: Asked, down: StoreError) -> None:
        asked.down.append(down)
        self._failed(asked.caching.store.name)

    def _over(self, asked: Asked) -> None:
        """This exchange finds nothing out any more: who still waits looks after itself."""
        flight = asked.flight
        if flight is not None:
            if self._flights.get(asked.key) is flight:
                del self._flights[asked.key]
            flight.land(None)


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


def _body(x: Exchange, passed: Watched, largest: int) -> bytes:
    """What of an answer that has passed is kept; Unfit."""
    if passed.streamed:
        return from_stream(passed.passed, passed.coding, largest, x.dialect)
    return whole(passed.passed, passed.coding, largest)


def _hit(asked: Asked, entry: Entry) -> None:
    """Note that no upstream answers, and so that nobody waited for one and nothing is owed to one."""
    x, age = asked.x, int(_age(asked.x, entry))
    x.cache_hit, x.cost = True, 0.0
    x.attempts -= 1
    x.when_called = None
    if not asked.waited:
        x.called = None
    x.cache_headers = (("x-pointsman-cache", "hit"), ("age", str(age)))
    _note(x, asked.caching, "acted", f"hit, {age} s old")


def _age(x: Exchange, entry: Entry) -> float:
    return max(0.0, x.clock.now().timestamp() - entry.at)


def _calling(x: Exchange) -> None:
    """An upstream is asked indeed: what waited for that begins."""
    waiting, x.when_called = x.when_called or (), None
    for begin in waiting:
        begin()


def _failed(x: Exchange, caching: Caching, why: str) -> None:
    """An error of the rule: Refused, unless it says `on_error: skip`."""
    log.warning("rule %s failed in request: %s", caching.rule, why)
    _note(x, caching, "error", why)
    plan = x.program.plans.get(("request", x.call_type or ""))
    if any(step.rule == caching.rule and step.skip_errors for step in (plan.steps if plan is not None else ())):
        return
    raise Refused(
        Refusal(
            500,
            f"rule {caching.rule} failed",
            type="rule_error",
            code="rule_failed",
            source="rule_error",
            rule=caching.rule,
        )
    )


def _note(x: Exchange, caching: Caching, result: str, why: str) -> None:
    """What came of the rule, in place of what was noted when it declared the cache."""
    for at, (rule, phase, _, _, seconds) in enumerate(x.outcomes):
        if rule == caching.rule and phase == "request":
            x.outcomes[at] = (rule, phase, result, why, seconds)
