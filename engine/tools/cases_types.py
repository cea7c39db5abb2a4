"""The kinds of values that tests are made of, as option types: JSON, headers, moments, conditions.

Must not know the parts of a test.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from engine.catalogue import Scope
from engine.document.exchange import Exchange
from engine.language.condition import Condition
from engine.options import BAD, found, from_environment
from engine.source import Mapping, Node, Sequence, Span


class Json:
    """Any value as it stands; a text at any depth may be `os.environ/NAME`."""

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        if isinstance(node, Mapping):
            members = {str(key.value): cls.read(value, scope) for key, value in node}
            return BAD if any(value is BAD for value in members.values()) else members
        if isinstance(node, Sequence):
            items = [cls.read(item, scope) for item in node]
            return BAD if any(item is BAD for item in items) else items
        return from_environment(node, scope)


class Pairs:
    """Names and values, as headers and query parameters have them; a list of values repeats the name."""

    @classmethod
    def schema(cls) -> dict[str, Any]:
        scalar = {"type": ["string", "number", "boolean"]}
        return {"type": "object", "additionalProperties": {"anyOf": [scalar, {"type": "array", "items": scalar}]}}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        if not isinstance(node, Mapping):
            scope.problem("wrong-type", f"expected a mapping of names to texts, found {found(node)}", node.span)
            return BAD
        pairs = [(str(key.value), cls._text(item, scope)) for key, value in node for item in each(value)]
        return BAD if any(value is BAD for _, value in pairs) else pairs

    @staticmethod
    def _text(node: Node, scope: Scope) -> Any:
        value = from_environment(node, scope)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (str, int, float)):
            return str(value)
        if value is not BAD:
            scope.problem("wrong-type", f"expected text, found {found(node)}", node.span)
        return BAD


def each(node: Node) -> list[Node]:
    """The elements of a list; anything else is the only one."""
    return node.items if isinstance(node, Sequence) else [node]


class Query(Pairs):
    """Query parameters: names and values, or the text as it stands behind `?`."""

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"anyOf": [{"type": "string"}, Pairs.schema()]}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        value = from_environment(node, scope)
        if isinstance(value, str):
            return parse_qsl(value.removeprefix("?"), keep_blank_values=True)
        return BAD if value is BAD else super().read(node, scope)


class TextOrNull:
    """A text, or null for absent."""

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": ["string", "null"]}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        value = from_environment(node, scope)
        if value is None or isinstance(value, str):
            return value
        scope.problem("wrong-type", f"expected text or null, found {found(node)}", node.span)
        return BAD


class PlacedCondition:
    """A condition over the document plus `sent`, as a test of a finished exchange, and where it stands."""

    def __init__(self, test: Callable[[Exchange], bool], span: Span) -> None:
        self.test = test
        self.span = span

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return Condition.schema()

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        phases, scope.phases = scope.phases, frozenset()  # of no phase: sees every root, and `sent`
        condition = Condition.read(node, scope)
        scope.phases = phases
        return BAD if condition is BAD else cls(condition.compile(), node.span)


class Moment:
    """A point in time as RFC 3339: `2026-01-31T12:00:00Z`; without a zone it is UTC."""

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}"}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        value = from_environment(node, scope)
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            if value is not BAD:
                scope.problem(
                    "wrong-type",
                    f"expected a point in time, found {found(node)}",
                    node.span,
                    help="write it like `2026-01-31T12:00:00Z`",
                )
            return BAD
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


if TYPE_CHECKING:  # what the options hold; below, what reads them
    AnyJson = Any
    NamedTexts = list[tuple[str, str]]
    Parameters = list[tuple[str, str]]
    Time = datetime
    NullableText = str | None
else:
    AnyJson, NamedTexts, Parameters, Time, NullableText = Json, Pairs, Query, Moment, TextOrNull
