"""Reads an expression into a tree: the grammar of jmespath.org, complete, and `$` for the whole document.

Must not know the document, the functions or how trees run.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

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
    children,
)
from engine.language.lexer import ExpressionError, Token, tokens
from engine.language.mistakes import leftover, misplaced

MAX_DEPTH = 120
"""Levels of nesting: the public suite has 104, and Python's stack ends at some 190."""

_BINDING = {
    "|": 1,
    "||": 2,
    "&&": 3,
    "==": 5,
    "!=": 5,
    "<": 5,
    "<=": 5,
    ">": 5,
    ">=": 5,
    "[]": 9,
    "*": 20,
    "[?": 21,
    ".": 40,
    "!": 45,
    "{": 50,
    "[": 55,
    "(": 60,
}
_ENDS_PROJECTION = 10  # what binds weaker than this is outside of the projection before it
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
        steps.append(Field(start, start + len(name), name))
        start += len(name) + 1
    return steps[0] if len(steps) == 1 else Chain(0, len(text), tuple(steps))


class _Parser:
    """Top-down operator precedence: `_BEGIN` says what a token starts, `_CONTINUE` what it makes of its left side."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens(text)
        self.at = 0
        self.depth = 0

    # --- tokens -----------------------------------------------------------------------------------------------------

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def take(self) -> Token:
        token = self.tokens[self.at]
        self.at += 1
        return token

    def expect(self, kind: str, of: str) -> Token:
        if self.token.kind != kind:
            raise misplaced(self.text, self.token, f"expected `{kind}` {of}")
        return self.take()

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
            raise misplaced(self.text, token, "expected a value")
        left = begin(self, token)
        while binding < _BINDING.get(self.token.kind, 0):
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
        return Field(token.start, token.end, token.value)

    def quoted(self, token: Token) -> Ast:
        if self.token.kind == "(":
            raise ExpressionError("bad-expression", "a function's name stands without quotes", token.start, token.end)
        return Field(token.start, token.end, token.value, True)

    def literal(self, token: Token) -> Ast:
        return Literal(token.start, token.end, token.value, token.kind == "raw")

    def current(self, token: Token) -> Ast:
        return Current(token.start, token.end)

    def document(self, token: Token) -> Ast:
        return Whole(token.start, token.end)

    def parenthesis(self, token: Token) -> Ast:
        inner = self.expression(0)
        return replace(inner, start=token.start, end=self.expect(")", "to close the parenthesis").end)

    def negation(self, token: Token) -> Ast:
        of = self.expression(_BINDING["!"])
        return Not(token.start, of.end, of)

    def call(self, name: Token) -> Ast:
        self.take()
        arguments: list[Ast] = []
        while self.token.kind != ")":
            if arguments:
                self.expect(",", f"or `)` in the arguments of `{name.value}`")
            arguments.append(self.argument())
        end = self.take().end
        return Call(name.start, end, name.value, tuple(arguments), name.end)

    def argument(self) -> Ast:
        if self.token.kind != "&":
            return self.expression(0)
        start = self.take().start
        of = self.expression(0)
        return Reference(start, of.end, of)

    # --- operators --------------------------------------------------------------------------------------------------

    def pipe(self, left: Ast, token: Token) -> Ast:
        return chain(left, self.expression(_BINDING["|"]))

    def joined(self, left: Ast, token: Token) -> Ast:
        right = self.expression(_BINDING[token.kind])
        sort = And if token.kind == "&&" else Or
        begun = left.parts if isinstance(left, sort) else (left,)
        return sort(left.start, right.end, (*begun, right))

    def compared(self, left: Ast, token: Token) -> Ast:
        right = self.expression(_BINDING[token.kind])
        operator: Any = token.kind
        return Compare(left.start, right.end, operator, left, right)

    # --- paths ------------------------------------------------------------------------------------------------------

    def dot(self, left: Ast, token: Token) -> Ast:
        if self.token.kind != "*":
            return chain(left, self.member(_BINDING["."]))
        star = self.take()
        return self.values(left, star, _BINDING["."])

    def member(self, binding: int) -> Ast:
        """What may stand behind a dot."""
        token = self.token
        if token.kind in ("name", "quoted", "*"):
            return self.expression(binding)
        if token.kind == "[":
            return self.items(self.take())
        if token.kind == "{":
            return self.entries(self.take())
        raise misplaced(self.text, token, "expected a name after the dot")

    def star(self, token: Token) -> Ast:
        return self.values(Current(token.start, token.start), token, _BINDING["*"])

    def values(self, of: Ast, star: Token, binding: int) -> Ast:
        each = self.projected(binding)
        return Values(of.start, max(each.end, star.end), of, each)

    def flatten_first(self, token: Token) -> Ast:
        return self.flatten(Current(token.start, token.start), token)

    def flatten(self, left: Ast, token: Token) -> Ast:
        each = self.projected(_BINDING["[]"])
        return Project(left.start, each.end, Flatten(left.start, token.end, left), each)

    def filter_first(self, token: Token) -> Ast:
        return self.filter(Current(token.start, token.start), token)

    def filter(self, left: Ast, token: Token) -> Ast:
        condition = self.expression(0)
        self.expect("]", "to close the filter")
        each = self.projected(_BINDING["[?"])
        return Filter(left.start, each.end, left, condition, each)

    def bracket_first(self, token: Token) -> Ast:
        if self.token.kind in ("number", ":"):
            return self.position(Current(token.start, token.start), token)
        if self.token.kind == "*" and self.tokens[self.at + 1].kind == "]":
            return self.elements(Current(token.start, token.start))
        return self.items(token)

    def bracket(self, left: Ast, token: Token) -> Ast:
        if self.token.kind in ("number", ":"):
            return self.position(left, token)
        if self.token.kind == "*":
            return self.elements(left)
        raise misplaced(self.text, self.token, "expected a position, `*` or `?` in the brackets")

    def elements(self, of: Ast) -> Ast:
        self.take()
        self.expect("]", "after `*`")
        each = self.projected(_BINDING["*"])
        return Project(of.start, each.end, of, each)

    def position(self, left: Ast, bracket: Token) -> Ast:
        if self.token.kind == ":" or self.tokens[self.at + 1].kind == ":":
            part = self.slice(bracket)
            each = self.projected(_BINDING["*"])
            return Project(left.start, each.end, chain(left, part), each)
        number = self.take().value
        end = self.expect("]", "after a position").end
        return chain(left, Index(bracket.start, end, number))

    def slice(self, bracket: Token) -> Ast:
        numbers: list[int | None] = [None, None, None]
        place = 0
        while self.token.kind in ("number", ":"):
            token = self.take()
            if token.kind == "number" and numbers[place] is None and self.tokens[self.at - 2].kind != "number":
                numbers[place] = token.value
            elif token.kind == ":" and place < 2:
                place += 1
            else:
                raise misplaced(self.text, token, "a slice is [start:stop:step]")
        end = self.expect("]", "to close the slice").end
        if numbers[2] == 0:
            raise ExpressionError("zero-step", "a slice cannot step by 0", bracket.start, end, "leave the step out")
        return Slice(bracket.start, end, *numbers)

    def projected(self, binding: int) -> Ast:
        """What a projection does with each element."""
        token = self.token
        if _BINDING.get(token.kind, 0) < _ENDS_PROJECTION:
            end = self.tokens[self.at - 1].end
            return Current(end, end)
        if token.kind in ("[", "[?"):
            return self.expression(binding)
        if token.kind == ".":
            self.take()
            return self.member(binding)
        raise misplaced(self.text, token, "expected an operator, `.` or `[`")

    def items(self, bracket: Token) -> Ast:
        items = [self.expression(0)]
        while self.token.kind != "]":
            self.expect(",", "or `]` in the list")
            items.append(self.expression(0))
        return Items(bracket.start, self.take().end, tuple(items))

    def entries(self, brace: Token) -> Ast:
        entries = [self.entry()]
        while self.token.kind != "}":
            self.expect(",", "or `}` in the object")
            entries.append(self.entry())
        return Entries(brace.start, self.take().end, tuple(entries))

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
