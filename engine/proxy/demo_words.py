"""What the demo upstream says: its words, its tool calls, its vectors and verdicts. Must not know the wire."""

from __future__ import annotations

import base64
import hashlib
import re
import struct
from typing import Any

import msgspec

from engine.document.answers import Refusal, Refused
from engine.document.dialect import Body, Dialect, Piece
from engine.document.parts import CONTENT, text_of
from engine.document.walks import strings

DIMENSIONS = 64
MOST_DIMENSIONS = 4096
MOST_CHOICES = 16
UNSAFE = "unsafe"  # the word that the demo's moderation flags

_WORD = re.compile(r"\S+\s*|\s+")
_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_SHOWN = frozenset(
    {"model", "messages", "prompt", "input", "system", "instructions", "tools", "stream", "stream_options", "functions"}
)


def tokens(text: str) -> int:
    """An estimate: UTF-8 bytes / 4, rounded up."""
    return (len(text.encode("utf-8", "replace")) + 3) // 4


def answer(body: Body, dialect: Dialect, model: str) -> tuple[list[Piece], str]:
    """Pieces of an answer, and why it ends: `stop`, or `length` when an output limit cut it."""
    choices = min(_whole_number(body.get("n")) or 1, MOST_CHOICES)
    call = _tool_call(body, dialect)
    if call is not None:
        return [Piece(choice=choice, tool=0, name=call[0], arguments=call[1]) for choice in range(choices)], "stop"
    heard = dialect.texts(body)
    prompts = [heard.last_user]
    prompt = body.get("prompt")
    if dialect.call_type == "text_completion" and isinstance(prompt, list):
        prompts = [each for each in prompt if isinstance(each, str)] or [heard.last_user]
    if dialect.call_type in ("responses", "messages"):
        choices = 1  # these have no `n`
    limit = min((number for name in _LIMITS if (number := _whole_number(body.get(name)))), default=None)
    pieces: list[Piece] = []
    finish = "stop"
    for number, said in enumerate(prompts * choices):
        spoken = _WORD.findall(sentence(body, model, said, heard.system))
        if limit is not None and len(spoken) > limit:
            spoken, finish = spoken[:limit], "length"
        pieces += (Piece(text=word, choice=number) for word in spoken)
    return pieces, finish


def sentence(body: Body, model: str, heard: str, system: str) -> str:
    """One line that shows what reached the model."""
    parts = [f"{model} heard: {heard or '(nothing from a user)'}"]
    if system:
        parts.append(f"system: {system}")
    messages = body.get("messages", body.get("input"))
    if isinstance(messages, list):
        parts.append(f"messages: {len(messages)}")
        result = _tool_result(messages[-1]) if messages else None
        if result is not None:
            parts.append(f"the tool said: {result}")
    also = [f"{name}={_brief(value)}" for name, value in body.items() if name not in _SHOWN]
    if also:
        parts.append("also: " + ", ".join(also))
    return " | ".join(parts)


def _brief(value: Any) -> str:
    if isinstance(value, dict | list):
        return "{…}" if isinstance(value, dict) else "[…]"
    shown = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return shown if len(shown) <= 40 else shown[:39] + "…"


def _whole_number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


# --- tools ------------------------------------------------------------------------------------------------------------


def _tool_call(body: Body, dialect: Dialect) -> tuple[str, str] | None:
    """Name and arguments of the tool that the user asked for by its name, unless its result is there already."""
    messages = body.get("messages", body.get("input"))
    if isinstance(messages, list) and messages and _tool_result(messages[-1]) is not None:
        return None
    if body.get("tool_choice") == "none":
        return None
    asked = dialect.texts(body).last_user.lower()
    tools = body.get("tools")
    for tool in tools if isinstance(tools, list) else ():
        told = tool.get("function", tool) if isinstance(tool, dict) else None
        name = told.get("name") if isinstance(told, dict) else None
        if isinstance(told, dict) and isinstance(name, str) and name and name.lower() in asked:
            return name, _example_of(told.get("parameters", told.get("input_schema")))
    return None


def _tool_result(message: Any) -> str | None:
    """What a tool said, if that is what a message is."""
    if not isinstance(message, dict):
        return None
    if message.get("role") == "tool":
        return text_of(message.get("content"))
    if message.get("type") == "function_call_output":
        return text_of(message.get("output"))
    content = message.get("content")
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict) and part.get("type") == "tool_result":
            return text_of(part.get("content"))
    return None


def _example_of(schema: Any) -> str:
    """Arguments that fit a schema's properties, as JSON text."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    made = {name: _example(kind) for name, kind in properties.items()} if isinstance(properties, dict) else {}
    return msgspec.json.encode(made).decode()


def _example(kind: Any) -> Any:
    if not isinstance(kind, dict):
        return "demo"
    values = kind.get("enum")
    if isinstance(values, list) and values:
        return values[0]
    sort = kind.get("type")
    samples: dict[str, Any] = {"integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}, "null": None}
    return samples.get(sort, "demo") if isinstance(sort, str) else "demo"


# --- vectors and verdicts ---------------------------------------------------------------------------------------------


def embeddings(body: Body, model: str) -> Body:
    """One vector for each input, made of its text alone: the same text always has the same vector."""
    given = body["input"]
    inputs = [given] if isinstance(given, str) or _is_ids(given) else given
    if not isinstance(inputs, list) or not inputs or not all(isinstance(each, str) or _is_ids(each) for each in inputs):
        raise Refused(
            Refusal(400, "`input` must be a text, a list of texts, or token ids", param="input", code="wrong_type")
        )
    dimensions = min(_whole_number(body.get("dimensions")) or DIMENSIONS, MOST_DIMENSIONS)
    packed = body.get("encoding_format") == "base64"
    used = sum(tokens(each) if isinstance(each, str) else len(each) for each in inputs)
    return {
        "object": "list",
        "model": model,
        "data": [
            {"object": "embedding", "index": index, "embedding": _packed(vector) if packed else vector}
            for index, vector in enumerate(_vector(each, dimensions) for each in inputs)
        ],
        "usage": {"prompt_tokens": used, "total_tokens": used},
    }


def _vector(given: Any, dimensions: int) -> list[float]:
    """A vector of length one; what looks random in it is a hash of the text."""
    text = given if isinstance(given, str) else repr(given)
    noise = hashlib.shake_256(text.encode("utf-8", "replace")).digest(4 * dimensions)
    raw = [number / 2**31 - 1 for number in struct.unpack(f"<{dimensions}I", noise)]
    length = sum(value * value for value in raw) ** 0.5 or 1.0
    return list(struct.unpack(f"<{dimensions}f", struct.pack(f"<{dimensions}f", *(value / length for value in raw))))


def _packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _is_ids(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(each, int) and not isinstance(each, bool) for each in value)
    )


def moderation(body: Body, id: str, model: str) -> Body:
    """A verdict for each input: flagged when it contains the word `unsafe`."""
    given = body["input"]
    inputs = given if isinstance(given, list) and all(isinstance(each, str) for each in given) else [given]
    verdicts = []
    for each in inputs:
        flagged = UNSAFE in " ".join(strings(CONTENT, each)).lower()
        verdicts.append(
            {
                "flagged": flagged,
                "categories": {"harassment": False, "violence": flagged},
                "category_scores": {"harassment": 0.0, "violence": 1.0 if flagged else 0.0},
                "category_applied_input_types": {"harassment": ["text"], "violence": ["text"]},
            }
        )
    return {"id": id, "model": model, "results": verdicts}
