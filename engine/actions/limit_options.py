"""Option types and parts that `rate_limit` and `budget` share. Must not know how limits are taken."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from engine.catalogue import Scope
from engine.document.exchange import Exchange
from engine.language.expression import Expression
from engine.language.template import Template, Value, text_of_value
from engine.options import BAD, found
from engine.source import Node, Scalar
from engine.units import Seconds

_UNITS = {**Seconds.UNITS, "sec": 1.0, "second": 1.0, "minute": 60.0, "hour": 3600.0}
_SAMPLE = "write it like `60/min`, `1000/day` or `5/10s`"
MOST = 10**12


class PerTime(NamedTuple):
    """So many in so many seconds."""

    most: int
    seconds: float


class RateText(Template):
    """`60/min`, `1000/day`, `5/10s`, or a template that gives such a text; filled it is a PerTime, or None."""

    __slots__ = ()

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": "string", "pattern": r"\{\{|^[0-9]+ ?/ ?[0-9.]*[a-z]+$", "examples": ["60/min"]}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            bare: Any = node.plain()
            help = f"write the time as well: `{bare}/min`, `{bare}/day`" if type(bare) is int and bare > 0 else _SAMPLE
            scope.problem("wrong-type", f"expected a rate, found {found(node)}", node.span, help=help)
            return BAD
        value = Template.read(node, scope)
        if value is BAD:
            return BAD
        if not value.constant:
            fill = value.fill
            return cls(lambda x: _filled(fill(x)), value.roots)
        try:
            rate = per_time(str(value.fill(None)))
        except ValueError:
            scope.problem("wrong-type", f"expected a rate, found {found(node)}", node.span, help=_SAMPLE)
            return BAD
        return cls(lambda _: rate, constant=True)


@lru_cache(maxsize=1024)
def per_time(text: str) -> PerTime:
    """A rate; ValueError for what is none."""
    number, slash, unit = text.partition("/")
    number, unit = number.strip(), unit.strip()
    digits = unit.rstrip("abcdefghijklmnopqrstuvwxyz")
    each = _UNITS.get(unit[len(digits) :].strip())
    most = int(number) if number.isascii() and number.isdigit() and len(number) <= 12 else 0
    seconds = (float(digits) if digits.strip() else 1.0) * each if each else 0.0
    if not slash or most < 1 or not 0.001 <= seconds < 10**10:
        raise ValueError(f"{text!r} is no rate; {_SAMPLE}")
    return PerTime(most, seconds)


def _filled(value: Any) -> PerTime | None:
    return None if value is None else per_time(text_of_value(value))


class Amount(Value):
    """A number, or a template that gives one; null there means no limit."""

    __slots__ = ()
    whole = False
    sample = "50"

    @classmethod
    def schema(cls) -> dict[str, Any]:
        number: dict[str, Any] = {"type": "integer", "minimum": 1} if cls.whole else {"type": "number", "minimum": 0}
        return {"anyOf": [number, {"type": "string", "pattern": r"\{\{"}]}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        value = Value.read(node, scope)
        if value is BAD:
            return BAD
        if value.constant and not cls._fits(value.fill(None)):
            scope.problem(
                "wrong-type",
                f"expected {'a whole number, at least 1' if cls.whole else 'a number'}, found {found(node)}",
                node.span,
                help=f"write a number without quotes, such as `{cls.sample}`",
            )
            return BAD
        fill, fits = value.fill, cls._fits

        def amount(x: Exchange) -> Any:
            given = fill(x)
            if given is not None and not fits(given):
                raise ValueError(f"a limit became {text_of_value(given)[:40]!r}, which is no number for it")
            return given

        return cls(fill if value.constant else amount, value.roots, constant=value.constant)

    @classmethod
    def _fits(cls, value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        return (value >= 1 and value == int(value)) if cls.whole and value < MOST else 0 <= value < MOST


class Slots(Amount):
    """A whole number of things at once."""

    __slots__ = ()
    whole = True
    sample = "5"


def by_text(by: Expression | None) -> Callable[[Exchange], str]:
    """A function from the exchange to what it is counted under; null counts as the empty text."""
    if by is None:
        return lambda x: x.key["name"] if x.key is not None else x.peer or ""
    evaluate = by.evaluate
    return lambda x: text_of_value(evaluate(x))
