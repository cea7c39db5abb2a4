"""The beginnings of a pattern's matches as a pattern of their own: what could still become, or grow, a match.

RE2 cannot tell whether a text that ends here is the start of a match, so the question is put as another pattern,
derived from the syntax: everything that the pattern has read when it still waits for a character. Reads patterns only;
must not know what they are matched against.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from engine.language.regex_syntax import Token, repeat_bounds, tokens

_FLAGS = re.compile(r"\(\?([A-Za-z]*)-?([A-Za-z]*)[:)]\Z")
_LOOKS = {"\\b": True, "\\B": True, "\\z": True, "\\A": False}  # whether it waits for the character that follows
_KEPT = "ims"


def beginnings(source: str, tail: str = "") -> str:
    r"""A pattern for the end of a text: it matches what stands from a place where a match could begin or grow to `\z`.

    It is too generous where the pattern prefers one alternative to another, and never too narrow. It matches nothing
    at the very end too, as a match may always begin there. `tail` follows a whole match while its verdict is open.
    """
    node = _Parser(source).node()
    waiting = _begun(node) or ""
    return rf"(?:{waiting}|{_whole(node)}{tail})\z" if tail else rf"(?:{waiting})\z"


# --- the tree of a pattern --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _One:
    """One character."""

    source: str


@dataclass(frozen=True, slots=True)
class _Look:
    """A place between characters."""

    source: str
    waits: bool


@dataclass(slots=True)
class _Row:
    """One after another."""

    items: list[_Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Choice:
    """One of several."""

    items: list[_Row]


@dataclass(frozen=True, slots=True)
class _Repeat:
    """Several times the same."""

    item: _Node
    least: int
    most: float


_Node = _One | _Look | _Row | _Choice | _Repeat


class _Parser:
    """Reads the pieces of a pattern that RE2 has compiled already."""

    def __init__(self, source: str) -> None:
        self._tokens: Iterator[Token] = tokens(source)

    def node(self, flags: frozenset[str] = frozenset()) -> _Node:
        """A group's content up to its `)`, or the whole pattern."""
        rows = [_Row()]
        for token in self._tokens:
            row = rows[-1].items
            if token.sort == "close":
                break
            if token.sort == "bar":
                rows.append(_Row())
            elif token.sort == "flags":
                flags = _changed(flags, token.text)
            elif token.sort == "open":
                row.append(self.node(_changed(flags, token.text)))
            elif token.sort == "repeat":
                least, most = repeat_bounds(token.text)
                row.append(_Repeat(row.pop(), int(least), most))
            elif token.sort == "quoted":
                quoted = token.text.removeprefix("\\Q").removesuffix("\\E")
                row += [_One(_flagged(_escaped(char), flags)) for char in quoted]
            else:
                row.append(_leaf(token, flags))
        return rows[0] if len(rows) == 1 else _Choice(rows)


def _leaf(token: Token, flags: frozenset[str]) -> _Node:
    if token.sort == "edge":
        return _Look(_flagged(token.text, flags), token.text == "$")
    if token.text in _LOOKS:
        return _Look(token.text, _LOOKS[token.text])
    return _One(_flagged("\\{" if token.text == "{" else token.text, flags))


def _changed(flags: frozenset[str], opening: str) -> frozenset[str]:
    told = _FLAGS.match(opening)
    return (flags | frozenset(told[1])) - frozenset(told[2]) if told else flags


def _flagged(source: str, flags: frozenset[str]) -> str:
    kept = "".join(flag for flag in _KEPT if flag in flags)
    return f"(?{kept}:{source})" if kept else source


def _escaped(char: str) -> str:
    return f"\\x{{{ord(char):x}}}"


# --- the whole, and what of it can be there while more is awaited -----------------------------------------------------


def _whole(node: _Node) -> str:
    if isinstance(node, (_One, _Look)):
        return node.source
    if isinstance(node, _Row):
        return "".join(map(_whole, node.items))
    if isinstance(node, _Choice):
        return f"(?:{'|'.join(map(_whole, node.items))})"
    return _times(_whole(node.item), node.least, node.most)


def _begun(node: _Node) -> str | None:
    """What has been read when a character is awaited; None: none ever is."""
    if isinstance(node, _One):
        return ""
    if isinstance(node, _Look):
        return "" if node.waits else None
    if isinstance(node, _Row):
        return _begun_row(node.items)
    if isinstance(node, _Choice):
        return _either([_begun(item) for item in node.items])
    begun = _begun(node.item) if node.most else None
    return None if begun is None else _times(_whole(node.item), 0, node.most - 1) + begun


def _begun_row(items: list[_Node]) -> str | None:
    """Within the first half, or within the second after the whole first: nested as little as can be."""
    if len(items) < 2:
        return _begun(items[0]) if items else None
    first, second = items[: len(items) // 2], items[len(items) // 2 :]
    later = _begun_row(second)
    return _either([_begun_row(first), None if later is None else "".join(map(_whole, first)) + later])


def _either(sources: list[str | None]) -> str | None:
    known = list(dict.fromkeys(source for source in sources if source is not None))
    if len(known) < 2:
        return known[0] if known else None
    return f"(?:{'|'.join(known)})"


def _times(source: str, least: int, most: float) -> str:
    if most == 0:
        return ""
    return f"(?:{source}){{{least},{'' if most == math.inf else int(most)}}}"
