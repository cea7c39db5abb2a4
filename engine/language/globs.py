"""Globs: a whole text against a pattern in which `*` is any characters and `?` one code point.

Linear in the text for each `*`, line ends are characters like any other. Must not know who asks.
"""

from __future__ import annotations

import re
from collections.abc import Callable


def glob(pattern: str) -> Callable[[str], bool]:
    """The test that a pattern means."""
    if "*" not in pattern and "?" not in pattern:
        return lambda text: text == pattern
    first, *middle, last = pattern.split("*") if "*" in pattern else (pattern, "")
    if "*" not in pattern:
        fits = re.compile(_piece(pattern), re.DOTALL).fullmatch
        return lambda text: fits(text) is not None
    middle = [piece for piece in middle if piece]
    if not middle and "?" not in pattern:
        room = len(first) + len(last)
        return lambda text: text.startswith(first) and text.endswith(last) and len(text) >= room
    return _stepwise(first, middle, last)


def _stepwise(first: str, middle: list[str], last: str) -> Callable[[str], bool]:
    """The first piece at the start, the last at the end, the others greedily in between: no backtracking is needed."""
    opens = re.compile(_piece(first), re.DOTALL).match
    finders = [re.compile(_piece(piece), re.DOTALL).search for piece in middle]
    closes = re.compile(_piece(last), re.DOTALL).fullmatch

    def fits(text: str) -> bool:
        end = len(text) - len(last)
        start = opens(text)
        if start is None:
            return False
        at = start.end()
        for find in finders:
            hit = find(text, at)
            if hit is None:
                return False
            at = hit.end()
        return at <= end and closes(text, end) is not None

    return fits


def _piece(piece: str) -> str:
    return "".join("." if char == "?" else re.escape(char) for char in piece)
