"""`/v1/chat/completions`: messages with roles, choices with deltas. Must not know rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from engine.document.assemble_chat import ChatAssembly
from engine.document.dialect import Assembler, Body, Piece, Said, TextChange, Texts
from engine.document.dialect_generic import Generic, model_asked, with_field
from engine.document.parts import (
    CALL,
    CALLS,
    CONTENT,
    JSON_SCHEMA,
    TOOLS,
    changed_messages,
    listed,
    opaque_content,
    plain_json,
    side_of,
    text_of,
)
from engine.document.replay_chat import Chunks, replay
from engine.document.walks import Walk, arguments, fields, items, strings, text

if TYPE_CHECKING:
    from engine.document.exchange import Exchange

NO_TOKENS = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}

_BESIDE_CONTENT: dict[str, Walk] = {
    "name": text,
    "refusal": text,
    "reasoning_content": text,
    "reasoning": text,
    "tool_calls": CALLS,
    "function_call": CALL,
}
_MESSAGE = fields({"content": CONTENT, **_BESIDE_CONTENT})
_REST_OF_MESSAGE = fields(_BESIDE_CONTENT)
_REST: dict[str, Walk] = {
    "tools": TOOLS,
    "functions": TOOLS,
    "response_format": fields({"json_schema": JSON_SCHEMA}),
    "prediction": fields({"content": CONTENT}),
    "guided_json": arguments,
}
_REQUEST = fields({"messages": items(_MESSAGE), **_REST})
_ANSWER = fields({"content": CONTENT, **_BESIDE_CONTENT, "audio": fields({"transcript": text})})


def without_logprobs(inner: Walk) -> Walk:
    """A choice by `inner`; one that changed loses its `logprobs`, which would spell out what was taken away."""

    def walk(value: Any, change: TextChange) -> Any:
        new = inner(value, change)
        return {**new, "logprobs": None} if new is not value and value.get("logprobs") is not None else new

    return walk


def _choices(message: Walk) -> Walk:
    return fields({"choices": items(without_logprobs(fields({"message": message})))})


_CHOICES = _choices(_ANSWER)
_SPOKEN = fields({"content": CONTENT, "refusal": text, "audio": fields({"transcript": text})})
_THOUGHT = fields({"reasoning_content": text, "reasoning": text})
_PARTS_SAID = {
    "": _CHOICES,
    "completion_text": _choices(_SPOKEN),
    "reasoning_text": _choices(_THOUGHT),
    "tool_text": _choices(
        fields(
            {
                "tool_calls": items(
                    fields({"function": fields({"arguments": arguments}), "custom": fields({"input": text})})
                ),
                "function_call": fields({"arguments": arguments}),
            }
        )
    ),
}


class Chat(Generic):
    """System text is messages with the role `system` or `developer`; an unknown role counts as user."""

    has_assistant = True

    def __init__(self) -> None:
        super().__init__("completion", "/chat/completions", reads=_REQUEST, says=_CHOICES)
        self._parts_said = _PARTS_SAID

    # --- the request ----------------------------------------------------------------------------------------------

    def texts(self, body: Body) -> Texts:
        """As fast as can be for plain messages: every exchange that a text rule looks at pays for it."""
        messages = body.get("messages")
        prompt: list[str] = []
        system: list[str] = []
        user: list[str] = []
        last = ""
        for message in messages if type(messages) is list else ():
            if type(message) is not dict:
                continue
            said = message.get("content")
            if type(said) is str:
                if said:
                    prompt.append(said)
                if len(message) > 2:
                    prompt += strings(_REST_OF_MESSAGE, message)
            else:
                prompt += strings(_MESSAGE, message)
                said = text_of(said)
            role = message.get("role")
            if role == "user" or side_of(role) == "user":
                last = said
                if said:
                    user.append(said)
            elif said and side_of(role) == "system":
                system.append(said)
        for name, walk in _REST.items():
            if name in body:
                prompt += strings(walk, body[name])
        return Texts("\n".join(prompt), "\n".join(system), "\n".join(user), last)

    def opaque(self, body: Body) -> list[str]:
        found: list[str] = []
        for message in _list(body.get("messages")):
            if isinstance(message, dict):
                found += opaque_content(message.get("content"))
                if isinstance(message.get("audio"), dict):
                    found += ["audio", "reference"]  # an earlier answer's sound, by its id
                found += ["encrypted"] if _is_sealed(message.get("reasoning_details")) else []
        return listed(found)

    def prepend_system(self, body: Body, text: str) -> Body:
        return _inserted(body, 0, {"role": "system", "content": text})

    def append_system(self, body: Body, text: str) -> Body:
        messages = _list(body.get("messages"))
        leading = 0
        while leading < len(messages) and _side(messages[leading]) == "system":
            leading += 1
        return _inserted(body, leading, {"role": "system", "content": text})

    def replace_system(self, body: Body, text: str) -> Body:
        rest = [message for message in _list(body.get("messages")) if _side(message) != "system"]
        return with_field(body, "messages", [{"role": "system", "content": text}, *rest])

    def add_message(self, body: Body, role: str, content: Any, at: int | None, **rest: Any) -> Body:
        return _inserted(body, at, {"role": role, "content": content, **rest})

    def replace_messages(self, body: Body, messages: list[Any]) -> Body:
        return with_field(body, "messages", list(messages))

    def change_prompt(self, body: Body, change: TextChange, where: str = "prompt_text") -> Body:
        if where == "prompt_text":
            return super().change_prompt(body, change)
        old = body.get("messages")
        new = changed_messages(old, change, where)
        return body if new is old else with_field(body, "messages", new)

    # --- answers --------------------------------------------------------------------------------------------------

    def assistant(self, exchange: Exchange, text: str, finish: str = "stop") -> Body:
        message = {"role": "assistant", "content": text, "refusal": None}
        return {
            "id": f"chatcmpl-{exchange.id}",
            "object": "chat.completion",
            "created": int(exchange.clock.now().timestamp()),
            "model": model_asked(exchange),
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
            "usage": dict(NO_TOKENS),
        }

    def said(self, body: Body) -> Said:
        messages = [choice.get("message") for choice in _list(body.get("choices")) if isinstance(choice, dict)]
        spoken: list[str] = []
        tools: list[str] = []
        thought: list[str] = []
        for message in messages:
            if isinstance(message, dict):
                spoken += strings(_SPOKEN, message)
                tools += map(plain_json, strings(_ARGUMENTS, message))
                thought += strings(_THOUGHT, message)[:1]  # some servers tell it twice, under both names
        return Said("\n".join(spoken), "\n".join(tools), "\n".join(thought))

    # --- streams --------------------------------------------------------------------------------------------------

    def assembler(self) -> Assembler:
        return ChatAssembly()

    def replay(self, body: Body, *, include_usage: bool) -> Iterable[bytes]:
        return replay(body, include_usage=include_usage, text=False)

    def compose(
        self, pieces: Iterable[Piece], *, model: str, id: str, created: int, finish: str = "stop"
    ) -> Iterator[bytes]:
        head = {"id": id, "object": "chat.completion.chunk", "created": created, "model": model}
        return Chunks(head, finish, text=False).of(pieces)


_CALLED = fields({"arguments": text})
_ARGUMENTS = fields(
    {"tool_calls": items(fields({"function": _CALLED, "custom": fields({"input": text})})), "function_call": _CALLED}
)


def _side(message: Any) -> str:
    return side_of(message.get("role")) if isinstance(message, dict) else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _inserted(body: Body, at: int | None, message: dict[str, Any]) -> Body:
    messages = list(_list(body.get("messages")))
    messages.insert(len(messages) if at is None else at, message)
    return with_field(body, "messages", messages)


def _is_sealed(details: Any) -> bool:
    return any(isinstance(each, dict) and each.get("type") == "reasoning.encrypted" for each in _list(details))
