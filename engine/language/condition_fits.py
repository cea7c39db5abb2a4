"""Operators held against what is known of the value they test: those that can never hold, or always do.

What may be anything fits everything. Must not know how conditions are nested, or how operators run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from engine.catalogue import Scope
from engine.language.ast import plain_path
from engine.language.checks_compare import not_a_value
from engine.language.condition_tree import ElementExpression
from engine.language.expression import Expression
from engine.language.functions import WORDS
from engine.language.operators import Operator, Operators, is_operator
from engine.language.operators_equality import Equals, In, NotEquals, NotIn, Type
from engine.language.operators_lists import OfElements
from engine.language.operators_numbers import Between, Length, Ordered
from engine.language.operators_text import Contains, ContainsAny
from engine.language.shapes import ANYTHING, Shape, of_types
from engine.language.traps import same_text
from engine.language.values import type_name
from engine.source import Mapping, Node, Scalar, Sequence, Span

_QUOTES = re.compile("['\"]")
_TRUE, _FALSE = {"true", "yes", "on", "1", "y"}, {"false", "no", "off", "0", "n"}
_LISTED = (In, NotIn, ContainsAny)
_IN_TEXT = ("contains", "contains_any", "starts_with", "ends_with", "glob", "matches", "matches_any")
_TEXT_OF = {"request.messages", "request.input", "request.prompt", "request.system", "request.contents"}
"""What carries text in many forms, which `prompt_text` brings together."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is tested: as a message names it, its shape, and its path where that begins at the top of the document."""

    called: str
    shape: Shape
    path: tuple[str | int, ...] | None = None

    @classmethod
    def of(cls, expression: Expression) -> Subject:
        if isinstance(expression, ElementExpression):
            return cls(f"`{expression.shape.name or same_text(expression.text)}`", expression.shape)
        return cls(f"`{same_text(expression.text)}`", expression.shape, plain_path(expression.ast))

    @property
    def types(self) -> frozenset[str]:
        """The types that its value may have when there is one; empty when it may be anything."""
        return (self.shape.types or frozenset()) - {"null"}

    def is_a(self) -> str:
        """Its types in words: `x` is text or a list."""
        return f"{self.called} is {_words(self.types)}"

    def elements(self) -> Subject:
        shape = self.shape.elements() if self.shape.may_be("array") else ANYTHING
        return Subject(f"an element of {self.called}", shape)

    def length(self) -> Subject:
        return Subject(f"the length of {self.called}", of_types("number"))


def check_operators(subject: Subject, value: Node, operators: Iterable[Operator], scope: Scope) -> None:
    """Warn of each operator that nothing of the subject's shape can hold. `value`: where they were read from."""
    keys = {key.value: (key, inner) for key, inner in value} if isinstance(value, Mapping) else {}
    if not any(is_operator(key) for key in keys):
        keys = {}
    for operator in operators:
        key, inner = keys.get(operator.name, (None, value))
        if key is None and not isinstance(inner, Scalar):
            continue  # equality with a list or an object, which was warned of
        _Fit(subject, operator, inner, scope).check(key.span if key else inner.span)


