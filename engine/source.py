"""Text with places: what a rules file is made of before anybody knows what it means.

Knows files, lines, columns and YAML-shaped nodes; must not know what a rule is.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Any


class Source:
    """One text and its name; turns offsets into lines and columns (both from 1, counted in characters)."""

    __slots__ = ("_starts", "name", "text")

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self._starts: list[int] | None = None

    def starts(self) -> list[int]:
        """Offset of the first character of every line."""
        if self._starts is None:
            self._starts = [0]
            for number, char in enumerate(self.text):
                if char == "\n":
                    self._starts.append(number + 1)
        return self._starts

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset; a byte order mark takes no column."""
        starts = self.starts()
        line = bisect_right(starts, offset)
        column = offset - starts[line - 1] + 1
        if line == 1 and column > 1 and self.text.startswith("\ufeff"):
            column -= 1
        return line, column

    def line(self, number: int) -> str:
        """The text of a line, without its end and without a byte order mark."""
        starts = self.starts()
        if not 1 <= number <= len(starts):
            return ""
        end = starts[number] - 1 if number < len(starts) else len(self.text)
        return self.text[starts[number - 1] : end].rstrip("\r").removeprefix("\ufeff")


class Span:
    """A stretch of a source: offsets from `start` up to, not including, `end`."""

    __slots__ = ("end", "source", "start")

    def __init__(self, source: Source, start: int, end: int) -> None:
        self.source = source
        self.start = start
        self.end = end

    def at(self, start: int, end: int) -> Span:
        """The stretch of the same source between two absolute offsets."""
        return Span(self.source, start, end)

    def __repr__(self) -> str:
        line, column = self.source.position(self.start)
        return f"<{self.source.name}:{line}:{column}>"


class Node:
    """A value of a rules file and where it stands."""

    __slots__ = ("span",)
    span: Span

    def plain(self) -> Any:
        """The value alone, as the JSON types of Python."""
        raise NotImplementedError

    @property
    def sort(self) -> str:
        """What a message calls this value: `text`, `number`, `mapping`, …"""
        raise NotImplementedError


class Scalar(Node):
    """Text, number, boolean or null.

    `inner` finds the place of a part of the text in the file, through quoting, folding and block style.
    """

    __slots__ = ("_locate", "plain_style", "value")

    def __init__(
        self,
        value: str | float | bool | None,
        span: Span,
        *,
        plain_style: bool = True,
        locate: Callable[[Scalar], list[int]] | None = None,
    ) -> None:
        self.value = value
        self.span = span
        self.plain_style = plain_style
        self._locate = locate

    def plain(self) -> Any:
        return self.value

    def inner(self, start: int, end: int) -> Span:
        """The place of `value[start:end]`; an empty stretch becomes one character wide where there is one."""
        if self._locate is None:
            base = self.span.start
            return self.span.at(base + start, base + max(end, start + 1))
        offsets = self._locate(self)  # offset in the file of each character of the value, then of its end
        last = len(offsets) - 1
        first = offsets[min(start, last)]
        if end <= start:
            return self.span.at(first, first + 1)
        return self.span.at(first, offsets[min(end - 1, last)] + 1)

    @property
    def sort(self) -> str:
        if self.value is None:
            return "null"
        if isinstance(self.value, bool):
            return "boolean"
        return "text" if isinstance(self.value, str) else "number"


class Sequence(Node):
    """A list."""

    __slots__ = ("items",)

    def __init__(self, items: list[Node], span: Span) -> None:
        self.items = items
        self.span = span

    def plain(self) -> Any:
        return [item.plain() for item in self.items]

    def __iter__(self) -> Iterator[Node]:
        return iter(self.items)

    @property
    def sort(self) -> str:
        return "list"


class Mapping(Node):
    """Keys and values in the order they were written; keys are text and unique."""

    __slots__ = ("entries",)

    def __init__(self, entries: list[tuple[Scalar, Node]], span: Span) -> None:
        self.entries = entries
        self.span = span

    def plain(self) -> Any:
        return {str(key.value): node.plain() for key, node in self.entries}

    def get(self, name: str) -> Node | None:
        """The value under a key, or None."""
        for key, node in self.entries:
            if key.value == name:
                return node
        return None

    def key(self, name: str) -> Scalar | None:
        """The key itself, for its place."""
        for key, _ in self.entries:
            if key.value == name:
                return key
        return None

    def __iter__(self) -> Iterator[tuple[Scalar, Node]]:
        return iter(self.entries)

    @property
    def sort(self) -> str:
        return "mapping"
