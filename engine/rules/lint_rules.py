"""The rules of a file as the lints look at them: what each reads, where its parts stand, what is known when it matches.

Must not know any single lint.
"""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Iterator
from functools import cache, cached_property
from typing import TYPE_CHECKING

from engine.catalogue import Scope
from engine.errors import Severity
from engine.language.ast import plain_path
from engine.language.condition import Always, Condition, Test, Tree
from engine.phases import CALL_TYPES
from engine.rules.lint_facts import Facts, Names, Starts, leaves, subject_of
from engine.rules.lint_ranges import Range
from engine.rules.lint_values import Domain
from engine.rules.rule import ActionUse, Rule
from engine.source import Mapping, Sequence, Span

if TYPE_CHECKING:
    from engine.rules.loaded import Loaded

Paths = set[tuple[str | int, ...]]


class Linted:
    """A rule that can run, with its node and its position among all rules."""

    def __init__(self, rule: Rule, node: Mapping | None, position: int, names: Names) -> None:
        self.rule = rule
        self.names = names
        self.node = node
        self.position = position
        self.tree: Tree = rule.match.tree if rule.match is not None else Always()

    @property
    def name(self) -> str:
        return self.rule.name_

    @property
    def actions(self) -> list[ActionUse]:
        return self.rule.actions

    @property
    def ends(self) -> bool:
        """An action without `if:` decides the answer."""
        return any(use.condition is None and use.action.ends for use in self.actions)

    @property
    def refuses(self) -> bool:
        """An action, perhaps with `if:`, decides the answer."""
        return any(use.action.ends for use in self.actions)

    @cached_property
    def number(self) -> int:
        """Equal for rules with the same `match`."""
        return self.names.number(self.tree)

    @cached_property
    def call_types(self) -> frozenset[str]:
        return frozenset(self.rule.call_types or ())

    @cached_property
    def facts(self) -> Facts:
        """What is known when the rule's `match` holds."""
        return self.start().assume(self.tree)

    def start(self, other: Linted | None = None) -> Facts:
        """What is known before any condition is asked: the call types, and what the phase says of the answer."""
        call_types = self.call_types if other is None else self.call_types & other.call_types
        return Facts(self.names, _starts(call_types, below_400=set(self.rule.phase) <= {"response", "stream"}))

    @cached_property
    def reads(self) -> Paths:
        """What of the document the rule's conditions look at."""
        conditions = (self.rule.match, self.rule.unless, *(use.condition for use in self.actions))
        return set().union(*(paths_of(condition) for condition in conditions))

    @cached_property
    def writes(self) -> frozenset[str]:
        return frozenset(part for use in self.actions for part in use.action.writes)

    def place(self, word: str = "name") -> Span:
        """Where an option of the rule is written; the rule's name if it is not."""
        key = self.node.key(word) if self.node is not None else None
        return key.span if key is not None and word != "name" else self.rule.span

    def seen_from(self, other: Linted) -> str:
        """The rule's name and where it stands."""
        source = self.rule.span.source
        line, _ = source.position(self.rule.span.start)
        where = f"line {line}" if source is other.rule.span.source else f"{source.name}:{line}"
        return f"`{self.name}` ({where})"


class RuleSet:
    """All rules that can run, by phase, in order, and where what is found goes."""

    def __init__(self, loaded: Loaded, scope: Scope) -> None:
        self.loaded = loaded
        self.scope = scope
        self.names = Names()
        nodes = _nodes(loaded)
        today = datetime.datetime.now(datetime.UTC).date()
        self.rules = [
            Linted(rule, nodes.get(rule.name_), position, self.names)
            for position, rule in enumerate(loaded.rules)
            if rule.mode != "off" and (rule.expires is None or rule.expires >= today)
        ]
        self.by_phase: dict[str, list[Linted]] = defaultdict(list)
        for linted in self.rules:
            for name in dict.fromkeys(linted.rule.phase):
                self.by_phase[name].append(linted)
        self.settled: set[str] = set()  # rules about which the weightier thing is said already

    def warn(self, linted: Linted, code: str, message: str, help: str, span: Span | None = None) -> None:
        """A warning about a rule."""
        self._problem(linted, (code, message, help), span, "warning")

    def note(self, linted: Linted, code: str, message: str, help: str, span: Span | None = None) -> None:
        """A note about a rule."""
        self._problem(linted, (code, message, help), span, "note")

    def _problem(self, linted: Linted, said: tuple[str, str, str], span: Span | None, severity: Severity) -> None:
        code, message, help = said
        self.scope.rule = linted.name
        self.scope.problem(code, message, span or linted.place(), help=help, severity=severity)
        self.scope.rule = None


@cache
def _starts(call_types: frozenset[str], *, below_400: bool) -> Starts:
    """Domains that rules begin with; each is copied before it is narrowed."""
    names: list[str | None] = [name for name in CALL_TYPES if name in call_types]
    if len(names) == len(CALL_TYPES):
        names.append(None)  # an endpoint that is none of them
    starts: Starts = {("call_type",): Domain(candidates=names)}
    if below_400:
        starts["response", "status"] = Domain(frozenset({"number"}))
        starts["response", "status"].numbers = Range(low=100, high=400, high_open=True)
    return starts


def _nodes(loaded: Loaded) -> dict[str, Mapping]:
    nodes: dict[str, Mapping] = {}
    for _, section, _ in loaded.written.named("rules"):
        for node in section.items if isinstance(section, Sequence) else ():
            if isinstance(node, Mapping) and (name := node.get("name")) is not None:
                nodes.setdefault(str(name.plain()), node)
    return nodes


def paths_of(condition: Condition | None) -> Paths:
    """The parts of the document that a condition looks at; a root alone where no path is clear."""
    found: Paths = set()
    for leaf in leaves(condition.tree) if condition is not None else ():
        subject = subject_of(leaf)
        path = plain_path(subject.ast)
        found |= {path} if path is not None else {tuple(root.split(".")) for root in subject.roots}
        if isinstance(leaf, Test):
            found |= {tuple(root.split(".")) for root in leaf.operator.roots}
    return found


def conditions_of(linted: Linted) -> Iterator[tuple[str, Condition, Span]]:
    """`match`, `unless` and every `if` of a rule, with where they stand."""
    rule = linted.rule
    if rule.match is not None:
        yield "match", rule.match, linted.place("match")
    if rule.unless is not None:
        yield "unless", rule.unless, linted.place("unless")
    for use in linted.actions:
        if use.condition is not None:
            yield "if", use.condition, use.span
