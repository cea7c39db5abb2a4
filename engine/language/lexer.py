"""Cuts an expression into tokens with exact places. Must not know the grammar or the document.

Places are offsets in characters from the start of the expression, the end not included.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any, NoReturn


class ExpressionError(Exception):
    """An expression that cannot be read: a stable `code`, what is wrong, what to write instead, and where."""

    def __init__(self, code: str, message: str, start: int, end: int, help: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.help = help
        self.start = start
        self.end = end


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is the token's own text for punctuation, else `name`, `quoted`, `number`, `literal`, `raw` or `end`."""

    kind: str
    value: Any
    start: int
    end: int


_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r\n]+)
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<number>-?[0-9]+)
  | (?P<mark>\[\]|\[\?|\|\||&&|<=|>=|==|!=|[.*\],:@(){}\[|&<>!$])
  | (?P<raw>'(?:[^'\\]|\\.)*')
  | (?P<quoted>"(?:[^"\\]|\\.)*")
  | (?P<literal>`(?:[^`\\]|\\.)*`)
""",
    re.VERBOSE | re.DOTALL,
)
_WORD = re.compile(r"[A-Za-z0-9_-]*")
_DEEP = 200  # containers inside a JSON literal; beyond it is nobody's intention


def tokens(text: str) -> list[Token]:
    """All tokens of an expression, the last one of kind `end`; raises ExpressionError."""
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            _refuse(text, at)
        sort, at = match.lastgroup, match.end()
        if sort != "space":
            found.append(_token(sort or "", match[0], match.start(), at))
            if sort == "name" and text.startswith("-", at):
                _refuse_hyphen(text, match.start(), at)
    found.append(Token("end", "", len(text), len(text)))
    return found


def _token(sort: str, lexeme: str, start: int, end: int) -> Token:
    if sort == "mark":
        return Token(lexeme, lexeme, start, end)
    if sort == "raw":
        return Token(sort, lexeme[1:-1].replace("\\'", "'"), start, end)
    if sort == "number":
        return Token(sort, _whole_number(lexeme, start, end), start, end)
    if sort == "quoted":
        return Token(sort, _quoted_name(lexeme, start, end), start, end)
    if sort == "literal":
        return _literal(lexeme[1:-1].replace("\\`", "`"), start, end)
    return Token(sort, lexeme, start, end)


def _whole_number(lexeme: str, start: int, end: int) -> int:
    if len(lexeme) > 18:
        raise ExpressionError(
            "bad-expression",
            "this number is too long for a position in a list",
            start,
            end,
            "a long number belongs into backticks: `1234`",
        )
    return int(lexeme)


def _quoted_name(lexeme: str, start: int, end: int) -> str:
    try:
        return str(json.loads(lexeme))
    except ValueError:
        raise ExpressionError(
            "bad-expression",
            "a name in double quotes must be a JSON string",
            start,
            end,
            "write a backslash as `\\\\` and a line break as `\\n`; text stands in single quotes",
        ) from None


def _literal(lexeme: str, start: int, end: int) -> Token:
    """What stands in backticks is JSON; a bare word is taken as text, as JMESPath's older form has it."""
    try:
        value = json.loads(lexeme, parse_constant=_no_constant, parse_float=_finite)
    except RecursionError:
        raise ExpressionError("too-deep", f"this literal nests deeper than {_DEEP} levels", start, end) from None
    except ValueError:
        try:
            value = json.loads(f'"{lexeme.lstrip()}"')
        except ValueError:
            raise ExpressionError(
                "bad-expression",
                "what stands in backticks must be JSON",
                start,
                end,
                "write text as 'text', a number as `5`, a list as `[1, 2]`",
            ) from None
        return Token("literal", value, start, end)
    if _depth_exceeds(value, _DEEP):
        raise ExpressionError("too-deep", f"this literal nests deeper than {_DEEP} levels", start, end)
    return Token("literal", value, start, end)


def _no_constant(word: str) -> NoReturn:
    raise ValueError(word)


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(digits)
    return value


def _depth_exceeds(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [
            inner
            for outer in level
            if isinstance(outer, (list, dict))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True


_UNCLOSED = {"'": "text in single quotes", '"': "a name in double quotes", "`": "a literal in backticks"}


_MEANT = {
    "=": ("single-equals", "`=` is no operator", "write `==`"),
    "#": ("bad-expression", "`#` means nothing in an expression",
          "text stands in single quotes; a comment belongs behind the value, after a space"),
    "\\": ("bad-expression", "a backslash only stands inside quotes", ""),
    **dict.fromkeys("+/%^~", ("bad-expression", "`{0}` is no operator: expressions do not calculate",
                              "compare with a number in backticks, or compute in a callback")),
    **dict.fromkeys("\u201c\u201d\u2018\u2019\u00b4", ("bad-expression", "`{0}` is a typographic quote",
                                                       "text stands in straight single quotes: 'text'")),
}  # fmt: skip
_NAME = ("bad-expression", "a name with `{0}` needs double quotes", 'write the whole name in double quotes: "{0}…"')
_OTHER = ("bad-expression", "`{0}` means nothing in an expression", "")


def _refuse(text: str, at: int) -> NoReturn:
    """Say what a character that begins no token was probably meant to be."""
    char = text[at]
    if char in _UNCLOSED:
        close = f"add the closing {char}" + (" (a quote inside is written \\')" if char == "'" else "")
        raise ExpressionError("unclosed-quote", f"{_UNCLOSED[char]} that never closes", at, len(text), close)
    if char == "-":
        _refuse_hyphen(text, at, at)
    if text.startswith("=~", at):
        raise ExpressionError(
            "bad-expression",
            "`=~` is no operator",
            at,
            at + 2,
            "write matches(request.model, '…'), or `{request.model: {matches: …}}`",
        )
    code, message, help = _MEANT.get(char) or (_NAME if char.isalpha() else _OTHER)
    raise ExpressionError(code, message.replace("{0}", char), at, at + 1, help.replace("{0}", char))


def _refuse_hyphen(text: str, start: int, at: int) -> NoReturn:
    """A name with a hyphen, unquoted: `headers.x-team`."""
    match = _WORD.match(text, at)
    end = match.end() if match else at + 1
    word = text[start:end]
    if not word.strip("-0123456789") or word.endswith("-"):
        raise ExpressionError(
            "bad-expression",
            "`-` is no operator: expressions do not calculate",
            at,
            at + 1,
            "a negative number is written `-5` in backticks",
        )
    before = re.search(r'(?:[A-Za-z0-9_]+|"[^"]*")\.\Z', text[:start])
    path = (before[0] if before else "") + f'"{word}"'
    raise ExpressionError(
        "unquoted-hyphen", f"`{word}` has a hyphen and needs double quotes", start, end, f"write `{path}`"
    )
