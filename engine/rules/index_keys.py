"""What must hold for a condition to hold: one required predicate of a rule, by which an index can find it.

Must not know how an index is built or asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.language.ast import Call, plain_path, walk
from engine.language.condition_several import AllOf, AnyOf, Negated
from engine.language.condition_tree import Always, ElementExpression, Never, Test, Tree, Truth
from engine.language.expression import Expression
from engine.language.operators import Operator

INDEXED_ROOTS = frozenset(
    {
        "request",
        "headers",
        "query",
        "path",
        "method",
        "call_type",
        "key",
        "client",
        "prompt_text",
        "system_text",
        "user_text",
        "last_user_text",
        "original",
        "stream",
        "metadata",
        "upstream",
        "response",
        "completion_text",
        "tool_text",
        "reasoning_text",
        "error",
    }
)
"""Parts that only bodies and the exchange's own course change; `vars`, `tags`, `matched` change with any rule."""

MOST_KEYS = 100_000  # of one rule: a longer `in` list than this is not worth its memory


@dataclass(frozen=True, slots=True)
class Key:
    """One required predicate. Rules whose keys have the same `path`, `sort` and `change` are found together.

    `sort`: `equal`, `prefix`, `text` (RE2 somewhere in it), `above`, `below`, `present`. `exact`:
    where it is found the predicate holds, and need not be asked again.
    """

    sort: str
    subject: Expression
    path: tuple[str | int, ...]
    value: Any = None
    change: Any = None
    exact: bool = False

    @property
    def identity(self) -> tuple[Any, ...]:
        """Equal for keys that find the same rules."""
        return self.sort, self.path, self.value if self.sort in ("equal", "prefix", "text") else None, self.change


@dataclass(frozen=True, slots=True)
class Choice:
    """How an index finds a rule: by `keys`, of which one holds whenever the condition does; None: it cannot.

    `rest` is what remains to be asked once a key was found, None for nothing.
    """

    keys: list[Key] | None
    rest: Tree | None


def choose(trees: Sequence[Tree | None]) -> list[Choice]:
    """For each condition the keys that single it out best.

    What many rules share (`stream: false`) tells them apart badly, so the choice looks at all of them.
    """
    offered = [alternatives(tree) for tree in trees]
    shared = Counter(key.identity for choices in offered for keys, _ in choices for key in keys)
    chosen = []
    for tree, choices in zip(trees, offered, strict=True):
        keys, item = min(choices, key=lambda choice: _cost(choice[0], shared), default=(None, None))
        chosen.append(Choice(keys, _without(tree, item) if keys and all(key.exact for key in keys) else tree))
    return chosen


def _without(tree: Tree | None, item: Tree | None) -> Tree | None:
    """A condition less the part that the key has answered."""
    if tree is item:
        return None
    if isinstance(tree, AllOf) and item is not None:
        rest = tuple(one for one in tree.items if one is not item)
        if len(rest) < len(tree.items):
            return rest[0] if len(rest) == 1 else AllOf(rest)
    return tree


Alternative = tuple[list[Key], Tree | None]


def alternatives(tree: Tree | None) -> list[Alternative]:
    """Every set of keys of which at least one holds whenever the condition holds, with the part that it stands for."""
    if isinstance(tree, Never):
        return [([], tree)]
    if isinstance(tree, AllOf):
        return [choice for item in _sure(tree.items) for choice in alternatives(item)]
    if isinstance(tree, AnyOf):
        parts = [alternatives(item) for item in tree.items]
        if not all(parts) or len(_sure(tree.items)) < len(tree.items):
            return []
        joined = [key for choices in parts for key in min(choices, key=lambda choice: _rank(choice[0]))[0]]
        inexact = [replace(key, exact=False) for key in joined]
        return [(inexact, tree)] if len(joined) <= MOST_KEYS else []
    if isinstance(tree, Test):
        path = _indexable(tree.subject)
        keys = None if path is None else _of_operator(tree.operator, tree.subject, path)
        return [] if keys is None else [(keys, tree)]
    if isinstance(tree, Truth):
        path = _indexable(tree.expression)
        return [] if path is None else [([Key("present", tree.expression, path)], tree)]
    return []


def _sure(items: Sequence[Tree]) -> Sequence[Tree]:
    """The items before the first that can fail: where one fails before the key is asked, the rule must fail too."""
    return next((items[:at] for at, item in enumerate(items) if _can_fail(item)), items)


