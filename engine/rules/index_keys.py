"""What must hold for a condition to hold: one required predicate of a rule, by which an index can find it.

Must not know how an index is built or asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.language.ast import plain_path
from engine.language.condition_several import AllOf, AnyOf
from engine.language.condition_tree import ElementExpression, Never, Test, Tree, Truth
from engine.language.expression import Expression
from engine.language.operators import Operator

INDEXED_ROOTS = frozenset({
    "request", "headers", "query", "path", "method", "call_type", "key", "client", "prompt_text", "system_text",
    "user_text", "last_user_text", "original", "stream", "metadata", "upstream", "response", "completion_text",
    "tool_text", "reasoning_text", "error",
})
"""Parts that only bodies and the exchange's own course change; `vars`, `tags`, `matched` change with any rule."""

MOST_KEYS = 100_000  # of one rule: a longer `in` list than this is not worth its memory


@dataclass(frozen=True, slots=True)
class Key:
    """One required predicate. Rules whose keys have the same `path`, `sort` and `change` are found together.

    `sort`: `equal`, `prefix`, `text` (RE2 somewhere in it), `above`, `below`, `present`.
    """

    sort: str
    subject: Expression
    path: tuple[str | int, ...]
    value: Any = None
    change: Any = None


def required(tree: Tree | None) -> list[Key] | None:
    """Keys of which at least one holds whenever the condition holds; None when there are no such."""
    if isinstance(tree, Never):
        return []
    if isinstance(tree, AllOf):
        choices = [keys for item in tree.items if (keys := required(item)) is not None]
        return min(choices, key=_cost, default=None)
    if isinstance(tree, AnyOf):
        parts = [required(item) for item in tree.items]
        found = [key for keys in parts for key in keys or ()]
        return None if any(keys is None for keys in parts) or len(found) > MOST_KEYS else found
    if isinstance(tree, Test):
        path = _indexable(tree.subject)
        return None if path is None else _of_operator(tree.operator, tree.subject, path)
    if isinstance(tree, Truth):
        path = _indexable(tree.expression)
        return None if path is None else [Key("present", tree.expression, path)]
    return None


_RANK = {"equal": 0, "prefix": 1, "text": 2, "above": 3, "below": 3, "present": 4}


def _cost(keys: list[Key]) -> tuple[int, int]:
    """The most selective sort first, then the fewest keys."""
    return max((_RANK[key.sort] for key in keys), default=-1), len(keys)


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
    return [Key(sort, subject, path, value, operator.change) for sort, value in values]


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
    "matches": lambda o: _patterns([o.value], o),
    "matches_any": lambda o: _patterns(list(o.value), o),
    "gt": lambda o: [("above", o.value)] if not isinstance(o.value, str) else None,
    "gte": lambda o: [("above", o.value)] if not isinstance(o.value, str) else None,
    "lt": lambda o: [("below", o.value)] if not isinstance(o.value, str) else None,
    "lte": lambda o: [("below", o.value)] if not isinstance(o.value, str) else None,
}
