"""Reading conditions: an expression, a mapping of entries, `all any none not is`, a list, nested at will.

Must not know what becomes of the tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from engine.catalogue import BAD, Scope
from engine.language import operators_equality, operators_lists, operators_network, operators_numbers, operators_text
from engine.language.ast import Ast
from engine.language.checks import Place
from engine.language.checks_elements import ElementChecker
from engine.language.compile import compile_ast
from engine.language.condition_entry import COMBINED, meant_operators, not_a_subject
from engine.language.condition_fits import Subject, check_operators
from engine.language.condition_lowering import lowered
from engine.language.condition_several import all_of, any_of, negated
from engine.language.condition_tree import ElementExpression, Test
from engine.language.expression import Expression
from engine.language.lexer import ExpressionError
from engine.language.parser import parse, parse_key
from engine.language.shapes import ANYTHING, about, subject_shape
from engine.options import found, from_environment
from engine.source import Mapping, Node, Scalar, Sequence

MAX_DEPTH = 50
MAX_SIZE = 10_000
OPERATORS = (operators_equality, operators_lists, operators_network, operators_numbers, operators_text)
"""Where the operators are: importing them puts them into the catalogue."""

_EXAMPLE = "write it like request.model == 'gpt-4o'"


@dataclass(slots=True)
class _Progress:
    """How far the reading of conditions has come in one scope."""

    depth: int = 0
    names: list[str] = field(default_factory=list)  # named conditions under way, outermost first
    read: dict[Any, Any] = field(default_factory=dict)  # named conditions that were read, by what they depend on
    cycles: set[frozenset[str]] = field(default_factory=set)  # that were noted


class Reader:
    """Reads conditions about the document."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.progress: _Progress = scope.notes.setdefault("conditions", _Progress())

    def tree(self, node: Node) -> Any:
        with self._deeper(node) as fits:
            if not fits:
                return BAD
            if isinstance(node, Mapping):
                tree = self._mapping(node)
            elif isinstance(node, Sequence):
                tree = self._all(node)
            else:
                tree = self._text(node)
        if tree is not BAD and tree.size > MAX_SIZE:
            self.scope.problem(
                "condition-too-large",
                f"this condition has more than {MAX_SIZE} parts",
                node.span,
                help="values to compare with belong in a list: `{in: {list: name}}`",
            )
            return BAD
        return tree

    @contextmanager
    def _deeper(self, node: Node) -> Iterator[bool]:
        fits = self.progress.depth < MAX_DEPTH
        if not fits:
            self.scope.problem(
                "too-deep",
                f"conditions are nested more than {MAX_DEPTH} deep here",
                node.span,
                help="write the same with fewer levels of `all`, `any` and `not`",
            )
        self.progress.depth += 1
        try:
            yield fits
        finally:
            self.progress.depth -= 1

    # --- forms -------------------------------------------------------------------------------------------------------

    def _text(self, node: Node) -> Any:
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            always = node.plain() is True or node.plain() is None
            self.scope.problem(
                "wrong-type",
                f"expected a condition, found {found(node)}",
                node.span,
                help="leave it out to match always" if always else _EXAMPLE,
            )
            return BAD
        expression = self.expression(node)
        return BAD if expression is BAD else lowered(expression, lambda ast: self.part(str(node.value), ast))

    def _all(self, node: Sequence) -> Any:
        items = self._items(node)
        return BAD if items is BAD else all_of(items)

    def _items(self, node: Sequence) -> Any:
        if not node.items:
            self.scope.problem(
                "empty-condition",
                "a list without a condition says nothing",
                node.span,
                help="leave it out to match always",
            )
            return BAD
        items = [self.tree(item) for item in node]
        return BAD if any(item is BAD for item in items) else items

    def _mapping(self, node: Mapping) -> Any:
        if not node.entries:
            self.scope.problem(
                "empty-condition",
                "a mapping without an entry says nothing",
                node.span,
                help="leave it out to match always",
            )
            return BAD
        entries = [
            self._combined(key, value) if key.value in COMBINED else self._entry(key, value) for key, value in node
        ]
        return BAD if any(entry is BAD for entry in entries) else all_of(entries)

    def _combined(self, key: Scalar, value: Node) -> Any:
        if key.value == "is":
            return self.named(value)
        if key.value == "not":
            tree = self.tree(value)
            return BAD if tree is BAD else negated(tree)
        if not isinstance(value, Sequence):
            self.scope.problem(
                "wrong-type",
                f"`{key.value}` takes a list of conditions, found {found(value)}",
                value.span,
                help=f"write it like `{key.value}: [condition, condition]`",
            )
            return BAD
        items = self._items(value)
        if items is BAD:
            return BAD
        if key.value == "all":
            return all_of(items)
        return any_of(items) if key.value == "any" else negated(any_of(items))

    def _entry(self, key: Scalar, value: Node) -> Any:
        hint = not_a_subject(str(key.value), value)
        if hint:
            self.scope.problem("unknown-key", f"`{key.value}` is no part of the document", key.span, help=hint)
            return BAD
        subject = self.subject(key)
        with about(ANYTHING if subject is BAD else subject.shape, self.scope):
            operators = meant_operators(value, self.scope)
        if subject is BAD or operators is BAD:
            return BAD
        check_operators(Subject.of(subject), value, operators, self.scope)
        return all_of([Test(subject, one) for one in operators])

    # --- expressions, which an element reads otherwise ---------------------------------------------------------------

    def expression(self, node: Scalar) -> Any:
        return Expression.read(node, self.scope)

    def subject(self, key: Scalar) -> Any:
        return Expression.from_text(str(key.value), self.scope, key.inner, key=True)

    def part(self, text: str, ast: Ast) -> Expression:
        tables = self.scope.tables
        return Expression(text[ast.start : ast.end], ast, compile_ast(ast, tables.get("list"), tables.get("pattern")))

    # --- named conditions --------------------------------------------------------------------------------------------

    def named(self, value: Node) -> Any:
        """The tree of a named condition, read where it is used; its problems are noted once."""
        name = value.plain()
        if not isinstance(name, str):
            self.scope.problem(
                "wrong-type",
                f"`is` takes the name of a condition, found {found(value)}",
                value.span,
                help="several are written as a list: `all: [{is: a}, {is: b}]`",
            )
            return BAD
        if name in self.progress.names:
            self._refuse_cycle(self.progress.names[self.progress.names.index(name) :], value)
            return BAD
        node = self.scope.find("condition", name, value.span)
        if node is BAD:
            return BAD
        depends = (name, self.scope.phases, self.scope.call_types)
        if depends not in self.progress.read:
            self.progress.read[depends] = self._read_named(name, node)
        return self.progress.read[depends]

    def _refuse_cycle(self, names: list[str], value: Node) -> None:
        """Note a cycle, once whichever of its conditions was read first."""
        if frozenset(names) not in self.progress.cycles:
            self.progress.cycles.add(frozenset(names))
            self.scope.problem(
                "condition-cycle",
                f"the condition `{names[0]}` needs itself: {' → '.join([*names, names[0]])}",
                value.span,
                help="a condition may only use conditions that do not lead back to it",
            )

    def _read_named(self, name: str, node: Node) -> Any:
        scope, rule, before = self.scope, self.scope.rule, len(self.scope.problems)
        self.progress.names.append(name)
        scope.rule = None  # what is wrong in a named condition is wrong in no rule
        try:
            tree = self.tree(node)
        finally:
            self.progress.names.pop()
            scope.rule = rule
        known = {_identity(problem) for problem in scope.problems[:before]}
        scope.problems[before:] = [one for one in scope.problems[before:] if _identity(one) not in known]
        return tree


