"""Turns a tree into a Python function. Must not know texts, places or problems.

Every closure takes the current value and the document: `code(value, document)`. At the top the document is the
current value and is left out: `code(exchange)`. A name at the top is an attribute of the exchange, anywhere else a
member of an object. The closures themselves are in
`engine.language.closures`, the frequent shapes in `engine.language.fused`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from engine.document.roots import ROOTS
from engine.language import ast, closures, fused
from engine.language.ast import Ast
from engine.language.calls import Names, called, compile_call
from engine.language.closures import TOP, Code

_GETTERS = {name: attrgetter(name) for name in ROOTS}


def compile_ast(
    node: Ast, lists: Mapping[str, Sequence[Any]] | None = None, patterns: Mapping[str, Any] | None = None
) -> Callable[[Any], Any]:
    """The function that evaluates an expression on an exchange, in rules mode.

    `lists` and `patterns` give the named lists and patterns of the rules. The function raises EvaluationError, and
    nothing else, for an argument of a wrong type. An unknown function or a wrong count is an ExpressionError here.
    """
    return Compiler({"list": lists or {}, "pattern": patterns or {}}).code(node)


def compile_strict(node: Ast) -> Callable[[Any], Any]:
    """The function that evaluates an expression on plain JSON data, exactly as jmespath.org has it."""
    return Compiler({}, strict=True).code(node)


def document_of(exchange: Any) -> dict[str, Any]:
    """The whole document as one object."""
    return {name: get(exchange) for name, get in _GETTERS.items()}


class Compiler:
    """One compilation, at the top or inside of the document.

    `names` has what the rules define; `strict`: plain data and JMESPath's own type errors; `top`: the current value
    is the exchange. `inside` compiles what is evaluated on a value, `outside` what is evaluated on the document.
    """

    def __init__(self, names: Names, *, strict: bool = False, outside: Compiler | None = None) -> None:
        self.names = names
        self.strict = strict
        self.top = outside is None and not strict
        self._outside = outside

    @property
    def outside(self) -> Compiler:  # neither of the two is kept: a compiler in a circle would wait for the collector
        return self._outside or self

    @property
    def inside(self) -> Compiler:
        return Compiler(self.names, outside=self) if self.top else self

    def code(self, node: Ast) -> Code:
        """The closure of a node."""
        return _COMPILE[type(node)](self, node)

    def codes(self, nodes: Sequence[Ast]) -> list[Code]:
        return [self.code(node) for node in nodes]

    # --- paths ------------------------------------------------------------------------------------------------------

    def field(self, node: ast.Field) -> Code:
        if not self.top:
            return fused.member(node.name)
        get = _GETTERS.get(node.name)
        return fused.document_path(get, ()) if get else lambda _v, _x=TOP: None

    def whole(self, node: ast.Whole) -> Code:
        if self.strict:
            return lambda v, x=TOP: v if x is TOP else x
        return lambda v, x=TOP: document_of(v if x is TOP else x)

    def current(self, node: ast.Current) -> Code:
        return (lambda v, _=TOP: document_of(v)) if self.top else lambda v, _=TOP: v

    def literal(self, node: ast.Literal) -> Code:
        value = node.value
        return lambda _v, _x=TOP: value

    def index(self, node: ast.Index) -> Code:
        return fused.member_path((node.number,))

    def slice(self, node: ast.Slice) -> Code:
        part = slice(node.begin, node.stop, node.step)
        return lambda v, _=TOP: v[part] if isinstance(v, list) else None

    def chain(self, node: ast.Chain) -> Code:
        if isinstance(node.parts[0], ast.Whole):
            return self.from_document(node)
        path = ast.plain_path(node)
        if path is not None and not self.top:
            return fused.member_path(path)
        if path is not None and str(path[0]) in _GETTERS:
            return fused.document_path(_GETTERS[str(path[0])], path[1:])
        return closures.follow(self.code(node.parts[0]), self.inside.codes(node.parts[1:]))

    def from_document(self, node: ast.Chain) -> Code:
        """`$.…`: the rest of the chain on the document, wherever it stands."""
        rest = node.parts[1]
        for part in node.parts[2:]:
            rest = ast.chain(rest, part)
        code = self.outside.code(rest)
        return lambda v, x=TOP: code(v if x is TOP else x)

    # --- projections ------------------------------------------------------------------------------------------------

    def flatten(self, node: ast.Flatten) -> Code:
        return closures.flatten(self.code(node.of))

    def project(self, node: ast.Project) -> Code:
        of = self.code(node.of)
        if isinstance(node.each, (ast.Current, ast.Field)):
            return fused.project_member(of, node.each.name if isinstance(node.each, ast.Field) else None)
        return closures.project(of, self.inside.code(node.each))

    def values(self, node: ast.Values) -> Code:
        return closures.project_values(self.code(node.of), self.inside.code(node.each))

    def filter(self, node: ast.Filter) -> Code:
        of = self.code(node.of)
        simple = fused.field_filter(of, node.condition, node.each)
        return simple or closures.filter_elements(of, self.inside.code(node.condition), self.inside.code(node.each))

    # --- lists and objects made from the current value ----------------------------------------------------------------

    def items(self, node: ast.Items) -> Code:
        codes = self.codes(node.items)
        return lambda v, x=TOP: [code(v, x) for code in codes] if v is not None else None

    def entries(self, node: ast.Entries) -> Code:
        codes = [(name, self.code(value)) for name, value in node.entries]
        return lambda v, x=TOP: {name: code(v, x) for name, code in codes} if v is not None else None

    # --- truth ------------------------------------------------------------------------------------------------------

    def negation(self, node: ast.Not) -> Code:
        return closures.negation(self.code(node.of))

    def conjunction(self, node: ast.And) -> Code:
        return closures.conjunction(self.codes(node.parts))

    def disjunction(self, node: ast.Or) -> Code:
        return closures.disjunction(self.codes(node.parts))

    def comparison(self, node: ast.Compare) -> Code:
        simple = fused.compared_with_literal(node, self.code, _GETTERS if self.top else {})
        return simple or closures.comparison(node.operator, self.code(node.left), self.code(node.right))

    def call(self, node: ast.Call) -> Code:
        function = called(node, strict=self.strict)
        if function.means:
            from engine.language.parser import parse

            return self.code(parse(function.means))
        return compile_call(function, node, self.codes(node.arguments), self.names, strict=self.strict)

    def reference(self, node: ast.Reference) -> Code:
        """Gives the function of one value that the called function gets."""
        code = self.inside.code(node.of)

        def referred(v: Any, x: Any = TOP) -> Callable[[Any], Any]:
            document = v if x is TOP else x
            return lambda element: code(element, document)

        return referred


_COMPILE: dict[type[Ast], Callable[[Compiler, Any], Code]] = {
    ast.Field: Compiler.field,
    ast.Whole: Compiler.whole,
    ast.Current: Compiler.current,
    ast.Literal: Compiler.literal,
    ast.Index: Compiler.index,
    ast.Slice: Compiler.slice,
    ast.Chain: Compiler.chain,
    ast.Flatten: Compiler.flatten,
    ast.Project: Compiler.project,
    ast.Values: Compiler.values,
    ast.Filter: Compiler.filter,
    ast.Items: Compiler.items,
    ast.Entries: Compiler.entries,
    ast.Not: Compiler.negation,
    ast.And: Compiler.conjunction,
    ast.Or: Compiler.disjunction,
    ast.Compare: Compiler.comparison,
    ast.Call: Compiler.call,
    ast.Reference: Compiler.reference,
}
