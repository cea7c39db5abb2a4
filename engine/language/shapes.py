"""What is known of a value before there is one: its types, its members, its elements. Must not know expressions.

Shapes are made from the words of `engine.document.roots`: a type's name, a list with the shape of its elements, a
mapping of members (`*`: any other name), a tuple of alternatives, None for anything at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Shape:
    """`types`: JMESPath's names, None when anything is possible; every value but a literal may also be null.

    `members`: of a closed object; None when open. `element`: the shape of a list's elements, in words or as a Shape.
    `name`: what an author would call the value, empty when it has no name. `advisory`: the members are those of a
    body, which may have more.
    """

    types: frozenset[str] | None = None
    members: Mapping[str, Any] | None = None
    element: Any = None
    name: str = ""
    advisory: bool = False

    def may_be(self, type_name: str) -> bool:
        return self.types is None or type_name in self.types

    def only(self, type_name: str) -> bool:
        """True when the value is of that type or null."""
        return self.types is not None and self.types - {"null"} == {type_name}

    def member(self, name: str) -> Shape | None:
        """The shape under a name; None when there is no such member."""
        inner = f"{self.name}.{name}" if self.name else ""
        if self.members is None:
            return Shape(name=inner)
        if name in self.members:
            return shape_of(self.members[name], inner, advisory=self.advisory)
        return shape_of(self.members["*"], inner, advisory=self.advisory) if "*" in self.members else None

    def elements(self) -> Shape:
        return shape_of(self.element, f"{self.name}[]" if self.name else "", advisory=self.advisory)


ANYTHING = Shape()


def of_types(*types: str) -> Shape:
    """The shape of a value of one of these types."""
    return Shape(frozenset(types))


def list_of(element: Shape) -> Shape:
    return Shape(frozenset(("array",)), element=element)


def shape_of(words: Any, name: str, *, advisory: bool = False) -> Shape:
    """A shape from its words."""
    if isinstance(words, Shape):
        return words
    if words is None:
        return Shape(name=name)
    if isinstance(words, str):
        return Shape(frozenset((words,)), name=name, advisory=advisory)
    if isinstance(words, Mapping):
        return Shape(frozenset(("object",)), words, None, name, advisory)
    if isinstance(words, list):
        return Shape(frozenset(("array",)), None, words[0], name, advisory)
    return _either([shape_of(choice, name, advisory=advisory) for choice in words], name, advisory=advisory)


def _either(choices: Iterable[Shape], name: str, *, advisory: bool) -> Shape:
    """One of several: their types together, and the members and elements of those that have some."""
    types: frozenset[str] | None = frozenset()
    members: dict[str, Any] | None = None
    element = None
    for choice in choices:
        types = types | choice.types if types is not None and choice.types is not None else None
        if choice.members is not None:
            members = {**(members or {}), **choice.members}
        element = element or choice.element
    return Shape(types, members if types is not None else None, element, name, advisory)


def common(shapes: list[Shape]) -> Shape:
    """What is known of a value that is one of these."""
    types: frozenset[str] = frozenset()
    for shape in shapes:
        if shape.types is None:
            return ANYTHING
        types |= shape.types
    return Shape(types)
