"""Tells an author whose expression cannot be read what was probably meant. Must not know the document."""

from __future__ import annotations

import re

from engine.language.lexer import ExpressionError, Token

A_VALUE = "expected a value"
_WORDS = {"and": "&&", "or": "||", "not": "!", "AND": "&&", "OR": "||", "NOT": "!"}
_BETWEEN = {
    "in": "write the condition as a map: {request.model: {in: [a, b]}}",
    "is": "compare with `==`",
    "contains": "write contains(request.model, 'gpt')",
    "starts_with": "write starts_with(request.model, 'gpt-')",
    "ends_with": "write ends_with(request.model, '-mini')",
    "matches": "write matches(prompt_text, '[0-9]{16}')",
    "glob": "write glob(request.model, 'gpt-*')",
}
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


def misplaced(text: str, token: Token, why: str) -> ExpressionError:
    """A token that cannot stand where it stands; `why` says what was expected."""
    if token.kind == "end":
        last = len(text.rstrip())
        return ExpressionError(
            "unfinished-expression", f"the expression ends too early: {why}", max(last - 1, 0), last, _to_finish(why)
        )
    if token.kind == "{" and text[token.start - 1 : token.start] == "{":
        return ExpressionError(
            "bad-expression",
            "`{{` begins a template, and this is an expression already",
            token.start - 1,
            token.end,
            "leave the braces away",
        )
    if token.kind == "number" and why == A_VALUE:
        return _bare_number(text, token)
    if token.kind == "name" and token.value in _WORDS:
        return leftover(text, token)
    found = text[token.start : token.end]
    return ExpressionError(
        "bad-expression", f"{why}, found `{found}`", token.start, token.end, _second_sign(text, token)
    )


def leftover(text: str, token: Token) -> ExpressionError:
    """A token behind a whole expression that does not continue it."""
    word = text[token.start : token.end]
    if token.kind == "name" and word in _WORDS:
        return ExpressionError(
            "word-operator", f"`{word}` is no operator", token.start, token.end, f"write `{_WORDS[word]}`"
        )
    if token.kind == "&":
        return ExpressionError("word-operator", "`&` is no operator", token.start, token.end, "write `&&`")
    if token.kind == "name" and word in _BETWEEN:
        return ExpressionError(
            "word-operator", f"`{word}` does not stand between two values", token.start, token.end, _BETWEEN[word]
        )
    if token.kind == "number":
        return _bare_number(text, token)
    if token.kind in (")", "]", "}"):
        return ExpressionError("bad-expression", f"`{word}` closes nothing", token.start, token.end, "leave it out")
    return ExpressionError(
        "bad-expression",
        f"`{word}` cannot stand here: an operator is missing before it",
        token.start,
        token.end,
        "two conditions are joined with `&&` or `||`",
    )


def _to_finish(why: str) -> str:
    """What to add to an expression that ends too early."""
    if why == A_VALUE:
        return "add a value: text in single quotes, a number in backticks, or a field"
    return f"add {why.split()[1]}" if why.startswith("expected `") else "add it, or leave away what needs it"


def _second_sign(text: str, token: Token) -> str:
    """`===`, `!==`, `&&&`: one sign too many."""
    before = text[: token.start].rstrip()
    if token.kind in ("==", "&", "&&", "||", "|") and before.endswith(("=", "&", "|", "!", "<", ">")):
        return "two operators follow each other: leave one out"
    return ""


def _bare_number(text: str, token: Token) -> ExpressionError:
    match = _NUMBER.match(text, token.start)
    end = match.end() if match else token.end
    return ExpressionError(
        "bare-number",
        "a number in an expression stands in backticks",
        token.start,
        end,
        f"write `{text[token.start : end]}`, with the backticks",
    )
