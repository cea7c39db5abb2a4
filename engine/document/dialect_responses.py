"""`/v1/responses`, OpenAI's Responses API: `instructions` beside a list of items. Must not know rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from engine.document.answers import Refusal
from engine.document.assemble_responses import ResponsesAssembly
from engine.document.dialect import Assembler, Body, Piece, Said, TextChange, Texts
from engine.document.dialect_generic import Generic, joined, model_asked, openai_error, with_field
from engine.document.parts import (
    CALL,
    CONTENT,
    JSON_SCHEMA,
    PART,
    TOOLS,
    changed_messages,
    listed,
    opaque_content,
    opaque_part,
    plain_json,
    side_of,
    text_of,
)
from engine.document.replay_responses import compose, replay, response
from engine.document.sse import written
from engine.document.walks import Walk, anything, arguments, fields, items, kinds, nothing, strings, text, text_or

if TYPE_CHECKING:
    from engine.document.exchange import Exchange

_MESSAGE = fields({"content": CONTENT})
_OUTPUT = fields({"output": CONTENT})
_KINDS: dict[str, Walk] = {
    "message": _MESSAGE,
    "function_call": CALL,
    "custom_tool_call": fields({"name": text, "input": text}),
    "function_call_output": _OUTPUT,
    "custom_tool_call_output": _OUTPUT,
    "reasoning": fields({"summary": items(PART), "content": items(PART)}),
    "mcp_call": fields({"name": text, "arguments": arguments, "output": text, "error": text}),
    "item_reference": nothing,
    "compaction": nothing,
    "image_generation_call": fields({"revised_prompt": text}),
}
_KNOWN = kinds(_KINDS, anything)


def _item(value: Any, change: TextChange) -> Any:
    """An item; one without a `type` is a message."""
    return _KNOWN(value, change) if isinstance(value, dict) and "type" in value else _MESSAGE(value, change)


_REQUEST = fields(
    {
        "instructions": text,
        "input": text_or(items(_item)),
        "tools": TOOLS,
        "text": fields({"format": JSON_SCHEMA}),
        "prompt": fields({"variables": anything}),
    }
)
_ANSWER = fields({"output": items(_item)})
_CALLED = fields({"arguments": arguments, "input": text})


def _output(table: dict[str, Walk]) -> Walk:
    return fields({"output": items(kinds(table, nothing))})


_PARTS_SAID = {
    "": _ANSWER,
    "completion_text": _output({"message": _MESSAGE}),
    "reasoning_text": _output({"reasoning": _KINDS["reasoning"]}),
    "tool_text": _output({"function_call": _CALLED, "mcp_call": _CALLED, "custom_tool_call": _CALLED}),
}


class Responses(Generic):
    """System text is `instructions`, and items with the role `system` or `developer`."""

    has_assistant = True

    def __init__(self) -> None:
        super().__init__("responses", "/responses", reads=_REQUEST, says=_ANSWER)
        self._parts_said = _PARTS_SAID

    # --- the request ----------------------------------------------------------------------------------------------

    def texts(self, body: Body) -> Texts:
        instructions, given = body.get("instructions"), body.get("input")
        system = [instructions] if isinstance(instructions, str) and instructions else []
        user: list[str] = []
        last = ""
        if isinstance(given, str):
            user, last = [given] if given else [], given
        for message in _messages(given):
            said, side = text_of(message.get("content")), side_of(message.get("role"))
            if side == "system" and said:
                system.append(said)
            elif side == "user":
                last = said
                user += [said] if said else []
        return Texts("\n".join(strings(_REQUEST, body)), "\n".join(system), "\n".join(user), last)

    def opaque(self, body: Body) -> list[str]:
        found: list[str] = []
        for item in body["input"] if isinstance(body.get("input"), list) else ():
            if isinstance(item, dict):
                found += _opaque_item(item)
        prompt = body.get("prompt")
        if any(body.get(name) for name in ("previous_response_id", "conversation")) or (
            isinstance(prompt, dict) and prompt.get("id")
        ):
            found.append("reference")
        return listed([*found, *_opaque_tools(body.get("tools"))])

    def prepend_system(self, body: Body, text: str) -> Body:
        return with_field(body, "instructions", joined(text, _instructions(body)))

    def append_system(self, body: Body, text: str) -> Body:
        return with_field(body, "instructions", joined(_instructions(body), text))

    def replace_system(self, body: Body, text: str) -> Body:
        given = body.get("input")
        if isinstance(given, list) and any(_is_system(item) for item in given):
            body = with_field(body, "input", [item for item in given if not _is_system(item)])
        return with_field(body, "instructions", text)

    def add_message(self, body: Body, role: str, content: Any, at: int | None, **rest: Any) -> Body:
        given = body.get("input")
        changed = (
            [{"role": "user", "content": given}]
            if isinstance(given, str)
            else list(given)
            if isinstance(given, list)
            else []
        )
        changed.insert(len(changed) if at is None else at, _as_item({"role": role, "content": content, **rest}))
        return with_field(body, "input", changed)

    def replace_messages(self, body: Body, messages: list[Any]) -> Body:
        """As the list of a chat: its system messages become `instructions`, in place of what stood there."""
        system = [text_of(message.get("content")) for message in messages if _is_system(message)]
        changed = {name: value for name, value in body.items() if name != "instructions"}
        if system:
            changed["instructions"] = "\n\n".join(system)
        changed["input"] = [_as_item(message) for message in messages if not _is_system(message)]
        return changed

    def change_prompt(self, body: Body, change: TextChange, where: str = "prompt_text") -> Body:
        if where == "prompt_text":
            return super().change_prompt(body, change)
        if where == "system_text":
            body = _INSTRUCTIONS(body, change)
        old = body.get("input")
        user = isinstance(old, str) and where != "system_text"
        new = text(old, change) if user else changed_messages(old, change, where)
        return body if new is old else with_field(body, "input", new)

    # --- answers --------------------------------------------------------------------------------------------------

    def assistant(self, exchange: Exchange, text: str, finish: str = "stop") -> Body:
        made = response(f"resp_{exchange.id}", model_asked(exchange), int(exchange.clock.now().timestamp()), finish)
        part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        made["output"] = [
            {
                "id": f"msg_{exchange.id}",
                "type": "message",
                "role": "assistant",
                "status": made["status"],
                "content": [part],
            }
        ]
        return made

    def error_event(self, refusal: Refusal, request_id: str) -> bytes:
        """The API's own flat error, and the object that the client library raises for."""
        error = openai_error(refusal)["error"]
        told = {name: error[name] for name in ("code", "message", "param")}
        return written({"type": "error", **told, "sequence_number": 0, "error": error}, "error")

    def said(self, body: Body) -> Said:
        spoken: list[str] = []
        tools: list[str] = []
        thought: list[str] = []
        for item in body["output"] if isinstance(body.get("output"), list) else ():
            kind = item.get("type") if isinstance(item, dict) else None
            if kind == "message":
                spoken += strings(_MESSAGE, item)
            elif kind == "reasoning":
                thought += strings(_KINDS["reasoning"], item)
            elif kind in ("function_call", "mcp_call", "custom_tool_call"):
                tools += map(plain_json, strings(_GIVEN, item))
        return Said("\n".join(spoken), "\n".join(tools), "\n".join(thought))

    # --- streams --------------------------------------------------------------------------------------------------

    def assembler(self) -> Assembler:
        return ResponsesAssembly()

    def replay(self, body: Body, *, include_usage: bool) -> Iterable[bytes]:
        return replay(body)

    def compose(
        self, pieces: Iterable[Piece], *, model: str, id: str, created: int, finish: str = "stop"
    ) -> Iterator[bytes]:
        return compose(pieces, response(id, model, created, finish))