class _Fit:
    """One operator held against its subject. `node`: what it was read from."""

    def __init__(self, subject: Subject, operator: Operator, node: Node, scope: Scope) -> None:
        self.subject = subject
        self.operator = operator
        self.node = node
        self.scope = scope
        self.holds = "always" if operator.negated else "never"

    def tell(self, span: Span, message: str, help: str) -> None:
        self.scope.problem(f"{self.holds}-holds", message, span, help, "warning")

    def check(self, key: Span) -> None:
        operator, node, types = self.operator, self.node, self.subject.types
        takes = frozenset(operator.takes.split("|")) if operator.takes else types
        if types and not types & takes:
            self.tell(
                key,
                f"{self.subject.is_a()}, and `{operator.name}` takes {_words(takes)}: this never holds",
                self.other_operator(),
            )
            return
        inner = operator.value.test if isinstance(operator, OfElements) else operator.value
        if isinstance(inner, Operators):
            subject = self.subject.length() if isinstance(operator, Length) else self.subject.elements()
            check_operators(subject, node, inner, self.scope)
        elif isinstance(operator, Type):
            self.check_types(node)
        elif isinstance(operator, _LISTED):
            self.check_listed(node)
        elif isinstance(operator, (Equals, NotEquals, Contains, Ordered)):
            self.check_constant(operator.value, node)
        elif isinstance(operator, Between) and isinstance(node, Sequence):
            self.check_constant(operator.value[0], node)

    # --- constants ---------------------------------------------------------------------------------------------------

    def check_constant(self, constant: Any, node: Node) -> None:
        help = self.misfit(constant, node)
        if help is not None:
            self.tell(node.span, f"{self.why(constant)}, so this {self.holds} holds", help)

    def check_listed(self, node: Node) -> None:
        """Each value of a list, or all in one; a named list may serve other subjects too, so one that fits will do."""
        constants: list[Any] = list(self.operator.value)
        items = node.items if isinstance(node, Sequence) else [node] * len(constants)
        helps = [self.misfit(constant, item) for constant, item in zip(constants, items, strict=True)]
        if constants and all(help is not None for help in helps):
            place = items[0] if len(items) == 1 else node
            self.tell(place.span, f"{self.why(constants[0])}, so this {self.holds} holds", helps[0] or "")
        elif isinstance(node, Sequence):
            for constant, item, help in zip(constants, items, helps, strict=True):
                if help is not None:
                    self.tell(item.span, f"{self.why(constant)}, so this one is never found", help)

    def check_types(self, node: Node) -> None:
        types = self.subject.types
        items = node.items if isinstance(node, Sequence) else [node]
        for item in items if types else ():
            name = str(item.plain())
            if name not in types and name != "null":
                told = "this never holds" if len(items) == 1 else "this one is never its type"
                self.tell(
                    item.span,
                    f"{self.subject.is_a()}, never {WORDS[name]}, so {told}",
                    "its type is " + " or ".join(f"`{one}`" for one in sorted(types)),
                )

    def misfit(self, constant: Any, node: Node) -> str | None:
        """What to write instead of a constant that cannot be; None when it can."""
        types, kind = self.subject.types, type_name(constant)
        if isinstance(self.operator, (Contains, ContainsAny)):
            return self.not_contained(constant, node)
        if types and kind not in types:
            if kind == "number" and isinstance(self.operator, (Ordered, Between)):
                return self.other_operator()
            return _cured(constant, types, node) or self.other_operator()
        if kind != "string" or isinstance(self.operator, (Ordered, Between)) or self.operator.change:
            return None
        return not_a_value(constant, self.subject.path, self.subject.shape, self.scope) or None

    def not_contained(self, constant: Any, node: Node) -> str | None:
        """The same of a part of a text, or an element of a list."""
        kind = type_name(constant)
        if not self.subject.types or (kind == "string" and "string" in self.subject.types):
            return None
        if "array" not in self.subject.types:
            return _cured(constant, self.subject.types, node) or "a part of a text is text"
        elements = self.subject.elements()
        if not elements.types or kind in elements.types:
            return None
        return _cured(constant, elements.types, node) or self.other_operator()

    # --- what is said ------------------------------------------------------------------------------------------------

    def why(self, constant: Any) -> str:
        subject, kind = self.subject, type_name(constant)
        if isinstance(self.operator, (Contains, ContainsAny)) and "array" in subject.types:
            subject = subject.elements()
        if kind in subject.types:
            return f"{subject.called} is never '{constant}'"
        return f"{subject.is_a()}, never {WORDS[kind]}"

    def other_operator(self) -> str:
        """What takes a value of the subject's types."""
        subject, name, shown = self.subject, self.operator.name, _written(self.node)
        types, elements = subject.types, subject.elements().types
        if types & {"string", "array"} and isinstance(self.operator, (Ordered, Between)):
            return self.measured(shown)
        if subject.called.strip("`") in _TEXT_OF and name in _IN_TEXT and _has_text(self.node):
            return f"the text of a request is `prompt_text`: `{{prompt_text: {{{name}: {shown}}}}}`"
        if "array" in types and "object" in elements:
            return "a member of an element is tested by `some: {member: …}`"
        if "array" in types and isinstance(self.operator, (Equals, NotEquals)):
            return f"write `contains: {shown}`" if isinstance(self.node, Scalar) else "write `contains: …`"
        if "array" in types:
            return f"write `some: {{{name}: {shown}}}`" if not elements or "string" in elements else ""
        if types == {"object"}:
            return "a member is tested by its path: `….member: …`"
        if isinstance(self.operator, OfElements):
            return f"leave `{name}` out: the operators stand right behind the name"
        if "number" in types and "number" not in (self.operator.takes or "number"):
            return "numbers are compared with `equals`, `in`, `gt`, `gte`, `lt`, `lte`, `between`"
        return f"compare it with {_words(types)}"

    def measured(self, shown: str) -> str:
        """What has an order, of a subject that is text or a list."""
        path, name = self.subject.path, self.operator.name
        if path and path[0] in ("headers", "query"):
            way = ".".join(step if step.isidentifier() else f'"{step}"' for step in map(str, path))
            return f"its number is tested by `{{'to_number({way})': {{{name}: {shown}}}}}`"
        return f"write `length: {{{name}: {shown}}}` if its length is meant"


def _words(types: Iterable[str]) -> str:
    return " or ".join(sorted(WORDS[name] for name in types))


def _written(node: Node) -> str:
    """A constant as it stands in the file, where it is short."""
    text = node.span.source.text[node.span.start : node.span.end]
    return text if len(text) <= 60 and "\n" not in text else "…"


def _has_text(node: Node) -> bool:
    value = node.plain()
    return any(isinstance(one, str) for one in (value if isinstance(value, list) else [value]))


def _cured(constant: Any, types: frozenset[str], node: Node) -> str:
    """The same constant, written so that it has one of the types; empty when there is no such way."""
    if isinstance(constant, str):
        if isinstance(node, Mapping):
            return "the list is for values of another type"
        if "number" in types and _is_number(constant):
            return f"write {_QUOTES.sub('', _written(node))}, without quotes"
        if types == {"boolean"}:
            word = constant.strip().lower()
            meant = "true" if word in _TRUE else "false" if word in _FALSE else "true or false"
            return f"write {meant}, without quotes"
    elif isinstance(constant, (bool, int, float)) and "string" in types and isinstance(node, Scalar):
        return f"write '{_written(node)}', in quotes"
    elif isinstance(constant, list) and constant and type_name(constant[0]) in types:
        return f"one of these values: `in: {_written(node)}`"
    elif types == {"boolean"} and constant in (0, 1):
        return f"write {'true' if constant else 'false'}"
    return ""


def _is_number(text: str) -> bool:
    try:
        return type_name(json.loads(text)) == "number"
    except (ValueError, RecursionError):
        return False
