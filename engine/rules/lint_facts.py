"""What holds of the document when conditions are known to hold or to fail, and what follows from that.

Only what is proved counts: `impossible` and `follows` answer True for no other reason. Must not know rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

from engine.document.moments import WEEKDAYS
from engine.document.roots import ROOTS
from engine.language.ast import Call, canonical, plain_path, walk
from engine.language.condition import AllOf, Always, AnyOf, Negated, Never, Test, Tree, Truth
from engine.language.expression import Expression
from engine.rules.lint_values import ANY_TYPE, Domain
from engine.rules.lint_verdicts import TRUTHY, Asked

MOST_BRANCHES = 32  # of an `any` that are looked into
MOST_STEPS = 500  # of one proof, branches counted
NEVER_NULL = frozenset(
    {
        "headers",
        "query",
        "path",
        "method",
        "client",
        "prompt_text",
        "system_text",
        "user_text",
        "last_user_text",
        "opaque",
        "stream",
        "tags",
        "matched",
    }
)
CHANGING = frozenset({"time", "timing", "matched", "*"})
"""What may differ from one look to the next although no rule writes it."""
Name = tuple[str | int, ...]
Starts = dict[Name, Domain]


class Names:
    """Short names for expressions and conditions, equal where they mean the same; each is looked at only once."""

    def __init__(self) -> None:
        self._subjects: dict[int, tuple[Expression, Name]] = {}  # by identity; what is kept here stays itself
        self._trees: dict[int, tuple[Tree, int]] = {}
        self._numbers: dict[Any, int] = {}

    def of(self, subject: Expression) -> Name:
        """A path as it is, anything else in its fixed spelling."""
        known = self._subjects.get(id(subject))
        if known is None:
            ast = subject.ast
            known = self._subjects[id(subject)] = subject, plain_path(ast) or (canonical(ast),)
        return known[1]

    def number(self, tree: Tree) -> int:
        """The number of a condition."""
        known = self._trees.get(id(tree))
        if known is None:
            number = self._numbers.setdefault(self._key(tree), len(self._numbers))
            known = self._trees[id(tree)] = tree, number
        return known[1]

    def _key(self, tree: Tree) -> Any:
        if isinstance(tree, Test):
            return "test", self.of(tree.subject), tree.operator.key()
        if isinstance(tree, Truth):
            return "truth", self.of(tree.expression)
        if isinstance(tree, Negated):
            return "not", self.number(tree.item)
        if isinstance(tree, (AllOf, AnyOf)):
            return type(tree).__name__, *map(self.number, tree.items)
        return tree.key()


class Facts:
    """What is known of one document at one moment.

    `domains`: by the name of an expression, what its value can be. `known`: by number, the verdicts of whole
    conditions. `starts`: domains that are given from outside, such as the call types of a rule.
    """

    __slots__ = ("_steps", "domains", "false", "known", "names", "starts", "subjects")

    def __init__(self, names: Names | None = None, starts: Starts | None = None) -> None:
        self.names = names or Names()
        self.starts: Starts = starts or {}
        self.domains: dict[Name, Domain] = {}
        self.subjects: dict[Name, Expression] = {}
        self.known: dict[int, bool] = {}
        self.false = False
        self._steps = [MOST_STEPS]

    def copy(self) -> Facts:
        twin = Facts(self.names, self.starts)
        twin.domains = {name: domain.copy() for name, domain in self.domains.items()}
        twin.subjects, twin.known = {**self.subjects}, {**self.known}
        twin.false, twin._steps = self.false, self._steps
        return twin

    # --- what becomes known ------------------------------------------------------------------------------------------

    def assume(self, tree: Tree, holds: bool = True) -> Facts:
        """Take a condition's verdict as known; gives itself."""
        if isinstance(tree, Negated):
            return self.assume(tree.item, not holds)
        if isinstance(tree, (Always, Never)):
            self.false = self.false or isinstance(tree, Always) is not holds
            return self
        if self.known.setdefault(self.names.number(tree), holds) is not holds:
            self.false = True
        if isinstance(tree, Test):
            self._narrow(tree.subject, tree.operator, holds)
        elif isinstance(tree, Truth):
            self._narrow(tree.expression, TRUTHY, holds)
        elif isinstance(tree, (AllOf, AnyOf)):
            if isinstance(tree, AllOf) is holds:
                for item in sorted(tree.items, key=_branches):
                    self.assume(item, holds)
            else:
                self._one_of(tree.items, holds)
        return self

    def _narrow(self, subject: Expression, operator: Asked, holds: bool) -> None:
        self.domain(subject).narrow(operator, holds)

    def domain(self, subject: Expression) -> Domain:
        """What the value of an expression can be."""
        name = self.names.of(subject)
        domain = self.domains.get(name)
        if domain is None:
            domain = self.domains[name] = self._start(name)
            self.subjects[name] = subject
        return domain

    def _start(self, name: Name) -> Domain:
        if name in self.starts:
            return self.starts[name].copy()
        return Domain(candidates=WEEKDAYS) if name == ("time", "weekday") else Domain(types_of(name))

    def _one_of(self, items: tuple[Tree, ...], holds: bool) -> None:
        """At least one of these: those that cannot be are left out; what all the others have in common is kept."""
        if len(items) > MOST_BRANCHES or self._steps[0] < len(items):
            return
        self._steps[0] -= len(items)
        left = [facts for item in items if not (facts := self.copy().assume(item, holds)).impossible]
        if not left:
            self.false = True
            return
        if len(left) == 1:
            only = left[0]
            self.domains, self.subjects, self.known = only.domains, only.subjects, only.known
            return
        for name in set.intersection(*(set(facts.domains) for facts in left)):
            self._join(name, left)

    def _join(self, name: Name, branches: list[Facts]) -> None:
        domains = [facts.domains[name] for facts in branches]
        subject = branches[0].subjects[name]
        here = self.domain(subject)
        here.types &= frozenset().union(*(domain.types for domain in domains))
        counted = [domain.candidates for domain in domains]
        if all(values is not None for values in counted):
            here.only([value for values in counted for value in values or ()])

    # --- what follows ------------------------------------------------------------------------------------------------

    @property
    def impossible(self) -> bool:
        """True when it is proved that no document is like this."""
        return self.false or any(domain.impossible for domain in self.domains.values())

    def contradiction(self) -> Name | None:
        """The name of an expression that has no value left."""
        return next((name for name, domain in self.domains.items() if domain.impossible), None)

    def verdict(self, tree: Tree) -> bool | None:
        """What a condition comes to; None when that is not known."""
        if isinstance(tree, (Always, Never)):
            return isinstance(tree, Always)
        if isinstance(tree, Negated):
            inner = self.verdict(tree.item)
            return None if inner is None else not inner
        known = self.known.get(self.names.number(tree))
        if known is not None:
            return known
        if isinstance(tree, Test):
            return self.domain(tree.subject).verdict(tree.operator)
        if isinstance(tree, Truth):
            return self.domain(tree.expression).verdict(TRUTHY)
        if isinstance(tree, (AllOf, AnyOf)):
            return _together((self.verdict(item) for item in tree.items), decides=isinstance(tree, AnyOf))
        return None

    def follows(self, tree: Tree) -> bool:
        """True when a condition is proved to hold, and to raise nothing on the way."""
        if isinstance(tree, AllOf):
            return all(self.follows(item) for item in tree.items)
        return self.verdict(tree) is True and (self.known.get(self.names.number(tree)) is True or not may_raise(tree))


