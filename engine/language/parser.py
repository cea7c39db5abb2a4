"""Reads an expression into a tree: the grammar of jmespath.org, complete, and `$` for the whole document.

Must not know the document, the functions or how trees run.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from engine.language import ast
from engine.language.ast import Ast, chain, children
from engine.language.lexer import ExpressionError, Token
from engine.language.mistakes import A_VALUE, leftover, misplaced
from engine.language.parser_paths import BINDING, PathParser

MAX_DEPTH = 120
"""Levels of nesting: the public suite has 104, and Python's stack ends at some 190."""

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z_][A-Za-z0-9_-]*)*\Z")


def parse(text: str) -> Ast:
    """The tree of an expression; raises ExpressionError, and nothing else, for a text that is none."""
    try:
        return _Parser(text).whole()
    except RecursionError:  # somebody stands deep in the stack already
        raise _too_deep(0, len(text)) from None


def parse_key(text: str) -> Ast:
    """As `parse`, for the key of a condition map: a plain dotted path may carry hyphens unquoted (`headers.x-team`)."""
    if not _KEY.match(text):
        return parse(text)
    steps: list[Ast] = []
    start = 0
    for name in text.split("."):
        steps.append(ast.Field(start, start + len(name), name))
        start += len(name) + 1
    return steps[0] if len(steps) == 1 else ast.Chain(0, len(text), tuple(steps))


class _Parser(PathParser):
    """Top-down operator precedence: `_BEGIN` says what a token starts, `_CONTINUE` what it makes of its left side."""

    # --- expressions ------------------------------------------------------------------------------------------------

    def whole(self) -> Ast:
        if self.token.kind == "end":
            raise ExpressionError(
                "bad-expression",
                "an expression is missing",
                0,
                len(self.text),
                "write a condition such as request.model == 'gpt-4o'",
            )
        node = self.expression(0)
        if self.token.kind != "end":
            raise leftover(self.text, self.token)
        _check_depth(node)
        return node

    def expression(self, binding: int) -> Ast:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _too_deep(self.token.start, self.token.end)
        token = self.take()
        begin = _BEGIN.get(token.kind)
        if begin is None:
            raise misplaced(self.text, token, A_VALUE)
        left = begin(self, token)
        while binding < BINDING.get(self.token.kind, 0):
            go_on = _CONTINUE.get(self.token.kind)
            if go_on is None:
                raise leftover(self.text, self.token)
            left = go_on(self, left, self.take())
        self.depth -= 1
        return left

    def name(self, token: Token) -> Ast:
        if self.token.kind == "(":
            return self.call(token)
        if token.value in ("not", "NOT") and self.token.kind in ("name", "quoted", "raw", "literal"):
            raise leftover(self.text, token)
        return ast.Field(token.start, token.end, token.value)

    def quoted(self, token: Token) -> Ast:
        if self.token.kind == "(":
            raise ExpressionError("bad-expression", "a function's name stands without quotes", token.start, token.end)
        return ast.Field(token.start, token.end, token.value, True)

    def literal(self, token: Token) -> Ast:
        return ast.Literal(token.start, token.end, token.value, token.kind == "raw")

    def current(self, token: Token) -> Ast:
        return ast.Current(token.start, token.end)

    def document(self, token: Token) -> Ast:
        return ast.Whole(token.start, token.end)

    def parenthesis(self, token: Token) -> Ast:
        inner = self.expression(0)
        return replace(inner, start=token.start, end=self.expect(")", "to close the parenthesis").end)

    def negation(self, token: Token) -> Ast:
        of = self.expression(BINDING["!"])
        return ast.Not(token.start, of.end, of)

    def call(self, name: Token) -> Ast:
        self.take()
        arguments: list[Ast] = []
        while self.token.kind != ")":
            if arguments:
                self.expect(",", f"or `)` in the arguments of `{name.value}`")
            arguments.append(self.argument())
        end = self.take().end
        return ast.Call(name.start, end, name.value, tuple(arguments), name.end)

    def argument(self) -> Ast:
        if self.token.kind != "&":
            return self.expression(0)
        start = self.take().start
        of = self.expression(0)
        return ast.Reference(start, of.end, of)

    # --- operators --------------------------------------------------------------------------------------------------

    def pipe(self, left: Ast, token: Token) -> Ast:
        return chain(left, self.expression(BINDING["|"]))

    def joined(self, left: Ast, token: Token) -> Ast:
        sort = ast.And if token.kind == "&&" else ast.Or
        parts = list(left.parts) if isinstance(left, sort) else [left]
        parts.append(self.expression(BINDING[token.kind]))
        while self.token.kind == token.kind:
            self.take()
            parts.append(self.expression(BINDING[token.kind]))
        return sort(left.start, parts[-1].end, tuple(parts))

    def compared(self, left: Ast, token: Token) -> Ast:
        right = self.expression(BINDING[token.kind])
        operator: Any = token.kind
        return ast.Compare(left.start, right.end, operator, left, right)

    # --- lists and objects --------------------------------------------------------------------------------------------

    def items(self, bracket: Token) -> Ast:
        items = [self.expression(0)]
        while self.token.kind != "]":
            self.expect(",", "or `]` in the list")
            items.append(self.expression(0))
        return ast.Items(bracket.start, self.take().end, tuple(items))

    def entries(self, brace: Token) -> Ast:
        entries = [self.entry()]
        while self.token.kind != "}":
            self.expect(",", "or `}` in the object")
            entries.append(self.entry())
        return ast.Entries(brace.start, self.take().end, tuple(entries))

    def entry(self) -> tuple[str, Ast]:
        key = self.token
        if key.kind not in ("name", "quoted"):
            raise misplaced(self.text, key, "expected a name as key of the object")
        self.take()
        self.expect(":", f"after the key `{key.value}`")
        return key.value, self.expression(0)


def _too_deep(start: int, end: int) -> ExpressionError:
    return ExpressionError(
        "too-deep",
        f"this expression nests deeper than {MAX_DEPTH} levels",
        start,
        end,
        "split it into named conditions",
    )


def _check_depth(node: Ast) -> None:
    """Operators in a row nest trees without nesting text, so the tree is measured too."""
    level = [node]
    for _ in range(MAX_DEPTH):
        level = [child for parent in level for child in children(parent)]
        if not level:
            return
    raise _too_deep(node.start, node.end)


_BEGIN: dict[str, Callable[[_Parser, Token], Ast]] = {
    "name": _Parser.name,
    "quoted": _Parser.quoted,
    "raw": _Parser.literal,
    "literal": _Parser.literal,
    "@": _Parser.current,
    "$": _Parser.document,
    "(": _Parser.parenthesis,
    "!": _Parser.negation,
    "*": _Parser.star,
    "[]": _Parser.flatten_first,
    "[?": _Parser.filter_first,
    "[": _Parser.bracket_first,
    "{": _Parser.entries,
}
_CONTINUE: dict[str, Callable[[_Parser, Ast, Token], Ast]] = {
    "|": _Parser.pipe,
    "||": _Parser.joined,
    "&&": _Parser.joined,
    "==": _Parser.compared,
    "!=": _Parser.compared,
    "<": _Parser.compared,
    "<=": _Parser.compared,
    ">": _Parser.compared,
    ">=": _Parser.compared,
    ".": _Parser.dot,
    "[]": _Parser.flatten,
    "[?": _Parser.filter,
    "[": _Parser.bracket,
}
