"""Where text stands in the events of a stream: places that grow from event to event, and places that say it whole.

Each dialect's events are one function here. Must not know rules, nor what becomes of the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from engine.document.assemble import index_of
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


# --- chat and text completions ----------------------------------------------------------------------------------------


def chat(body: Body) -> Event:
    """A chunk: every text of a delta grows, and a `message` beside it is a snapshot."""
    slots: list[Slot] = []
    ends: list[Path] = []
    choices = body.get("choices")
    for place, choice in enumerate(choices if isinstance(choices, list) else ()):
        if not isinstance(choice, dict):
            continue
        index = index_of(choice)
        for name in ("text", "delta"):
            for path, text, kind, spelled in strings(choice.get(name), ()):
                owner = (index, name, *_indexed(choice.get(name), path))
                slots.append(Slot(("choices", place, name, *path), text, Channel(index, kind, owner, spelled)))
        for path, text, kind, spelled in strings(choice.get("message"), ()):
            slots.append(
                Slot(
                    ("choices", place, "message", *path),
                    text,
                    Channel(index, kind, (index, "message", *path), spelled),
                    whole=True,
                )
            )
        if choice.get("finish_reason") is not None:
            ends.append((index,))
    return Event(slots, tuple(ends))


def _indexed(value: Any, path: Path) -> Path:
    """A path in which elements of lists are named by their own `index`, where they have one."""
    made: list[str | int] = []
    for part in path:
        value = value[part]
        made.append(
            value["index"]
            if isinstance(part, int) and isinstance(value, dict) and isinstance(value.get("index"), int)
            else part
        )
    return tuple(made)


def _at(index: int, value: Any) -> Any:
    """An element of a list that is told apart by its index; text alone has no place for one."""
    return {"index": index, **value} if isinstance(value, dict) else value


def carry_chat(channel: Channel, text: str, body: Body) -> Body:
    """A chunk with more of a channel's text, like the chunk `body`."""
    index, name, *path = channel.owner
    value: Any = text
    for part in reversed(path):
        value = [_at(part, value)] if isinstance(part, int) else {part: value}
    head = {key: item for key, item in body.items() if key not in ("choices", "usage")}
    return {**head, "choices": [{"index": index, name: value, "logprobs": None, "finish_reason": None}]}


# --- messages ---------------------------------------------------------------------------------------------------------

_DELTAS = {
    "text_delta": ("text", COMPLETION),
    "thinking_delta": ("thinking", REASONING),
    "input_json_delta": ("partial_json", TOOL),
    "compaction_delta": ("content", COMPLETION),
}
_BEGUN = {"text": "text_delta", "thinking": "thinking_delta"}
_OF_BLOCK = {name: kind for kind, name in _BEGUN.items()}


def messages(body: Body) -> Event:
    """Blocks grow by deltas; what a block starts with is its first piece; anything else comes whole."""
    kind, index = body.get("type"), index_of(body)
    if kind == "content_block_delta":
        return Event(_delta(body.get("delta"), index))
    if kind == "content_block_start":
        return Event(_start(body.get("content_block"), index))
    if kind == "content_block_stop":
        return Event([], ((index,),))
    if kind == "message_start":
        message = body.get("message")
        return Event(_wholes(message.get("content") if isinstance(message, dict) else None, ("message", "content")))
    return Event([], ((),) if kind in ("message_delta", "message_stop") else ())


def _delta(delta: Any, index: int) -> list[Slot]:
    kind = delta.get("type") if isinstance(delta, dict) else None
    if kind == "citations_delta":
        return _wholes(delta.get("citation"), ("delta", "citation"))
    name, sort = _DELTAS.get(kind, ("", "")) if isinstance(kind, str) else ("", "")
    text = delta.get(name) if name else None
    if not isinstance(text, str) or not text:
        return []
    return [Slot(("delta", name), text, Channel(0, sort, (index, str(kind)), name == "partial_json"))]


def _start(block: Any, index: int) -> list[Slot]:
    name = block.get("type") if isinstance(block, dict) else None
    slots = _wholes(block, ("content_block",))
    if name not in _BEGUN:
        return slots
    channel = Channel(0, _DELTAS[_BEGUN[name]][1], (index, _BEGUN[name]))
    return [
        slot._replace(channel=channel, whole=False) if slot.path == ("content_block", name) else slot for slot in slots
    ]


