"""A stream rule on one exchange: whether it holds, what it did, and what an error in it means.

Must not know events or dialects.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from time import perf_counter_ns
from typing import Any

from engine.actions.base import NOOP
from engine.document.answers import Answer, Refusal
from engine.document.exchange import Exchange
from engine.language.condition_stream import Heard, Joined, Known, Late
from engine.language.windows import Outgrown
from engine.rules.stream_rules import StreamAct, StreamRule
from engine.runtime.executor import RuleTimeout, awaited
from engine.runtime.record import write_checkpoints
from engine.runtime.seldom import rule_failed


class RuleState:
    """One rule in one stream.

    `off`: it failed and is skipped from now on. `observes`: it looks and changes nothing. `found`: what its
    redactions found. `verdict`: why it does not act although its match holds.
    """

    def __init__(self, rule: StreamRule, x: Exchange) -> None:
        self.rule = rule
        self.x = x
        self.off = False
        self.found = 0
        self.observes = rule.step.observe
        self.reads_text = rule.reads_text
        self.verdict = ""
        self.why = ""
        self._known: dict[int, bool] = {}
        self._heard: set[tuple[int, int]] = set()
        self._done: set[int] = set()  # acts that are done once
        self._matched = False
        self._acted = False
        self._failed = False
        self._began = perf_counter_ns()

    # --- what holds -----------------------------------------------------------------------------------------------

    def begin(self) -> Answer | None:
        """Decide what is known when the stream begins; the answer when that fails."""
        step = self.rule.step
        try:
            for condition in (self.rule.match, *(act.late for act in self.rule.acts)):
                self._decide(condition)
            if self.may_hold(self.rule.match):
                self._admit()
        except Exception as cause:  # noqa: BLE001  whatever it is, `on_error` answers it
            return self.fails(f"{type(cause).__name__}: ", cause)
        if step.observe or self.verdict:
            self.observes = True
        if not self.rule.heard and self.may_hold(self.rule.match):
            self.matches()
        return None

    def _decide(self, condition: Late) -> None:
        if isinstance(condition, Joined):
            for part in condition.parts:
                self._decide(part)
        elif isinstance(condition, Known) and id(condition) not in self._known:
            self._known[id(condition)] = bool(condition.holds(self.x))

    def _admit(self) -> None:
        step = self.rule.step
        if step.unless is not None and step.unless(self.x):
            self.verdict, self.why = "excepted", "unless holds"
        elif step.lets_in is not None and not step.lets_in(self.x):
            self.verdict, self.why = "skipped", "not enabled for this caller, or expired"

    def may_hold(self, condition: Late) -> bool:
        """Whether it holds, or could once the text comes."""
        if isinstance(condition, Joined):
            every = all if condition.every else any
            return every(self.may_hold(part) for part in condition.parts)
        return isinstance(condition, Heard) or self._known[id(condition)]

    def holds(self, condition: Late, choice: int, mine: Mapping[int, bool] | None = None) -> bool:
        """Whether it holds by what was heard in a choice; `mine` comes before that."""
        if isinstance(condition, Joined):
            every = all if condition.every else any
            return every(self.holds(part, choice, mine) for part in condition.parts)
        if isinstance(condition, Heard):
            return (mine or {}).get(id(condition), (choice, id(condition)) in self._heard)
        return self._known[id(condition)]

    def note_heard(self, choice: int, test: Heard) -> None:
        """A test holds from now on in a choice."""
        self._heard.add((choice, id(test)))

    def matches(self) -> bool:
        """Note that the match holds; False when the rule does not act all the same."""
        if not self._matched:
            self._matched = True
            if not self.observes and self.rule.step.named and self.rule.step.rule not in self.x.matched:
                self.x.matched.append(self.rule.step.rule)
        return not self.verdict

    # --- what it does ---------------------------------------------------------------------------------------------

    async def act_once(self, act: StreamAct) -> Answer | None:
        """Run an action that is run once in a stream."""
        if id(act) in self._done:
            return None
        self._done.add(id(act))
        self._acted = self._acted or self.observes
        return None if self.observes else await self.act(act)

    async def act(self, act: StreamAct) -> Answer | None:
        """Run an action; the answer that it, or its failure, gives."""
        try:
            found: Any = act.apply(self.x)
            if inspect.isawaitable(found):
                found = await awaited(found, self.rule.step.timeout)
        except Exception as cause:  # noqa: BLE001  whatever it is, `on_error` answers it
            return self.fails("" if isinstance(cause, RuleTimeout) else f"{type(cause).__name__}: ", cause)
        self._acted = self._acted or found is not NOOP
        if self.x.checkpoints is not None:
            write_checkpoints(self.x)
        return None if found is None or found is NOOP else replace(found, rule=self.rule.step.rule)

    def fails(self, sort: str, cause: Exception) -> Answer | None:
        """An error in the rule: the answer, or None when it is skipped for the rest."""
        step, why = self.rule.step, f"{sort}{cause}"
        if not self._failed:
            self._failed = True
            self.x.outcomes.append((step.rule, step.phase, "error", why, perf_counter_ns() - self._began))
            rule_failed(step.rule, step.phase, why, cause)
        self.off = True
        return None if step.observe or step.skip_errors else failure(step.rule)

    def fails_closed(self, outgrown: Outgrown) -> Answer | None:
        """A match outgrew its window; the text withholds the rest, and the rule goes on in other texts."""
        answer = self.fails("", outgrown)
        self.off = False
        return answer

    def finish(self) -> None:
        """Note what the rule did."""
        step = self.rule.step
        if self._failed or not self._matched:
            return
        result, why = self.verdict, self.why
        acted = self._acted or bool(self.found)
        if not result and step.observe:
            result, why = ("would", f"{self.found} found" if self.found else "") if acted else ("noop", "")
        result = result or ("acted" if acted else "noop")
        if step.named or result == "acted":
            self.x.outcomes.append((step.rule, step.phase, result, why, perf_counter_ns() - self._began))


def failure(rule: str) -> Refusal:
    """The answer to an error inside a rule."""
    return Refusal(500, f"rule {rule} failed", type="rule_error", code="rule_failed", source="rule_error", rule=rule)


def note_skipped(rules: Sequence[StreamRule], x: Exchange) -> None:
    """Say of every rule for streams alone whose match holds that a whole answer has passed it by."""
    for rule in rules:
        step = rule.step
        if not rule.alone or not step.named:
            continue
        try:
            holds = step.matches is None or step.matches(x)
        except Exception as cause:  # noqa: BLE001  said in the record; the rule would not have run anyway
            x.outcomes.append((step.rule, step.phase, "skipped", f"not a stream ({cause})", 0))
            continue
        if holds:
            x.outcomes.append((step.rule, step.phase, "skipped", "not a stream", 0))
