"""Reads what stands behind a name: dots, positions, slices, filters, projections. Must not know operators."""

from __future__ import annotations

from engine.language import ast
from engine.language.ast import Ast, chain
from engine.language.lexer import ExpressionError, Token, tokens
from engine.language.mistakes import misplaced

BINDING = {
    "|": 1, "||": 2, "&&": 3, "==": 5, "!=": 5, "<": 5, "<=": 5, ">": 5, ">=": 5,
    "[]": 9, "*": 20, "[?": 21, ".": 40, "!": 45, "{": 50, "[": 55, "(": 60,
}  # fmt: skip
"""How strongly a token binds what stands before it."""

_ENDS_PROJECTION = 10  # what binds weaker than this is outside of the projection before it


class PathParser:
    """The tokens of an expression, and the half of the grammar that walks into values."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens(text)
        self.at = 0
        self.depth = 0

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

    def expression(self, binding: int) -> Ast:
        """The expression that begins here, up to what binds no stronger than `binding`."""
        raise NotImplementedError

    def items(self, bracket: Token) -> Ast:
        """`[a, b]`, its bracket taken."""
        raise NotImplementedError

    def entries(self, brace: Token) -> Ast:
        """`{a: b}`, its brace taken."""
        raise NotImplementedError

    def dot(self, left: Ast, token: Token) -> Ast:
        if self.token.kind != "*":
            return chain(left, self.member(BINDING["."]))
        star = self.take()
        return self.values(left, star, BINDING["."])

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
        return self.values(ast.Current(token.start, token.start), token, BINDING["*"])

    def values(self, of: Ast, star: Token, binding: int) -> Ast:
        each = self.projected(binding)
        return ast.Values(of.start, max(each.end, star.end), of, each)

    def flatten_first(self, token: Token) -> Ast:
        return self.flatten(ast.Current(token.start, token.start), token)

    def flatten(self, left: Ast, token: Token) -> Ast:
        each = self.projected(BINDING["[]"])
        return ast.Project(left.start, each.end, ast.Flatten(left.start, token.end, left), each)

    def filter_first(self, token: Token) -> Ast:
        return self.filter(ast.Current(token.start, token.start), token)

    def filter(self, left: Ast, token: Token) -> Ast:
        condition = self.expression(0)
        self.expect("]", "to close the filter")
        each = self.projected(BINDING["[?"])
        return ast.Filter(left.start, each.end, left, condition, each)

    def bracket_first(self, token: Token) -> Ast:
        if self.token.kind in ("number", ":"):
            return self.position(ast.Current(token.start, token.start), token)
        if self.token.kind == "*" and self.tokens[self.at + 1].kind == "]":
            return self.elements(ast.Current(token.start, token.start))
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
        each = self.projected(BINDING["*"])
        return ast.Project(of.start, each.end, of, each)

    def position(self, left: Ast, bracket: Token) -> Ast:
        if self.token.kind == ":" or self.tokens[self.at + 1].kind == ":":
            part = self.slice(bracket)
            each = self.projected(BINDING["*"])
            return ast.Project(left.start, each.end, chain(left, part), each)
        number = self.take().value
        end = self.expect("]", "after a position").end
        return chain(left, ast.Index(bracket.start, end, number))

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
        return ast.Slice(bracket.start, end, *numbers)

    def projected(self, binding: int) -> Ast:
        """What a projection does with each element."""
        token = self.token
        if BINDING.get(token.kind, 0) < _ENDS_PROJECTION:
            end = self.tokens[self.at - 1].end
            return ast.Current(end, end)
        if token.kind in ("[", "[?"):
            return self.expression(binding)
        if token.kind == ".":
            self.take()
            return self.member(binding)
        raise misplaced(self.text, token, "expected an operator, `.` or `[`")
