"""Clients of chat completions at an upstream that has only Anthropic's messages.

The translator does the words. Here stands what it would lose: put back where it can be, refused where it cannot. Must
not know HTTP or rules.
"""

from __future__ import annotations

import json
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
from engine.ports.translation_streams import ChatEvents
from engine.ports.translation_usage import chat_usage

_TRANSLATED = frozenset(
    [
        "model",
        "messages",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "stop",
        "temperature",
        "top_p",
        "stream",
        "max_tokens",
        "max_completion_tokens",
        "reasoning_effort",
    ]
)
_OURS = frozenset(("response_format", "user", "safety_identifier", "top_k", "thinking"))
_NO_EFFECT = frozenset(  # on what is answered
    ["stream_options", "store", "metadata", "service_tier", "prompt_cache_key", "prompt_cache_retention"]
)
_AS_GOOD_AS_ABSENT: dict[str, Any] = {
    "n": 1,
    "logprobs": False,
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "logit_bias": {},
    "modalities": ["text"],
    "functions": [],
}
_FIELDS = _TRANSLATED | _OURS | _NO_EFFECT
_OF_MESSAGE = frozenset(
    ["role", "content", "tool_calls", "tool_call_id", "refusal", "reasoning_content", "annotations"]
)
_OF_TOOL = frozenset(("type", "function", "cache_control"))
_OF_FUNCTION = frozenset(("name", "description", "parameters", "strict"))
_SYSTEM = ("system", "developer")
_PARTS = {"text": frozenset(("type", "text", "cache_control")), "image_url": frozenset(("type", "image_url"))}
FINISH = {"refusal": "content_filter", "model_context_window_exceeded": "length"}  # where the translator says `stop`
_BLOCKS = ("text", "thinking", "redacted_thinking", "tool_use")


class ChatToMessages:
    """From chat completions to messages, and back."""

    path = "/messages"

    def __init__(self) -> None:
        self._there = Rosetta(CHAT, MESSAGES)
        self._back = Rosetta(MESSAGES, CHAT)

    def request(self, body: Body) -> Body:
        given = {name: value for name, value in body.items() if _AS_GOOD_AS_ABSENT.get(name, body) != value}
        given = check_choice(check_fields(given, _FIELDS), ("auto", "none", "required", "function"))
        _check_numbers(given)
        tools = [_tool(tool, f"tools[{at}].") for at, tool in enumerate(listed(given.get("tools", []), "tools"))]
        plain = {name: value for name, value in given.items() if name in _TRANSLATED}
        plain["messages"] = _messages(listed(given.get("messages", []), "messages"))
        if tools:  # the translator's cleaning of schemas loses properties; those go around it
            plain["tools"] = [
                {"type": "function", "function": {"name": tool["name"], "parameters": {}}} for tool in tools
            ]
        told = self._there.request(plain)
        if tools:
            told["tools"] = tools
        told["messages"] = _joined(told["messages"])
        return {**told, **_added(given, told)}

    def answer(self, body: Body) -> Body:
        if body.get("type") == "error" or "error" in body:
            raise UpstreamTold(body)
        blocks = listed(body.get("content"), "content")
        for block in blocks:
            if block.get("type") not in _BLOCKS:
                raise Untranslatable(
                    f"the answer has a block of type {block.get('type')!r}, unknown to chat completions"
                )
        texts = "".join(block.get("text") or "" for block in blocks if block["type"] == "text")
        kept = [block for block in blocks if block["type"] in ("thinking", "tool_use")]
        said = [{"type": "text", "text": texts}] if texts else []
        told = self._back.answer({**body, "content": [*said, *kept]})
        choice = told["choices"][0]
        choice["finish_reason"] = FINISH.get(body.get("stop_reason") or "", choice["finish_reason"])
        return {**told, "usage": chat_usage(body.get("usage"))}

    def events(self, asked: Body) -> Events:
        options = asked.get("stream_options")
        wanted = isinstance(options, dict) and options.get("include_usage") is True
        return ChatEvents(self._back.stream(), FINISH, usage=wanted)


def _check_numbers(given: Body) -> None:
    temperature = given.get("temperature")
    if isinstance(temperature, (int, float)) and temperature > 1:
        raise Untranslatable("`temperature` goes up to 1 at the upstream that this request is for", "temperature")


def _tool(tool: Body, place: str) -> Body:
    spoken = check_fields(tool, _OF_TOOL, place)
    if spoken.get("type", "function") != "function" or not isinstance(spoken.get("function"), dict):
        refuse(f"`{place}type` {tool.get('type')!r}", f"{place}type")
    function = check_fields(spoken["function"], _OF_FUNCTION, f"{place}function.")
    schema = function.get("parameters", {})
    named: Body = {"name": function.get("name"), "input_schema": {"type": "object", **schema}}
    if "description" in function:
        named["description"] = function["description"]
    if function.get("strict"):
        named["strict"] = True
    return named


