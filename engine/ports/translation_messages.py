"""Clients of Anthropic's messages at an upstream that has only chat completions.

The translator does the words. Here stands what it would lose: put back where it can be, refused where it cannot. Must
not know HTTP or rules.
"""

from __future__ import annotations

from typing import Any

from engine.document.dialect import Body
from engine.ports.rosetta import CHAT, MESSAGES, Rosetta
from engine.ports.translation import (
    Events,
    Untranslatable,
    UpstreamTold,
    check_choice,
    check_fields,
    check_pairs,
    listed,
    refuse,
)
from engine.ports.translation_chat import is_object
from engine.ports.translation_streams import MessagesEvents
from engine.ports.translation_usage import messages_usage

_TRANSLATED = frozenset(
    ["model", "messages", "max_tokens", "tool_choice", "stop_sequences", "stream", "temperature", "top_p"]
)
_OURS = frozenset(("system", "tools", "metadata", "thinking", "output_config", "output_format"))
_NO_EFFECT = frozenset(("service_tier", "cache_control"))  # on what is answered
_FIELDS = _TRANSLATED | _OURS | _NO_EFFECT
_OF_TOOL = frozenset(
    ("type", "name", "description", "input_schema", "strict", "cache_control", "eager_input_streaming")
)
_OF_BLOCK = {
    "text": frozenset(("type", "text", "cache_control", "citations")),
    "image": frozenset(("type", "source", "cache_control")),
    "tool_use": frozenset(("type", "id", "name", "input", "cache_control", "caller")),
    "tool_result": frozenset(("type", "tool_use_id", "content", "is_error", "cache_control")),
}
_THOUGHTS = ("thinking", "redacted_thinking")  # of turns that are over; no other model can read them
_EFFORTS = ((4096, "low"), (16384, "medium"))  # tokens for thoughts, and the effort up to them
_FINISH = {"content_filter": "refusal"}  # where the translator says `end_turn`


class MessagesToChat:
    """From messages to chat completions, and back."""

    path = "/chat/completions"

    def __init__(self) -> None:
        self._there = Rosetta(MESSAGES, CHAT)
        self._back = Rosetta(CHAT, MESSAGES)

    def request(self, body: Body) -> Body:
        given = check_choice(check_fields(body, _FIELDS), ("auto", "none", "any", "tool"))
        tools = [_tool(tool, f"tools[{at}].") for at, tool in enumerate(listed(given.get("tools", []), "tools"))]
        plain = {name: value for name, value in given.items() if name in _TRANSLATED}
        plain["messages"] = _messages(listed(given.get("messages", []), "messages"))
        if tools:  # the translator's cleaning of schemas loses properties; those go around it
            plain["tools"] = [{"name": tool["function"]["name"], "input_schema": {}} for tool in tools]
        told = self._there.request(plain)
        if tools:
            told["tools"] = tools
        system = _system(given.get("system"))
        messages = [_flat(message) for message in told["messages"]]
        told["messages"] = [*([{"role": "system", "content": system}] if system else []), *messages]
        if given.get("stream") is True:
            told["stream_options"] = {"include_usage": True}
        return {**told, **_added(given)}

    def answer(self, body: Body) -> Body:
        choices = body.get("choices")
        if not choices and body.get("error") is not None:
            raise UpstreamTold(body)
        choice = choices[0] if isinstance(choices, list) and choices else {}
        message = choice.get("message")
        if not isinstance(message, dict):
            raise Untranslatable("the answer has no message")
        for call in message.get("tool_calls") or ():
            function = call.get("function") or {}
            if not is_object(function.get("arguments") or "{}"):
                raise Untranslatable("the arguments of a tool call are no JSON object")
        told = self._back.answer({**body, "choices": [choice]})
        told["stop_reason"] = _FINISH.get(choice.get("finish_reason") or "", told["stop_reason"])
        blocks = [_signed(block) for block in told["content"]]
        return {**told, "content": blocks, "usage": messages_usage(body.get("usage"))}

    def events(self, asked: Body) -> Events:
        return MessagesEvents(self._back.stream(), _FINISH, str(asked.get("model")))


def _signed(block: Body) -> Body:
    """A thought with the signature that its type has, empty as nobody signed it."""
    return {"signature": "", **block} if block.get("type") == "thinking" else block


def _tool(tool: Body, place: str) -> Body:
    if tool.get("type", "custom") not in ("custom", None):
        refuse(f"`{place}type` {tool['type']!r}", f"{place}type")
    spoken = check_fields(tool, _OF_TOOL, place)
    function = {"name": spoken.get("name"), "parameters": spoken.get("input_schema", {})}
    for name in ("description", "strict"):
        if name in spoken:
            function[name] = spoken[name]
    return {"type": "function", "function": function}


