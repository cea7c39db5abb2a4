"""Conditions on text that comes in pieces: what of a condition is known at once, and what is listened for.

What reads the answer must be a test that can only come to hold as the text grows, joined by `all` and `any`; the rest
is decided once. Must not know rules or streams.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import re2

from engine.language.ast import plain_path
from engine.language.condition_several import AllOf, AnyOf
from engine.language.condition_tree import Test, Tree
from engine.language.operators import Change, Operator
from engine.language.patterns import Pattern
from engine.language.regex import regex
from engine.language.windows_several import Windows

TEXTS = frozenset({"completion_text", "tool_text", "reasoning_text"})
OPERATORS = ("contains", "contains_any", "starts_with", "matches", "matches_any")
_LATE = TEXTS | {"usage", "cost", "response.body"}
_MOST = 4000  # characters of words in one pattern


class NotHeard(Exception):
    """A part of a condition cannot be decided while the text still comes; the message is that part."""


@dataclass(frozen=True, slots=True)
class Known:
    """Decided when the text begins."""

    holds: Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Heard:
    """Holds once one of the patterns is found in a text of this kind, after it was put through `change`."""

    kind: str
    windows: Windows
    change: Change | None


@dataclass(frozen=True, slots=True)
class Joined:
    """Holds when every part does, or one of them."""

    parts: tuple[Late, ...]
    every: bool


Late = Known | Heard | Joined


def reads_answer(tree: Tree) -> bool:
    """Whether any part of it is about what a stream says."""
    return not tree.roots.isdisjoint(_LATE)


def late(tree: Tree) -> Late:
    """A condition as it is decided in a stream; NotHeard where it cannot be."""
    if not reads_answer(tree):
        return Known(tree.code())
    if isinstance(tree, (AllOf, AnyOf)):
        return Joined(tuple(map(late, tree.items)), isinstance(tree, AllOf))
    path = plain_path(tree.subject.ast) if isinstance(tree, Test) else None
    if not isinstance(tree, Test) or path is None or len(path) > 1 or path[0] not in TEXTS:
        raise NotHeard(tree.text())
    if tree.operator.name not in OPERATORS:
        raise NotHeard(tree.text())
    return _heard(str(path[0]), tree.operator)


def _heard(kind: str, operator: Operator) -> Late:
    if operator.name.startswith("matches"):
        patterns = [pattern.changed(operator.change) for pattern in operator.patterns()]  # type: ignore[attr-defined]
    else:
        values = operator.value if operator.name == "contains_any" else [operator.value]
        words = list(dict.fromkeys(operator.same(value) for value in values if isinstance(value, str)))
        if not words or "" in words:
            found = bool(words)
            return Known(lambda _: found)
        start = r"\A" if operator.name == "starts_with" else ""
        patterns = [Pattern("words", regex(start + source)) for source in _alternations(words)]
    return Heard(kind, Windows(patterns, stepwise=True), operator.change)


def _alternations(words: Iterable[str]) -> list[str]:
    """Words as patterns; very many words are several of them, so that RE2 takes each."""
    sources: list[str] = []
    size = _MOST
    for word in words:
        escaped = re2.escape(word)
        if size + len(escaped) > _MOST:
            sources.append(escaped)
            size = 0
        else:
            sources[-1] += f"|{escaped}"
        size += len(escaped)
    return [f"(?:{source})" for source in sources]
