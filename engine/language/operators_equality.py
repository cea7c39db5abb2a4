"""Operators for whether a value is there, and which one it is. Must not know conditions."""

from __future__ import annotations

from typing import Any, ClassVar

from engine.catalogue import Example, Scope
from engine.language.folding import fold, ignoring_case
from engine.language.operators import Check, Constant, Modifier, Operator, Values
from engine.language.values import equal, is_number, membership, type_name
from engine.options import BAD, found, option
from engine.source import Node, Scalar, Sequence


class Equals(Operator, name="equals", textual=True):
    """The value is this one: numbers by value, text by code point; `true` is not 1."""

    value: Constant = option("The value to equal.", whole=True)

    examples: ClassVar = [
        Example("the same text", "equals: gpt-4o", "gpt-4o", True),
        Example("another text", "equals: gpt-4o", "gpt-4o-mini", False, acts=False),
        Example("numbers by value", "equals: 1", 1.0, True),
        Example("true is not 1", "equals: 1", True, False, acts=False),
    ]

    def compile(self) -> Check:
        constant, change = self.constant(), self.change
        if isinstance(constant, str):
            if change is None:
                return lambda value: bool(value == constant)
            changed = change(constant)
            return lambda value: isinstance(value, str) and change(value) == changed
        if isinstance(constant, bool):
            return lambda value: value is constant
        if is_number(constant):
            return lambda value: value == constant and not isinstance(value, bool)
        return lambda value: equal(value, constant)


class NotEquals(Operator, name="not_equals", textual=True, negated=True):
    """The value is not this one; a missing value is not."""

    value: Constant = option("The value to differ from.", whole=True)

    examples: ClassVar = [
        Example("another text", "not_equals: free", "gold", True),
        Example("nothing there", "not_equals: free", None, True),
        Example("the same text", "not_equals: free", "free", False, acts=False),
    ]

    def compile(self) -> Check:
        equals = Equals.__new__(Equals)
        equals.value, equals.change = self.value, self.change
        check = equals.compile()
        return lambda value: not check(value)


class In(Operator, name="in", textual=True):
    """The value is one of these: a list, or `{list: name}`."""

    value: Values = option("The values, or `{list: name}`.", whole=True)

    examples: ClassVar = [
        Example("one of them", "in: [a, b]", "b", True),
        Example("none of them", "in: [a, b]", "c", False, acts=False),
        Example("nothing there", "in: [a, b]", None, False, acts=False),
    ]

    def compile(self) -> Check:
        change = self.change
        if change is None:
            return _among(self.value)
        texts = frozenset(change(value) for value in self.value if isinstance(value, str))
        others = membership(value for value in self.value if not isinstance(value, str))
        return lambda value: change(value) in texts if isinstance(value, str) else others(value)


def _among(values: list[Any]) -> Check:
    """Membership; among texts alone it is one look into a set."""
    texts = frozenset(value for value in values if isinstance(value, str))
    if len(texts) < len(values):
        return membership(values)
    return lambda value: isinstance(value, str) and value in texts


class NotIn(Operator, name="not_in", textual=True, negated=True):
    """The value is none of these; a missing value is none of them."""

    value: Values = option("The values, or `{list: name}`.", whole=True)

    examples: ClassVar = [
        Example("none of them", "not_in: [a, b]", "c", True),
        Example("nothing there", "not_in: [a, b]", None, True),
        Example("one of them", "not_in: [a, b]", "a", False, acts=False),
    ]

    def compile(self) -> Check:
        among = In.__new__(In)
        among.value, among.change = self.value, self.change
        check = among.compile()
        return lambda value: not check(value)


class Exists(Operator, name="exists"):
    """The value is there (`true`) or is not (`false`); null is not there."""

    value: bool = option("Whether it must be there.", whole=True)

    examples: ClassVar = [
        Example("there, though empty", "exists: true", "", True),
        Example("missing or null", "exists: false", None, True),
        Example("null is not there", "exists: true", None, False, acts=False),
    ]

    def compile(self) -> Check:
        return (lambda value: value is not None) if self.value else (lambda value: value is None)


class Empty(Operator, name="empty"):
    """The value is empty text, an empty list, an empty object, or missing (`true`); or it is not (`false`)."""

    value: bool = option("Whether it must be empty.", whole=True)

    examples: ClassVar = [
        Example("an empty list", "empty: true", [], True),
        Example("nothing there", "empty: true", None, True),
        Example("zero is not empty", "empty: true", 0, False, acts=False),
        Example("some text", "empty: false", "a", True),
    ]

    def compile(self) -> Check:
        wanted = self.value
        return lambda value: (value is None or (isinstance(value, (str, list, dict)) and not value)) is wanted


TYPES = ("array", "boolean", "null", "number", "object", "string")


class TypeNames(list[str]):
    """One or several of JMESPath's names of types."""

    @classmethod
    def schema(cls) -> dict[str, Any]:
        name = {"enum": list(TYPES)}
        return {"anyOf": [name, {"type": "array", "items": name, "minItems": 1}]}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        items = node.items if isinstance(node, Sequence) else [node]
        bad = [item for item in items if not isinstance(item, Scalar) or item.value not in TYPES]
        for item in bad:
            cure = "a member called `type` is tested by its path: `….type: …`"
            names = {"text": "string", "list": "array", "mapping": "object", "integer": "number", None: "null"}
            value = item.plain()
            near = names.get(value) if value is None or isinstance(value, str) else None
            scope.problem(
                "wrong-type",
                f"expected one of {', '.join(TYPES)}, found {found(item)}",
                item.span,
                help=f"write `'{near}'`" if near == "null" else f"write `{near}`" if near else cure,
            )
        return BAD if bad or not items else [item.plain() for item in items]


class Type(Operator, name="type"):
    """The value has this type, in JMESPath's words: array, boolean, null, number, object, string; or one of a list."""

    value: TypeNames = option("The type, or a list of them.", whole=True)

    examples: ClassVar = [
        Example("a list", "type: array", [1], True),
        Example("true is no number", "type: number", True, False, acts=False),
        Example("one of two", "type: [string, array]", "hi", True),
    ]

    def compile(self) -> Check:
        names = frozenset(self.value)
        return lambda value: type_name(value) in names


class IgnoreCase(Modifier, name="ignore_case", effect=(ignoring_case,)):
    """Text operators beside it take upper and lower case as the same."""

    value: bool = option("Whether case is ignored.", whole=True)

    examples: ClassVar = [
        Example("case does not count", "{contains: secret, ignore_case: true}", "A SECRET", True),
        Example("the letters do", "{contains: secret, ignore_case: true}", "A SEKRET", False, acts=False),
    ]


class Fold(Modifier, name="fold", effect=(fold,)):
    """Text operators beside it see through look-alikes: NFKC, invisible characters removed, case folded."""

    value: bool = option("Whether text is folded.", whole=True)

    examples: ClassVar = [
        Example(
            "full-width letters and a hidden joiner",
            "{contains: secret, fold: true}",
            "\uff33\uff25\uff23\u200d\uff32\uff25\uff34",
            True,
        ),
        Example(
            "another word", "{contains: secret, fold: true}", "\uff33\uff25\uff2b\uff32\uff25\uff34", False, acts=False
        ),
    ]
