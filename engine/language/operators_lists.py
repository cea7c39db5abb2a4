"""Operators on the elements of a list. Must not know documents beyond handing them on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from engine.catalogue import Example, Scope
from engine.language.operators import Operator, Operators, all_of, is_operator
from engine.language.shapes import about, subject_shape
from engine.options import BAD, option
from engine.source import Mapping, Node

if TYPE_CHECKING:
    from engine.language.condition import Condition


class ElementTest:
    """Operators on each element, or a condition in which `@` is the element and `$` the document."""

    def __init__(self, test: Operators | Condition) -> None:
        self.test = test

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": ["string", "object", "array"]}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        with about(subject_shape(scope).elements(), scope):
            if isinstance(node, Mapping) and any(is_operator(key.value) for key, _ in node):
                test = Operators.read(node, scope)
            else:
                from engine.language.condition import Condition  # conditions have operators, these have conditions

                test = Condition.read_element(node, scope)
        return BAD if test is BAD else cls(test)

    def compile(self) -> Callable[[Any, Any], bool]:
        """The test of an element and the document."""
        if not isinstance(self.test, Operators):
            return self.test.tree.code()
        check = all_of(self.test)
        return check if any(one.needs_document for one in self.test) else lambda element, _: check(element)

    def text(self) -> str:
        """The test on one line."""
        if isinstance(self.test, Operators):
            return " and ".join(one.text() for one in self.test)
        return self.test.tree.text()

    def key(self) -> tuple[Any, ...]:
        """Equal for tests that give the same verdict on every element."""
        if isinstance(self.test, Operators):
            return tuple(one.key() for one in self.test)
        return self.test.tree.key()

    @property
    def roots(self) -> frozenset[str]:
        """What of the document the test reads through `$`."""
        if isinstance(self.test, Operators):
            return frozenset().union(*(one.roots for one in self.test))
        return self.test.roots


class OfElements(Operator):
    """What `some` and `every` share."""

    needs_document = True
    takes = "array"
    value: ElementTest = option("Operators, or a condition with `@` as the element.", whole=True)

    def key(self) -> tuple[Any, ...]:
        return (self.name, self.value.key())

    def text(self) -> str:
        return f"{self.name} ({self.value.text()})"

    @property
    def roots(self) -> frozenset[str]:
        return self.value.roots


class Some(OfElements, name="some"):
    """At least one element of the list holds the test; none of an empty list does."""

    examples: ClassVar = [
        Example("operators", "some: {starts_with: gpt-}", ["o1", "gpt-4o"], True),
        Example("a condition", "some: \"@.role == 'system'\"", [{"role": "user"}, {"role": "system"}], True),
        Example("an empty list", "some: {exists: true}", [], False, acts=False),
        Example("not a list", "some: {equals: a}", "a", False, acts=False),
    ]

    def compile(self) -> Callable[..., bool]:
        test = self.value.compile()
        return lambda value, x: isinstance(value, list) and any(test(element, x) for element in value)


class Every(OfElements, name="every"):
    """Each element of the list holds the test; so does an empty list."""

    examples: ClassVar = [
        Example("operators", "every: {type: string}", ["a", "b"], True),
        Example("an empty list", "every: {type: string}", [], True),
        Example("one does not", "every: {'@.role': user}", [{"role": "user"}, {"role": "tool"}], False, acts=False),
        Example("nothing there", "every: {type: string}", None, False, acts=False),
    ]

    def compile(self) -> Callable[..., bool]:
        test = self.value.compile()
        return lambda value, x: isinstance(value, list) and all(test(element, x) for element in value)
