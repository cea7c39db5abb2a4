"""Keys that were indented wrongly: moved to where they belong, each told once.

So a line in the wrong column is one problem, and everything else is checked as it was meant. Must not know what
sections, rules or conditions mean beyond the names of their options.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.document.roots import ROOTS
from engine.errors import Problem
from engine.rules.file import File
from engine.rules.rule import Rule
from engine.source import Mapping, Node, Scalar, Sequence, Span

SECTIONS = frozenset(option.yaml_name for option in File.options.values())
OF_RULE = frozenset(option.yaml_name for option in Rule.options.values())
TELLING = frozenset({"match", "unless", "actions"})
"""Options that nothing but a rule has; `name` or `owner` alone may mean the file."""

Entries = list[tuple[Scalar, Node]]


def settle(root: Mapping) -> list[Problem]:
    """Move what stands in the wrong column of a file to where it belongs; the problems say what was moved."""
    problems = _into_a_rule(root)
    rules = root.get("rules")
    for rule in rules if isinstance(rules, Sequence) else ():
        if isinstance(rule, Mapping):
            problems += _out_of_conditions(rule)
            problems += _out_of_the_rule(rule, root)
    return problems


def _into_a_rule(root: Mapping) -> list[Problem]:
    """Options of a rule that stand beside the sections."""
    stray = [(key, value) for key, value in root if key.value in OF_RULE - SECTIONS]
    if not any(key.value in TELLING for key, _ in stray):
        return []
    _take(root, stray)
    first = stray[0][0]
    rules = root.get("rules")
    if rules is None:
        span = Span(first.span.source, first.span.start, stray[-1][1].span.end)
        root.entries.append((Scalar("rules", first.span), Sequence([Mapping(stray, span)], span)))
        return [
            _problem(
                first,
                "belongs to a rule, and there is no `rules` here",
                "write `rules:` before it, and begin the rule with `- name: …`",
            )
        ]
    last = rules.items[-1] if isinstance(rules, Sequence) and rules.items else None
    if isinstance(last, Mapping) and last.entries:
        _give(last, stray)
        return [
            _problem(
                first,
                "belongs to a rule, and stands beside `rules`",
                f"indent it like `{last.entries[0][0].value}` in line {_line(last.entries[0][0])}",
            )
        ]
    return [_problem(first, "belongs to a rule, and stands beside `rules`", "begin each rule with `- name: …`")]


def _out_of_conditions(rule: Mapping) -> list[Problem]:
    """Options of a rule that stand below its `match` or `unless`."""
    problems = []
    for name in ("match", "unless"):
        condition = rule.get(name)
        for key, value in list(condition) if isinstance(condition, Mapping) else ():
            if key.value in OF_RULE and key.value not in ROOTS and len(condition.entries) > 1:  # type: ignore[union-attr]
                _take(condition, [(key, value)])  # type: ignore[arg-type]
                _give(rule, [(key, value)])
                problems.append(
                    _problem(key, f"is an option of the rule, and stands below `{name}`", f"indent it like `{name}`")
                )
    return problems


def _out_of_the_rule(rule: Mapping, root: Mapping) -> list[Problem]:
    """Sections that stand in a rule."""
    stray = [(key, value) for key, value in rule if key.value in SECTIONS - OF_RULE]
    _take(rule, stray)
    _give(root, stray)
    return [
        _problem(key, "is a section of the file, and stands in a rule", "begin it in the first column")
        for key, _ in stray
    ]


def _take(mapping: Mapping, entries: Entries) -> None:
    taken = {id(key) for key, _ in entries}
    if taken:
        mapping.entries[:] = [entry for entry in mapping.entries if id(entry[0]) not in taken]


def _give(mapping: Mapping, entries: Iterable[tuple[Scalar, Node]]) -> None:
    mapping.entries += [(key, value) for key, value in entries if mapping.key(str(key.value)) is None]


def _problem(key: Scalar, message: str, help: str) -> Problem:
    return Problem("misplaced-key", f"`{key.value}` {message}", key.span, help)


def _line(node: Node) -> int:
    return node.span.source.position(node.span.start)[0]
