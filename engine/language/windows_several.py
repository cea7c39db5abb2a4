"""Several patterns in one text that comes in pieces: what passes, and what is replaced.

The edits of all pieces together are those of the whole text (`findings`): overlapping matches are one, under the name
of the first. Must not know who asks, nor that texts come from streams.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from engine.language.patterns import Pattern
from engine.language.regex import encoded
from engine.language.windows import Found, Outgrown, Scan, Window, compiled


class Edit(NamedTuple):
    """A stretch of the text, in characters from its beginning, and what becomes of it.

    No `name`: it stays. Else it is the place of a finding; of what overlaps later, only the first stretch is told.
    """

    start: int
    end: int
    name: str | None = None


class Windows:
    """How several patterns are looked for at once.

    `stepwise`: findings come at the very character that decides them, whatever the pieces were.
    """

    def __init__(self, patterns: Sequence[Pattern], span: int = 0, *, stepwise: bool = False) -> None:
        self.windows = [Window(pattern, span) for pattern in patterns]
        self.stepwise = stepwise
        whole = all(window.opening is not None for window in self.windows)
        self.quick = compiled("|".join(f"(?:{window.source})" for window in self.windows)) if whole else None

    @property
    def span(self) -> int:
        """The most characters that can be held back."""
        return max((window.span for window in self.windows), default=0)


class Search:
    """The way of several patterns through one text: findings, and the place before which all are known."""

    __slots__ = ("_before", "_scans", "_seen", "_windows")

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._scans: list[Scan] | None = None  # None: nothing depends on what was before
        self._before = b""  # the last character that was seen
        self._seen = 0

    @property
    def front(self) -> int:
        """Every place before it is decided by every pattern."""
        return self._seen if self._scans is None else min(scan.front for scan in self._scans)

    @property
    def seen(self) -> int:
        """How many characters have been read."""
        return self._seen

    def idle_over(self, piece: str) -> bool:
        """Whether nothing depends on a piece, nor on what was before it."""
        if self._scans is not None or self._windows.quick is None:
            return False
        data = self._before + encoded(piece)
        return self._opens(data) == len(data)

    def pass_over(self, piece: str) -> None:
        """Read a piece on which nothing depends."""
        self._seen += len(piece)
        if piece:
            self._before = encoded(piece[-1])

    def skip(self, text: str) -> str:
        """Read what nothing depends on at the beginning of a text; the rest of it."""
        if self._scans is not None or self._windows.quick is None:
            return text
        data = self._before + encoded(text)
        begins = len(data[len(self._before) : self._opens(data)].decode())
        self.pass_over(text[:begins])
        return text[begins:]

    def _opens(self, data: bytes) -> int:
        match = self._windows.quick.search(data, len(self._before))  # type: ignore[union-attr]
        return len(data) if match is None else match.start()

    @property
    def room(self) -> int:
        """How many characters `read` may be given at once."""
        if self._windows.stepwise:
            return 1
        if self._scans is None:
            return min((window.span for window in self._windows.windows), default=1)
        return min(scan.room for scan in self._scans)

    def read(self, piece: str, last: bool = False) -> list[tuple[Found, int]]:
        """Findings with their pattern's number; Outgrown after every pattern has read the piece."""
        if self._scans is None:
            self._scans = [Scan(window, self._before, self._seen) for window in self._windows.windows]
        self._seen += len(piece)
        found: list[tuple[Found, int]] = []
        outgrown: Outgrown | None = None
        for number, scan in enumerate(self._scans):
            try:
                found += [(each, number) for each in scan.read(piece, last)]
            except Outgrown as wrong:
                if outgrown is None or wrong.start < outgrown.start:
                    outgrown = wrong
        if outgrown is not None:
            raise outgrown
        if piece:
            self._before = encoded(piece[-1])
        if all(scan.idle for scan in self._scans):
            self._scans = None
        return found


class Reading:
    """One text that comes in pieces, under several patterns, as edits in order.

    `read` gives what can pass with a piece, `finish` the rest. `failed`: a match outgrew its window, and nothing from
    there on passes.
    """

    __slots__ = ("_covered", "_found", "_out", "_search", "failed")

    def __init__(self, windows: Windows) -> None:
        self._search = Search(windows)
        self._found: list[tuple[Found, int]] = []  # not yet given out
        self._out = 0  # everything before it was given out
        self._covered = 0  # to where the last finding reaches
        self.failed: Outgrown | None = None

    @property
    def held(self) -> int:
        """How many characters wait."""
        if self.failed is not None:
            return 0
        return self._search.seen - max(self._out, min(self._covered, self._search.seen))

    def passes_over(self, text: str) -> bool:
        """Read a piece that passes as it is, with nothing before it waiting; False: it was not read."""
        search = self._search
        if self.failed is not None or self._out != search.seen or not search.idle_over(text):
            return False
        search.pass_over(text)
        self._out = search.seen
        return True

    def read(self, text: str) -> list[Edit]:
        """The edits that are certain with this piece."""
        search = self._search
        if self.failed is not None:
            return []
        edits: list[Edit] = []
        while text:
            text = search.skip(text)
            if text:
                room = search.room
                if not self._read(text[:room]):
                    break
                text = text[room:]
        self._settle(edits)
        return edits

    def finish(self) -> list[Edit]:
        """The edits that are left when the text has ended."""
        if self.failed is not None:
            return []
        self._read("", last=True)
        edits: list[Edit] = []
        self._settle(edits)
        return edits

    def _read(self, piece: str, last: bool = False) -> bool:
        """Whether it could be read."""
        try:
            self._found += self._search.read(piece, last)
        except Outgrown as outgrown:
            self.failed = outgrown
            return False
        return True

    def _settle(self, edits: list[Edit]) -> None:
        """Give out what no pattern can change any more."""
        front = self._search.front
        if self.failed is not None:
            front = min(front, self.failed.start)
        self._found.sort(key=lambda each: (each[0].start, -each[0].end, each[1]))
        taken = 0
        for found, _ in self._found:
            if found.start >= front:
                break
            taken += 1
            if found.start >= self._covered:
                self._keep(found.start, edits)
                edits.append(Edit(found.start, found.end, found.name))
            self._covered = self._out = max(self._covered, found.end)
        del self._found[:taken]
        self._keep(front, edits)

    def _keep(self, end: int, edits: list[Edit]) -> None:
        if end > self._out:
            edits.append(Edit(self._out, end))
            self._out = end
