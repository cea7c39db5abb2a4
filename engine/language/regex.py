"""Regular expressions: RE2 behind a small face that any text can be given to.

Errors say what to write instead; text with lone surrogates is matched like any other; places are counted in
characters. Must not know what a pattern is for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import re2

from engine.language.regex_syntax import RegexError, longest_match, refuse_unsupported, tokens

if not hasattr(re2, "Set") or not hasattr(re2, "Options"):  # another distribution that installs the same name
    raise ImportError("`re2` is not google-re2: uninstall `pyre2` or `re2`, install `google-re2`")

MAX_SOURCE = 100_000
FEW_WORDS = 8  # up to here `in` is faster than one automaton
Span = tuple[int, int]
Accept = Callable[[str, bytes, bytes], int]
"""A second look at a match of ASCII text, with the byte before it and the two after: how many characters count."""

_SURROGATE = re.compile(r"[\ud800-\udfff]")
_WORD = re.compile(rb"[0-9A-Za-z_]+")


def encoded(text: str) -> bytes:
    """A text as RE2 reads it: UTF-8; a lone surrogate becomes the three bytes it would have had."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def options(*, ignore_case: bool = False) -> Any:
    """RE2's options for every pattern here: quiet, no captures."""
    chosen = re2.Options()
    chosen.log_errors = False
    chosen.never_capture = True
    chosen.case_sensitive = not ignore_case
    return chosen


class Regex:
    """A compiled regular expression.

    `source`: as written. `ignore_case`: whether case counts. `longest`: characters in its longest match, infinity
    when unbounded. RegexError when RE2 refuses it.
    """

    __slots__ = ("_compiled", "ignore_case", "longest", "source")

    def __init__(self, source: str, *, ignore_case: bool = False) -> None:
        if len(source) > MAX_SOURCE:
            raise RegexError(
                f"a pattern of {len(source)} characters is too large",
                "words to look for belong in a list: `contains_any: {list: …}`",
                0,
                len(source),
            )
        refuse_unsupported(source)
        try:
            self._compiled = re2.compile(encoded(source), options(ignore_case=ignore_case))
        except re2.error as error:
            raise _explained(source, error.args[0]) from None
        self.source = source
        self.ignore_case = ignore_case
        self.longest = longest_match(source)

    def search(self, text: str) -> bool:
        """True when the pattern occurs anywhere in the text."""
        return self._compiled.search(encoded(text)) is not None

    def spans(self, text: str, accept: Accept | None = None) -> list[Span]:
        """Where it occurs: start and end in characters, from the left, not overlapping, empty matches left out.

        `accept` is asked about each match and gives how much of it counts; what it refuses is searched again from
        the next word inside.
        """
        data = encoded(text)
        if accept is None:
            places = [match.span() for match in self._compiled.finditer(data)]
            places = [(start, end) for start, end in places if end > start]
        else:
            places = list(self._accepted(data, accept))
        return places if len(data) == len(text) else _in_characters(data, places)

    def finds(self, text: str, accept: Accept) -> bool:
        """True when there is an occurrence of which `accept` lets something count."""
        return next(self._accepted(encoded(text), accept), None) is not None

    def _accepted(self, data: bytes, accept: Accept) -> Iterator[Span]:
        at = 0
        while (place := self.first(data, at)) is not None:
            end, at = counted(data, place, accept)
            if end:
                yield place[0], end
            if at >= len(data):
                return

    def first(self, data: bytes, at: int, end: int | None = None) -> Span | None:
        """The first match in encoded text that begins at `at` or later and ends before `end`, in bytes.

        What stands before `at` and after `end` is seen by assertions about edges. The match may be empty.
        """
        match = self._compiled.search(data, at, end)
        return None if match is None else match.span()

    @property
    def matches_empty(self) -> bool:
        """True when it is found in every text, because it matches nothing at all."""
        return self._compiled.fullmatch(b"") is not None

    def __repr__(self) -> str:
        return f"<Regex {self.source}>"


