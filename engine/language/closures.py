"""The closures that expressions are made of, one for each construct. Must not know trees, exchanges or functions.

`code(value, document)`: at the top the document is the value itself and is left out. A number is always true, zero
too; so truth is `found or type(found) in _NUMBERS`, which costs nothing where the value is a boolean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import ge, gt, le, lt
from typing import Any

from engine.language.values import comparable, equal

TOP: Any = object()
"""The document, where the current value is the document."""

Code = Callable[..., Any]
Order = Callable[[Any, Any], bool]

ORDERS: dict[str, Order] = {"<": lt, "<=": le, ">": gt, ">=": ge}
_NUMBERS = (int, float)


def follow(first: Code, rest: Sequence[Code]) -> Code:
    """Parts one after the other, each on what the one before gave."""

    def followed(v: Any, x: Any = TOP) -> Any:
        document = v if x is TOP else x
        v = first(v, x)
        for step in rest:
            v = step(v, document)
        return v

    return followed


def flatten(of: Code) -> Code:
    """Lists inside a list, opened one level."""

    def flattened(v: Any, x: Any = TOP) -> Any:
        base = of(v, x)
        if not isinstance(base, list):
            return None
        found: list[Any] = []
        for element in base:
            if isinstance(element, list):
                found.extend(element)
            else:
                found.append(element)
        return found

    return flattened


def project(of: Code, each: Code) -> Code:
    """`each` on every element of a list; nulls are left out."""

    def projected(v: Any, x: Any = TOP) -> Any:
        base = of(v, x)
        if not isinstance(base, list):
            return None
        document = v if x is TOP else x
        return [found for element in base if (found := each(element, document)) is not None]

    return projected


def project_values(of: Code, each: Code) -> Code:
    """`each` on every value of an object; nulls are left out."""

    def projected(v: Any, x: Any = TOP) -> Any:
        base = of(v, x)
        if not isinstance(base, dict):
            return None
        document = v if x is TOP else x
        return [found for element in base.values() if (found := each(element, document)) is not None]

    return projected


def filter_elements(of: Code, condition: Code, each: Code) -> Code:
    """`each` on the elements for which the condition is true; nulls are left out."""

    def filtered(v: Any, x: Any = TOP) -> Any:
        base = of(v, x)
        if not isinstance(base, list):
            return None
        document = v if x is TOP else x
        found = []
        for element in base:
            holds = condition(element, document)
            if (holds or type(holds) in _NUMBERS) and (value := each(element, document)) is not None:
                found.append(value)
        return found

    return filtered


def negation(of: Code) -> Code:

    def negated(v: Any, x: Any = TOP) -> bool:
        found = of(v, x)
        return not found and type(found) not in _NUMBERS

    return negated


def conjunction(parts: Sequence[Code]) -> Code:
    """The first that is not true, else the last."""
    *before, last = parts
    if len(before) == 1:
        first = before[0]

        def both(v: Any, x: Any = TOP) -> Any:
            found = first(v, x)
            return last(v, x) if found or type(found) in _NUMBERS else found

        return both

    def every(v: Any, x: Any = TOP) -> Any:
        for part in before:
            found = part(v, x)
            if not found and type(found) not in _NUMBERS:
                return found
        return last(v, x)

    return every


def disjunction(parts: Sequence[Code]) -> Code:
    """The first that is true, else the last."""
    *before, last = parts

    def some(v: Any, x: Any = TOP) -> Any:
        for part in before:
            found = part(v, x)
            if found or type(found) in _NUMBERS:
                return found
        return last(v, x)

    return some


def comparison(operator: str, left: Code, right: Code) -> Code:
    """Two values compared; an order between what has none is null."""
    if operator == "==":
        return lambda v, x=TOP: equal(left(v, x), right(v, x))
    if operator == "!=":
        return lambda v, x=TOP: not equal(left(v, x), right(v, x))
    order = ORDERS[operator]

    def ordered(v: Any, x: Any = TOP) -> bool | None:
        one, other = left(v, x), right(v, x)
        return order(one, other) if comparable(one, other) else None

    return ordered