def _together(verdicts: Iterable[bool | None], *, decides: bool) -> bool | None:
    """All of, or with `decides` one of, several verdicts of which some are not known."""
    unknown = False
    for verdict in verdicts:
        if verdict is decides:
            return decides
        unknown = unknown or verdict is None
    return None if unknown else not decides


def _branches(tree: Tree) -> int:
    """What has alternatives comes last: by then most of them can be left out."""
    return tree.size if isinstance(tree, (AnyOf, Negated, AllOf)) else 0


def leaves(tree: Tree) -> Iterator[Test | Truth]:
    """The tests and expressions of a condition."""
    if isinstance(tree, (Test, Truth)):
        yield tree
    elif isinstance(tree, Negated):
        yield from leaves(tree.item)
    elif isinstance(tree, (AllOf, AnyOf)):
        for item in tree.items:
            yield from leaves(item)


def always(tree: Tree, facts: Callable[[], Facts]) -> bool:
    """True when it is proved that a condition holds for every document of which nothing else is known."""
    if isinstance(tree, AllOf):
        return all(always(item, facts) for item in tree.items)
    return facts().assume(tree, holds=False).impossible


def subject_of(leaf: Test | Truth) -> Expression:
    """The expression whose value a leaf looks at."""
    return leaf.subject if isinstance(leaf, Test) else leaf.expression


def may_raise(tree: Tree) -> bool:
    """True when a function may meet a type that it refuses."""
    return any(
        (isinstance(leaf, Test) and leaf.operator.needs_document)
        or any(isinstance(node, Call) for node in walk(subject_of(leaf).ast))
        for leaf in leaves(tree)
    )


@cache
def types_of(path: Name) -> frozenset[str]:
    """The types that a part of the document can have, where the gateway and not the client decides them."""
    root = ROOTS.get(str(path[0]))
    if root is None or root.name == "error":
        return ANY_TYPE
    shape: Any = root.shape
    for step in path[1:]:
        if not isinstance(shape, dict) or not isinstance(step, str):
            return ANY_TYPE
        shape = shape.get(step) if step in shape else shape.get("*")
    name = "array" if isinstance(shape, list) else "object" if isinstance(shape, dict) else shape
    if not isinstance(name, str) or name not in ANY_TYPE:
        return ANY_TYPE
    return frozenset({name}) if path in {(root,) for root in NEVER_NULL} else frozenset({name, "null"})
