"""The verdict on every rule in every phase of one exchange, as the served program gave it, and why.

What each part of a rule came to is taken from the traced run of the same exchange. Must not know how either was run,
or how verdicts are shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from engine.document.answers import Answer, Refusal
from engine.document.exchange import Exchange
from engine.phases import FAILURE, PHASES, REQUEST, RESPONSE
from engine.rules.index import Index
from engine.rules.index_keys import Key, choose
from engine.rules.program import Plan, Program, Step
from engine.rules.rule import Rule
from engine.runtime.explain import StepTrace

NO_MATCH, NOT_ASKED = "did not match", "not asked"
NOT_HELD = "no stream is held for it: its match did not hold when the stream began"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a rule in a phase.

    `result` is that of its outcome (`acted noop would excepted skipped error`), or `did not match`, or `not asked`.
    `why` says more where there is more to say. `trace` is None when nothing of the rule was asked. `unfound`: the
    predicate that its index asked in vain, in place of the rule. `undone`: what it wrote was taken back.
    """

    rule: Rule
    phase: str
    result: str
    why: str = ""
    trace: StepTrace | None = None
    unfound: str = ""
    undone: bool = False


@dataclass(slots=True)
class Lookups:
    """Which steps the plans of a program gave while it ran one exchange."""

    plans: dict[str, Plan] = field(default_factory=dict)  # of the phases that ran
    found: dict[str, set[str]] = field(default_factory=dict)  # by phase: names of rules

    def watched(self, program: Program) -> Program:
        """The same program, which tells what its lookups give."""
        return replace(program, plans={name: self._watched(plan) for name, plan in program.plans.items()})

    def _watched(self, plan: Plan) -> Plan:
        def lookup(exchange: Exchange, after: int = -1) -> Sequence[Step]:
            steps = plan.lookup(exchange, after)
            self.plans[plan.phase.name] = plan
            self.found.setdefault(plan.phase.name, set()).update(step.rule for step in steps)
            return steps

        return replace(plan, lookup=lookup)


