"""Types of prompt variables, as checks of values. Must not know how a prompt writes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.ports.prompt_text import MissingVariable, WrongVariable

Check = Callable[[Any, str], None]
"""Raises WrongVariable for a value of another type; the text is the path of the value, for the message."""


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _whole(value: Any) -> bool:
    return _number(value) and (isinstance(value, int) or value.is_integer())


SCALARS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "string": ("a text", lambda value: isinstance(value, str)),
    "number": ("a number", _number),
    "integer": ("a whole number", _whole),
    "boolean": ("true or false", lambda value: isinstance(value, bool)),
    "null": ("null", lambda value: value is None),
    "array": ("a list", lambda value: isinstance(value, list)),
    "object": ("an object", lambda value: isinstance(value, dict)),
    "any": ("anything", lambda value: True),
}
ALSO = {"str": "string", "float": "number", "int": "integer", "bool": "boolean", "list": "array", "dict": "object"}
"""LiteLLM's names of types."""


class Fields:
    """The members of an object: each with its type, and whether it may be missing. `others` is for any other one."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[Check, bool]] = {}
        self.others: Check | None = None

    def check(self, value: Any, path: str) -> None:
        """The check that this is."""
        if not isinstance(value, dict):
            raise _wrong(path, "an object")
        for name, (check, required) in self.known.items():
            inner = f"{path}.{name}" if path else name
            if name in value:
                check(value[name], inner)
            elif required:
                raise MissingVariable(inner)
        if self.others is not None:
            for name in value.keys() - self.known.keys():
                self.others(value[name], f"{path}.{name}" if path else name)


def _wrong(path: str, wanted: str) -> WrongVariable:
    return WrongVariable(path, f"Prompt variable '{path}' must be {wanted}.")


def scalar(name: str) -> Check | None:
    """The type of a name; None when no type is called so."""
    said = SCALARS.get(ALSO.get(name, name))
    if said is None:
        return None
    wanted, holds = said

    def check(value: Any, path: str) -> None:
        if not holds(value):
            raise _wrong(path, wanted)

    return check


def list_of(item: Check) -> Check:
    """A list whose elements are all of a type."""

    def check(value: Any, path: str) -> None:
        if not isinstance(value, list):
            raise _wrong(path, "a list")
        for at, each in enumerate(value):
            item(each, f"{path}[{at}]")

    return check


def one_of(allowed: list[Any]) -> Check:
    """One of some values."""
    told = "one of " + ", ".join(str(one) for one in allowed)
    known = [(type(one), one) for one in allowed]

    def check(value: Any, path: str) -> None:
        if (type(value), value) not in known:
            raise _wrong(path, told)

    return check


def any_of(checks: list[Check]) -> Check:
    """Of one of some types."""

    def check(value: Any, path: str) -> None:
        for number, one in enumerate(checks, 1):
            try:
                return one(value, path)
            except WrongVariable:
                if number == len(checks):
                    raise
        return None

    return check


def refuse(value: Any, path: str) -> None:
    """No value at all: the name is none of the prompt."""
    raise WrongVariable(path, f"Prompt variable '{path}' is none of this prompt.")
