"""Expressions of conditions taken apart into tests, wherever the parts mean the same as the whole.

`a == 'x' && b` becomes two tests that other rules can share and an index can look up; what has no equal among the
operators stays an expression. Must not know YAML or problems.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.document.roots import ROOTS
from engine.language.ast import And, Ast, Call, Compare, Literal, Not, Or, plain_path
from engine.language.condition_several import all_of, any_of, negated
from engine.language.condition_tree import Always, Never, Test, Tree, Truth
from engine.language.expression import Expression
from engine.language.operators import operator
from engine.language.values import is_number, truthy

Part = Callable[[Ast], Expression]

_MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_COMPARISONS = {"==": "equals", "!=": "not_equals", "<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
_ON_TEXT = ("contains", "starts_with", "ends_with", "glob")


def lowered(expression: Expression, part: Part) -> Tree:
    """The tree of an expression; `part` makes an expression of a part of it."""
    return _Lowering(expression, part).tree(expression.ast)


class _Lowering:
    def __init__(self, whole: Expression, part: Part) -> None:
        self.whole = whole
        self.part = part

    def tree(self, ast: Ast) -> Tree:
        if isinstance(ast, And):
            return all_of([self.tree(part) for part in ast.parts])
        if isinstance(ast, Or):
            return any_of([self.tree(part) for part in ast.parts])
        if isinstance(ast, Not):
            return negated(self.tree(ast.of))
        if isinstance(ast, Literal):
            return Always() if truthy(ast.value) else Never()
        test = self.comparison(ast) if isinstance(ast, Compare) else self.call(ast) if isinstance(ast, Call) else None
        return test or Truth(self.expression(ast))

    def expression(self, ast: Ast) -> Expression:
        return self.whole if ast is self.whole.ast else self.part(ast)

    def comparison(self, ast: Compare) -> Tree | None:
        """A comparison with a constant other than null, which no operator takes."""
        left, right, sign = ast.left, ast.right, str(ast.operator)
        if isinstance(left, Literal):
            left, right, sign = right, left, _MIRRORED[sign]
        if not isinstance(right, Literal) or isinstance(left, Literal) or right.value is None:
            return None
        if sign not in ("==", "!=") and not (is_number(right.value) or isinstance(right.value, str)):
            return None
        return Test(self.part(left), operator(_COMPARISONS[sign], right.value))

    def call(self, ast: Call) -> Tree | None:
        """`contains(`[…]`, x)`, and functions on what is always text, where they cannot meet a type that raises."""
        if len(ast.arguments) != 2 or not isinstance(ast.arguments[0 if ast.name == "contains" else 1], Literal):
            return self.on_text(ast)
        listed, subject = ast.arguments
        values = listed.value if isinstance(listed, Literal) else None
        if ast.name == "contains" and isinstance(values, list) and values and None not in values:
            return Test(self.part(subject), operator("in", values))
        return self.on_text(ast)

    def on_text(self, ast: Call) -> Tree | None:
        if ast.name not in _ON_TEXT or len(ast.arguments) != 2:
            return None
        subject, constant = ast.arguments
        if not isinstance(constant, Literal) or not isinstance(constant.value, str) or not _is_text(subject):
            return None
        return Test(self.part(subject), operator(ast.name, constant.value))


def _is_text(ast: Ast) -> bool:
    """True for a path whose value is text whenever it is not null."""
    path = plain_path(ast)
    if path is None or str(path[0]) not in ROOTS:
        return False
    shape: Any = ROOTS[str(path[0])].shape
    for step in path[1:]:
        shape = (shape.get(step) or shape.get("*")) if isinstance(shape, dict) and isinstance(step, str) else None
    return bool(shape == "string")
