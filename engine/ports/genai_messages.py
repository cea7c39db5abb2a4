"""The bodies of requests and answers as messages in the form of OpenTelemetry's GenAI conventions.

Bodies are whatever a client or an upstream sent: what is not of the expected shape is left out. Must not know spans.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.ports.genai_parts import Part, call_part, parts_of, reasoning_part, result_part, text_part, tool_calls

Message = dict[str, Any]

_FINISHED = {
    "stop": "stop",
    "completed": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_calls": "tool_call",
    "function_call": "tool_call",
    "tool_use": "tool_call",
    "content_filter": "content_filter",
    "refusal": "content_filter",
}


def input_messages(call_type: str, body: Any) -> list[Message]:
    """What the model was given to read, but for instructions that stand beside the messages."""
    if not isinstance(body, dict):
        return []
    if call_type in ("completion", "messages"):
        return [_message(message) for message in _objects(body.get("messages"))]
    if call_type == "responses":
        given = body.get("input")
        if isinstance(given, str):
            return [{"role": "user", "parts": [text_part(given)]}]
        return [_item(item) for item in _objects(given)]
    prompt = body.get("prompt")
    texts = [prompt] if isinstance(prompt, str) else prompt if isinstance(prompt, list) else []
    parts = [text_part(text) for text in texts if isinstance(text, str)]
    return [{"role": "user", "parts": parts}] if parts else []


def system_instructions(call_type: str, body: Any) -> list[Part]:
    """Instructions that stand beside the messages; system messages of a chat stay among them."""
    if not isinstance(body, dict):
        return []
    where = {"messages": "system", "responses": "instructions"}.get(call_type)
    return parts_of(body.get(where)) if where is not None else []


def output_messages(call_type: str, body: Any) -> list[Message]:
    """What the model said: one message for each choice."""
    if not isinstance(body, dict):
        return []
    if call_type == "messages":
        return [_said(parts_of(body.get("content")), body.get("stop_reason"))] if "content" in body else []
    if call_type == "responses":
        return _responses(body)
    return list(_choices(body))


def _choices(body: dict[str, Any]) -> Iterator[Message]:
    for choice in _objects(body.get("choices")):
        reason, message = choice.get("finish_reason"), choice.get("message")
        if isinstance(message, dict):
            yield _said(_message(message)["parts"], reason)
        elif isinstance(choice.get("text"), str):
            yield _said([text_part(choice["text"])], reason)


def _responses(body: dict[str, Any]) -> list[Message]:
    """One choice, whose parts are spread over items."""
    items = _objects(body.get("output"))
    if not items:
        return []
    details = body.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else body.get("status")
    return [_said([part for item in items for part in _item(item)["parts"]], reason)]


def _said(parts: list[Part], reason: Any) -> Message:
    known = _FINISHED.get(reason, reason) if isinstance(reason, str) else "error"
    if known == "stop" and any(part["type"] == "tool_call" for part in parts):
        known = "tool_call"
    return {"role": "assistant", "parts": parts, "finish_reason": known}


def _message(message: dict[str, Any]) -> Message:
    """A message of a chat or of Anthropic's API; what a tool gave is a part of the message that brings it."""
    role = str(message.get("role", "user"))
    if role in ("tool", "function"):
        parts = [result_part(message.get("tool_call_id"), message.get("content"))]
    else:
        thought = message.get("reasoning_content") or message.get("reasoning")
        parts = [reasoning_part(thought)] if isinstance(thought, str) else []
        parts += parts_of(message.get("content"))
        parts += [text_part(message["refusal"])] if isinstance(message.get("refusal"), str) else []
        parts += tool_calls(message)
    named = {"name": message["name"]} if isinstance(message.get("name"), str) else {}
    return {"role": role, "parts": parts, **named}


def _item(item: dict[str, Any]) -> Message:
    """An item of the Responses API; one without a `type` is a message."""
    kind = item.get("type", "message")
    if kind == "message":
        return {"role": str(item.get("role", "user")), "parts": parts_of(item.get("content"))}
    if kind in ("function_call", "custom_tool_call"):
        given = item.get("arguments", item.get("input"))
        return {"role": "assistant", "parts": [call_part(item.get("call_id"), item.get("name"), given)]}
    if kind in ("function_call_output", "custom_tool_call_output"):
        return {"role": "tool", "parts": [result_part(item.get("call_id"), item.get("output"))]}
    if kind == "reasoning":
        thought = [*_objects(item.get("summary")), *_objects(item.get("content"))]
        return {"role": "assistant", "parts": parts_of(thought)}
    return {"role": "assistant", "parts": [{**item, "type": str(kind)}]}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