def counted(data: bytes, place: Span, accept: Accept) -> Span:
    """Where what counts of a match ends (0: nothing counts), and where the search goes on, in bytes."""
    start, end = place
    length = accept(data[start:end].decode("latin-1"), data[max(start - 1, 0) : start], data[end : end + 2])
    if length:
        return start + length, max(start + length, start + 1)
    word = _WORD.match(data, start)
    return 0, max(min(end, word.end() + 1) if word else start + 1, start + 1)


@lru_cache(maxsize=4096)
def regex(source: str, *, ignore_case: bool = False) -> Regex:
    """The compiled form of a pattern; equal ones are shared by all rules."""
    return Regex(source, ignore_case=ignore_case)


def any_of(words: Sequence[str]) -> Callable[[str], bool]:
    """A test whether a text has one of these words in it; one pass for each 20,000 characters of words."""
    if len(words) == 1:
        only = words[0]
        return lambda text: only in text
    if len(words) <= FEW_WORDS or "" in words or any(map(_SURROGATE.search, words)):
        return lambda text: any(word in text for word in words)
    searches = [re2.compile(source, options()).search for source in _alternations(words)]

    def found(text: str) -> bool:
        data = encoded(text)
        return any(search(data) is not None for search in searches)

    return found


def _alternations(words: Sequence[str]) -> Iterator[bytes]:
    chunk: list[bytes] = []
    size = 0
    for word in words:
        source = b"".join(
            b"\\x%02x" % byte if byte < 128 and not chr(byte).isalnum() else b"%c" % byte for byte in encoded(word)
        )
        if size and size + len(source) > 20_000:
            yield b"|".join(chunk)
            chunk, size = [], 0
        chunk.append(source)
        size += len(source)
    yield b"|".join(chunk)


def folded_source(source: str) -> str:
    """A pattern whose letters outside ASCII are folded like the text that it is matched against.

    ASCII letters need no folding: a folded pattern is compiled ignoring case.
    """
    from engine.language.folding import fold

    parts = []
    for token in tokens(source):
        folded = fold(token.text) if token.sort == "one" and not token.text.isascii() else token.text
        parts.append(folded if len(folded) == 1 or token.sort != "one" else f"(?:{re2.escape(folded)})")
    return "".join(parts)


def _in_characters(data: bytes, places: list[Span]) -> list[Span]:
    found = []
    byte = char = 0
    for start, end in places:
        first = char + len(data[byte:start].decode("utf-8", "surrogatepass"))
        char = first + len(data[start:end].decode("utf-8", "surrogatepass"))
        byte = end
        found.append((first, char))
    return found


_EXPLAINED = {
    "missing )": ("a group is not closed", "add `)`; the character itself is written `\\(`"),
    "unexpected )": ("a `)` closes nothing", "the character itself is written `\\)`"),
    "missing ]": ("a class is not closed", "add `]`; the character itself is written `\\[`"),
    "invalid character class range": ("a range runs backwards or names no characters", "write it like `[a-z]`"),
    "trailing \\": ("a backslash at the end escapes nothing", "the character itself is written `\\\\`"),
    "invalid escape sequence": ("RE2 does not know this escape", "letters are written without a backslash"),
    "invalid UTF-8": ("the pattern is not valid Unicode", "write the character as `\\x{…}`"),
    "invalid named capture group": ("this is no name of a group", "write it like `(?P<name>…)`"),
    "pattern too large": ("the pattern is too large once its repetitions are written out", "repeat less often"),
    "invalid repetition size": ("this repetition runs backwards or is too large", "write it like `{2,5}`"),
    "bad repetition operator": ("a repetition of a repetition", "put the inner one into a group: `(?:…)`"),
    "no argument for repetition operator": ("this repeats nothing", "the character itself is written with a backslash"),
}


def _explained(source: str, reason: bytes) -> RegexError:
    """RE2's own words, put so that an author can act on them."""
    text = reason.decode("utf-8", "replace")
    sort, _, part = text.partition(": ")
    message, instead = _EXPLAINED.get(sort, (f"RE2 refuses this pattern: {text}", ""))
    start = source.find(part) if part and len(part) < len(source) else 0
    end = start + len(part) if part and start >= 0 else len(source)
    what = f"{message}: `{part}`" if part and sort in _EXPLAINED and len(part) < 60 else message
    return RegexError(what, instead, max(start, 0), max(end, 1))
