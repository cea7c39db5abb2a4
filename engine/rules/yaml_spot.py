"""The place in a YAML text that a parser refused, seen as lines, keys and values. Must not know parsers."""

from __future__ import annotations

import re
from dataclasses import dataclass

from engine.source import Source

ENTRY = re.compile(
    r"""(?P<before>\s*(?:-[ ]+)*)(?:(?P<key>"[^"]*"|'[^']*'|[^\s"'#][^:#]{0,5000}?):(?:[ ]+|$))?(?P<value>.*)"""
)

_WITHOUT_KEY = re.compile(r"(?P<before>\s*(?:-[ ]+)*)(?P<key>(?!))?(?P<value>.*)")


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a text between two offsets, and what to write."""

    message: str
    start: int
    end: int
    help: str


def uncommented(text: str) -> str:
    """A value without the comment after it."""
    return re.split(r"\s#", text, maxsplit=1)[0].rstrip()


class Spot:
    """The place where the parser gave up, its line, and where what it was reading had begun."""

    def __init__(self, source: Source, offset: int, context: int, bracket: str) -> None:
        self.source = source
        self.text = source.text
        self.offset = offset
        self.context = context
        self.bracket = bracket  # that would close the list or mapping at `context`
        number, column = source.position(offset)
        self.start = offset - column + 1
        self.line = source.line(number)
        self.above = [source.line(above) for above in range(max(1, number - 500), number)]
        entry = ENTRY.match(self.line)
        if entry and entry["key"] and any(entry["key"].count(a) > entry["key"].count(b) for a, b in ("()", "[]", "{}")):
            entry = _WITHOUT_KEY.match(self.line)  # an expression, and the colon stands inside its brackets
        self.key = entry["key"] if entry else None
        self.key_start = self.start + (entry.end("before") if entry else 0)
        self.colon = self.start + (entry.end("key") if entry and entry["key"] else 0)
        self.value = uncommented(entry["value"]) if entry else ""
        self.value_start = self.start + (entry.start("value") if entry else 0)

    def cured(self, value: str) -> str:
        """What the line says with another value."""
        return f"`{self.key}: {value}`" if self.key else f"`{value}`"

    def char(self) -> str:
        """The character that the parser refused; empty at the end."""
        return self.text[self.offset : self.offset + 1]

    def line_end(self, offset: int) -> int:
        """Where the line of an offset ends."""
        found = self.text.find("\n", offset)
        return len(self.text.rstrip()) if found < 0 else found

    def indent(self, line: str) -> int:
        """The number of spaces before a line."""
        return len(line) - len(line.lstrip(" "))
