"""`/v1/messages`, Anthropic's API: a `system` beside the messages, blocks of content. Must not know rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from engine.document.answers import Refusal, type_by_status
from engine.document.assemble_messages import MessagesAssembly
from engine.document.dialect import Assembler, Body, Piece, Said, TextChange, Texts
from engine.document.dialect_generic import Generic, joined, model_asked, with_field
from engine.document.parts import (
    CONTENT,
    PART,
    SPOKEN,
    TOOLS,
    changed_messages,
    listed,
    only_results,
    opaque_content,
    side_of,
    text_of,
    texts_of,
)
from engine.document.replay_messages import compose, replay, stop_reason
from engine.document.sse import written
from engine.document.walks import Walk, arguments, fields, items, kinds, nothing, schema, strings, text

if TYPE_CHECKING:
    from engine.document.exchange import Exchange

_FORMAT = fields({"schema": schema})
_REQUEST = fields(
    {
        "system": CONTENT,
        "messages": items(fields({"content": CONTENT})),
        "tools": TOOLS,
        "output_format": _FORMAT,
        "output_config": fields({"format": _FORMAT}),
        "mcp_servers": items(fields({"name": text})),
    }
)
_SYSTEM = fields({"system": SPOKEN})
_ANSWER = fields({"content": CONTENT})
_CALLED = fields({"input": arguments})


def _blocks(block: Walk) -> Walk:
    return fields({"content": items(block)})


_PARTS_SAID = {
    "": _ANSWER,
    "completion_text": _blocks(kinds({"text": PART}, nothing)),
    "reasoning_text": _blocks(kinds({"thinking": PART}, nothing)),
    "tool_text": _blocks(kinds({"tool_use": _CALLED, "server_tool_use": _CALLED, "mcp_tool_use": _CALLED}, nothing)),
}


class Messages(Generic):
    """System text is `system`, a text or blocks. Tool results stand in user messages and are not the user's words.

    `counts`: the endpoint that counts the tokens of such a request; it has no assistant.
    """

    def __init__(self, *, counts: bool = False) -> None:
        path = "/messages/count_tokens" if counts else "/messages"
        super().__init__("messages", path, reads=_REQUEST, says=_ANSWER)
        self._parts_said = _PARTS_SAID
        self.has_assistant = not counts

    # --- the request ----------------------------------------------------------------------------------------------

    def texts(self, body: Body) -> Texts:
        system = texts_of(body.get("system"))
        user: list[str] = []
        last = ""
        for message in _messages(body):
            said = text_of(message.get("content"))
            side = side_of(message.get("role"))
            if side == "system" and said:
                system.append(said)
            elif side == "user" and not only_results(message.get("content")):
                last = said
                user += [said] if said else []
        return Texts("\n".join(strings(_REQUEST, body)), "\n".join(system), "\n".join(user), last)

    def opaque(self, body: Body) -> list[str]:
        found = list(opaque_content(body.get("system")))
        for message in _messages(body):
            found += opaque_content(message.get("content"))
        if body.get("container"):
            found.append("reference")
        if body.get("mcp_servers"):
            found.append("url")  # whose tools the model reads, and no rule
        return listed(found)

    def prepend_system(self, body: Body, text: str) -> Body:
        system = body.get("system")
        if isinstance(system, list):
            return with_field(body, "system", [_block(text), *system])
        return with_field(body, "system", joined(text, system if isinstance(system, str) else ""))

    def append_system(self, body: Body, text: str) -> Body:
        system = body.get("system")
        if isinstance(system, list):
            return with_field(body, "system", [*system, _block(text)])
        return with_field(body, "system", joined(system if isinstance(system, str) else "", text))

    def replace_system(self, body: Body, text: str) -> Body:
        messages = body.get("messages")
        if isinstance(messages, list) and any(_is_system(message) for message in messages):
            body = with_field(body, "messages", [message for message in messages if not _is_system(message)])
        return with_field(body, "system", text)

    def add_message(self, body: Body, role: str, content: Any, at: int | None, **rest: Any) -> Body:
        if side_of(role) == "system":
            said = text_of(content)
            return self.prepend_system(body, said) if at == 0 else self.append_system(body, said)
        messages = body.get("messages")
        changed = list(messages) if isinstance(messages, list) else []
        changed.insert(len(changed) if at is None else at, {"role": role, "content": content, **rest})
        return with_field(body, "messages", changed)

    def replace_messages(self, body: Body, messages: list[Any]) -> Body:
        """As the list of a chat: its system messages become `system`, in place of what stood there."""
        system = [text_of(message.get("content")) for message in messages if _is_system(message)]
        changed = {name: value for name, value in body.items() if name != "system"}
        if system:
            changed["system"] = "\n\n".join(system)
        changed["messages"] = [message for message in messages if not _is_system(message)]
        return changed

    def change_prompt(self, body: Body, change: TextChange, where: str = "prompt_text") -> Body:
        if where == "prompt_text":
            return super().change_prompt(body, change)
        if where == "system_text":
            body = _SYSTEM(body, change)
        old = body.get("messages")
        new = changed_messages(old, change, where)
        return body if new is old else with_field(body, "messages", new)

    # --- answers --------------------------------------------------------------------------------------------------

    def assistant(self, exchange: Exchange, text: str, finish: str = "stop") -> Body:
        if not self.has_assistant:
            return super().assistant(exchange, text, finish)
        return {
            "id": f"msg_{exchange.id}",
            "type": "message",
            "role": "assistant",
            "model": model_asked(exchange),
            "content": [_block(text)],
            "stop_reason": stop_reason(finish),
            "stop_sequence": None,
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }

    def error(self, refusal: Refusal, request_id: str) -> Body:
        told = {"type": refusal.type or type_by_status(refusal.status), "message": refusal.message}
        return {"type": "error", "error": told, "request_id": request_id}

    def error_event(self, refusal: Refusal, request_id: str) -> bytes:
        return written(self.error(refusal, request_id), "error")

    def said(self, body: Body) -> Said:
        blocks = body.get("content")
        spoken, tools, thought = [], [], []
        for block in blocks if isinstance(blocks, list) else ():
            if isinstance(block, dict):
                spoken += [block["text"]] if isinstance(block.get("text"), str) else []
                thought += [block["thinking"]] if isinstance(block.get("thinking"), str) else []
                tools += _arguments(block)
        return Said("\n".join(spoken), "\n".join(tools), "\n".join(thought))

    # --- streams --------------------------------------------------------------------------------------------------

    def assembler(self) -> Assembler:
        return MessagesAssembly()

    def replay(self, body: Body, *, include_usage: bool) -> Iterable[bytes]:
        return replay(body)

    def compose(
        self, pieces: Iterable[Piece], *, model: str, id: str, created: int, finish: str = "stop"
    ) -> Iterator[bytes]:
        return compose(pieces, model, id, finish)


def _arguments(block: dict[str, Any]) -> list[str]:
    """The input of a tool's call as JSON text; the raw text where a stream broke off within it."""
    kind = block.get("type")
    if not isinstance(kind, str) or not kind.endswith("tool_use") or "input" not in block:
        return []
    given = block["input"]
    return [given if isinstance(given, str) else msgspec.json.encode(given).decode()]


def _block(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _messages(body: Body) -> list[dict[str, Any]]:
    messages = body.get("messages")
    return [message for message in messages if isinstance(message, dict)] if isinstance(messages, list) else []


def _is_system(message: Any) -> bool:
    return isinstance(message, dict) and side_of(message.get("role")) == "system"
