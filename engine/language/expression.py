"""The option type of a JMESPath expression: read, checked and compiled, with the place of every mistake in the file.

Must not know what the value is used for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engine.catalogue import BAD, Scope
from engine.language.ast import Ast, reads
from engine.language.checks import check
from engine.language.compile import compile_ast, compile_strict
from engine.language.lexer import ExpressionError
from engine.language.parser import parse, parse_key
from engine.language.shapes import ANYTHING
from engine.options import found, from_environment
from engine.source import Node, Scalar, Span

if TYPE_CHECKING:
    from engine.document.exchange import Exchange

Place = Callable[[int, int], Span]


class Expression:
    """An expression of the language.

    `evaluate(exchange)` gives its value and raises EvaluationError for an argument of a wrong type. `roots`: what of
    the document it reads (`*`: all of it; of `response` the members, as `response.status`). `type`: its value's type
    when it is not null, where that is certain; `shape`: what its value should be by what the APIs say.
    """

    __slots__ = ("ast", "evaluate", "roots", "shape", "text", "type")

    def __init__(self, text: str, ast: Ast, evaluate: Callable[[Exchange], Any], type: str | None = None) -> None:
        self.text = text
        self.ast = ast
        self.evaluate = evaluate
        self.roots = reads(ast)
        self.type = type
        self.shape = ANYTHING

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": "string", "minLength": 1}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        """An option's expression, or BAD after noting why not."""
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            scope.problem(
                "wrong-type",
                f"expected an expression, found {found(node)}",
                node.span,
                help="an expression is text, such as request.model == 'gpt-4o'",
            )
            return BAD
        text = from_environment(node, scope)
        if text is BAD:
            return BAD
        if text != node.value:
            return cls.from_text(text, scope, lambda _start, _end: node.span)
        return _read(text, scope, node.inner, cut=_comment_after(node))

    @classmethod
    def from_text(cls, text: str, scope: Scope, place: Place, *, key: bool = False) -> Any:
        """The expression of a text, or BAD. `place` maps offsets in the text to the file; `key`: of a condition map."""
        return _read(text, scope, place, key=key)

    def __repr__(self) -> str:
        return f"<Expression {self.text}>"


def _read(text: str, scope: Scope, place: Place, *, key: bool = False, cut: Span | None = None) -> Any:
    try:
        ast = parse_key(text) if key else parse(text)
    except ExpressionError as error:
        if cut is not None and error.code in ("unclosed-quote", "unfinished-expression"):
            scope.problem(
                "cut-by-comment",
                "`#` after a space begins a comment and cuts this expression short",
                cut,
                help="put the whole expression in quotes, or write it as a block: `match: |`",
            )
        else:
            scope.problem(error.code, error.message, place(error.start, error.end), error.help)
        return BAD
    before = len(scope.problems)
    shape = check(ast, text, scope, place)
    if any(problem.severity == "error" for problem in scope.problems[before:]):
        return BAD
    evaluate = compile_ast(ast, scope.tables.get("list"), scope.tables.get("pattern"))
    certain = shape.types is not None and len(shape.types) == 1 and not shape.advisory  # a client may send anything
    expression = Expression(text, ast, evaluate, next(iter(shape.types or ())) if certain else None)
    expression.shape = shape
    return expression


_COMMENT = re.compile(r"[ \t]+#")


def _comment_after(node: Scalar) -> Span | None:
    """Where a comment begins right behind an unquoted value."""
    if not node.plain_style:
        return None
    match = _COMMENT.match(node.span.source.text, node.span.end)
    return node.span.at(match.end() - 1, match.end()) if match else None


def search(text: str, data: Any) -> Any:
    """The value of an expression on plain JSON data, exactly as jmespath.org has it (the public suite's mode).

    Raises ExpressionError for a text that is no expression, EvaluationError for a type error.
    """
    return compile_strict(parse(text))(data)
