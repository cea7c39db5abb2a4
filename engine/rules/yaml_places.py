"""Where each character of a YAML scalar stands in the file: through quotes, escapes, folding and block indentation.

Must not know what the text means. Every function here takes a scalar and returns the offset in the file of each
character of its value, followed by the offset of the value's end. A line break that folding turned into a space is
the place of that space; an escape sequence is the place of the character it writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from engine.source import Scalar

_PLAIN_PIECES = re.compile(r"(?P<fold>[ \t]*(?:\r?\n[ \t]*)+)|(?P<text>[^\r\n \t]+|[ \t]+)")
_SINGLE_PIECES = re.compile(r"(?P<fold>[ \t]*(?:\r?\n[ \t]*)+)|(?P<mark>'')|(?P<text>[^\r\n \t']+|[ \t]+)")
_DOUBLE_PIECES = re.compile(
    r"(?P<join>\\\r?\n[ \t]*(?:\r?\n[ \t]*)*)|(?P<fold>[ \t]*(?:\r?\n[ \t]*)+)"
    r'|(?P<mark>\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[^\r\n]))|(?P<text>[^\r\n \t\\"]+|[ \t]+)'
)
_BREAK = re.compile(r"\r?\n")


def plain(scalar: Scalar) -> list[int]:
    """Unquoted text over several lines."""
    return _flow(scalar, _PLAIN_PIECES, 0)


def single_quoted(scalar: Scalar) -> list[int]:
    """Text in `'…'`, where a quote is written twice."""
    return _flow(scalar, _SINGLE_PIECES, 1)


def double_quoted(scalar: Scalar) -> list[int]:
    """Text in `"…"`, with escapes and escaped line breaks."""
    return _flow(scalar, _DOUBLE_PIECES, 1)


def _flow(scalar: Scalar, pieces: re.Pattern[str], quote: int) -> list[int]:
    start, end = scalar.span.start + quote, scalar.span.end - quote
    offsets: list[int] = []
    for piece in pieces.finditer(scalar.span.source.text, start, end):
        kind = piece.lastgroup
        if kind == "text":
            offsets.extend(range(piece.start(), piece.end()))
        elif kind == "mark":
            offsets.append(piece.start())
        else:
            breaks = [found.start() + piece.start() for found in _BREAK.finditer(piece[0])]
            offsets.extend(breaks[1:] or (breaks if kind == "fold" else []))
    offsets.append(end)
    return offsets


def literal(scalar: Scalar) -> list[int]:
    """A block after `|`."""
    return _block(scalar, folded=False)


def folded(scalar: Scalar) -> list[int]:
    """A block after `>`."""
    return _block(scalar, folded=True)


def _block(scalar: Scalar, *, folded: bool) -> list[int]:
    """Follows the reading of a block: content lines, between them the breaks that stay and the one that folds."""
    text = scalar.span.source.text
    value = str(scalar.value)
    indent = _indent(text, scalar.span.start, value)
    offsets: list[int] = []
    held: list[int] = []  # the break after the last content line, not yet known to stay
    blank: list[int] = []  # the breaks of the empty lines after it
    after_spaced = True
    for start, end in _content_lines(text, scalar.span.start):
        first = start + _spaces(text, start, min(start + indent, end))
        if first == end:
            blank.append(end)
            continue
        if first - start < indent:
            break
        spaced = text[first] in " \t"
        folds = folded and not after_spaced and not spaced
        offsets += blank if folds and blank else held + blank
        offsets += range(first, end)
        held, blank, after_spaced = [end], [], spaced
    offsets += held + blank
    return [*offsets[: len(value)], min([*offsets[len(value) :], scalar.span.end])]


def _indent(text: str, start: int, value: str) -> int:
    """How many spaces each line of the block lost, seen from the first line that is not empty."""
    newlines = len(value) - len(value.lstrip("\n"))
    if newlines == len(value):
        return len(text)  # only empty lines, of as many spaces as one likes
    kept = _spaces(value, newlines, len(value))
    first, end = next(islice(_content_lines(text, start), newlines, None), (0, 0))
    return _spaces(text, first, end) - kept


def _spaces(text: str, start: int, end: int) -> int:
    """The number of spaces that stand at `start`."""
    offset = start
    while offset < end and text[offset] == " ":
        offset += 1
    return offset - start


def _content_lines(text: str, offset: int) -> Iterator[tuple[int, int]]:
    """Start and end (before its break) of every line after the one that holds `offset`."""
    found = _BREAK.search(text, offset)
    while found is not None:
        start = found.end()
        found = _BREAK.search(text, start)
        yield start, found.start() if found else len(text)
