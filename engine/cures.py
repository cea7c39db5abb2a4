"""Words about a value that an author wrote: what it is, what was expected, what to write instead.

Must not know any option by name, nor where problems go.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field
from typing import Any

from engine.errors import did_you_mean
from engine.source import Mapping, Node, Scalar, Sequence

_YES, _NO = {"yes", "y", "on", "true", "1"}, {"no", "n", "off", "false", "0"}
_WORDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "a mapping",
    "array": "a list",
}
_LONGEST = 60


@dataclass(frozen=True, slots=True)
class Advice:
    """What an option knows of its authors: `help` for any wrong value, `meant` for those that are often written."""

    help: str = ""
    meant: MappingOf[str, str] = field(default_factory=dict)


NO_ADVICE = Advice()


def found(node: Node) -> str:
    """How a message names a value: `text 'abc'`, `number 7`, `a list`."""
    if isinstance(node, Scalar) and node.value is not None:
        text = _short(node.value) if isinstance(node.value, str) else _plain(node)
        return f"{node.sort} {text}"
    return {"null": "nothing (null)", "list": "a list", "mapping": "a mapping"}.get(node.sort, node.sort)


def described(fragment: dict[str, Any]) -> str:
    """A schema fragment in words: `a whole number between 400 and 499`."""
    if "enum" in fragment:
        words = ", ".join(f"`{value}`" for value in fragment["enum"])
        return f"one of {words}" if len(fragment["enum"]) > 1 else words
    words = _WORDS.get(fragment.get("type", ""), "a value")
    low, high = fragment.get("minimum"), fragment.get("maximum")
    if low is not None and high is not None:
        return f"{words} between {low} and {high}"
    if low is not None:
        return f"{words}, at least {low}"
    if "examples" in fragment:
        return f"{words} such as `{fragment['examples'][0]}`"
    if "pattern" in fragment:
        return f"{words} like {fragment['pattern']}"
    return words


def cure(node: Node, fragment: dict[str, Any], advice: Advice = NO_ADVICE) -> str:
    """What to write instead of a value that a schema fragment does not allow."""
    text = _plain(node)
    if text in advice.meant:
        return advice.meant[text]
    if "enum" in fragment:
        return did_you_mean(text, [str(value) for value in fragment["enum"]], advice.help or "write one of these")
    kind = fragment.get("type", "")
    if isinstance(node, Sequence) and len(node.items) == 1 and isinstance(node.items[0], Scalar) and kind != "array":
        return f"write it without brackets: `{_plain(node.items[0])}`"
    return advice.help or _by_kind(kind, node, text, fragment)


def listed(node: Node) -> str:
    """What to write where a list is wanted and one value stands."""
    if isinstance(node, Scalar) and node.value is not None:
        return f"write it as a list: `[{_plain(node)}]`"
    if isinstance(node, Mapping) and not _in_a_line(node):
        return "begin each entry with `- `"
    return "put brackets around it: `[{…}]`" if isinstance(node, Mapping) else "write at least `[]`"


def named(node: Node) -> str:
    """What to write where a mapping is wanted and something else stands."""
    if isinstance(node, Sequence):
        return "write `name: value` for each, without dashes"
    return "write it like `{name: value}`"


def _by_kind(kind: str, node: Node, text: str, fragment: dict[str, Any]) -> str:
    if kind == "boolean":
        words = {"true"} if text.lower() in _YES else {"false"} if text.lower() in _NO else {"true", "false"}
        return "write " + " or ".join(f"`{word}`" for word in sorted(words, reverse=True))
    if kind in ("integer", "number"):
        return _as_number(kind, node, text, fragment)
    if kind == "string":
        return _as_text(node, text)
    return listed(node) if kind == "array" else named(node) if kind == "object" else ""


def _as_number(kind: str, node: Node, text: str, fragment: dict[str, Any]) -> str:
    digits = re.fullmatch(r"[+-]?[0-9]+(?:\.[0-9]+)?", text.strip().removesuffix("%").strip().replace("_", ""))
    if isinstance(node, Scalar) and isinstance(node.value, str) and digits:
        return f"write it as a number: `{digits[0]}`"
    value = node.plain()
    low, high = fragment.get("minimum"), fragment.get("maximum")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if low is not None and value < low:
            return f"the least is {low}"
        if high is not None and value > high:
            return f"the most is {high}"
    return f"write a number without quotes, such as `{low if low is not None else 1}`" + (
        "; no fraction" if kind == "integer" and isinstance(value, float) else ""
    )


def _as_text(node: Node, text: str) -> str:
    if isinstance(node, Scalar):
        return f"write it in quotes: '{text}'" if node.value is not None else "write the text behind it"
    if isinstance(node, Mapping) and not _in_a_line(node):
        return "write one text; if it has a `: ` inside, put quotes around it"
    return "write one text"


def _in_a_line(node: Mapping) -> bool:
    return node.span.source.text.startswith("{", node.span.start)


def _plain(node: Node) -> str:
    """A scalar as it is written, without quotes; a list or mapping as nothing."""
    value = node.value if isinstance(node, Scalar) else None
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _short(value: str) -> str:
    text = repr(value[: _LONGEST + 1])
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "…"
