"""What a function of the language is, and how its arguments are checked. Must not know any particular function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from engine.catalogue import CATALOGUE, Entry
from engine.language.values import EvaluationError, percent_of, type_name

NULL = object()
"""What `admit` gives for arguments that make the result null."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument: the types it takes (empty: any); `elements`: those of its elements, where it lists one type."""

    name: str
    types: frozenset[str]
    elements: frozenset[str] = frozenset()
    variadic: bool = False

    def described(self) -> str:
        """The types in words an author knows: `text or list`."""
        if self.elements:
            return "a list of " + " or of ".join(sorted(PLURALS[name] for name in self.elements))
        return " or ".join(sorted(WORDS[name] for name in self.types)) or "any value"


WORDS = {
    "string": "text",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
    "expref": "an expression after `&`",
    "unknown": "something else",
}
PLURALS = {"string": "texts", "number": "numbers"}


def parameters(signature: str) -> tuple[Parameter, ...]:
    """`"subject: array|string, search: any"` read; `array-number` is a list of numbers, `...name` repeats."""
    found = []
    for part in filter(None, signature.split(", ")):
        name, _, types = part.partition(": ")
        names = types.split("|")
        elements = frozenset(word.removeprefix("array-") for word in names if word.startswith("array-"))
        takes = frozenset("array" if word.startswith("array-") else word for word in names) - {"any"}
        found.append(Parameter(name.removeprefix("..."), takes, elements, name.startswith("...")))
    return tuple(found)


_KEYS = Parameter("expression", frozenset(("array",)), frozenset(("string", "number")))


class Function(Entry, kind="function"):
    """A function of expressions.

    `takes` is its signature and `returns` its result's type (JMESPath's names, joined with `|`, or `any`). `call` gets
    checked arguments; a `&expression` arrives as a Python function of one value. `standard`: it is JMESPath's own.
    """

    takes: ClassVar[str] = ""
    returns: ClassVar[str] = "any"
    standard: ClassVar[bool] = False
    means: ClassVar[str] = ""  # the expression that a call without arguments stands for
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    call: ClassVar[Callable[..., Any]]

    def __init_subclass__(cls, *, name: str = "", **facts: Any) -> None:
        super().__init_subclass__(name=name, **facts)
        cls.parameters = parameters(cls.takes)

    @classmethod
    def signature(cls) -> str:
        """`contains(subject: array|string, search: any) -> boolean`"""
        return f"{cls.name}({cls.takes}) -> {cls.returns}"

    @classmethod
    def parameter(cls, position: int) -> Parameter:
        """The parameter that an argument fills; the last one may repeat."""
        return cls.parameters[min(position, len(cls.parameters) - 1)]

    @classmethod
    def takes_count(cls, count: int) -> bool:
        """True when the function can be called with that many arguments."""
        least = len(cls.parameters)
        return count >= least if least and cls.parameters[-1].variadic else count == least

    @classmethod
    def prepare(cls, arguments: Sequence[Any], names: Any) -> Callable[..., Any]:
        """`call`, made faster by what is known at load: `arguments` has the literal ones, `UNKNOWN` for the others.

        `names` gives the lists that the rules define, by name.
        """
        return cls.call


UNKNOWN = object()


def functions() -> dict[str, type[Function]]:
    """All functions by name."""
    from engine.language import functions_added, functions_by, functions_jmespath  # noqa: F401

    return CATALOGUE["function"]  # type: ignore[return-value]


def admit(function: type[Function], values: Sequence[Any], *, strict: bool) -> Any:
    """None when the arguments fit, NULL when a null among them makes the result null; else raises EvaluationError.

    The first argument or element that does not fit decides. In strict mode null is a wrong type like any other.
    """
    for position, value in enumerate(values):
        parameter = function.parameter(position)
        misfit = _misfit(parameter, value)
        if misfit == "null" and not strict:
            return NULL
        if misfit:
            raise EvaluationError(
                f"{function.name}(): `{parameter.name}` must be {parameter.described()}, "
                f"found {'a list with ' if isinstance(value, list) else ''}{WORDS[misfit]}"
            )
    return None


def check_keys(name: str, keys: Sequence[Any]) -> None:
    """Raise EvaluationError unless the keys that an `&expression` gave have an order: numbers or texts, all alike."""
    misfit = _misfit(_KEYS, keys)
    if misfit:
        raise EvaluationError(
            f"{name}(): the expression must give numbers or texts, all alike; found {WORDS[misfit]}",
            null=misfit == "null",
        )


def _misfit(parameter: Parameter, value: Any) -> str:
    """The type of the value, or of its first element, that does not fit; empty when all fit."""
    found = type_name(value)
    if parameter.types and found not in parameter.types:
        return found
    if parameter.elements and found == "array":
        allowed = parameter.elements
        for element in value:
            found = type_name(element)
            if found not in allowed:
                return found
            allowed = frozenset((found,))  # a list that is ordered or joined holds one type
    return ""


__all__ = ["NULL", "UNKNOWN", "Function", "Parameter", "admit", "functions", "percent_of"]
