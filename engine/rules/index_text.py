"""Many patterns against one text at once. Must not know what the patterns stand for."""

from __future__ import annotations

from typing import Any

import re2

from engine.language.regex import Regex, encoded, options

Chunk = tuple[Any, list[tuple[int, ...]], Any]
CHUNK = 10_000  # patterns of one automaton: a text is read once for each, whatever they hold
MEMORY = 64 * 1024 * 1024  # bytes it may grow to; patterns that need more are spread over several


class TextSet:
    """Patterns (RE2 sources) and the numbers that stand for each.

    An `re2.Set` cannot say that it failed: each carries a pattern that matches always, and when even that is missing
    the patterns are searched one by one.
    """

    def __init__(self, numbers: dict[str, list[int]]) -> None:
        sources = list(numbers)
        starts = range(0, len(sources), CHUNK)
        self._chunks = [chunk for at in starts for chunk in _chunks(sources[at : at + CHUNK], numbers)]

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


def _chunks(sources: list[str], numbers: dict[str, list[int]]) -> list[Chunk]:
    """One automaton for all sources, or several where they do not fit into the memory of one."""
    try:
        return [_chunk(sources, numbers)]
    except re2.error:
        if len(sources) == 1:
            return [(_never, [], lambda: [(Regex(sources[0]), tuple(numbers[sources[0]]))])]
        half = len(sources) // 2
        return [*_chunks(sources[:half], numbers), *_chunks(sources[half:], numbers)]


def _never(text: bytes) -> None:
    """An automaton that could not be made: its pattern is searched alone."""


def _chunk(sources: list[str], numbers: dict[str, list[int]]) -> Chunk:
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
