"""A compile of the same rules that notes what each part of them came to: every condition, every action, its time.

The verdicts themselves are the executor's. Must not know how a trace is shown, or what the served program decided.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from engine.document.answers import Answer
from engine.document.exchange import Exchange
from engine.language.condition import AllOf, AnyOf, Condition, Finding, Negated, Tree
from engine.options import MISSING
from engine.phases import Phase
from engine.rules.program import Test
from engine.rules.rule import Rule
from engine.rules.wrap import Act, Wrap
from engine.runtime.explain_changes import Change, changes, state_of


@dataclass(slots=True)
class Asked:
    """A condition that was asked.

    `holds` is None when asking it failed; then `error` says why. `finding`: how the verdict came about, part by part;
    None for `enabled`, which is no condition. `at_odds`: the finding does not explain the verdict.
    """

    holds: bool | None = None
    finding: Finding | None = None
    error: str = ""
    seconds: float = 0.0

    @property
    def at_odds(self) -> bool:
        return self.finding is not None and self.finding.holds is not self.holds


@dataclass(slots=True)
class Ran:
    """An action that ran. `effect`: None when it acted, NOOP, an answer; MISSING when it failed (`error` says why)."""

    effect: Any = MISSING
    changes: list[Change] = field(default_factory=list)
    error: str = ""
    seconds: float = 0.0


@dataclass(slots=True)
class StepTrace:
    """What one rule came to in one phase. Conditions of actions (`ifs`) and actions by their place in the rule."""

    tests: dict[str, Asked] = field(default_factory=dict)  # match, unless, enabled
    ifs: dict[int, Asked] = field(default_factory=dict)
    acts: dict[int, Ran] = field(default_factory=dict)
    value: Any = MISSING  # what `enabled` hashed

    @property
    def seconds(self) -> float:
        """The time that the rule took, without that of the tracing."""
        return sum(one.seconds for part in (self.tests, self.ifs, self.acts) for one in part.values())

    @property
    def answer(self) -> Answer | None:
        """The answer that one of its actions gave."""
        return next((ran.effect for ran in self.acts.values() if isinstance(ran.effect, Answer)), None)

    @property
    def failed(self) -> str:
        """Why it failed; empty when it did not."""
        return next((one.error for part in (self.tests, self.ifs, self.acts) for one in part.values() if one.error), "")


class Trace(Wrap):
    """Collects the traces of all steps while a program that was compiled with it runs one exchange.

    `steps` has them by rule and phase, in the order in which they were first asked.
    """

    def __init__(self) -> None:
        self.steps: dict[tuple[str, str], StepTrace] = {}

    def step(self, rule: Rule, phase: Phase) -> StepTrace:
        """The trace of a rule in a phase, begun when it is not there."""
        return self.steps.setdefault((rule.name_, phase.name), StepTrace())

    def test(self, rule: Rule, phase: Phase, part: str, test: Test | None) -> Test | None:
        if test is None and part != "match":
            return None
        condition = {"match": rule.match, "unless": rule.unless}.get(part)

        def told(x: Exchange) -> bool:
            trace = self.step(rule, phase)
            if part == "enabled":
                trace.value = _hashed(rule, x)
            trace.tests[part] = asked = Asked()
            return _ask(asked, test or _always, condition, x)

        return told

    def act(self, rule: Rule, phase: Phase, number: int, act: Act) -> Act:
        test, apply = act
        condition: Condition | None = rule.actions[number].condition

        def told(x: Exchange) -> bool:
            asked = self.step(rule, phase).ifs[number] = Asked()
            return _ask(asked, test or _always, condition, x)

        def noted(x: Exchange) -> Any:
            ran = self.step(rule, phase).acts[number] = Ran()
            return _run(ran, apply, x)

        return (told if test is not None else None), noted


def _always(_: Exchange) -> bool:
    return True


def _hashed(rule: Rule, x: Exchange) -> Any:
    """The value by which `enabled` decides; MISSING when asking for it fails, which its test then tells."""
    by = rule.enabled.by if rule.enabled else None
    try:
        return by.evaluate(x) if by else x.key["name"] if x.key is not None else x.client["ip"]
    except Exception:  # noqa: BLE001  the test asks the same again, and there it counts
        return MISSING


def _ask(asked: Asked, test: Test, condition: Condition | None, x: Exchange) -> bool:
    """The verdict of a test, its time, and how it came about."""
    began = perf_counter()
    try:
        asked.holds = bool(test(x))
    except Exception as cause:
        asked.error = _told(cause)
        raise
    finally:
        asked.seconds = perf_counter() - began
        if condition is not None:
            asked.finding = found(condition.tree, x)
    return asked.holds


def found(tree: Tree, x: Exchange) -> Finding:
    """How a condition comes out, part by part; where a part fails, it and what contains it hold neither way."""
    try:
        return tree.explain(x)
    except Exception as cause:  # noqa: BLE001  told in the finding; the test itself raises it
        if isinstance(tree, Negated):
            return Finding("not", None, parts=(found(tree.item, x),))
        if isinstance(tree, (AllOf, AnyOf)):
            return _up_to_the_failure(tree, x)
        return Finding(tree.text(), None, error=_told(cause))


def _up_to_the_failure(tree: AllOf | AnyOf, x: Exchange) -> Finding:
    parts: list[Finding] = []
    failed = False
    for item in tree.items:
        parts.append(Finding(item.text(), None) if failed else found(item, x))
        failed = failed or parts[-1].holds is None
    return Finding("all of" if isinstance(tree, AllOf) else "any of", None, parts=tuple(parts))


def _run(ran: Ran, apply: Callable[[Exchange], Any], x: Exchange) -> Any:
    """What an action did, its time, and what it wrote, also when it failed."""
    before, began = state_of(x), perf_counter()
    waits = False
    try:
        effect = apply(x)
        waits = inspect.isawaitable(effect)
        if not waits:
            ran.effect = effect
    except Exception as cause:
        ran.error = _told(cause)
        raise
    finally:
        ran.seconds = perf_counter() - began
        ran.changes = changes(before, state_of(x))
    return _run_waiting(ran, effect, before, x) if waits else effect


async def _run_waiting(ran: Ran, effect: Awaitable[Any], before: dict[str, Any], x: Exchange) -> Any:
    began = perf_counter()
    try:
        ran.effect = await effect
    except BaseException as cause:  # also the cancellation by which a time-out ends it
        ran.error = _told(cause)
        raise
    finally:
        ran.seconds += perf_counter() - began
        ran.changes = changes(before, state_of(x))
    return ran.effect


def _told(cause: BaseException) -> str:
    if isinstance(cause, asyncio.CancelledError):
        return "it took too long"
    return f"{type(cause).__name__}: {cause}".removesuffix(": ")
