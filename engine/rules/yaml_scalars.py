"""What unquoted text means in YAML 1.2: null, a boolean, a number, or the text itself.

Must not know where the text stands.
"""

from __future__ import annotations

import re
from math import isfinite

MAX_DIGITS = 300  # beyond this no JSON reader holds the number, and Python refuses to read it at all from 4,300 on

_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "true": True, "false": False}
_FIRST = frozenset("0123456789+-.~ntf")
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


class NumberError(ValueError):
    """A number that cannot be held; the message says why, the file's reader adds the place."""


def meaning(text: str) -> str | int | float | bool | None:
    """The value of unquoted text by the core schema of YAML 1.2, with two differences.

    `True`, `NULL` and their like stay text (only the lower-case words count), and `.inf`, `.nan` and numbers too
    large for JSON raise NumberError. `012` is twelve; `1_000`, `12:30` and dates are text.
    """
    if text and text[0] not in _FIRST:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if not isfinite(number):
            raise NumberError("this number is too large")
        return number
    if _NO_NUMBER.fullmatch(text):
        raise NumberError(f"`{text}` is no number that JSON can carry")
    return text


def _integer(text: str) -> int:
    digits = len(text.lstrip("+-"))
    if digits > MAX_DIGITS:
        raise NumberError(f"this number has {digits:,} digits, more than {MAX_DIGITS} cannot be held")
    return int(text, 0) if text.startswith(("0o", "0x")) else int(text)
