"""Options of an entry: how a value in a file becomes a checked value in memory.

A plain type is checked by `jsonschema` with the option's own fragment; an option type brings `schema` and `read`
itself. Must not know what any option is for.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, get_args, get_origin

from engine.cures import NO_ADVICE, Advice, cure, described, found, listed, named
from engine.given import BAD, MISSING, from_environment
from engine.source import Mapping, Node, Sequence
from engine.units import Bytes, Seconds

if TYPE_CHECKING:
    from engine.catalogue import Scope

T = TypeVar("T")


class OptionType(Protocol):
    """What can be the type of an option."""

    def schema(self) -> dict[str, Any]:
        """JSON Schema (draft-07) of what an author may write."""

    def read(self, node: Node, scope: Scope) -> Any:
        """The value, or BAD after noting a problem in `scope`."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its meaning, its type, its default.

    `short`: what the bare value of the entry fills. `whole`: the entry's value is always this option.
    A callable default is called with the scope.
    """

    doc: str
    default: Any = MISSING
    short: bool = False
    whole: bool = False
    limits: tuple[tuple[str, Any], ...] = ()
    name: str = ""
    yaml_name: str = ""
    type: Any = None
    given_name: str = ""
    advice: Advice = NO_ADVICE
    reads: Any = None

    @property
    def required(self) -> bool:
        return self.default is MISSING

    def named(self, name: str, kind: OptionType) -> Option:
        """This option under its attribute's name; a trailing underscore keeps clear of Python's words."""
        return replace(self, name=name, yaml_name=self.given_name or name.rstrip("_"), type=kind)

    def default_value(self, scope: Scope) -> Any:
        made = callable(self.default) and not isinstance(self.default, type)
        return self.default(scope) if made else self.default

    def schema(self) -> dict[str, Any]:
        fragment = {**self.type.schema(), "description": self.doc}
        if isinstance(self.default, (str, int, float, bool)):
            fragment["default"] = self.default
        return fragment


def option(  # noqa: PLR0913  each is a word of the declaration, all but the first by name
    doc: str,
    default: Any = MISSING,
    *,
    short: bool = False,
    whole: bool = False,
    name: str = "",
    advice: Advice = NO_ADVICE,
    reads: Any = None,
    **limits: Any,
) -> Any:
    """Declare an option in the body of an entry. `limits` are JSON Schema keywords: `minimum=400`, `maxLength=64`.

    `advice` is what to say of wrong values beyond what follows from their types. `reads` is the option type, where it
    is not the type of the value that the attribute is annotated with.
    """
    return Option(doc, default, short, whole, tuple(limits.items()), given_name=name, advice=advice, reads=reads)


class Leaf:
    """A plain JSON value, checked by its schema fragment. A text may be `os.environ/NAME`."""

    def __init__(self, fragment: dict[str, Any], advice: Advice = NO_ADVICE) -> None:
        self.fragment = fragment
        self.advice = advice
        self._is_valid: Callable[[Any], bool] | None = None

    def schema(self) -> dict[str, Any]:
        return dict(self.fragment)

    def read(self, node: Node, scope: Scope) -> Any:
        if self._is_valid is None:
            from jsonschema import Draft7Validator  # 66 ms to import, paid only by who reads options

            self._is_valid = Draft7Validator(self.fragment).is_valid
        value = from_environment(node, scope)
        if value is BAD or self._is_valid(value):
            return value
        scope.problem(
            "wrong-type",
            f"expected {described(self.fragment)}, found {found(node)}",
            node.span,
            help=cure(node, self.fragment, self.advice),
        )
        return BAD


class ListOf:
    """A list of one type; `single` lets an author leave the brackets away around one value."""

    def __init__(self, item: OptionType, *, single: bool = False) -> None:
        self.item = item
        self.single = single

    def schema(self) -> dict[str, Any]:
        many = {"type": "array", "items": self.item.schema()}
        return {"anyOf": [self.item.schema(), many]} if self.single else many

    def read(self, node: Node, scope: Scope) -> Any:
        if isinstance(node, Sequence):
            values = [self.item.read(item, scope) for item in node]
            return BAD if any(value is BAD for value in values) else values
        if self.single:
            value = self.item.read(node, scope)
            return BAD if value is BAD else [value]
        scope.problem("wrong-type", f"expected a list, found {found(node)}", node.span, help=listed(node))
        return BAD


class MapOf:
    """A mapping whose keys and values each have one type; keys are read as options too."""

    def __init__(self, key: OptionType, value: OptionType) -> None:
        self.key = key
        self.value = value

    def schema(self) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": self.value.schema(), "minProperties": 1}

    def read(self, node: Node, scope: Scope) -> Any:
        if not isinstance(node, Mapping):
            scope.problem("wrong-type", f"expected a mapping, found {found(node)}", node.span, help=named(node))
            return BAD
        pairs = [(self.key.read(key, scope), self.value.read(value, scope)) for key, value in node]
        return BAD if any(key is BAD or value is BAD for key, value in pairs) else dict(pairs)


class OneOrMany(list[T]):
    """Annotation: one value or a list of them; always read as a list."""


class Duration(float):
    """Annotation: seconds."""


class Size(int):
    """Annotation: bytes."""


_LEAVES: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    Any: {},
    dict: {"type": "object"},
    list: {"type": "array"},
}


def option_type(hint: Any, declared: Option | None = None) -> OptionType:
    """The option type that an annotation means."""
    limits = dict(declared.limits) if declared else {}
    advice = declared.advice if declared else NO_ADVICE
    inner = replace(declared, limits=()) if declared else None
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (types.UnionType, typing.Union):  # `T | None`: None is only the default
        return option_type(next(a for a in arguments if a is not type(None)), declared)
    if origin is Literal:
        return Leaf({"enum": list(arguments), **limits}, advice)
    if origin is list:
        return ListOf(option_type(arguments[0], inner))
    if origin is OneOrMany:
        return ListOf(option_type(arguments[0], inner), single=True)
    if origin is dict:
        return MapOf(option_type(arguments[0], inner), option_type(arguments[1], inner))
    if hint is Duration:
        return Seconds()
    if hint is Size:
        return Bytes()
    if hint in _LEAVES:
        return Leaf({**_LEAVES[hint], **limits}, advice)
    if isinstance(hint, type) and hasattr(hint, "options"):
        return _Nested(hint)
    return typing.cast(OptionType, hint)  # a class whose `schema` and `read` are classmethods, or an instance


class _Nested:
    """An entry inside an entry: `file: {path: …}`."""

    def __init__(self, entry: Any) -> None:
        self.entry = entry

    def schema(self) -> dict[str, Any]:
        from engine.catalogue import schema_of

        return schema_of(self.entry)

    def read(self, node: Node, scope: Scope) -> Any:
        return self.entry.read(node, scope)


__all__ = [
    "BAD",
    "MISSING",
    "Advice",
    "Bytes",
    "Duration",
    "Leaf",
    "ListOf",
    "MapOf",
    "OneOrMany",
    "Option",
    "OptionType",
    "Seconds",
    "Size",
    "described",
    "found",
    "from_environment",
    "option",
    "option_type",
]
