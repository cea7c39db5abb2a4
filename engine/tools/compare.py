"""Compare what a test expects with what was found.

A mapping is a subset at every depth, a list has the same length, null means absent or null, numbers compare by value
and `true` is not `1`. Pure; must not know exchanges, files or how differences are printed.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")


class _Absent:
    def __repr__(self) -> str:
        return "(absent)"


ABSENT: Any = _Absent()
"""Found in place of a value that is not there at all."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where the two disagree.

    `path` leads to it from the compared value (`messages[0].content`; empty: the value itself). `why` adds what the
    two values alone do not show, such as `2 elements, expected 1`.
    """

    path: str
    expected: Any
    found: Any
    why: str = ""

    def __str__(self) -> str:
        why = f" ({self.why})" if self.why else ""
        return f"{self.path or 'value'}: expected {shown(self.expected)}, found {shown(self.found)}{why}"


def differences(expected: Any, found: Any, path: str = "") -> list[Difference]:
    """Every place where `found` is not what `expected` asks for; empty when it holds. Both are JSON values."""
    if expected is None:
        return [] if found is None or found is ABSENT else [Difference(path, None, found)]
    if isinstance(expected, dict):
        return _in_mapping(expected, found, path)
    if isinstance(expected, list):
        return _in_list(expected, found, path)
    return [] if same_scalar(expected, found) else [Difference(path, expected, found, _sort_note(expected, found))]


def same_scalar(expected: Any, found: Any) -> bool:
    """Text by code point, numbers by value, booleans only with booleans."""
    if isinstance(expected, bool) or isinstance(found, bool):
        return expected is found
    if isinstance(expected, (int, float)) and isinstance(found, (int, float)):
        return expected == found
    return isinstance(expected, str) and isinstance(found, str) and expected == found


def shown(value: Any, limit: int = 400) -> str:
    """A value on one line, as JSON; long ones are cut in the middle."""
    if value is ABSENT:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False, default=str)
    if len(text) <= limit:
        return text
    return f"{text[: limit // 2]} … {text[-limit // 2 :]}"


def member(path: str, name: str) -> str:
    """The path of a member of a mapping."""
    step = name if PLAIN_NAME.match(name) else json.dumps(name, ensure_ascii=False)
    return f"{path}.{step}" if path else step


def _in_mapping(expected: dict[str, Any], found: Any, path: str) -> list[Difference]:
    if not isinstance(found, dict):
        return [Difference(path, expected, found, _sort_note(expected, found))]
    return [
        difference
        for name, value in expected.items()
        for difference in differences(value, found.get(name, ABSENT), member(path, name))
    ]


def _in_list(expected: list[Any], found: Any, path: str) -> list[Difference]:
    if not isinstance(found, list):
        return [Difference(path, expected, found, _sort_note(expected, found))]
    if len(expected) != len(found):
        return [Difference(path, expected, found, f"{_elements(found)}, expected {len(expected)}")]
    return [
        difference
        for number, (wanted, value) in enumerate(zip(expected, found, strict=True))
        for difference in differences(wanted, value, f"{path}[{number}]")
    ]


def _elements(values: list[Any]) -> str:
    return "1 element" if len(values) == 1 else f"{len(values)} elements"


def _sort_note(expected: Any, found: Any) -> str:
    if found is ABSENT or found is None:
        return ""
    wanted, got = sort_of(expected), sort_of(found)
    return "" if wanted == got else f"{got}, expected {wanted}"


def sort_of(value: Any) -> str:
    """What a message calls the JSON type of a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    names: dict[type, str] = {str: "text", list: "list", dict: "mapping"}
    return names.get(type(value), type(value).__name__)
