"""Parts of messages, whatever API they are of, in the form of OpenTelemetry's GenAI conventions.

What the conventions have no form for stays as it is: a part of any other type may have any fields. Must not know
messages.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

Part = dict[str, Any]

_TEXTS = {
    "text": ("text", "text"),
    "input_text": ("text", "text"),
    "output_text": ("text", "text"),
    "thinking": ("reasoning", "thinking"),
    "reasoning_text": ("reasoning", "text"),
    "summary_text": ("reasoning", "text"),
}  # the part that a type is, and where its text stands
_MODALITIES = ("image", "audio", "video")


def parts_of(content: Any) -> list[Part]:
    """The parts of a content: a text, a list of texts and parts, or one part."""
    found: list[Part] = []
    for item in content if isinstance(content, list) else [content]:
        if isinstance(item, str) and item:
            found.append(text_part(item))
        elif isinstance(item, dict):
            found.append(_part(item))
    return found


def text_part(text: str) -> Part:
    """A text."""
    return {"type": "text", "content": text}


def reasoning_part(text: str) -> Part:
    """What a model thought."""
    return {"type": "reasoning", "content": text}


def call_part(id: Any, name: Any, given: Any) -> Part:
    """A call of a tool; arguments that are JSON as text are read."""
    if isinstance(given, str):
        with suppress(ValueError, RecursionError):  # a stream that broke off within them, or a tool that takes a text
            given = json.loads(given)
    return {"type": "tool_call", "id": id, "name": str(name), "arguments": given}


def result_part(id: Any, result: Any) -> Part:
    """What a tool gave."""
    return {"type": "tool_call_response", "id": id, "response": result}


def _part(part: dict[str, Any]) -> Part:
    kind = str(part.get("type", "text"))
    if kind in _TEXTS:
        name, where = _TEXTS[kind]
        return {"type": name, "content": _text(part.get(where))}
    made = _MADE[kind](part) if kind in _MADE else None
    return made if made is not None else {**part, "type": kind}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _linked(url: Any, modality: str) -> Part | None:
    """What stands behind an address; a `data:` address is the bytes themselves."""
    if not isinstance(url, str):
        return None
    if not url.startswith("data:"):
        return {"type": "uri", "modality": modality, "uri": url}
    kind, _, content = url[5:].partition(",")
    return _blob(content, kind.partition(";")[0], modality)


def _blob(content: Any, mime_type: Any, otherwise: str = "document") -> Part:
    mime_type = _text(mime_type)
    modality = next((name for name in _MODALITIES if mime_type.startswith(f"{name}/")), otherwise)
    return {"type": "blob", "mime_type": mime_type or None, "modality": modality, "content": _text(content)}


def _file(id: Any, modality: str) -> Part | None:
    return {"type": "file", "modality": modality, "file_id": id} if isinstance(id, str) else None


def _image_url(part: dict[str, Any]) -> Part | None:
    """`image_url` of chat, `input_image` of the Responses API: its `image_url` is an object there, a text here."""
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, dict) else image
    return _linked(url, "image") or _file(part.get("file_id"), "image")


def _input_audio(part: dict[str, Any]) -> Part | None:
    audio = part.get("input_audio")
    if not isinstance(audio, dict):
        return None
    return _blob(audio.get("data"), f"audio/{audio.get('format') or 'wav'}")


def _input_file(part: dict[str, Any]) -> Part | None:
    """`file` of chat keeps in an inner object what `input_file` of the Responses API has itself."""
    file = part["file"] if isinstance(part.get("file"), dict) else part
    return (
        _file(file.get("file_id"), "document")
        or _linked(file.get("file_data"), "document")
        or _linked(file.get("file_url"), "document")
    )


def _source(modality: str) -> Callable[[dict[str, Any]], Part | None]:
    """`image` and `document` of Anthropic's API."""

    def made(part: dict[str, Any]) -> Part | None:
        source = part.get("source")
        if not isinstance(source, dict):
            return None
        if source.get("type") == "base64":
            return _blob(source.get("data"), source.get("media_type"), modality)
        return _linked(source.get("url"), modality) or _file(source.get("file_id"), modality)

    return made


_MADE: dict[str, Callable[[dict[str, Any]], Part | None]] = {
    "image_url": _image_url,
    "input_image": _image_url,
    "input_audio": _input_audio,
    "file": _input_file,
    "input_file": _input_file,
    "image": _source("image"),
    "document": _source("document"),
    "tool_use": lambda part: call_part(part.get("id"), part.get("name"), part.get("input")),
    "tool_result": lambda part: result_part(part.get("tool_use_id"), part.get("content")),
}


def tool_calls(message: dict[str, Any]) -> Iterator[Part]:
    """The calls that a message of a chat carries beside its content."""
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        if isinstance(call, dict):
            inner = call.get("function") or call.get("custom")
            inner = inner if isinstance(inner, dict) else {}
            yield call_part(call.get("id"), inner.get("name"), inner.get("arguments", inner.get("input")))
    old = message.get("function_call")
    if isinstance(old, dict):
        yield call_part(None, old.get("name"), old.get("arguments"))
