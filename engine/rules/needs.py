"""What of the costly parts of an exchange any rule of a call type reads. Must not know how the parts are made."""

from __future__ import annotations

from collections.abc import Iterable

from engine.actions.log_to import LogTo
from engine.phases import CALL_TYPES, FAILURE, LOG, RESPONSE
from engine.rules.holding import LATE, decides_at_head, reads
from engine.rules.program import Needs
from engine.rules.rule import Rule

_TOKENS = frozenset({"usage", "cost", "response", "response.body", "*"})
_DOLLARS = frozenset({"cost", "*"})
_TEXT = LATE - {"usage", "cost"}
_LIGHT = frozenset({"tag", "set_var", "log_to", "set_header", "remove_header"})  # of themselves they read no answer


def covers(rule: Rule, call_type: str) -> bool:
    """Without a call type (unknown endpoint, not read yet) only rules for every call type run."""
    return call_type in rule.call_types if call_type else len(rule.call_types) == len(CALL_TYPES)


def needs_of(rules: list[Rule], call_type: str) -> Needs:
    """What the rules for a call type read."""
    mine = [rule for rule in rules if rule.mode != "off" and covers(rule, call_type)]
    answering = [rule for rule in mine if RESPONSE.name in rule.phase]
    after = [rule for rule in mine if LOG.name in rule.phase or RESPONSE.name in rule.phase]
    before = [rule for rule in mine if FAILURE.name in rule.phase or RESPONSE.name in rule.phase]
    contents = {use.action.content for rule in mine for use in rule.actions if isinstance(use.action, LogTo)}
    return Needs(
        answer=bool(answering),
        assembled=bool(contents - {"none"}) or any(map(_reads_text, after)),
        told=bool(contents or after),
        usage=bool(contents) or _read(after, _TOKENS),
        cost=bool(contents) or _read(after, _DOLLARS),
        cost_before=_read(before, _DOLLARS) or any(_records(rule) for rule in before),
    )


def _reads_text(rule: Rule) -> bool:
    if RESPONSE.name in rule.phase and decides_at_head(rule):
        return False
    return any(use.action.name not in _LIGHT for use in rule.actions) or not _TEXT.isdisjoint(reads(rule))


def _read(rules: Iterable[Rule], roots: frozenset[str]) -> bool:
    """Whether a rule reads one of these; a callback may read everything."""
    return any(
        not roots.isdisjoint(reads(rule)) or any(use.action.name == "callback" for use in rule.actions)
        for rule in rules
    )


def _records(rule: Rule) -> bool:
    return any(isinstance(use.action, LogTo) for use in rule.actions)
