"""Two rules that write one field, so that the later one wins without a word. Must not know how actions write.

An exception after the general case is how defaults are overridden, and no mistake; nor is a rule that looks at the
field before it writes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from engine.actions.replace_messages import ReplaceMessages
from engine.actions.replace_system import ReplaceSystem
from engine.actions.set import Set
from engine.actions.set_header import SetHeader
from engine.actions.set_model import SetModel
from engine.actions.set_var import SetVar
from engine.language.template import Value
from engine.rules.index import touches
from engine.rules.lint_facts import Name
from engine.rules.lint_order import IN_TURN
from engine.rules.lint_rules import Linted, RuleSet
from engine.rules.rule import ActionUse

MOST_PAIRS = 4_000  # of a whole set that are compared
NEAREST = 4  # earlier writers of a field that one is compared with, beside those with the same key


@dataclass(frozen=True, slots=True)
class Written:
    """One field that an action of a rule replaces: its name for people, the part it is of, and its new value."""

    linted: Linted
    use: ActionUse
    field: str
    part: str
    value: Value | None

    @property
    def builds_on(self) -> bool:
        """The rule has looked at the field, or makes the new value from it."""
        paths = set(self.linted.reads) | {(root,) for root in (self.value.roots if self.value else ())}
        return touches([self.part], paths)


def lint_writes(rules: RuleSet) -> None:
    """Note the rules whose write is lost, or may be, and say by which rule."""
    left = MOST_PAIRS
    for phase in IN_TURN:
        by_field: dict[str, list[Written]] = defaultdict(list)
        for linted in rules.by_phase.get(phase, ()):
            if linted.rule.mode == "enforce":
                for written in _written(linted, phase):
                    by_field[written.field].append(written)
        for writers in by_field.values():
            for earlier, later in _pairs(writers):
                left -= 1
                if left < 0:
                    return
                _compare(rules, earlier, later)


def _pairs(writers: list[Written]) -> Iterator[tuple[Written, Written]]:
    """Later writers with earlier ones of other rules, those left out that an equality tells apart."""
    by_key: dict[Any, list[Written]] = defaultdict(list)
    others: dict[Any, list[Written]] = defaultdict(list)
    for later in writers:
        name, values = _primary(later.linted)
        near = [one for value in values for one in by_key[name, value][-NEAREST:]]
        near += [one for other, some in others.items() if other != name or name is None for one in some[-NEAREST:]]
        yield from ((one, later) for one in near if one.linted is not later.linted)
        for value in values:
            by_key[name, value].append(later)
        others[name].append(later)


def _primary(linted: Linted) -> tuple[Name | None, list[Any]]:
    """An expression of which the rule's condition leaves but a few texts."""
    for name, domain in linted.facts.domains.items():
        candidates = domain.candidates
        if name != ("call_type",) and candidates and all(isinstance(value, str) for value in candidates):
            return name, candidates
    return None, []


def _compare(rules: RuleSet, earlier: Written, later: Written) -> None:
    one, other = earlier.linted, later.linted
    if other.name in rules.settled or one.name in rules.settled or _meant(earlier, later) or _apart(earlier, later):
        return
    if earlier.use.condition is None and later.use.condition is None and other.facts.follows(one.tree):
        return  # the general case first, then the exception
    rules.settled.add(other.name)
    if _always(later) and one.call_types <= other.call_types and one.facts.follows(other.tree):
        rules.warn(
            other,
            "two-writers",
            f"{later.field} is always written here again after {one.seen_from(other)}, whose value is lost",
            "put the general rule first, or keep one of them",
            later.use.span,
        )
    else:
        rules.note(
            other,
            "two-writers",
            f"{later.field} is also written by {one.seen_from(other)}; where both rules match, this one wins",
            "let the conditions exclude each other, or keep one of them",
            later.use.span,
        )


def _meant(earlier: Written, later: Written) -> bool:
    """There is a sign that the author knows of both, or it makes no difference."""
    one, other = earlier.linted.rule, later.linted.rule
    if later.builds_on or earlier.linted.ends or one.enabled is not None or other.enabled is not None:
        return True
    if one.stop and one.file == other.file:
        return True
    values = [written.value for written in (earlier, later)]
    if any(value is None or not value.constant for value in values):
        return False
    same: bool = values[0].fill(None) == values[1].fill(None)  # type: ignore[union-attr, arg-type]
    return same


def _apart(earlier: Written, later: Written) -> bool:
    """No exchange runs both."""
    one, other = earlier.linted, later.linted
    if not one.call_types & other.call_types:
        return True
    facts = one.start(other).assume(one.tree).assume(other.tree)
    for rule in (one.rule, other.rule):
        if rule.unless is not None:
            facts.assume(rule.unless.tree, holds=False)
    for written in (earlier, later):
        if written.use.condition is not None:
            facts.assume(written.use.condition.tree)
    return facts.impossible


def _always(later: Written) -> bool:
    return later.use.condition is None and later.linted.rule.unless is None


def _written(linted: Linted, phase: str) -> Iterator[Written]:
    """The fields that a rule's actions replace, whatever was there."""
    body = "response.body" if phase == "response" else "request"
    for use in linted.actions:
        action = use.action
        if isinstance(action, Set):
            for path, value in action.values.items():
                part = body if phase == "response" else f"{body}.{path.keys[0]}"
                yield Written(linted, use, f"`{path.text}`", part, value)
        elif isinstance(action, SetModel):
            yield Written(linted, use, "`model`", "request.model", action.model)
        elif isinstance(action, SetVar):
            for name, value in action.values.items():
                yield Written(linted, use, f"`vars.{name}`", f"vars.{name}", value)
        elif isinstance(action, SetHeader):
            for name, value in action.headers.items():
                yield Written(
                    linted,
                    use,
                    f"the header `{name}`",
                    "response.headers" if phase == "response" else "headers to the upstream",
                    value,
                )
        elif isinstance(action, ReplaceSystem):
            yield Written(linted, use, "the system text", "request.messages", None)
        elif isinstance(action, ReplaceMessages):
            yield Written(linted, use, "the list of messages", "request.messages", None)
