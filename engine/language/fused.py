"""The shapes that conditions mostly have, each as one closure: paths, `path == literal`, simple filters.

A fused shape means exactly what the general closures would together, at a third of the time. Must not know exchanges
beyond calling the getters it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from engine.language.ast import Ast, Compare, Current, Field, Literal, plain_path
from engine.language.closures import ORDERS, TOP, Code, Order

Getter = Callable[[Any], Any]
Step = str | int

_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


def stepped(value: Any, steps: tuple[Step, ...]) -> Any:
    """What a path of names and positions finds in a value; null where it leads nowhere."""
    for step in steps:
        if isinstance(value, dict):
            if not isinstance(step, str):
                return None
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int):
            if not -len(value) <= step < len(value):
                return None
            value = value[step]
        else:
            return None
    return value


def member(name: str) -> Code:
    """A member of the current object."""
    return lambda v, _=TOP: v.get(name) if isinstance(v, dict) else None


def member_path(path: tuple[Step, ...]) -> Code:
    """A path from the current value."""
    return lambda v, _=TOP: stepped(v, path)


def document_path(root: Getter, path: tuple[Step, ...]) -> Code:
    """A path from a root of the document."""
    if not path:
        return lambda v, _=TOP: root(v)
    if len(path) == 1 and isinstance(path[0], str):
        name = path[0]

        def read(v: Any, x: Any = TOP) -> Any:
            found = root(v)
            return found.get(name) if isinstance(found, dict) else None

        return read
    return lambda v, _=TOP: stepped(root(v), path)


def project_member(of: Code, name: str | None) -> Code:
    """`of[*].name`, or `of[*]` when there is no name."""

    def elements(v: Any, x: Any = TOP) -> Any:
        base = of(v, x)
        return [element for element in base if element is not None] if isinstance(base, list) else None

    def members(v: Any, x: Any = TOP) -> Any:
        base = of(v, x)
        if not isinstance(base, list):
            return None
        return [found for element in base if isinstance(element, dict) and (found := element.get(name)) is not None]

    return elements if name is None else members


def field_filter(of: Code, condition: Ast, each: Ast) -> Code | None:
    """`of[?key == 'text'].name` and `of[?key == 'text']`; None for other filters."""
    sides = _against_literal(condition)
    if sides is None or sides[0] != "==" or not isinstance(sides[1], Field) or not isinstance(sides[2], str):
        return None
    key, text = sides[1].name, sides[2]

    def elements(v: Any, x: Any = TOP) -> Any:
        base = of(v, x)
        if not isinstance(base, list):
            return None
        return [element for element in base if isinstance(element, dict) and element.get(key) == text]

    if isinstance(each, Current):
        return elements
    if not isinstance(each, Field):
        return None
    name = each.name

    def members(v: Any, x: Any = TOP) -> Any:
        base = of(v, x)
        if not isinstance(base, list):
            return None
        return [
            found
            for element in base
            if isinstance(element, dict) and element.get(key) == text and (found := element.get(name)) is not None
        ]

    return members


def compared_with_literal(node: Compare, code: Callable[[Ast], Code], getters: Mapping[str, Getter]) -> Code | None:
    """A comparison with a scalar literal; None for other comparisons. `getters`: of the roots, at the top."""
    sides = _against_literal(node)
    if sides is None:
        return None
    operator, of, value = sides
    if operator in ORDERS:
        return _ordered(ORDERS[operator], code(of), value)
    if isinstance(value, str):
        path = plain_path(of) if operator == "==" else None
        if path and len(path) == 2 and isinstance(path[0], str) and path[0] in getters and isinstance(path[1], str):
            return _member_equals(getters[path[0]], path[1], value)
        return _equals_text(code(of), value, wanted=operator == "==")
    return _equals_constant(code(of), value, wanted=operator == "==")


def _against_literal(node: Ast) -> tuple[str, Ast, Any] | None:
    """Operator, other side and scalar, as if the literal stood on the right."""
    if not isinstance(node, Compare):
        return None
    operator, of, literal = node.operator, node.left, node.right
    if isinstance(of, Literal):
        operator, of, literal = _MIRRORED[operator], literal, of  # type: ignore[assignment]
    if not isinstance(literal, Literal) or isinstance(literal.value, (list, dict)):
        return None
    return operator, of, literal.value


def _member_equals(root: Getter, name: str, text: str) -> Code:

    def holds(v: Any, x: Any = TOP) -> bool:
        found = root(v)
        return isinstance(found, dict) and found.get(name) == text

    return holds


def _equals_text(of: Code, text: str, *, wanted: bool) -> Code:
    if wanted:
        return lambda v, x=TOP: of(v, x) == text
    return lambda v, x=TOP: of(v, x) != text


def _equals_constant(of: Code, value: Any, *, wanted: bool) -> Code:
    if value is None or isinstance(value, bool):
        return (lambda v, x=TOP: of(v, x) is value) if wanted else (lambda v, x=TOP: of(v, x) is not value)

    def same_number(v: Any, x: Any = TOP) -> bool:
        found = of(v, x)
        return (found == value and not isinstance(found, bool)) is wanted

    return same_number


def _ordered(order: Order, of: Code, value: Any) -> Code:
    sorts = (str,) if isinstance(value, str) else () if isinstance(value, bool) or value is None else (int, float)

    def ordered(v: Any, x: Any = TOP) -> bool | None:
        found = of(v, x)
        return order(found, value) if isinstance(found, sorts) and not isinstance(found, bool) else None

    return ordered