def _can_fail(tree: Tree) -> bool:
    """Whether evaluating can be an error of the rule: functions refuse wrong types, nothing else does."""
    if isinstance(tree, Test):
        return tree.operator.name in ("some", "every") or _calls(tree.subject)
    if isinstance(tree, Truth):
        return _calls(tree.expression)
    if isinstance(tree, (AllOf, AnyOf)):
        return any(_can_fail(item) for item in tree.items)
    return not isinstance(tree, (Always, Never)) and not (isinstance(tree, Negated) and not _can_fail(tree.item))


def _calls(expression: Expression) -> bool:
    return any(isinstance(node, Call) for node in walk(expression.ast))


_RANK = {"equal": 0, "prefix": 1, "text": 2, "above": 3, "below": 3, "present": 4}
FEW = 8  # rules that may share a key before another kind of key is worth more


def _rank(keys: list[Key]) -> int:
    return max((_RANK[key.sort] for key in keys), default=-1)


def _cost(keys: list[Key], shared: Counter[tuple[Any, ...]]) -> tuple[int, int, int]:
    """Keys that few rules share come first, then the cheapest sort to look up, then the fewest."""
    crowd = max((shared[key.identity] for key in keys), default=0)
    return (crowd if crowd > FEW else 0), _rank(keys), len(keys)


def _indexable(subject: Expression) -> tuple[str | int, ...] | None:
    if isinstance(subject, ElementExpression):
        return None
    path = plain_path(subject.ast)
    return path if path is not None and path[0] in INDEXED_ROOTS else None


def _of_operator(operator: Operator, subject: Expression, path: tuple[str | int, ...]) -> list[Key] | None:
    if operator.negated or operator.name == "empty" or (operator.name == "exists" and not operator.value):
        return None
    make = _MAKERS.get(operator.name)
    values = make(operator) if make else None
    if values is None or len(values) > MOST_KEYS:
        return [Key("present", subject, path)]
    return [
        Key(sort, subject, path, value, operator.change, _is_exact(sort, value, path, operator))
        for sort, value in values
    ]


TEXT_ROOTS = frozenset(
    {
        "prompt_text",
        "system_text",
        "user_text",
        "last_user_text",
        "completion_text",
        "tool_text",
        "reasoning_text",
        "path",
        "method",
        "call_type",
    }
)


def _is_exact(sort: str, value: Any, path: tuple[str | int, ...], operator: Operator) -> bool:
    """Numbers and booleans meet in a dictionary; a list may hold what a text contains; checksums come after RE2."""
    if sort == "equal":
        return isinstance(value, str)
    if sort == "text":
        patterns = operator.value if operator.name.startswith("matches") else ()
        return path[0] in TEXT_ROOTS and not any(pattern.checked for pattern in patterns)
    return sort == "prefix"


def _equal(values: list[Any], operator: Operator) -> list[tuple[str, Any]] | None:
    if not all(isinstance(value, (str, int, float, bool)) for value in values):
        return None
    return [("equal", operator.same(value) if isinstance(value, str) else value) for value in values]


def _texts(values: list[Any], operator: Operator) -> list[tuple[str, Any]] | None:
    import re2

    if not all(isinstance(value, str) and value for value in values):
        return None
    return [("text", re2.escape(operator.same(value))) for value in values]


def _patterns(patterns: list[Any], operator: Operator) -> list[tuple[str, Any]] | None:
    if operator.change is not None:
        return None
    return [("text", pattern.source) for pattern in patterns]


_MAKERS: dict[str, Any] = {
    "equals": lambda o: _equal([o.value], o),
    "in": lambda o: _equal(list(o.value), o),
    "starts_with": lambda o: [("prefix", o.same(o.value))],
    "contains": lambda o: _texts([o.value], o),
    "contains_any": lambda o: _texts(list(o.value), o),
    "matches": lambda o: _patterns(list(o.value), o),
    "matches_any": lambda o: _patterns(list(o.value), o),
    "gt": lambda o: [("above", o.value)] if not isinstance(o.value, str) else None,
    "gte": lambda o: [("above", o.value)] if not isinstance(o.value, str) else None,
    "lt": lambda o: [("below", o.value)] if not isinstance(o.value, str) else None,
    "lte": lambda o: [("below", o.value)] if not isinstance(o.value, str) else None,
}