class ElementReader(Reader):
    """Reads conditions about an element: its expressions start at the element."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope)
        self.element = subject_shape(scope)

    def expression(self, node: Scalar) -> Any:
        text = from_environment(node, self.scope)
        return BAD if text is BAD else self._checked(text, node.inner, parse)

    def subject(self, key: Scalar) -> Any:
        return self._checked(str(key.value), key.inner, parse_key)

    def _checked(self, text: str, place: Place, parsed: Callable[[str], Ast]) -> Any:
        """An expression whose current value is the element."""
        before = len(self.scope.problems)
        try:
            ast = parsed(text)
        except ExpressionError as error:
            self.scope.problem(error.code, error.message, place(error.start, error.end), error.help)
            return BAD
        shape = ElementChecker(text, self.scope, place, self.element).shape(ast, self.element)
        if any(problem.severity == "error" for problem in self.scope.problems[before:]):
            return BAD
        expression = self.part(text, ast)
        expression.shape = shape
        return expression

    def part(self, text: str, ast: Ast) -> Expression:
        return ElementExpression(text[ast.start : ast.end] or text, ast, self.scope.tables)

    def named(self, value: Node) -> Any:
        self.scope.problem(
            "is-in-element",
            "a named condition is about the document, not about an element",
            value.span,
            help="put `is` beside the entry, outside of `some` and `every`",
        )
        return BAD


def _identity(problem: Any) -> tuple[Any, ...]:
    return (problem.code, problem.span.source.name, problem.span.start, problem.span.end, problem.message)
