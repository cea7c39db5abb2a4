"""Operators on order and size: numbers by value, text by code point. Must not know conditions."""

from __future__ import annotations

from collections.abc import Callable
from operator import ge, gt, le, lt
from typing import Any, ClassVar

from engine.catalogue import Example, Scope
from engine.language.operators import Check, Operator, Operators, all_of
from engine.language.values import is_number
from engine.options import BAD, found, from_environment, option
from engine.source import Mapping, Node, Sequence

NUMBERS = frozenset({int, float})
"""The types of JSON's numbers; `bool` is none. Half the time of two `isinstance`."""


class Bound:
    """A number, or a text to compare with by code point."""

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": ["number", "string"]}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        value = from_environment(node, scope)
        if value is BAD or is_number(value) or isinstance(value, str):
            return value
        scope.problem("wrong-type", f"expected a number or text, found {found(node)}", node.span)
        return BAD


class Ordered(Operator):
    """What the four comparisons share: a value of another type than the constant fails."""

    takes = "number|string"
    order: ClassVar[Callable[[Any, Any], bool]]
    value: Bound = option("The number, or the text.", whole=True)

    def compile(self) -> Check:
        order, bound = type(self).order, self.value
        if isinstance(bound, str):
            return lambda value: isinstance(value, str) and order(value, bound)
        return lambda value: type(value) in NUMBERS and order(value, bound)


class Gt(Ordered, name="gt", order=staticmethod(gt)):
    """The value is greater."""

    examples: ClassVar = [
        Example("greater", "gt: 1", 1.5, True),
        Example("equal is not greater", "gt: 1", 1, False, acts=False),
        Example("text is no number", "gt: 1", "2", False, acts=False),
    ]


class Gte(Ordered, name="gte", order=staticmethod(ge)):
    """The value is greater or equal."""

    examples: ClassVar = [
        Example("equal", "gte: 1", 1, True),
        Example("less", "gte: 1", 0.9, False, acts=False),
        Example("text by code point", "gte: '2025-01-01'", "2025-06-30", True),
    ]


class Lt(Ordered, name="lt", order=staticmethod(lt)):
    """The value is less."""

    examples: ClassVar = [
        Example("less", "lt: 1", 0.5, True),
        Example("equal is not less", "lt: 1", 1, False, acts=False),
        Example("nothing there", "lt: 1", None, False, acts=False),
    ]


class Lte(Ordered, name="lte", order=staticmethod(le)):
    """The value is less or equal."""

    examples: ClassVar = [
        Example("equal", "lte: 1", 1, True),
        Example("greater", "lte: 1", 2, False, acts=False),
        Example("true is no number", "lte: 1", True, False, acts=False),
    ]


class Bounds(list[Any]):
    """A list of two: the least and the greatest, both numbers or both texts."""

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": "array", "items": Bound.schema(), "minItems": 2, "maxItems": 2}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        if not isinstance(node, Sequence) or len(node.items) != 2:
            what = found(node) if not isinstance(node, Sequence) else f"{len(node.items)} values"
            scope.problem("wrong-type", f"expected two bounds, found {what}", node.span, help="write it like `[1, 10]`")
            return BAD
        low: Any = Bound.read(node.items[0], scope)
        high: Any = Bound.read(node.items[1], scope)
        if low is BAD or high is BAD:
            return BAD
        if isinstance(low, str) != isinstance(high, str):
            scope.problem("wrong-type", "one bound is a number and the other is text", node.span)
            return BAD
        if low > high:
            scope.problem(
                "never-holds",
                "nothing lies between these bounds: the first is the greater one",
                node.span,
                help=f"write `[{high}, {low}]`",
            )
            return BAD
        return [low, high]


class Between(Operator, name="between", takes="number|string"):
    """The value lies between two bounds, both included."""

    value: Bounds = option("The least and the greatest.", whole=True)

    examples: ClassVar = [
        Example("the bounds are included", "between: [9, 17]", 17, True),
        Example("outside", "between: [9, 17]", 18, False, acts=False),
        Example("nothing there", "between: [9, 17]", None, False, acts=False),
    ]

    def compile(self) -> Check:
        low, high = self.value
        if isinstance(low, str):
            return lambda value: isinstance(value, str) and low <= value <= high
        return lambda value: type(value) in NUMBERS and low <= value <= high


class Size:
    """A whole number, or operators on a number."""

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"anyOf": [{"type": "integer", "minimum": 0}, Operators.schema()]}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        if isinstance(node, Mapping):
            return Operators.read(node, scope)
        value = node.plain()
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        scope.problem(
            "wrong-type",
            f"expected a whole number or operators, found {found(node)}",
            node.span,
            help="write it like `length: 3` or `length: {gt: 3}`",
        )
        return BAD


class Length(Operator, name="length", takes="string|array|object"):
    """The length is this number, or holds these operators.

    It counts the code points of text, the elements of a list, the keys of an object.
    """

    value: Size = option("The length, or operators on it.", whole=True)

    examples: ClassVar = [
        Example("code points", "length: 2", "né", True),
        Example("operators", "length: {gt: 2, lte: 4}", [1, 2, 3], True),
        Example("a number has no length", "length: {gte: 0}", 12, False, acts=False),
        Example("nothing there", "length: 0", None, False, acts=False),
    ]

    def constant(self) -> Any:
        size: Any = self.value
        if isinstance(size, Operators):
            return {operator.name: operator.constant() for operator in size}
        return size

    def key(self) -> tuple[Any, ...]:
        size: Any = self.value
        return (self.name, *(one.key() for one in size)) if isinstance(size, Operators) else super().key()

    def compile(self) -> Check:
        size: Any = self.value
        if isinstance(size, Operators):
            check = all_of(size)
            return lambda value: isinstance(value, (str, list, dict)) and check(len(value))
        return lambda value: isinstance(value, (str, list, dict)) and len(value) == size
