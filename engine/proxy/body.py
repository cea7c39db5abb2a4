"""JSON as it comes over the wire and goes out again. Must not know what the bodies say.

What Python's own parser lets pass and JSON does not (NaN, numbers out of range) is refused; so is nesting that no
walker of ours, nor many an upstream, could follow.
"""

from __future__ import annotations

import json
import re
from itertools import chain
from typing import Any

import msgspec

DEEPEST = 128  # levels of objects and lists

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_LONE = re.compile(r"[\ud800-\udfff]")
_HIGH, _LOW = r"\\u[dD][89abAB]..", r"\\u[dD][c-fC-F].."
_LONE_ESCAPE = re.compile(rf"{_HIGH}(?!{_LOW})|(?<!{_HIGH}){_LOW}")
_BYTE = re.compile(r"\(byte (\d+)\)")


class BadJson(Exception):
    """Bytes that are no JSON; the text says where and why, `code` is `invalid_json` or `invalid_unicode`."""

    def __init__(self, message: str, code: str = "invalid_json") -> None:
        super().__init__(message)
        self.code = code


def parse(raw: bytes) -> Any:
    """A JSON value; of a name written twice the last counts. BadJson with line, column and what was found."""
    try:
        value = _decode(raw)
    except (ValueError, RecursionError) as cause:
        raise _broken(raw, cause) from None
    if raw.count(b"[") + raw.count(b"{") > DEEPEST and _too_deep(value):
        raise BadJson(f"it is nested deeper than {DEEPEST} levels")
    return value


def parse_lenient(raw: bytes) -> tuple[Any, bool]:
    """A JSON value in which halves of surrogate pairs became U+FFFD, and whether there were any; BadJson."""
    try:
        return parse(raw), False
    except BadJson as broken:
        if broken.code != "invalid_unicode":
            raise
    return parse(_mended(json.loads(raw))), True


def encode(value: Any) -> bytes:
    """A JSON value as bytes; halves of surrogate pairs, which a rule may have brought in, become U+FFFD."""
    try:
        return _encode(value)
    except UnicodeEncodeError:
        return _mended(value)


def sort_of(value: Any) -> str:
    """How a message names a JSON value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list) else "an object" if isinstance(value, dict) else "a number"


def _mended(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _LONE.sub("\ufffd", text).encode()


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        inner = chain.from_iterable(item.values() if type(item) is dict else item for item in level)
        level = [item for item in inner if type(item) is dict or type(item) is list]
        if not level:
            return False
    return True


# --- what is wrong ----------------------------------------------------------------------------------------------------


def _broken(raw: bytes, cause: Exception) -> BadJson:
    """Where JSON breaks, told by the standard library's slower parser, which knows lines."""
    if not raw.strip():
        return BadJson("it is empty")
    if isinstance(cause, RecursionError):
        return BadJson(f"it is nested deeper than {DEEPEST} levels")
    try:
        text = raw.decode()
    except UnicodeDecodeError as wrong:
        return BadJson(f"byte {wrong.start + 1} is not UTF-8")
    if text.startswith("\ufeff"):
        return BadJson("line 1 column 1: found a byte order mark; send UTF-8 without one")
    try:
        json.loads(text)
    except json.JSONDecodeError as wrong:
        return _misplaced(text, wrong)
    except (ValueError, RecursionError):
        return BadJson("a number has too many digits, or it is nested too deeply")
    return _too_strict_for_python(raw, text, cause)


def _too_strict_for_python(raw: bytes, text: str, cause: Exception) -> BadJson:
    """Python reads it, JSON does not allow it: half a surrogate pair, NaN, a number beyond all bounds."""
    told = _BYTE.search(str(cause))
    if "invalid character" in str(cause) and told:
        before = raw[: int(told[1])].decode(errors="replace")
        word = re.match(r"-?[A-Za-z]+|.", text[len(before) :], re.DOTALL)
        return BadJson(f"{_place(text, len(before))}: found {word[0] if word else 'nothing'!r}, which is not JSON")
    if "out of range" in str(cause):
        return BadJson("a number is out of range")
    lone = _LONE_ESCAPE.search(text)
    where = f", such as at {_place(text, lone.start())}" if lone else ""
    return BadJson(f"a text holds half a surrogate pair{where}", "invalid_unicode")


def _misplaced(text: str, wrong: json.JSONDecodeError) -> BadJson:
    """A comma before a closing bracket is named, wherever this version of Python noticed it."""
    at, before, after = text[wrong.pos : wrong.pos + 1], text[: wrong.pos].rstrip(), text[wrong.pos + 1 :].lstrip()
    comma, closing = (wrong.pos, after[:1]) if at == "," else (len(before) - 1, at)
    if closing and closing in "}]" and text[comma] == ",":
        return BadJson(f"{_place(text, comma)}: found a comma before `{closing}`; take the comma away")
    reason = f"{wrong.msg[0].lower()}{wrong.msg[1:]}".removesuffix(" at")
    return BadJson(f"{_place(text, wrong.pos)}: {reason}, found {repr(at) if at else 'the end'}")


def _place(text: str, at: int) -> str:
    return f"line {text.count(chr(10), 0, at) + 1} column {at - text.rfind(chr(10), 0, at)}"
