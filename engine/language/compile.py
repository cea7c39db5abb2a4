"""Turns a tree into a Python function. Must not know texts, places or problems.

Every closure takes the current value and the document: `code(value, document)`. At the top the document is the
current value and is left out: `code(exchange)`. A name at the top is an attribute of the exchange, anywhere else a
member of an object. The frequent shapes are fused into one closure each by `engine.language.fused`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter, ge, gt, le, lt
from typing import Any

from engine.document.roots import ROOTS
from engine.language.ast import (
    And,
    Ast,
    Call,
    Chain,
    Compare,
    Current,
    Entries,
    Field,
    Filter,
    Flatten,
    Index,
    Items,
    Literal,
    Not,
    Or,
    Project,
    Reference,
    Slice,
    Values,
    Whole,
    chain,
    plain_path,
)
from engine.language.calls import compile_call
from engine.language.lexer import ExpressionError
from engine.language.fused import (
    TOP,
    Code,
    compared_with,
    document_path,
    field_filter,
    member,
    member_path,
    projected_member,
)
from engine.language.values import comparable, equal

_GETTERS = {name: attrgetter(name) for name in ROOTS}
_ORDER: dict[str, Callable[[Any, Any], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge}
_NUMBERS = (int, float)


def compile_ast(
    ast: Ast, lists: Mapping[str, Sequence[Any]] | None = None, patterns: Mapping[str, Any] | None = None
) -> Callable[[Any], Any]:
    """The function that evaluates a checked expression on an exchange, in rules mode.

    `lists` and `patterns` give the named lists and patterns of the rules. The function raises EvaluationError, and
    nothing else, for an argument of a wrong type.
    """
    return Compiler({"list": lists or {}, "pattern": patterns or {}}).code(ast, True)


def compile_strict(ast: Ast) -> Callable[[Any], Any]:
    """The function that evaluates an expression on plain JSON data, exactly as jmespath.org has it."""
    return Compiler({}, strict=True).code(ast, False)


def document_of(exchange: Any) -> dict[str, Any]:
    """The whole document as one object."""
    return {name: get(exchange) for name, get in _GETTERS.items()}


class Compiler:
    """One compilation. `names` has what the rules define; `strict`: plain data and JMESPath's own type errors."""

    def __init__(self, names: Mapping[str, Mapping[str, Any]], *, strict: bool = False) -> None:
        self.names = names
        self.strict = strict

    def code(self, node: Ast, top: bool) -> Code:
        """The closure of a node; `top`: its current value is the exchange."""
        return _COMPILE[type(node)](self, node, top)

    def top_of(self, top: bool) -> bool:
        return top and not self.strict

    # --- paths ------------------------------------------------------------------------------------------------------

    def field(self, node: Field, top: bool) -> Code:
        if top:
            get = _GETTERS.get(node.name)
            return document_path(get, ()) if get else _nothing
        return member(node.name)

    def whole(self, node: Whole, top: bool) -> Code:
        if self.strict:
            return lambda v, x=TOP: v if x is TOP else x
        return lambda v, x=TOP: document_of(v if x is TOP else x)

    def current(self, node: Current, top: bool) -> Code:
        return (lambda v, _=TOP: document_of(v)) if top else _same

    def literal(self, node: Literal, top: bool) -> Code:
        value = node.value
        return lambda v, _=TOP: value

    def index(self, node: Index, top: bool) -> Code:
        number = node.number

        def element(v: Any, x: Any = TOP) -> Any:
            return v[number] if isinstance(v, list) and -len(v) <= number < len(v) else None

        return element

    def slice(self, node: Slice, top: bool) -> Code:
        part = slice(node.begin, node.stop, node.step)
        return lambda v, _=TOP: v[part] if isinstance(v, list) else None

    def chain(self, node: Chain, top: bool) -> Code:
        if isinstance(node.parts[0], Whole):
            return self.from_document(node)
        path = plain_path(node)
        if path is not None and not top:
            return member_path(path)
        if path is not None and str(path[0]) in _GETTERS:
            return document_path(_GETTERS[str(path[0])], path[1:])
        first, *rest = (self.code(part, top and place == 0) for place, part in enumerate(node.parts))

        def follow(v: Any, x: Any = TOP) -> Any:
            document = v if x is TOP else x
            v = first(v, x)
            for step in rest:
                v = step(v, document)
            return v

        return follow

    def from_document(self, node: Chain) -> Code:
        """`$.…`: the rest of the chain on the document, wherever it stands."""
        rest: Ast = node.parts[1]
        for part in node.parts[2:]:
            rest = chain(rest, part)
        code = self.code(rest, not self.strict)
        return lambda v, x=TOP: code(v if x is TOP else x)

    # --- projections ------------------------------------------------------------------------------------------------

    def flatten(self, node: Flatten, top: bool) -> Code:
        of = self.code(node.of, top)

        def flattened(v: Any, x: Any = TOP) -> Any:
            base = of(v, x)
            if not isinstance(base, list):
                return None
            found: list[Any] = []
            for element in base:
                if isinstance(element, list):
                    found.extend(element)
                else:
                    found.append(element)
            return found

        return flattened

    def project(self, node: Project, top: bool) -> Code:
        of = self.code(node.of, top)
        if isinstance(node.each, (Current, Field)):
            return projected_member(of, node.each.name if isinstance(node.each, Field) else None)
        each = self.code(node.each, False)

        def projected(v: Any, x: Any = TOP) -> Any:
            base = of(v, x)
            if not isinstance(base, list):
                return None
            document = v if x is TOP else x
            return [found for element in base if (found := each(element, document)) is not None]

        return projected

    def values(self, node: Values, top: bool) -> Code:
        of, each = self.code(node.of, top), self.code(node.each, False)

        def projected(v: Any, x: Any = TOP) -> Any:
            base = of(v, x)
            if not isinstance(base, dict):
                return None
            document = v if x is TOP else x
            return [found for element in base.values() if (found := each(element, document)) is not None]

        return projected

    def filter(self, node: Filter, top: bool) -> Code:
        of = self.code(node.of, top)
        fused = field_filter(of, node.condition, node.each)
        if fused is not None:
            return fused
        condition, each = self.code(node.condition, False), self.code(node.each, False)

        def filtered(v: Any, x: Any = TOP) -> Any:
            base = of(v, x)
            if not isinstance(base, list):
                return None
            document = v if x is TOP else x
            found = []
            for element in base:
                holds = condition(element, document)
                if holds or type(holds) in _NUMBERS:
                    value = each(element, document)
                    if value is not None:
                        found.append(value)
            return found

        return filtered

    # --- lists and objects made from the current value ----------------------------------------------------------------

    def items(self, node: Items, top: bool) -> Code:
        codes = tuple(self.code(item, top) for item in node.items)
        return lambda v, x=TOP: [code(v, x) for code in codes] if v is not None else None

    def entries(self, node: Entries, top: bool) -> Code:
        codes = tuple((name, self.code(value, top)) for name, value in node.entries)
        return lambda v, x=TOP: {name: code(v, x) for name, code in codes} if v is not None else None

    # --- truth ------------------------------------------------------------------------------------------------------

    def negation(self, node: Not, top: bool) -> Code:
        of = self.code(node.of, top)

        def negated(v: Any, x: Any = TOP) -> bool:
            found = of(v, x)
            return not found and type(found) not in _NUMBERS

        return negated

    def conjunction(self, node: And, top: bool) -> Code:
        *before, last = (self.code(part, top) for part in node.parts)
        first = before[0]
        if len(before) == 1:

            def both(v: Any, x: Any = TOP) -> Any:
                found = first(v, x)
                return last(v, x) if found or type(found) in _NUMBERS else found

            return both

        def every(v: Any, x: Any = TOP) -> Any:
            for part in before:
                found = part(v, x)
                if not found and type(found) not in _NUMBERS:
                    return found
            return last(v, x)

        return every

    def disjunction(self, node: Or, top: bool) -> Code:
        *before, last = (self.code(part, top) for part in node.parts)

        def some(v: Any, x: Any = TOP) -> Any:
            for part in before:
                found = part(v, x)
                if found or type(found) in _NUMBERS:
                    return found
            return last(v, x)

        return some

    def comparison(self, node: Compare, top: bool) -> Code:
        fused = compared_with(node, lambda part: self.code(part, top), _GETTERS if top else None)
        if fused is not None:
            return fused
        left, right = self.code(node.left, top), self.code(node.right, top)
        if node.operator == "==":
            return lambda v, x=TOP: equal(left(v, x), right(v, x))
        if node.operator == "!=":
            return lambda v, x=TOP: not equal(left(v, x), right(v, x))
        order = _ORDER[node.operator]

        def ordered(v: Any, x: Any = TOP) -> bool | None:
            one, other = left(v, x), right(v, x)
            return order(one, other) if comparable(one, other) else None

        return ordered

    def call(self, node: Call, top: bool) -> Code:
        return compile_call(self, node, top)

    def reference(self, node: Reference, top: bool) -> Code:
        """Gives the function of one value that the called function gets."""
        code = self.code(node.of, False)

        def referred(v: Any, x: Any = TOP) -> Callable[[Any], Any]:
            document = v if x is TOP else x
            return lambda element: code(element, document)

        return referred


def _nothing(v: Any, x: Any = TOP) -> Any:
    return None


def _same(v: Any, x: Any = TOP) -> Any:
    return v


_COMPILE: dict[type[Ast], Callable[[Compiler, Any, bool], Code]] = {
    Field: Compiler.field,
    Whole: Compiler.whole,
    Current: Compiler.current,
    Literal: Compiler.literal,
    Index: Compiler.index,
    Slice: Compiler.slice,
    Chain: Compiler.chain,
    Flatten: Compiler.flatten,
    Project: Compiler.project,
    Values: Compiler.values,
    Filter: Compiler.filter,
    Items: Compiler.items,
    Entries: Compiler.entries,
    Not: Compiler.negation,
    And: Compiler.conjunction,
    Or: Compiler.disjunction,
    Compare: Compiler.comparison,
    Call: Compiler.call,
    Reference: Compiler.reference,
}

__all__ = ["Compiler", "ExpressionError", "compile_ast", "compile_strict", "document_of"]
