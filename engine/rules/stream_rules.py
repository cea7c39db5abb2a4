"""Stream rules: what of them is known when a stream begins, what is listened for, and what then happens to its text.

Must not know how streams run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.actions.base import Apply
from engine.actions.redact import Redact
from engine.actions.redaction import Redaction
from engine.catalogue import Scope
from engine.language.condition import Condition
from engine.language.condition_stream import OPERATORS, TEXTS, Joined, Late, NotHeard, late, reads_answer
from engine.phases import STREAM
from engine.rules.program import Step
from engine.source import Node

if TYPE_CHECKING:
    from engine.rules.rule import Rule


@dataclass(frozen=True, slots=True)
class StreamAct:
    """One action of a stream rule: when, and either a redaction or what it does."""

    late: Late  # the rule's match and the action's `if`
    redaction: Redaction | None
    apply: Apply
    cuts: bool  # it ends the stream, so the text that leads to it must wait
    waits: bool  # a callback: asked about each piece of text


@dataclass(frozen=True, slots=True)
class StreamRule:
    """A rule in the stream phase; `step` has what all phases have."""

    step: Step
    match: Late
    acts: tuple[StreamAct, ...]
    reads_text: bool  # its actions read what was said so far
    alone: bool  # it is in no other phase

    @property
    def heard(self) -> bool:
        """Whether its match listens to the text."""
        return _listens(self.match)


def _listens(condition: Late) -> bool:
    return any(map(_listens, condition.parts)) if isinstance(condition, Joined) else hasattr(condition, "windows")


def stream_rules(rules: Sequence[Rule], steps: Sequence[Step], call_type: str) -> tuple[StreamRule, ...]:
    """The stream rules of a call type, in order."""
    return tuple(
        _stream_rule(rules[step.position], step)
        for step in steps
        if step.phase == STREAM.name and call_type in (rules[step.position].call_types or ())
    )


def _stream_rule(rule: Rule, step: Step) -> StreamRule:
    match = _late(rule.match)
    acts = tuple(
        StreamAct(
            late=_both(match, use.condition),
            redaction=use.action.streaming() if isinstance(use.action, Redact) else None,
            apply=apply,
            cuts=use.action.ends,
            waits=use.action.waits,
        )
        for use, (_, apply) in zip(rule.actions, step.acts, strict=True)
    )
    reads = any(not use.action.reads.isdisjoint({*TEXTS, "*"}) or use.action.waits for use in rule.actions)
    return StreamRule(step, match, acts, reads, alone=set(rule.phase) == {STREAM.name})


def _late(condition: Condition | None) -> Late:
    return late(condition.tree) if condition is not None else Joined((), every=True)


def _both(match: Late, condition: Condition | None) -> Late:
    return match if condition is None else Joined((match, _late(condition)), every=True)


def check_stream(
    conditions: Sequence[tuple[Condition, Node]], unless: tuple[Condition, Node] | None, scope: Scope
) -> None:
    """Note what of a rule's conditions cannot be decided while a stream comes."""
    for condition, node in conditions:
        try:
            late(condition.tree)
        except NotHeard as part:
            scope.problem(
                "stream-condition",
                f"`{part}` cannot be decided while the answer is still coming",
                node.span,
                help=f"in phase `stream` the answer is tested with {', '.join(OPERATORS)} on "
                f"`completion_text`, `tool_text` or `reasoning_text`, joined by `all` and `any`",
            )
    if unless is not None and reads_answer(unless[0].tree):
        scope.problem(
            "stream-condition",
            "`unless` cannot be decided while the answer is still coming",
            unless[1].span,
            help="in phase `stream` an exception reads what is known when the stream begins",
        )
