"""Where each dialect keeps growing text in the events of a stream, and how more of it is written there.

Must not know rules or how events are read.
"""

from __future__ import annotations

from typing import Any

from engine.document.assemble import index_of
from engine.document.dialect import Body
from engine.document.stream_slots import COMPLETION, REASONING, TOOL, Carry, Channel, Event, Path, Slot, Take, strings

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
            if isinstance(part, int) and isinstance(value, dict) and type(value.get("index")) is int
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