class Verdicts:
    """Judges every rule of one exchange.

    `answered`: whether an upstream's answer was given; without one, what follows it is left out. `steps` are the
    traces by rule and phase.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        x: Exchange,
        lookups: Lookups,
        steps: dict[tuple[str, str], StepTrace],
        answered: bool,
    ) -> None:
        self.rules = rules
        self.x = x
        self.lookups = lookups
        self.steps = steps
        self.open_end = not answered and x.attempts > 0
        self._outcomes = {(rule, phase): (result, why) for rule, phase, result, why, _ in x.outcomes}
        self._undoing = {(step.rule, step.phase) for plan in lookups.plans.values() for step in plan.steps if step.undo}
        self._required: dict[str, dict[str, str]] = {}

    def all(self) -> list[Verdict]:
        """By phase, in the order of the rules."""
        return [self._verdict(rule, phase) for phase in PHASES for rule in self.rules if phase in rule.phase]

    def _verdict(self, rule: Rule, phase: str) -> Verdict:
        why = self._kept_out(rule, phase)
        if why:
            return Verdict(rule, phase, NOT_ASKED, why)
        trace = self.steps.get((rule.name_, phase))
        outcome = self._outcomes.get((rule.name_, phase))
        if outcome is not None:
            result, why = outcome
            undone = result == "error" and (rule.name_, phase) in self._undoing
            return Verdict(rule, phase, result, why, trace, undone=undone)
        if trace is None:
            return Verdict(rule, phase, NOT_ASKED, self._cut_off(rule, phase))
        if trace.tests["match"].holds:  # an entry of `callbacks` that changed nothing has no outcome
            return Verdict(rule, phase, "noop", "", trace)
        return Verdict(rule, phase, NO_MATCH, "", trace, self._unfound(rule, phase))

    # --- why a rule was not asked ------------------------------------------------------------------------------------

    def _kept_out(self, rule: Rule, phase: str) -> str:
        """Why a rule was not among those that are tried; empty when it was."""
        call_type = self.x.call_type
        if rule.mode == "off":
            return "its mode is off"
        if self.open_end and PHASES[phase].order >= RESPONSE.order:
            return "give the upstream's answer with --response to see this phase"
        if call_type and call_type not in (rule.call_types or ()):
            return f"it does not cover {call_type}, only {', '.join(rule.call_types or ())}"
        if phase not in self.lookups.plans:
            return self._phase_left_out(phase)
        return ""

    def _phase_left_out(self, phase: str) -> str:
        x, error = self.x, self.x.error or {}
        if phase == REQUEST.name:
            return f"refused before any rule: {error.get('status')} {error.get('message')}"
        if phase == FAILURE.name:
            return "this phase runs on errors alone" if not error else f"phase {phase} did not run"
        if x.answer is not None and x.answer.rule is not None:
            return f"rule {x.answer.rule} answered before"
        if phase == RESPONSE.name and error.get("source") == "upstream" and x.answer is None:
            return f"the upstream's answer is an error: {error.get('status')}"
        if phase == RESPONSE.name and error:
            return f"there was no answer to rule on: {error.get('message')}"
        return NOT_HELD if phase == RESPONSE.name else f"phase {phase} did not run"

    def _cut_off(self, rule: Rule, phase: str) -> str:
        """Which earlier rule kept this one from being tried."""
        for other in self.rules:
            trace = self.steps.get((other.name_, phase))
            if other is rule:
                break
            if trace is None or other.mode == "observe":
                continue
            if trace.answer is not None:
                return f"rule {other.name_} answered before"
            if trace.failed and isinstance(self.x.answer, Refusal) and self.x.answer.rule == other.name_:
                return f"rule {other.name_} failed before, which ended the phase"
            if other.stop and other.file == rule.file and trace.acts and not trace.failed:
                return f"rule {other.name_} stopped the later rules of its file"
        return NOT_HELD

    # --- the index ---------------------------------------------------------------------------------------------------

    def _unfound(self, rule: Rule, phase: str) -> str:
        """What the index asked of the exchange in place of this rule; empty when the rule itself was asked."""
        if rule.name_ in self.lookups.found.get(phase, ()):
            return ""
        if phase not in self._required:
            self._required[phase] = _required(self.lookups.plans[phase], self.rules)
        return self._required[phase].get(rule.name_, "")


def _required(plan: Plan, rules: Sequence[Rule]) -> dict[str, str]:
    """For each rule that an index finds by a key, what the key asks."""
    if not isinstance(plan.lookup, Index):
        return {}
    mine = [rules[step.position] for step in plan.steps]
    choices = choose([rule.match.tree if rule.match else None for rule in mine])
    return {
        rule.name_: _asked(choice.keys) for rule, choice in zip(mine, choices, strict=True) if choice.keys is not None
    }


_WORDS = {
    "equal": "equals",
    "prefix": "starts with",
    "text": "contains a match of",
    "above": "is at least",
    "below": "is at most",
    "present": "is there",
}
_MOST_KEYS = 5


def _asked(keys: Sequence[Key]) -> str:
    """`request.model equals "a" or "b"`."""
    if not keys:
        return "nothing can match it"
    told = list(_by_subject(keys))
    return " or ".join(told[:_MOST_KEYS]) + (" or …" if len(told) > _MOST_KEYS else "")


def _by_subject(keys: Iterable[Key]) -> Iterable[str]:
    groups: dict[tuple[str, str], list[str]] = {}
    for key in keys:
        groups.setdefault((key.subject.text, key.sort), []).append("" if key.sort == "present" else repr(key.value))
    for (subject, sort), values in groups.items():
        listed = " or ".join(dict.fromkeys(values[:_MOST_KEYS])) + (" or …" if len(values) > _MOST_KEYS else "")
        yield f"{subject} {_WORDS[sort]} {listed}".rstrip()


def answer_of(verdict: Verdict) -> Answer | None:
    """The answer that a rule gave, if it gave one."""
    return verdict.trace.answer if verdict.trace is not None and verdict.result == "acted" else None
