"""One pattern in a text that comes in pieces: which places are decided, and what was found there.

The outcome does not depend on the pieces. A place is undecided while a match could still begin or grow there, and at
most until `span` further characters are in sight. Must not know who asks, nor that texts come from streams.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import re2

from engine.language.patterns import Pattern
from engine.language.regex import counted, encoded, options
from engine.language.regex_prefix import beginnings

FARTHEST = 65_536  # characters of passed text in which the beginning of an overlong match is looked for


class Found(NamedTuple):
    """A match: start and end in characters from the beginning of the text, and the pattern's name."""

    start: int
    end: int
    name: str


class Outgrown(Exception):
    """A match is longer than the window; `start` is the first place that must not pass."""

    def __init__(self, start: int, name: str, span: int) -> None:
        super().__init__(f"a match of {name} is longer than max_span, {span} characters")
        self.start = start


class Window:
    """How one pattern is looked for; `span` is the most characters that it may hold back."""

    __slots__ = ("beginnings", "opening", "pattern", "span")

    def __init__(self, pattern: Pattern, span: int = 0) -> None:
        self.pattern = pattern
        self.span = span or pattern.max_span
        self.beginnings = beginnings(pattern.source, pattern.tail)
        self.opening = compiled(self.beginnings, pattern.regex.ignore_case)

    @property
    def source(self) -> str:
        """RE2 that matches from the first place on which anything depends; empty: the end of the text."""
        source = f"(?:{self.pattern.source})|(?:{self.beginnings})"
        return f"(?i:{source})" if self.pattern.regex.ignore_case else source


def compiled(source: str, ignore_case: bool = False) -> Any:
    """An RE2 of our own making; None when it is too large for RE2, so that whoever asks waits for `span` instead."""
    try:
        return re2.compile(encoded(source), options(ignore_case=ignore_case))
    except re2.error:
        return None


class Scan:
    """One pattern's way through one text.

    `front`: every place before it is decided. The text kept is what is undecided, the character before it, and what
    has passed since `_passed`, the first place that passed although a match could have grown there.
    """

    __slots__ = ("_at", "_data", "_passed", "_window", "front", "held")

    def __init__(self, window: Window, before: bytes, front: int) -> None:
        self._window = window
        self._data = before
        self._at = len(before)
        self._passed: int | None = None
        self.front = front
        self.held = 0  # characters of what is undecided

    @property
    def idle(self) -> bool:
        """Nothing depends on what was before."""
        return not self.held and self._passed is None

    @property
    def room(self) -> int:
        """How many characters can be read at once with the same outcome as one by one."""
        return 1 if self._passed is not None else max(1, self._window.span - self.held)

    def read(self, piece: str, last: bool = False) -> list[Found]:
        """What is found for certain with the next piece, of at most `room` characters; `last`: the text ends here."""
        self._data += encoded(piece)
        if self._passed is not None:
            self._refuse_overlong(last)
        found: list[Found] = []
        undecided = self._scan(found, last)
        while undecided > self._window.span:
            self._pass_on(found)
            undecided = self._scan(found, last)
        self.held = undecided
        if not last:
            self._trim()
        return found

    def _scan(self, found: list[Found], last: bool) -> int:
        """Decide what can be decided; how many characters cannot."""
        data, window = self._data, self._window
        pattern = window.pattern
        opens = len(data) + 1 if last else self._opens(self._at)
        while self._at <= len(data):
            place = pattern.regex.first(data, self._at)
            if place is None or place[0] >= opens:
                break
            self._take(place, found)
            if self._at > opens:
                opens = self._opens(self._at)
        if self._at <= len(data):
            self._go(min(opens, len(data)))
        return _length(data[self._at :])

    def _take(self, place: tuple[int, int], found: list[Found]) -> None:
        """A match that nothing can change any more."""
        pattern, (start, end) = self._window.pattern, place
        resume = max(end, start + 1)
        if pattern.accept is not None:
            end, resume = counted(self._data, place, pattern.accept)
        if end > start:
            first = self.front + _length(self._data[self._at : start])
            length = _length(self._data[start:end])
            if length > self._window.span:
                raise Outgrown(first, pattern.name, self._window.span)
            found.append(Found(first, first + length, pattern.name))
        self._go(resume)

    def _opens(self, at: int) -> int:
        """The first place from `at` on where a match could begin or grow; the end when there is none."""
        opening = self._window.opening
        if opening is not None:
            match = opening.search(self._data, at)
            return len(self._data) if match is None else match.start()
        rest = self._data[at:].decode()
        return len(self._data) - len(encoded(rest[max(0, len(rest) - self._window.span) :]))

    def _pass_on(self, found: list[Found]) -> None:
        """The first undecided place has `span` characters after it: what is there counts as it stands."""
        start = self._at
        place = self._standing(start)
        if place is not None and place[0] == start and place[1] > start:
            self._take(place, found)
        if self._at == start:
            self._go(start + 1)
        self._passed = start if self._passed is None else self._passed

    def _standing(self, at: int) -> tuple[int, int] | None:
        """The first match from `at` on that is one whatever character comes next."""
        first, end = self._window.pattern.regex.first, len(self._data)
        place = first(self._data + b"\0", at, end)
        return place if place == first(self._data + b"a", at, end) else None

    def _refuse_overlong(self, last: bool) -> None:
        """Raise Outgrown when a match that began in what has passed reaches beyond; forget what cannot any more."""
        at, pattern = self._passed or 0, self._window.pattern
        while at < self._at:
            place = pattern.regex.first(self._data, at) if last else self._standing(at)
            if place is None or place[0] >= self._at:
                break
            stop, at = place[1], max(place[1], place[0] + 1)
            if pattern.accept is not None:
                stop, at = counted(self._data, place, pattern.accept)
            if stop > self._at:
                raise Outgrown(self.front, pattern.name, self._window.span)
        opens = self._opens(self._passed or 0)
        self._passed = opens if opens < self._at else None

    def _go(self, at: int) -> None:
        """Everything before `at`, or before the next character, is decided."""
        while at < len(self._data) and self._data[at] & 0xC0 == 0x80:
            at += 1
        self.front += _length(self._data[self._at : at])
        self._at = at

    def _trim(self) -> None:
        """Keep what may still matter, and the character before it."""
        if self._passed is not None and self._at - self._passed > max(FARTHEST, 4 * self._window.span):
            self._passed = None
        keep = self._at if self._passed is None else self._passed
        keep = max(0, keep - 1)
        while keep and self._data[keep] & 0xC0 == 0x80:
            keep -= 1
        if keep:
            self._data = self._data[keep:]
            self._at -= keep
            self._passed = None if self._passed is None else self._passed - keep


def _length(data: bytes) -> int:
    return len(data) if data.isascii() else len(data.decode())
