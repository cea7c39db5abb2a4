"""A compiled set of rules: immutable, pinned by every exchange from start to end.

Must not know YAML, options or how an exchange runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

from engine.actions.base import Apply
from engine.document.exchange import Exchange
from engine.phases import Phase
from engine.ports.hooks import Rewrite
from engine.ports.prices import Prices
from engine.ports.prompt_cache import Wanted
from engine.rules.models import Models, Upstream
from engine.rules.networks import Networks

Test = Callable[[Exchange], bool]


@dataclass(frozen=True, slots=True)
class Step:
    """One rule in one phase, with everything decided.

    `acts` are pairs of an `if` (or None) and what the action does; `timeouts` are the seconds that each may wait.
    `observed` says of a rule that observes and asks or counts: for each action what comes in its place.
    `undo`: a failure must take back what earlier actions wrote. `asks_again`: it may write what the index has read.
    """

    position: int
    rule: str
    file: str
    phase: str
    matches: Test | None
    unless: Test | None
    lets_in: Test | None  # `enabled` and `expires`
    acts: tuple[tuple[Test | None, Apply], ...]
    act: Apply  # all of them as one, where none waits
    observe: bool
    skip_errors: bool
    undo: bool
    stop: bool
    timeout: float
    timeouts: tuple[float, ...] = ()
    observed: tuple[Observed, ...] = ()
    waits: bool = False
    named: bool = True  # in `matched`; False for an entry of `callbacks:`
    plain: bool = True  # where its match holds, it acts: no `unless`, no share, no second phase or attempt
    asks_again: bool = False
    simple: bool = False  # plain, and nothing of `undo`, `waits`, `stop`, `asks_again` and checkpoints


@dataclass(frozen=True, slots=True)
class Observed:
    """An action of a rule that only observes: whether it `runs` all the same, on a copy of the exchange; what counts
    in its place what it would have found; its `shadow`, which runs on the exchange itself.
    """

    name: str
    runs: bool
    count: Callable[[Exchange], int] | None
    shadow: Apply | None


class Lookup(Protocol):
    """Finds the steps that can match; `after` is the position of the last step that ran."""

    def __call__(self, exchange: Exchange, after: int = -1, /) -> Sequence[Step]: ...


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of one phase for one call type. `lookup` is the fast way, `steps` all of them in order."""

    phase: Phase
    steps: tuple[Step, ...]
    lookup: Lookup
    waits: bool


@dataclass(frozen=True, slots=True)
class Needs:
    """What any rule reads of the costly parts, so that the rest is never made.

    `answer`: whether the parsed answer is wanted on the way to the client; `assembled`: whether a stream's whole body
    is wanted afterwards; `told`: whether what it tells beside its text is, such as an error; `usage`: whether tokens
    are, and must be asked for; `cost`: whether dollars are; `cost_before`: whether they are before the client has its
    answer; `holds`: whether streams must be collected before the client sees them.
    """

    answer: bool = False
    assembled: bool = False
    told: bool = False
    usage: bool = False
    cost: bool = False
    cost_before: bool = False
    holds: bool = False


def _may_hold(test: Test, x: Exchange) -> bool:
    """A match that fails is an error of its rule, which says so when it runs."""
    try:
        return test(x)
    except Exception:  # noqa: BLE001  said where the rule runs
        return True


@dataclass(frozen=True)
class Program:
    """Everything that one version of the rules says."""

    version: str
    server: Any
    models: Models
    upstreams: dict[str, Upstream]
    keys: dict[bytes, dict[str, Any]]  # SHA-256 of the key: what rules see as `key`
    plans: dict[tuple[str, str], Plan]
    needs: dict[str, Needs]  # by call type
    sinks: dict[str, Any]
    prices: Prices
    rule_names: tuple[str, ...]
    holding: dict[str, tuple[Test | None, ...]]  # by call type: response rules that hold streams, unless the test fails
    streams: Mapping[str, tuple[Any, ...]]  # by call type: the stream rules (`stream_rules`), in order
    trusted_proxies: Networks | None
    exposes_rules: bool
    rewrites: tuple[Rewrite, ...] = ()  # callbacks over streams, in order
    prompts: tuple[Wanted, ...] = ()  # that rules and models name as they are, to be fetched at start
    key_ends: Mapping[str, date] = field(default_factory=dict)  # last days of keys, by name
    stores: tuple[Any, ...] = ()  # in file order
    unheld: tuple[str, ...] = ()  # callbacks of the response phase, which hold no stream and so miss it
    writers: frozenset[str] = frozenset()  # rules that can change a request, an answer or an error
    traced: bool = False  # some sink makes spans of records
    spool: str = ""  # the folder for records of these rules that cannot be written yet

    @property
    def open(self) -> bool:
        """Whether anybody who reaches the gateway may call."""
        return not self.keys and self.server.auth is None

    def holds(self, x: Exchange) -> bool:
        """Whether some response rule must see a streamed answer whole before the client does."""
        tests = self.holding.get(x.call_type or "")
        return tests is not None and any(test is None or _may_hold(test, x) for test in tests)

    def plan(self, phase: Phase, call_type: str | None) -> Plan | None:
        """The rules of a phase for a call type; None when there are none."""
        return self.plans.get((phase.name, call_type or ""))
