"""Where limits, budgets and caches keep their state: what is asked of a store, and what it answers.

A store counts; it decides nothing else. Everything an exchange asks of one store is asked in one atomic call. Must not
know rules or exchanges. Nobody changes a claim or a standing: they are not frozen only because that takes longer.
"""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from engine.catalogue import CATALOGUE, Entry, Scope
from engine.cures import cure
from engine.errors import did_you_mean
from engine.options import BAD, found
from engine.ports.kinds import OneKind
from engine.source import Node, Scalar

if TYPE_CHECKING:
    from engine.document.moments import Clock

log = logging.getLogger("pointsman.stores")

LEASE = 30.0
"""Seconds after which a slot comes back whose holder died without giving it back; living holders renew theirs."""


class StoreError(Exception):
    """A store cannot be reached, or answered something that is no answer; the text says what, without credentials."""


@dataclass(slots=True)
class Rate:
    """So many units of a rate, which flows evenly (GCRA): `limit` per `period` seconds, `limit` at once at most.

    A cost above the limit is asked for as the whole limit: it has to wait for it, but not for ever.
    """

    key: str
    limit: float
    period: float
    cost: float = 1.0
    shadow: bool = False  # counted where it fits, and never in the way


@dataclass(slots=True)
class Slots:
    """One of `limit` slots that may be held at once."""

    key: str
    limit: int
    shadow: bool = False


@dataclass(slots=True)
class Spend:
    """Part of a sum that may be spent in a window of the calendar; `cost` is set aside until it is settled.

    It fits while less than `limit` is spent and set aside. `windows` are label and end (Unix seconds) of the windows
    around now, in order: the store's own clock says which of them it is.
    """

    key: str
    limit: float
    windows: tuple[tuple[str, float], ...]
    cost: float = 0.0
    shadow: bool = False


Claim = Rate | Slots | Spend


@dataclass(slots=True)
class Standing:
    """How it stands with a claim after it was taken, or as it could not be.

    `remaining` is in units, slots or dollars; `retry_after` the seconds until it would fit (0 when it did), `reset`
    those until nothing of the limit is used. `window` is the label of a Spend's window.
    """

    fits: bool
    remaining: float
    retry_after: float = 0.0
    reset: float = 0.0
    window: str = ""


@dataclass(slots=True)
class Used:
    """What came of a claim that was taken: `used` units or dollars instead of its cost. A slot is given back."""

    claim: Claim
    used: float = 0.0
    window: str = ""


def taken(claims: Sequence[Claim], standings: Sequence[Standing]) -> bool:
    """Whether a call to `take` that answered these standings took its claims."""
    return all(standing.fits or claim.shadow for claim, standing in zip(claims, standings, strict=True))


class OpenStore(Protocol):
    """A store at work. Every method may raise StoreError, soon: an exchange waits for it."""

    async def take(self, claims: Sequence[Claim], holder: str) -> list[Standing]:
        """Take all claims, or none when one that is no shadow does not fit; atomic.

        `holder` is who holds slots: unique in this process, and nothing that clients choose. Who has a slot already
        needs no second one. A standing for each claim, in order; after a refusal as they were before. Claims on one
        key see what those before them take. A call that is cancelled takes nothing: what was taken is given back.
        """

    async def settle(self, uses: Sequence[Used], holder: str) -> None:
        """Correct what was taken by what was used, and give slots back. Twice is once, for slots.

        What is given back of a rate counts from now on, also where it would have flowed back meanwhile; a rate that
        was used beyond its limit owes the rest.
        """

    async def get(self, key: str) -> bytes | None:
        """A value that was put and whose time is not over."""

    async def put(self, key: str, value: bytes, ttl: float) -> None:
        """Keep a value for `ttl` seconds, if there is room; 0 forgets the key."""

    async def close(self) -> None:
        """Give slots back that are still held, and close connections."""


@runtime_checkable
class SharedStore(OpenStore, Protocol):
    """A store whose values other machines see, too."""

    async def add(self, key: str, amount: float, ttl: float) -> float:
        """Add to a number, 0 to begin with, and give the sum; `ttl` counts from the first addition."""


class Store(Entry, kind="store"):
    """A kind of store, as a file names it. `address` tells two apart; it may hold credentials and is never shown.

    `shared`: what is opened is a SharedStore.
    """

    address: str = ""
    shared: ClassVar[bool] = False

    @abstractmethod
    def open(self, clock: Clock) -> OpenStore:
        """The store at work; connects when first asked."""


class StoreSection(OneKind, kind="store", noun="a store", sample="shared: {redis: os.environ/REDIS_URL}"):
    """The value of a name in `stores`."""


class StoreRef:
    """The name of a store, or `memory`; read as the Store."""

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": "string"}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            scope.problem(
                "wrong-type",
                f"expected the name of a store, found {found(node)}",
                node.span,
                help=cure(node, {"type": "string"}) or "names are defined in `stores`; `memory` is built in",
            )
            return BAD
        if node.value == "memory" and "memory" not in scope.tables.get("store", {}):
            return memory()
        table = scope.tables.get("store", {})
        if node.value not in table:
            known = ["memory", *table]
            help = did_you_mean(node.value, known, "define it under `stores`; `memory` is built in")
            scope.problem("unknown-store", f"unknown store `{node.value}`", node.span, help=help)
            return BAD
        scope.used.add(("store", node.value))
        return table[node.value]


def memory() -> Store:
    """The built-in store, the default."""
    store: Store = CATALOGUE["store"]["memory"].defaults()
    return store


class Stores:
    """The open stores of a process. They outlive a reload: what was counted stays counted.

    `opens` says how a store is opened; tests keep all of them in memory.
    """

    def __init__(self, clock: Clock, opens: Callable[[Store, Clock], OpenStore] | None = None) -> None:
        self._clock = clock
        self._opens = opens or (lambda store, clock: store.open(clock))
        self._open: dict[str, OpenStore] = {}

    def __call__(self, store: Store) -> OpenStore:
        """The open store of a definition."""
        known = self._open.get(store.address)
        if known is None:
            known = self._open[store.address] = self._opens(store, self._clock)
        return known

    async def close(self) -> None:
        """Close all, also where one cannot be closed in order."""
        stores = list(self._open.values())
        self._open.clear()
        for done in await asyncio.gather(*[store.close() for store in stores], return_exceptions=True):
            if isinstance(done, BaseException):
                log.warning("a store could not be closed in order: %s", done)
