"""Where text stands in the events of a stream: places that grow from event to event, and places that say it whole.

Must not know any one dialect's events, nor what becomes of the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from engine.document.dialect import Body

COMPLETION, TOOL, REASONING, NAME = "completion_text", "tool_text", "reasoning_text", ""
Path = tuple[str | int, ...]


class Channel(NamedTuple):
    """One text that grows: of which choice, its kind (a root of the document, or `""` for names), and where it stands.

    `owner` says what ends it; `spelled`: it is JSON text, in which escapes stand for characters.
    """

    choice: int
    kind: str
    owner: Path
    spelled: bool = False


class Slot(NamedTuple):
    """A string of an event. `whole`: it is complete in itself, a snapshot or a name, and no piece of its channel."""

    path: Path
    text: str
    channel: Channel
    whole: bool = False


@dataclass(slots=True)
class Event:
    """The text of one event: its strings, and the owners whose channels end with it (`()`: all of them)."""

    slots: list[Slot]
    ends: tuple[Path, ...] = ()


Take = Callable[[Body], Event]
Carry = Callable[[Channel, str, Body], Body]

_SKIPPED = frozenset(
    {
        "type",
        "id",
        "role",
        "status",
        "encrypted_content",
        "signature",
        "cache_control",
        "media_type",
        "mime_type",
        "data",
        "url",
        "logprobs",
        "index",
        "object",
        "model",
        "phase",
        "format",
        "finish_reason",
    }
)
_TOOLS = frozenset({"arguments", "input", "code", "partial_json"})
_THOUGHTS = frozenset({"reasoning", "reasoning_content", "thinking", "reasoning_details", "summary"})
_KINDS = {
    "reasoning": REASONING,
    "reasoning_text": REASONING,
    "summary_text": REASONING,
    "thinking": REASONING,
    "reasoning.text": REASONING,
    "reasoning.summary": REASONING,
}
_CALLED = frozenset({"function_call", "mcp_call", "custom_tool_call", "tool_use", "server_tool_use", "mcp_tool_use"})
_DEEPEST = 64


def strings(value: Any, path: Path, kind: str = COMPLETION) -> Iterator[tuple[Path, str, str, bool]]:
    """Every text below a value: its path, itself, its kind, and whether it is spelled as JSON."""
    if isinstance(value, str):
        if value and not value.startswith("data:"):
            name = next((part for part in reversed(path) if isinstance(part, str)), "")
            yield path, value, kind, name in ("arguments", "partial_json")
    elif len(path) > _DEEPEST:
        return
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from strings(item, (*path, index), kind)
    elif isinstance(value, dict) and value.get("type") != "base64":
        typed = value.get("type")
        kind = _KINDS.get(typed, kind) if isinstance(typed, str) else kind
        for name, item in value.items():
            if name not in _SKIPPED and not name.endswith("_id"):
                yield from strings(item, (*path, name), _kind_of(name, kind, value))


def _kind_of(name: str, kind: str, around: dict[str, Any]) -> str:
    if kind == TOOL or name in _THOUGHTS:
        return TOOL if kind == TOOL else REASONING
    if name in _TOOLS and (name != "input" or around.get("type") in _CALLED or "name" in around):
        return TOOL
    return NAME if name == "name" else kind


def put(value: Any, path: Path, new: Any) -> Any:
    """A value with another one at a path; what is beside the path is shared, and lists of token odds on it are gone."""
    if not path:
        return new
    if isinstance(value, list):
        place = path[0]
        return [put(item, path[1:], new) if index == place else item for index, item in enumerate(value)]
    changed = {**value, path[0]: put(value.get(path[0]), path[1:], new)}
    if changed.get("logprobs"):
        changed["logprobs"] = [] if isinstance(changed["logprobs"], list) else None
    return changed
