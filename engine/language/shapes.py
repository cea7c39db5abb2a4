"""What is known of a value before there is one: its types, its members, its elements. Must not know expressions.

Shapes are made from the words of `engine.document.roots`: a type's name, a list with the shape of its elements, a
mapping of members (`*`: any other name), a tuple of alternatives, a set of texts, None for anything at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from engine.catalogue import Scope
from engine.document.fields import either, together


@dataclass(frozen=True, slots=True)
class Shape:
    """`types`: JMESPath's names, None when anything is possible; every value but a literal may also be null.

    `members`: of a closed object; None when open. `element`: the shape of a list's elements, in words or as a Shape.
    `name`: what an author would call the value, empty when it has no name. `advisory`: the members are those of a
    body, which may have more and other ones than are known. `values`: the texts that are known, None when any is.
    """

    types: frozenset[str] | None = None
    members: Mapping[str, Any] | None = None
    element: Any = None
    name: str = ""
    advisory: bool = False
    values: frozenset[str] | None = None
    _seen: dict[str, Shape] = field(default_factory=dict, compare=False, repr=False)

    def may_be(self, type_name: str) -> bool:
        return self.types is None or type_name in self.types

    def only(self, type_name: str) -> bool:
        """True when the value is of that type or null."""
        return self.types is not None and self.types - {"null"} == {type_name}

    def member(self, name: str) -> Shape | None:
        """The shape under a name; None when there is no such member."""
        found = self._seen.get(name)
        if found is not None:
            return found
        inner = f"{self.name}.{name}" if self.name else ""
        if self.members is None:
            return Shape(name=inner)
        if name in self.members:
            made = shape_of(self.members[name], inner, advisory=self.advisory)
            self._seen[name] = made  # many expressions of a file ask the same of a body
            return made
        return shape_of(self.members["*"], inner, advisory=self.advisory) if "*" in self.members else None

    def elements(self) -> Shape:
        found = self._seen.get("[]")
        if found is None:
            found = shape_of(self.element, f"{self.name}[]" if self.name else "", advisory=self.advisory)
            self._seen["[]"] = found
        return found

    def flattened(self) -> Shape:
        """What `[]` makes of an element of this shape: the elements of a list, anything else itself."""
        if not self.may_be("array"):
            return self
        inside = self.elements()
        if self.types is None or inside.types is None:
            return ANYTHING
        if self.may_be("object"):
            return Shape((self.types - {"array"}) | inside.types, name=inside.name, advisory=inside.advisory)
        types = (self.types - {"array"}) | inside.types
        return Shape(types, inside.members, inside.element, inside.name, inside.advisory)


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
    if isinstance(words, frozenset):
        return Shape(frozenset(("string",)), name=name, advisory=advisory, values=words)
    if isinstance(words, Mapping):
        return Shape(frozenset(("object",)), words, None, name, advisory)
    if isinstance(words, list):
        return Shape(frozenset(("array",)), None, words[0], name, advisory)
    return _one_of(either(words), name, advisory=advisory)


def _one_of(choices: Any, name: str, *, advisory: bool) -> Shape:
    """One of several: their types together, and the members and elements that one of them has."""
    if not isinstance(choices, tuple):
        return shape_of(choices, name, advisory=advisory)
    objects = [choice for choice in choices if isinstance(choice, Mapping)]
    lists = [choice[0] for choice in choices if isinstance(choice, list)]
    sets = [choice for choice in choices if isinstance(choice, frozenset)]
    types = {choice for choice in choices if isinstance(choice, str)}
    return Shape(
        frozenset(types | ({"object"} if objects else set()) | ({"array"} if lists else set())
                  | ({"string"} if sets else set())),
        together(objects) if objects and "object" not in types else None,
        either(lists) if lists and "array" not in types else None,
        name,
        advisory,
        sets[0] if sets else None,
    )  # fmt: skip


def common(shapes: list[Shape]) -> Shape:
    """What is known of a value that is one of these."""
    types: frozenset[str] = frozenset()
    for shape in shapes:
        if shape.types is None:
            return ANYTHING
        types |= shape.types
    return Shape(types, advisory=any(shape.advisory for shape in shapes))


_SUBJECT = "subject"


@contextmanager
def about(shape: Shape, scope: Scope) -> Iterator[None]:
    """While operators on a value of this shape are read."""
    outer = scope.notes.get(_SUBJECT)
    scope.notes[_SUBJECT] = shape
    try:
        yield
    finally:
        scope.notes[_SUBJECT] = outer


def subject_shape(scope: Scope) -> Shape:
    """What the operators that are being read are about."""
    return scope.notes.get(_SUBJECT) or ANYTHING
