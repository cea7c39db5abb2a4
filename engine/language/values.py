"""What values mean in the language: truth, equality, order, types. Must not know expressions or the document."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Any

TYPE_NAMES = {
    str: "string",
    bool: "boolean",
    int: "number",
    float: "number",
    list: "array",
    dict: "object",
    type(None): "null",
}


class EvaluationError(Exception):
    """An expression that broke while it ran: an argument of the wrong type, a value no function can take.

    It is an error of the rule. `kind` is `invalid-type` or `invalid-value`, the words of the public suite. `null`: a
    null was what did not fit, so that in rules the result is null instead.
    """

    def __init__(self, message: str, kind: str = "invalid-type", *, null: bool = False) -> None:
        super().__init__(message)
        self.kind = kind
        self.null = null


def type_name(value: Any) -> str:
    """JMESPath's name of a value's type: `string number boolean array object null`, or `expref` for `&expression`."""
    name = TYPE_NAMES.get(type(value))
    if name is not None:
        return name
    for kind in (str, int, float, list, dict):  # subclasses; bool has none
        if isinstance(value, kind):
            return TYPE_NAMES[kind]
    return "expref" if callable(value) else "unknown"


def truthy(value: Any) -> bool:
    """JMESPath's truth: everything but null, false, empty text, empty list and empty object; 0 is true."""
    return bool(value) or type(value) is int or type(value) is float


def is_number(value: Any) -> bool:
    """True for a number; a boolean is none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def equal(left: Any, right: Any) -> bool:
    """Deep equality in which `true` and `1` differ and numbers compare by value; never raises, however deep."""
    if isinstance(left, str):
        return bool(left == right)
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, (list, dict)):
        return _equal_containers(left, right)
    return bool(left == right)


def _equal_containers(left: Any, right: Any) -> bool:
    pending = [(left, right)]
    while pending:
        one, other = pending.pop()
        if isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other):
                return False
            pending.extend(zip(one, other, strict=True))
        elif isinstance(one, dict) and isinstance(other, dict):
            if one.keys() != other.keys():
                return False
            pending.extend((value, other[key]) for key, value in one.items())
        elif isinstance(one, (list, dict)) or isinstance(other, (list, dict)) or not equal(one, other):
            return False
    return True


def less(left: Any, right: Any) -> bool | None:
    """`left < right` for two numbers or two texts (by code point); null for anything else."""
    return left < right if comparable(left, right) else None


def comparable(left: Any, right: Any) -> bool:
    """True when two values have an order: two numbers, or two texts."""
    return (is_number(left) and is_number(right)) or (isinstance(left, str) and isinstance(right, str))


def to_text(value: Any) -> str:
    """Text as it is, null as the empty text, anything else as compact JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, separators=(",", ":"), default=str)


def utf8(text: str) -> bytes:
    """UTF-8, lone surrogates included, so that no text raises."""
    return text.encode("utf-8", "surrogatepass")


def percent_of(value: Any, name: str = "") -> float:
    """A stable number in 0 ≤ n < 100 for a value (and a name): the same today, tomorrow and on every machine."""
    digest = sha256(utf8(name) + b"\0" + utf8(to_text(value))).digest()
    # / 2^64 x 100; without the last eleven bits, so that the largest hash stays below 100 as a float
    return (int.from_bytes(digest[:8], "big") >> 11) / (1 << 53) * 100


def membership(values: Iterable[Any]) -> Callable[[Any], bool]:
    """A test whether a value equals one of `values`; one hash lookup for text and numbers."""
    listed = list(values)
    texts = frozenset(value for value in listed if isinstance(value, str))
    numbers = frozenset(value for value in listed if is_number(value))
    others = tuple(value for value in listed if not isinstance(value, str) and not is_number(value))

    def is_member(value: Any) -> bool:
        if isinstance(value, str):
            return value in texts
        if is_number(value):
            return value in numbers
        return any(equal(value, other) for other in others)

    return is_member
