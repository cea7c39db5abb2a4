"""What several patterns find in a text, as stretches that do not overlap. Must not know what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from engine.language.patterns import Pattern


class Finding(NamedTuple):
    """A stretch of a text, in characters, and the name of the pattern that found it."""

    start: int
    end: int
    name: str


def findings(patterns: Sequence[Pattern], text: str) -> list[Finding]:
    """All findings from the left. Those that overlap are one, under the name of the one that starts first."""
    found = [Finding(start, end, pattern.name) for pattern in patterns for start, end in pattern.spans(text)]
    if len(found) < 2:
        return found
    found.sort(key=lambda finding: (finding.start, -finding.end))
    merged = found[:1]
    for finding in found[1:]:
        last = merged[-1]
        if finding.start >= last.end:
            merged.append(finding)
        elif finding.end > last.end:
            merged[-1] = last._replace(end=finding.end)
    return merged


def replaced(text: str, found: Sequence[Finding], replacement: Callable[[str, str], str]) -> str:
    """The text with each finding replaced; `replacement` is given the pattern's name and what it found."""
    parts: list[str] = []
    at = 0
    for start, end, name in found:
        parts += text[at:start], replacement(name, text[start:end])
        at = end
    return "".join(parts) + text[at:]