def _messages(messages: list[Body]) -> list[Body]:
    """System messages first, in one: the upstream has one place for them, and the translator loses later ones."""
    system: list[Body] = []
    others: list[Body] = []
    calls: list[str] = []
    results: list[str] = []
    for at, message in enumerate(messages):
        spoken = _message(message, f"messages[{at}].")
        if spoken["role"] in _SYSTEM:
            system += _as_parts(spoken["content"], f"messages[{at}].content")
            continue
        calls += [call["id"] for call in spoken.get("tool_calls", ())]
        results += [spoken["tool_call_id"]] if spoken["role"] == "tool" else []
        others.append(spoken)
    check_pairs(calls, results)
    if others and others[-1]["role"] == "assistant":
        raise Untranslatable("`messages` ends with the assistant's, which the upstream would go on writing", "messages")
    return [*([{"role": "system", "content": system}] if system else []), *others]


def _message(message: Body, place: str) -> Body:
    spoken = check_fields(message, _OF_MESSAGE, place)
    role = spoken.get("role")
    if role not in (*_SYSTEM, "user", "assistant", "tool"):
        refuse(f"`{place}role` {role!r}", f"{place}role")
    content = spoken.get("content", "")
    if isinstance(content, list):
        content = [_part(part, f"{place}content[{at}].") for at, part in enumerate(listed(content, f"{place}content"))]
    if role == "assistant":
        refusal = spoken.get("refusal")
        content = [*_as_parts(content, f"{place}content"), {"type": "text", "text": refusal}] if refusal else content
    made: Body = {"role": role, "content": content}
    if role == "tool":
        made["tool_call_id"] = str(spoken.get("tool_call_id"))
    if "tool_calls" in spoken:
        calls = listed(spoken["tool_calls"], f"{place}tool_calls")
        made["tool_calls"] = [_call(call, f"{place}tool_calls[{at}].") for at, call in enumerate(calls)]
    return made


def _as_parts(content: Any, place: str) -> list[Body]:
    """Content of text alone, as parts."""
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else listed(content, place)
    if any(part["type"] != "text" for part in parts):
        refuse(f"`{place}` with other parts than text", place)
    return [part for part in parts if part["text"]]


def _part(part: Body, place: str) -> Body:
    kind = part.get("type")
    if not isinstance(kind, str) or kind not in _PARTS:
        refuse(f"`{place}type` {kind!r}", f"{place}type")
    spoken = check_fields(part, _PARTS[str(kind)], place)
    if kind == "text":
        return {"type": "text", "text": str(spoken.get("text", ""))}
    image = spoken.get("image_url")
    url = image.get("url") if isinstance(image, dict) else image
    if not isinstance(url, str) or (url.startswith("data:") and ";base64," not in url[:100]):
        raise Untranslatable(
            f"`{place}image_url` must be a URL, or data in base64 with its media type", f"{place}image_url"
        )
    return {"type": "image_url", "image_url": {"url": url}}


def _call(call: Body, place: str) -> Body:
    function = call.get("function")
    if call.get("type", "function") != "function" or not isinstance(function, dict):
        refuse(f"`{place}type` {call.get('type')!r}", f"{place}type")
        return {}
    arguments = function.get("arguments") or "{}"
    if not is_object(arguments):
        field = f"{place}function.arguments"
        raise Untranslatable(f"`{field}` must be a JSON object in a text", field)
    return {
        "id": str(call.get("id")),
        "type": "function",
        "function": {"name": function.get("name"), "arguments": arguments},
    }


def is_object(text: Any) -> bool:
    """Whether a text is a JSON object; of anything else the translator makes arguments that nobody gave."""
    try:
        return isinstance(json.loads(text), dict)
    except (TypeError, ValueError, RecursionError):
        return False


def _joined(messages: list[Body]) -> list[Body]:
    """Consecutive messages of a user as one, as the API wants the results of tools; without what no request says."""
    joined: list[Body] = []
    for message in messages:
        blocks = [{name: value for name, value in block.items() if name != "caller"} for block in message["content"]]
        if joined and joined[-1]["role"] == message["role"] == "user":
            blocks = [*joined.pop()["content"], *blocks]
        spoken = [block for block in blocks if block.get("text") != ""]  # the API refuses empty texts
        joined.append({**message, "content": spoken or blocks})
    return joined


def _added(given: Body, told: Body) -> Body:
    """What the translator has no place for, in the upstream's words."""
    added: Body = {name: given[name] for name in ("top_k", "thinking") if name in given}
    user = given.get("user", given.get("safety_identifier"))
    if user is not None:
        added["metadata"] = {"user_id": user}
    wanted = given.get("response_format")
    kind = wanted.get("type") if isinstance(wanted, dict) else wanted
    if kind == "json_schema" and isinstance(wanted, dict) and isinstance(wanted.get("json_schema"), dict):
        form = {"type": "json_schema", "schema": wanted["json_schema"].get("schema", {})}
        added["output_config"] = {**told.get("output_config", {}), "format": form}
    elif kind not in (None, "text"):
        refuse(f"`response_format` {kind!r}", "response_format")
    return added