_GIVEN = fields({"arguments": text, "input": text})
_INSTRUCTIONS = fields({"instructions": text})
_PART_TYPES = {"system": "input_text", "user": "input_text", "": "output_text"}


def _as_item(message: Any) -> Any:
    """A chat's message as an item: text parts are named by who speaks."""
    parts = message.get("content") if isinstance(message, dict) else None
    if not isinstance(parts, list):
        return message
    kind = _PART_TYPES[side_of(message.get("role"))]
    return {
        **message,
        "content": [
            {**part, "type": kind} if isinstance(part, dict) and part.get("type") == "text" else part for part in parts
        ],
    }


def _instructions(body: Body) -> str:
    instructions = body.get("instructions")
    return instructions if isinstance(instructions, str) else ""


def _messages(given: Any) -> list[dict[str, Any]]:
    return (
        [item for item in given if isinstance(item, dict) and item.get("type", "message") == "message"]
        if isinstance(given, list)
        else []
    )


def _is_system(item: Any) -> bool:
    return isinstance(item, dict) and item.get("type", "message") == "message" and side_of(item.get("role")) == "system"


def is_item_reference(item: Any) -> bool:
    """Whether an item only names one that is kept upstream; its `type` may be left out."""
    if not isinstance(item, dict):
        return False
    kind = item.get("type")
    return kind == "item_reference" or (kind is None and "id" in item and item.get("content") is None)


def _opaque_item(item: dict[str, Any]) -> Iterator[str]:
    yield from opaque_content(item.get("content"))
    kind, output = item.get("type"), item.get("output")
    if kind == "computer_call_output" and isinstance(output, dict):
        yield from opaque_part(output)
    yield from opaque_content(output if isinstance(output, list) else None)
    if kind == "image_generation_call" and item.get("result"):
        yield "image"
    if is_item_reference(item):
        yield "reference"
    if item.get("encrypted_content"):
        yield "encrypted"


def _opaque_tools(tools: Any) -> Iterator[str]:
    """Tools whose words are not in the request: of a server elsewhere, or over files by their ids."""
    for tool in tools if isinstance(tools, list) else ():
        if isinstance(tool, dict):
            if tool.get("type") == "mcp":
                yield "url"
            container = tool.get("container")
            if tool.get("vector_store_ids") or (isinstance(container, dict) and container.get("file_ids")):
                yield "reference"


def kept_upstream(prompt: Any) -> dict[str, Any] | None:
    """What records say of a request's own `prompt` that names one which is kept upstream; None for any other value."""
    if not isinstance(prompt, dict) or not isinstance(prompt.get("id"), str):
        return None
    return {"source": "upstream", "id": prompt["id"], "version": prompt.get("version")}