def carry_messages(channel: Channel, text: str, body: Body) -> Body:
    """A delta with more of a block's text."""
    index, kind = channel.owner
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, _DELTAS[str(kind)][0]: text}}


# --- responses --------------------------------------------------------------------------------------------------------

_GROWING = {
    "output_text": COMPLETION,
    "refusal": COMPLETION,
    "audio.transcript": COMPLETION,
    "output_audio_transcript": COMPLETION,
    "reasoning_text": REASONING,
    "reasoning_summary_text": REASONING,
    "function_call_arguments": TOOL,
    "mcp_call_arguments": TOOL,
    "custom_tool_call_input": TOOL,
    "code_interpreter_call_code": TOOL,
}
_WHERE = ("content_index", "summary_index", "item_id")
_SNAPSHOTS = ("part", "item", "text", "refusal", "arguments", "input", "code", "transcript", "annotation", "name")


def responses(body: Body) -> Event:
    """Texts grow by `….delta`; every `….done` and the response itself say them whole."""
    kind = body.get("type")
    stem, _, step = (kind if isinstance(kind, str) else "").removeprefix("response.").rpartition(".")
    if step == "delta" and stem in _GROWING:
        text = body.get("delta")
        slots = [Slot(("delta",), text, _growing(stem, body))] if isinstance(text, str) and text else []
        return Event(slots)
    told = body.get("response")
    if isinstance(told, dict):
        ends: tuple[Path, ...] = ((),) if kind in _LAST else ()
        return Event(_wholes(told.get("output"), ("response", "output")), ends)
    slots = [slot for name in _SNAPSHOTS for slot in _wholes(body.get(name), (name,), _GROWING.get(stem, COMPLETION))]
    if step != "done":
        return Event(slots)
    return Event(slots, (_growing(stem, body).owner[:4] if stem in _GROWING else (index_of(body, "output_index"),),))


_LAST = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})


def _growing(stem: str, body: Body) -> Channel:
    where = [told if isinstance(told := body.get(name), (str, int)) else "" for name in _WHERE]
    return Channel(0, _GROWING[stem], (index_of(body, "output_index"), stem, *where), stem.endswith("_arguments"))


def carry_responses(channel: Channel, text: str, body: Body) -> Body:
    """A delta with more of a text, numbered like the event `body` that it goes before."""
    index, stem, *where = channel.owner
    told = {name: value for name, value in zip(_WHERE, where, strict=True) if value != ""}
    beside: dict[str, Any] = {"logprobs": []} if stem == "output_text" else {}
    number = {"sequence_number": body["sequence_number"]} if "sequence_number" in body else {}
    return {"type": f"response.{stem}.delta", **number, "output_index": index, **told, **beside, "delta": text}


# --- transcripts ------------------------------------------------------------------------------------------------------


def transcripts(body: Body) -> Event:
    """The text of a recording as it is understood."""
    kind = body.get("type")
    channel = Channel(0, COMPLETION, (0, str(kind)))
    if kind == "transcript.text.delta" and isinstance(body.get("delta"), str) and body["delta"]:
        return Event([Slot(("delta",), body["delta"], channel)])
    if kind == "transcript.text.segment" and isinstance(body.get("text"), str) and body["text"]:
        return Event([Slot(("text",), body["text"], channel)])
    ends: tuple[Path, ...] = ((),) if kind == "transcript.text.done" else ()
    return Event(_wholes(body.get("text"), ("text",)), ends)


def carry_transcripts(channel: Channel, text: str, body: Body) -> Body:
    """An event with more of the text."""
    kind = channel.owner[1]
    return {"type": kind, "delta" if kind == "transcript.text.delta" else "text": text}


def _wholes(value: Any, path: Path, kind: str = COMPLETION) -> list[Slot]:
    return [
        Slot(where, text, Channel(0, sort, where, spelled), whole=True)
        for where, text, sort, spelled in strings(value, path, kind)
    ]


WIRES: dict[str, tuple[Take, Carry]] = {
    "completion": (chat, carry_chat),
    "text_completion": (chat, carry_chat),
    "messages": (messages, carry_messages),
    "responses": (responses, carry_responses),
    "audio_transcription": (transcripts, carry_transcripts),
}
"""By call type: what finds the text of an event, and what makes an event of more text. Others stream no text."""
