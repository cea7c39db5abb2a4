"""The whole message of a stream of `/v1/messages`. Must not know how its events are written."""

from __future__ import annotations

from typing import Any

import msgspec

from engine.document.assemble import Assembly, Grown, index_of
from engine.document.dialect import Body
from engine.document.usage import usage_of

_DELTAS = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "partial_json",
    "compaction_delta": "content",
}


class MessagesAssembly(Assembly):
    """`message_start`, blocks that start, grow and stop, `message_delta`, `message_stop`."""

    def __init__(self) -> None:
        super().__init__()
        self._message: Body | None = None
        self._usage: dict[str, Any] = {}
        self._blocks: dict[int, Block] = {}

    def take(self, body: Body) -> None:
        """Take one event by its `type`."""
        kind = body.get("type")
        if kind == "message_start":
            message = body.get("message")
            self._message = dict(message) if isinstance(message, dict) else {}
            self._take_usage(self._message.get("usage"))
        elif kind == "content_block_start":
            start = body.get("content_block")
            self._blocks[index_of(body)] = Block(start if isinstance(start, dict) else {})
        elif kind == "content_block_delta":
            delta = body.get("delta")
            if isinstance(delta, dict):
                self._blocks.setdefault(index_of(body), Block({"type": "text", "text": ""})).take(delta)
        elif kind == "message_delta":
            delta = body.get("delta")
            self._message = {**(self._message or {}), **(delta if isinstance(delta, dict) else {})}
            self._take_usage(body.get("usage"))
        elif kind == "message_stop":
            self.complete = True

    def _take_usage(self, told: Any) -> None:
        if isinstance(told, dict):
            self._usage = {**self._usage, **{name: value for name, value in told.items() if value is not None}}

    @property
    def body(self) -> Body | None:
        """The whole message so far; None before anything of it came."""
        if self._message is None and not self._blocks:
            return None
        made = {"type": "message", "role": "assistant", **(self._message or {})}
        made["content"] = [self._blocks[index].whole() for index in sorted(self._blocks)]
        if self._usage:
            made["usage"] = self._usage
        whole: Body = self.mended(made)
        return whole

    @property
    def usage(self) -> dict[str, Any] | None:
        """Tokens in common words, as far as the stream told them."""
        return usage_of(self._usage)


class Block:
    """One block of content as it grows."""

    def __init__(self, start: dict[str, Any]) -> None:
        self._start = start
        self._texts = Grown()
        self._citations: list[Any] = []

    def take(self, delta: dict[str, Any]) -> None:
        """Take one delta."""
        kind = delta.get("type")
        if kind == "citations_delta":
            self._citations.append(delta.get("citation"))
            return
        name = _DELTAS.get(kind) if isinstance(kind, str) else None
        value = delta.get(name) if name is not None else None
        if name is not None and isinstance(value, str):
            self._texts.add(name, value)

    def whole(self) -> dict[str, Any]:
        """The block as a whole answer has it."""
        made = dict(self._start)
        for name, grown in self._texts.all().items():
            if name == "partial_json":
                made["input"] = _parsed(grown, self._start.get("input"))
            else:
                began = made.get(name)
                made[name] = (began if isinstance(began, str) else "") + grown
        if self._citations:
            before = made.get("citations")
            made["citations"] = (before if isinstance(before, list) else []) + self._citations
        return made


def _parsed(grown: str, otherwise: Any) -> Any:
    """A tool's input, an object; what is none (the stream broke off within it) stays text, so that it can be read."""
    if not grown:
        return otherwise
    try:
        given = msgspec.json.decode(grown)
    except (ValueError, RecursionError):
        return grown
    return given if isinstance(given, dict) else grown
