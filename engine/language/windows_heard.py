"""Listening for patterns in a text that comes in pieces, also in the text as a reader sees it (`ignore_case`, `fold`).

Must not know what follows when one is heard.
"""

from __future__ import annotations

from functools import lru_cache
from unicodedata import category, normalize

from engine.language.condition_stream import Heard
from engine.language.folding import fold, ignoring_case
from engine.language.windows import Outgrown
from engine.language.windows_several import Search

_JOINING = range(0x1160, 0x1200)  # Hangul vowels and finals


class Listener:
    """One text under the patterns of one test, character by character.

    `front`: nothing before it can be part of what is listened for. `heard`: where the first find starts, once there
    is one.
    """

    __slots__ = ("_change", "_places", "_rest", "_search", "_seen", "heard")

    def __init__(self, test: Heard) -> None:
        self._search = Search(test.windows)
        self._change = test.change
        self._seen = 0
        self._rest = ""  # characters that the next one may join
        self._places: list[int] = []  # of each changed character that is undecided: where it comes from
        self.heard: int | None = None

    @property
    def front(self) -> int:
        if self._change is None:
            return self._search.front
        return self._places[0] if self._places else self._seen - len(self._rest)

    def idle_over(self, piece: str) -> bool:
        """Whether nothing depends on a piece, nor on what was before it."""
        if self._change is None:
            return self._search.idle_over(piece)
        if self._change is not ignoring_case or not piece.isascii() or self._places:
            return False
        return self._search.idle_over(piece.lower())

    def pass_over(self, piece: str) -> None:
        """Read a piece on which nothing depends."""
        self._search.pass_over(piece if self._change is None else piece.lower())
        self._seen += len(piece)

    def read(self, char: str, last: bool = False) -> bool:
        """Read one character, or the end; True when something was heard by it."""
        self._seen += len(char)
        if self._change is None:
            return self._read(char, None, last)
        self._rest += char
        if not last and (len(self._rest) < 2 or not _begins(char)):
            return False if self._change is fold else self._flush(self._rest, last)
        whole = self._rest if last else self._rest[:-1]
        return self._flush(whole, last)

    def _flush(self, cluster: str, last: bool) -> bool:
        """Read characters that belong together, as they are after the change."""
        assert self._change is not None
        place = self._seen - len(self._rest)
        self._rest = self._rest[len(cluster) :]
        heard = False
        for char in self._change(cluster):
            self._places.append(place)
            heard = heard or self._read(char, place, False)
        return heard or (last and self._read("", place, True))

    def _read(self, char: str, place: int | None, last: bool) -> bool:
        before = self._search.seen + len(char) - len(self._places)
        try:
            found = [each.start for each, _ in self._search.read(char, last)]
        except Outgrown as outgrown:
            found = [outgrown.start]
        if found:
            first = min(found)
            self.heard = first if place is None else self._places[first - before] if first >= before else place
            return True
        del self._places[: max(0, self._search.front - before)]
        return False


@lru_cache(maxsize=4096)
def _begins(char: str) -> bool:
    """Whether a character is folded alone, whatever stands before it."""
    if char.isascii():
        return bool(fold(char))
    parts = normalize("NFKD", char)
    shown = bool(fold(char)) and bool(parts)
    return shown and not category(parts[0]).startswith("M") and ord(parts[0]) not in _JOINING