def _system(system: Any) -> str:
    if system is None or isinstance(system, str):
        return system or ""
    texts = []
    for at, block in enumerate(listed(system, "system")):
        if block.get("type") != "text":
            refuse(f"`system[{at}].type` {block.get('type')!r}", f"system[{at}].type")
        texts.append(str(block.get("text", "")))
    return "\n\n".join(text for text in texts if text)


def _messages(messages: list[Body]) -> list[Body]:
    calls: list[str] = []
    results: list[str] = []
    spoken = []
    for at, message in enumerate(messages):
        place = f"messages[{at}]."
        given = check_fields(message, frozenset(("role", "content")), place)
        if given.get("role") not in ("user", "assistant"):
            refuse(f"`{place}role` {given.get('role')!r}", f"{place}role")
        content = given.get("content", "")
        if not isinstance(content, str):
            content = _blocks(listed(content, f"{place}content"), f"{place}content")
            content = _merged(content) if given["role"] == "assistant" else content
            calls += [block["id"] for block in content if block["type"] == "tool_use"]
            results += [block["tool_use_id"] for block in content if block["type"] == "tool_result"]
        spoken.append({"role": given["role"], "content": content})
    check_pairs(calls, results)
    if spoken and spoken[-1]["role"] == "assistant":
        raise Untranslatable(
            "`messages` ends with the assistant's, which the upstream would not go on writing", "messages"
        )
    return spoken


def _blocks(blocks: list[Body], place: str) -> list[Body]:
    """Blocks in words that the translator has, without thoughts."""
    return [_block(block, f"{place}[{at}].") for at, block in enumerate(blocks) if block.get("type") not in _THOUGHTS]


def _merged(blocks: list[Body]) -> list[Body]:
    """Blocks in which texts that follow each other are one, as the translator would put spaces between them."""
    merged: list[Body] = []
    for block in blocks:
        if merged and block["type"] == merged[-1]["type"] == "text":
            merged[-1] = {"type": "text", "text": merged[-1]["text"] + block["text"]}
        else:
            merged.append(block)
    return merged


def _block(block: Body, place: str) -> Body:
    kind = str(block.get("type"))
    if kind not in _OF_BLOCK:
        refuse(f"`{place}type` {kind!r}", f"{place}type")
    spoken = check_fields(block, _OF_BLOCK[kind], place)
    match kind:
        case "text":
            return {"type": "text", "text": str(spoken.get("text", ""))}
        case "image":
            source = spoken.get("source")
            if not isinstance(source, dict) or source.get("type") not in ("base64", "url"):
                refuse(f"`{place}source` of this type", f"{place}source")
        case "tool_use":
            return {
                "type": kind,
                "id": str(spoken.get("id")),
                "name": spoken.get("name"),
                "input": spoken.get("input", {}),
            }
        case "tool_result":
            return _result(spoken, place)
    return spoken


def _result(block: Body, place: str) -> Body:
    """The result of a tool; that it is an error is said in words, as chat completions have no other way."""
    content = block.get("content", "")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else listed(content, f"{place}content")
    parts = _blocks(parts, f"{place}content")
    if block.get("is_error") is True:
        parts = _merged([{"type": "text", "text": "Error: "}, *parts[:1]]) + parts[1:]
    plain = len(parts) == 1 and parts[0]["type"] == "text"
    result = parts[0]["text"] if plain else parts or ""
    return {"type": "tool_result", "tool_use_id": str(block.get("tool_use_id")), "content": result}


def _flat(message: Body) -> Body:
    """A message without members that say nothing, which some upstreams refuse."""
    return {name: value for name, value in message.items() if value is not None or name == "content"}


def _added(given: Body) -> Body:
    """What the translator has no place for, in the upstream's words."""
    added: Body = {}
    metadata = given.get("metadata")
    if isinstance(metadata, dict) and metadata.get("user_id") is not None:
        added["user"] = metadata["user_id"]
    config = check_fields(given.get("output_config") or {}, frozenset(("effort", "format")), "output_config.")
    form = config.get("format", given.get("output_format"))
    if form is not None:
        named = {"name": "answer", "schema": form.get("schema", {}), "strict": True}
        added["response_format"] = {"type": "json_schema", "json_schema": named}
    effort = _effort(given.get("thinking"), config.get("effort"))
    if effort is not None:
        added["reasoning_effort"] = effort
    return added


def _effort(thinking: Any, effort: Any) -> Any:
    """How hard to think: as told, or what comes nearest to the tokens that are there for it."""
    if effort is not None:
        return "xhigh" if effort == "max" else effort
    if not isinstance(thinking, dict) or thinking.get("type") != "enabled":
        return None
    budget = thinking.get("budget_tokens")
    return next((word for most, word in _EFFORTS if isinstance(budget, int) and budget <= most), "high")
