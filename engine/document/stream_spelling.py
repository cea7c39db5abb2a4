r"""Text in pieces as rules read it, beside how it was spelled: escapes of JSON text and surrogate pairs in two pieces.

The arguments of a tool call are JSON text: `\u0073` is read as `s`, and what is not changed goes on as it was spelled.
Must not know events.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

_HIGH, _LOW = re.compile(r"[\ud800-\udbff]"), re.compile(r"[\udc00-\udfff]")
_LONE = re.compile(r"[\ud800-\udfff]")
_ESCAPE = re.compile(r"(?is)\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})|\\u([0-9a-f]{4})|\\([^u])")
_BEGUN = re.compile(r"(?is)\\(?:u(?:[0-9a-f]{0,3}|d[89ab][0-9a-f]{2}(?:\\(?:u(?:d?|d[c-f][0-9a-f]?))?)?)?)?\Z")
_PLAIN = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


@dataclass(slots=True)
class Run:
    """A stretch of text; `raw`: how each of its characters is spelled, None when as it stands."""

    text: str
    raw: list[str] | None = None

    def part(self, start: int, end: int | None = None) -> Run:
        """The characters from `start` to `end`."""
        return Run(self.text[start:end], None if self.raw is None else self.raw[start:end])

    def __add__(self, more: Run) -> Run:
        if self.raw is None or more.raw is None:
            return Run(self.text + more.text)
        return Run(self.text + more.text, self.raw + more.raw)

    @property
    def spelled(self) -> str:
        """As it goes over the wire."""
        return self.text if self.raw is None else "".join(self.raw)

    def mark(self, text: str) -> Run:
        """Another text, spelled as this run is."""
        if self.raw is None:
            return Run(text)
        return Run(text, [json.dumps(char, ensure_ascii=False)[1:-1] for char in text])


def joined(runs: Sequence[Run], spelled: bool) -> Run:
    """Runs one after another."""
    if not spelled:
        return Run("".join(run.text for run in runs))
    return Run("".join(run.text for run in runs), [char for run in runs for char in run.raw or ()])


class Reader:
    """Reads one text in pieces; half an escape, or half a surrogate pair, waits for the other half."""

    __slots__ = ("_rest", "spelled")

    def __init__(self, spelled: bool) -> None:
        self.spelled = spelled
        self._rest = ""

    @property
    def waits(self) -> bool:
        """Something waits for its other half."""
        return bool(self._rest)

    def read(self, text: str, last: bool = False) -> Run:
        """What can be read with the next piece; a half without the other is U+FFFD."""
        text, self._rest = self._rest + text, ""
        if not self.spelled and text.isascii():
            return Run(text)
        if not last:
            at = _begun(text) if self.spelled else len(text)
            if at == len(text) and _HIGH.match(text[-1:]):
                at -= 1 if not self.spelled or _opens(text, at - 1) else 2  # with the backslash that it stands behind
            text, self._rest = text[:at], text[at:]
        whole = text if text.isascii() else _whole(text)
        return _decoded(whole) if self.spelled else Run(whole)


def _begun(text: str) -> int:
    """Where an escape begins that the text does not end; its length where there is none."""
    begun = _BEGUN.search(text)
    while begun and not _opens(text, begun.start()):
        begun = _BEGUN.search(text, begun.start() + 1)
    return begun.start() if begun else len(text)


def _opens(text: str, at: int) -> bool:
    """Whether what stands there is not escaped by a backslash before it."""
    before = len(text[:at]) - len(text[:at].rstrip("\\"))
    return before % 2 == 0


def _whole(text: str) -> str:
    if not _LONE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _decoded(text: str) -> Run:
    if "\\" not in text:
        return Run(text, list(text))
    read: list[str] = []
    raw: list[str] = []
    at = 0
    for escape in _ESCAPE.finditer(text):
        read += text[at : escape.start()]
        raw += text[at : escape.start()]
        char = _character(escape)
        read.append(char)
        raw.append("\ufffd" if char == "\ufffd" else escape[0])
        at = escape.end()
    return Run("".join(read) + text[at:], [*raw, *text[at:]])


def _character(escape: re.Match[str]) -> str:
    if escape[1] is not None:
        return bytes.fromhex(escape[1] + escape[2]).decode("utf-16-be")
    if escape[3] is None:
        return _PLAIN.get(escape[4], escape[4])
    char = chr(int(escape[3], 16))
    return "\ufffd" if _LONE.match(char) else char
