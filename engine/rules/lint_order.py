"""Rules in the wake of others: shadowed, written twice, or asking again what was just asked.

Only what is proved is said; of many rules not every pair is tried, so something may stay unsaid. Must not know what
actions do beyond whether they end a phase and what they write.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Hashable, Iterator
from typing import Any

from engine.language.condition import AllOf, Always, AnyOf, Test, Tree
from engine.language.operators import canonical_value
from engine.phases import PHASES
from engine.rules.holding import decides_at_head, only_notes
from engine.rules.index import touches
from engine.rules.lint_facts import CHANGING, Names, leaves, subject_of
from engine.rules.lint_rules import Linted, Paths, RuleSet
from engine.rules.lint_verdicts import MOST_CANDIDATES, identity, parts_of

IN_TURN = ("request", "attempt", "response", "log")
"""Phases whose rules run one after the other on the same document, each as often as the others."""

MOST_TRIED = 24  # earlier rules that one rule is compared with
Term = Hashable


def lint_order(rules: RuleSet) -> None:
    """Note rules that no exchange reaches, rules that say what another has said, and neighbours with one condition."""
    orders = {name: _Order(some) for name, some in rules.by_phase.items()}
    _shadowed(rules, orders)
    _twice(rules, orders)
    _neighbours(rules)


class _Order:
    """The rules of one phase, and where each part of the document is written."""

    def __init__(self, rules: list[Linted]) -> None:
        self.rules = rules
        self.written: dict[str, list[int]] = defaultdict(list)  # part: positions of rules that write it
        for linted in rules:
            for part in linted.writes:
                self.written[part].append(linted.position)

    def undisturbed(self, first: Linted, last: Linted, paths: Paths) -> bool:
        """Nothing between two rules changes these parts of the document."""
        if any(path[0] in CHANGING for path in paths):
            return False
        for part, positions in self.written.items():
            if touches([part], paths):
                after = bisect_right(positions, first.position)
                if after < len(positions) and positions[after] < last.position:
                    return False
        return True


# --- shadowed ---------------------------------------------------------------------------------------------------------


def _shadowed(rules: RuleSet, orders: dict[str, _Order]) -> None:
    found: dict[str, dict[str, Linted]] = defaultdict(dict)  # rule: phase: what it is in the shadow of
    for phase in IN_TURN:
        if phase in orders:
            for linted, before in _in_shadow(phase, orders[phase]):
                found[linted.name][phase] = before
    for linted in rules.rules:
        phases = found.get(linted.name, {})
        if linted.name in rules.settled or set(phases) != set(linted.rule.phase):
            continue
        before = phases[linted.rule.phase[0]]
        rules.settled.add(linted.name)
        why = "which ends the phase" if before.ends else "which stops the rules of this file"
        rules.warn(
            linted,
            "shadowed",
            f"no exchange reaches this rule: {before.seen_from(linted)} matches whatever it matches, {why}",
            "put it before that rule, narrow that rule's `match`, or take it out",
        )


def _in_shadow(phase: str, order: _Order) -> Iterator[tuple[Linted, Linted]]:
    by_term: dict[Term, list[Linted]] = defaultdict(list)
    for linted in order.rules:
        before = _shadow(linted, phase, order, by_term) if by_term else None
        if before is not None:
            yield linted, before
        elif _closes(linted, phase):
            for term in set(_terms(linted.tree, linted.names)):
                by_term[term].append(linted)


def _shadow(linted: Linted, phase: str, order: _Order, by_term: dict[Term, list[Linted]]) -> Linted | None:
    """The earlier rule that takes all that this one matches."""
    tried: set[int] = set()
    for term in _offers(linted):
        for before in by_term.get(term, ())[:MOST_TRIED]:
            if before.position in tried:
                continue
            tried.add(before.position)
            if len(tried) > MOST_TRIED:
                return None
            if (
                _reaches(before, linted, phase)
                and linted.facts.follows(before.tree)
                and order.undisturbed(before, linted, before.reads)
            ):
                return before
    return None


def _closes(linted: Linted, phase: str) -> bool:
    """Whenever the rule matches, no later one runs: in its file, or at all."""
    rule = linted.rule
    if rule.mode != "enforce" or rule.unless is not None or rule.enabled is not None or rule.expires is not None:
        return False
    skips = (rule.on_error or PHASES[phase].on_error) == "skip"
    if skips and any(use.action.fallible or use.action.waits for use in linted.actions):
        return False
    return linted.ends or (rule.stop and any(use.condition is None for use in linted.actions))


def _reaches(before: Linted, linted: Linted, phase: str) -> bool:
    """The earlier rule runs wherever and whenever the later one would."""
    one, other = before.rule, linted.rule
    if not linted.call_types <= before.call_types:
        return False
    if not before.ends and one.file != other.file:
        return False
    if phase == "response":  # the head of a stream, its whole and its end are ruled at different moments
        return not only_notes(other) and not only_notes(one) and decides_at_head(one) == decides_at_head(other)
    return True


def _terms(tree: Tree, names: Names) -> list[Term]:
    """What a rule is found by: whatever implies the condition has one of these to offer."""
    if isinstance(tree, Always):
        return ["always"]
    if isinstance(tree, AllOf):
        return min((_terms(item, names) for item in tree.items), key=_breadth)
    if isinstance(tree, AnyOf):
        return [term for item in tree.items for term in _terms(item, names)]
    if isinstance(tree, Test):
        name, operator = names.of(tree.subject), tree.operator
        values = [operator.value] if operator.name == "equals" else operator.value if operator.name == "in" else None
        if values is not None and operator.change is None and len(values) <= MOST_CANDIDATES:
            return [("value", name, identity(value)) for value in values]
        parts = parts_of(operator)
        if parts is not None:
            return [("counted", name), *(("part", name, operator.change, part) for part in parts)]
    return [("subject", names.of(subject_of(leaf))) for leaf in leaves(tree)]


def _breadth(terms: list[Any]) -> tuple[bool, int]:
    return any(term[0] != "value" for term in terms), len(terms)


def _offers(linted: Linted) -> Iterator[Term]:
    yield "always"
    for name, domain in list(linted.facts.domains.items()):
        for value in domain.candidates or ():
            yield "value", name, identity(value)
        for operator, holds in domain.tests:
            for part in (parts_of(operator) or ()) if holds else ():
                yield "part", name, operator.change, part
        if domain.counted:
            yield "counted", name
        yield "subject", name


# --- said twice -------------------------------------------------------------------------------------------------------


def _twice(rules: RuleSet, orders: dict[str, _Order]) -> None:
    """The same condition and the same actions, with nothing in between that makes a difference."""
    by_condition: dict[Any, list[Linted]] = defaultdict(list)
    for linted in rules.rules:
        by_condition[_situation(linted)].append(linted)
    for alike in by_condition.values():
        latest: dict[Any, Linted] = {}
        for linted in alike if len(alike) > 1 else ():
            done = _done(linted)
            before, latest[done] = latest.get(done), linted
            if before is None or linted.name in rules.settled:
                continue
            paths = before.reads | {tuple(part.split(".")) for part in before.writes - {"tags"}}
            if all(orders[phase].undisturbed(before, linted, paths) for phase in linted.rule.phase):
                rules.settled.add(linted.name)
                rules.warn(
                    linted,
                    "duplicate-rule",
                    f"this rule matches and does what {before.seen_from(linted)} does",
                    "keep one of them",
                )


def _situation(linted: Linted) -> Any:
    rule = linted.rule
    unless = linted.names.number(rule.unless.tree) if rule.unless is not None else None
    return (linted.number, unless, tuple(rule.phase), linted.call_types, rule.mode, rule.enabled is None, rule.stop)


def _done(linted: Linted) -> Any:
    actions = linted.node.get("actions") if linted.node is not None else None
    return canonical_value(actions.plain()) if actions is not None else linted.name


def _neighbours(rules: RuleSet) -> None:
    """Two rules in a row that ask the same: one rule would do."""
    for before, linted in zip(rules.rules, rules.rules[1:], strict=False):
        if linted.rule.match is None or before.ends or before.rule.stop or linted.name in rules.settled:
            continue
        one, other = before.rule, linted.rule
        same = (one.file, one.owner, one.tags, one.on_error) == (other.file, other.owner, other.tags, other.on_error)
        if (
            same
            and other.enabled is None
            and _situation(before) == _situation(linted)
            and not touches(list(before.writes), linted.reads)
        ):
            rules.note(
                linted,
                "same-condition",
                f"this rule matches whenever {before.seen_from(linted)} does",
                "one rule can hold the actions of both",
            )
