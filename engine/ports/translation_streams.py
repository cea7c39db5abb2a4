"""Streams on their way from one API's events to the other's, one by one as they come.

The translator does the words; here its slips are set right: who speaks first, the numbers of blocks, the ends. Must not
know HTTP, or how events were cut.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import msgspec

from engine.document.dialect import Body
from engine.document.sse import DONE, written
from engine.ports.rosetta import RosettaStream
from engine.ports.translation import Untranslatable, UpstreamTold
from engine.ports.translation_usage import chat_usage, messages_usage

_PING = b": ping\n\n"
_GROWS = {"text": ("text_delta", "text"), "thinking": ("thinking_delta", "thinking")}
_BLOCKS = ("text", "thinking", "redacted_thinking", "tool_use")


def _read(data: str) -> Body:
    try:
        event = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeEncodeError):
        raise Untranslatable("an event is no JSON") from None
    if not isinstance(event, dict):
        raise Untranslatable("an event is no JSON object")
    return event


class ChatEvents:
    """Chunks of chat completions from the events of a message."""

    def __init__(self, stream: RosettaStream, finish: Mapping[str, str], *, usage: bool) -> None:
        self._stream = stream
        self._finish = finish
        self._usage_wanted = usage
        self._usage: dict[str, Any] = {}
        self._head: Body = {}

    def take(self, data: str) -> bytes:
        event = _read(data)
        if event.get("error") is not None:
            raise UpstreamTold(event)
        match event.get("type"):
            case "ping":
                return _PING
            case "message_start":
                return self._start(event)
            case "content_block_start":
                return self._begin_block(event)
            case "message_delta":
                self._note(event.get("usage"))
                return self._chunks(event)
            case "message_stop":
                return self._end(event)
        return self._chunks(event)

    def finish(self) -> bytes:
        return b""  # a message that did not stop is broken

    def _start(self, event: Body) -> bytes:
        """The client is told at once who speaks; the translator would wait for a text."""
        message = event.get("message") or {}
        self._note(message.get("usage"))
        self._stream.take(event)
        name = str(message.get("id", "")).removeprefix("msg_")
        self._head = {
            "id": f"chatcmpl-{name}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": message.get("model"),
        }
        return self._written({"role": "assistant", "content": ""})

    def _begin_block(self, event: Body) -> bytes:
        """A block, with what it holds from the start: nothing at Anthropic, all of it at some who speak likewise."""
        block = event.get("content_block") or {}
        kind = block.get("type")
        if kind not in _BLOCKS:
            raise Untranslatable(f"the answer has a block of type {kind!r}, unknown to chat completions")
        begun = self._chunks(event)
        delta: Body | None = None
        if kind == "tool_use" and block.get("input"):
            delta = {"type": "input_json_delta", "partial_json": msgspec.json.encode(block["input"]).decode()}
        elif kind in _GROWS and block.get(_GROWS[kind][1]):
            grows, name = _GROWS[kind]
            delta = {"type": grows, name: block[name]}
        if delta is None:
            return begun
        return begun + self._chunks({"type": "content_block_delta", "index": event.get("index"), "delta": delta})

    def _chunks(self, event: Body) -> bytes:
        found = b""
        for chunk in self._stream.take(event):
            for choice in chunk.get("choices", ()):
                delta = {name: value for name, value in choice.get("delta", {}).items() if name != "role"}
                reason = choice.get("finish_reason")
                if reason is not None:
                    told = (event.get("delta") or {}).get("stop_reason")
                    found += self._written(delta, self._finish.get(told or "", reason))
                elif delta and delta.get("reasoning_content") != "":  # a signature is no text
                    found += self._written(delta)
        return found

    def _end(self, event: Body) -> bytes:
        last = self._chunks(event)
        if self._usage_wanted:
            last += written({**self._head, "choices": [], "usage": chat_usage(self._usage)})
        return last + DONE

    def _note(self, usage: Any) -> None:
        if isinstance(usage, dict):
            self._usage.update({name: value for name, value in usage.items() if value is not None})

    def _written(self, delta: Body, reason: str | None = None) -> bytes:
        return written(
            {**self._head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]}
        )


class MessagesEvents:
    """The events of a message from chunks of chat completions."""

    def __init__(self, stream: RosettaStream, finish: Mapping[str, str], model: str) -> None:
        self._stream = stream
        self._finish = finish
        self._model = model
        self._usage: Any = None
        self._reason: str | None = None
        self._call_number, self._call_id = -1, None  # of the last tool call
        self._block = -1  # of the last block
        self._open = False
        self._begun = self._over = False

    def take(self, data: str) -> bytes:
        if data.strip() == "[DONE]":
            return self._end()
        event = _read(data)
        choices = event.get("choices")
        if not choices and event.get("error") is not None:
            raise UpstreamTold(event)
        if self._over or not (choices or event.get("usage")):
            return b""  # such as what Azure tells about the prompt; for the translator it would be the end
        self._usage = event.get("usage") or self._usage
        return self._events(self._stream.take(self._tidied(event)))

    def finish(self) -> bytes:
        return self._end() if self._reason is not None else b""

    def _end(self) -> bytes:
        """The end of a stream whose usage did not come, which the translator waits for."""
        return b"" if self._over or not self._begun else self._events(self._stream.end())

    def _tidied(self, event: Body) -> Body:
        """A chunk that says each thing once."""
        choices = []
        for choice in event.get("choices") or ():
            delta = dict(choice.get("delta") or {})
            if delta.get("tool_calls"):
                delta["tool_calls"] = [self._call(call) for call in delta["tool_calls"]]
            self._reason = choice.get("finish_reason") or self._reason
            choices.append({**choice, "delta": delta})
        return {
            **event,
            "id": event.get("id") or "chatcmpl-",
            "model": event.get("model") or self._model,
            "choices": choices,
        }

    def _call(self, call: Body) -> Body:
        """A piece of a tool call; its id, told again, would begin another one."""
        index, id = call.get("index") or 0, call.get("id") or None
        if index < self._call_number:
            raise Untranslatable("tool calls come mixed, and the blocks of a message come one after the other")
        known = index == self._call_number and id in (None, self._call_id)
        self._call_number, self._call_id = index, id or self._call_id
        return {**call, "id": None} if known else call

    def _events(self, events: list[Body]) -> bytes:
        return b"".join(written(placed, placed["type"]) for event in events for placed in self._placed(event))

    def _placed(self, event: Body) -> list[Body]:
        """An event under the number of its block; the translator gives tool calls that follow each other one number."""
        match event["type"]:
            case "message_start":
                self._begun = True
                message = event["message"]
                name = message["id"].removeprefix("msg_").removeprefix("chatcmpl-")  # as a whole answer has it
                return [{**event, "message": {**message, "id": f"msg_{name}"}}]
            case "content_block_start":
                stop = self._stop()
                self._block, self._open = self._block + 1, True
                block = event["content_block"]
                if block["type"] == "thinking":
                    block = {"signature": "", **block}
                return [*stop, {**event, "index": self._block, "content_block": block}]
            case "content_block_delta":
                return [{**event, "index": self._block}]
            case "content_block_stop":
                return self._stop()
            case "message_delta":
                reason = self._finish.get(self._reason or "", event["delta"].get("stop_reason"))
                told = {**event["delta"], "stop_reason": reason}
                return [{**event, "delta": told, "usage": messages_usage(self._usage)}]
            case "message_stop":
                self._over = True
        return [event]

    def _stop(self) -> list[Body]:
        if not self._open:
            return []
        self._open = False
        return [{"type": "content_block_stop", "index": self._block}]
