"""Many patterns against one text at once. Must not know what the patterns stand for."""

from __future__ import annotations

from typing import Any

import re2

from engine.language.regex import Regex, encoded, options

CHUNK = 500  # patterns of one automaton: larger ones outgrow its memory
MEMORY = 64 * 1024 * 1024


class TextSet:
    """Patterns (RE2 sources) and the numbers that stand for each.

    An `re2.Set` cannot say that it failed: each carries a pattern that matches always, and when even that is missing
    the patterns are searched one by one.
    """

    def __init__(self, numbers: dict[str, list[int]]) -> None:
        sources = list(numbers)
        self._chunks = [_chunk(sources[at : at + CHUNK], numbers) for at in range(0, len(sources), CHUNK)]

    def collect(self, text: bytes, found: list[int]) -> None:
        """Add the numbers of all patterns that occur in a text."""
        for match, hits, singles in self._chunks:
            matched = match(text)
            if not matched:
                for single, of_single in singles():
                    if single.search(text.decode("utf-8", "surrogatepass")):
                        found += of_single
            elif len(matched) > 1:
                for which in matched:
                    found += hits[which]


def _chunk(sources: list[str], numbers: dict[str, list[int]]) -> tuple[Any, list[tuple[int, ...]], Any]:
    chosen = options()
    chosen.max_mem = MEMORY
    automaton = re2.Set.SearchSet(chosen)
    for source in sources:
        automaton.Add(encoded(source))
    automaton.Add(b"")  # the one that matches always
    automaton.Compile()
    hits = [tuple(numbers[source]) for source in sources] + [()]

    def singles() -> list[tuple[Regex, tuple[int, ...]]]:
        return [(Regex(source), tuple(numbers[source])) for source in sources]

    return automaton.Match, hits, singles
