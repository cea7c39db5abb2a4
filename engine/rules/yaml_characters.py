"""Which characters may stand in a rules file, and how a text is quoted. Must not know rules."""

from __future__ import annotations

import re

from engine.errors import Problem
from engine.source import Source, Span

_REFUSED = re.compile("[^\t\n\r -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|\r(?!\n)")


def quoted(text: str) -> str:
    """Text as one would write it between quotes in YAML, in the way that needs the fewest escapes."""
    if "'" not in text:
        return f"'{text}'"
    if '"' not in text and "\\" not in text:
        return f'"{text}"'
    return "'" + text.replace("'", "''") + "'"


def refused_character(source: Source) -> Problem | None:
    """The first character that has no place in a rules file."""
    found = _REFUSED.search(source.text)
    if found is None:
        return None
    code = ord(found[0])
    name = f"U+{code:04X}"
    span = Span(source, found.start(), found.end())
    if 0xD800 <= code <= 0xDFFF:
        return Problem("bad-character", f"half of a surrogate pair ({name}) is no character", span, "take it out")
    if code in (0x85, 0x2028, 0x2029):
        return Problem(
            "bad-character",
            f"{name} is an invisible line break that YAML readers take differently",
            span,
            f'write an ordinary line break, or `"\\u{code:04x}"` in double quotes',
        )
    if code == 13:
        return Problem("bad-character", "a carriage return without a line feed", span, "end lines with a line feed")
    return Problem(
        "bad-character",
        f"the control character {name} cannot stand in a file",
        span,
        f'take it out, or write `"\\x{code:02x}"` in double quotes' if code < 256 else "take it out",
    )
