"""Chat and text completion chunks: a whole body as a stream, and pieces put into wire form.

Must not know requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from engine.document.dialect import Body, Piece
from engine.document.dialect_generic import raw_bytes
from engine.document.sse import DONE, written

_APART = frozenset({"choices", "object", "usage"})
_OF_DELTA = frozenset({"role", "content", "tool_calls"})


def replay(body: Body, *, include_usage: bool, text: bool) -> Iterator[bytes]:
    """Role, content, tool calls and finish of each choice, then the usage if wanted, then `[DONE]`."""
    head = {name: value for name, value in body.items() if name not in _APART}
    head["object"] = "text_completion" if text else "chat.completion.chunk"
    choices = body.get("choices")
    for place, choice in enumerate(choices if isinstance(choices, list) else ()):
        if isinstance(choice, dict):
            for part in _text_choice(choice, place) if text else _choice(choice, place):
                yield written({**head, "choices": [part]})
    if include_usage and isinstance(body.get("usage"), dict):
        yield written({**head, "choices": [], "usage": body["usage"]})
    yield DONE


def _choice(choice: dict[str, Any], place: int) -> Iterator[dict[str, Any]]:
    message = choice.get("message")
    if not isinstance(message, dict):
        message = {}
    index = choice.get("index", place)
    role = message.get("role", "assistant")
    yield _delta(index, {"role": role, "content": ""} if isinstance(message.get("content"), str) else {"role": role})
    logprobs = choice.get("logprobs")
    for name, value in message.items():
        if name not in _OF_DELTA and value is not None:
            yield _delta(index, {name: value})
    if message.get("content"):
        yield _delta(index, {"content": message["content"]}, logprobs=logprobs)
        logprobs = None
    calls = message.get("tool_calls")
    if isinstance(calls, list) and calls:
        yield _delta(
            index,
            {"tool_calls": [{"index": number, **call} for number, call in enumerate(calls) if isinstance(call, dict)]},
        )
    rest = {name: value for name, value in choice.items() if name not in ("message", "index", "logprobs")}
    yield {"index": index, "delta": {}, "logprobs": logprobs, "finish_reason": None, **rest}


def _text_choice(choice: dict[str, Any], place: int) -> Iterator[dict[str, Any]]:
    index, text = choice.get("index", place), choice.get("text")
    rest = {name: value for name, value in choice.items() if name not in ("text", "index", "logprobs")}
    logprobs = choice.get("logprobs")
    if isinstance(text, str) and text:
        yield {"index": index, "text": text, "logprobs": logprobs, "finish_reason": None}
        logprobs = None
    yield {"index": index, "text": "", "logprobs": logprobs, "finish_reason": None, **rest}


def _delta(index: Any, delta: dict[str, Any], logprobs: Any = None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": None}


class Chunks:
    """Pieces as chunks: a role before the first piece of a choice, finish and usage and `[DONE]` after the last.

    After a raw piece at the end nothing follows: who writes the last bytes himself can break the stream off.
    """

    def __init__(self, head: Body, finish: str, *, text: bool) -> None:
        self._head = head
        self._finish = finish
        self._text = text
        self._calls: dict[int, set[int]] = {}  # by choice
        self._usage: dict[str, Any] | None = None

    def of(self, pieces: Iterable[Piece]) -> Iterator[bytes]:
        """One item an event."""
        ends = True
        for piece in pieces:
            ends = piece.raw is None
            if piece.raw is not None:
                yield raw_bytes(piece.raw)
            else:
                yield from self._piece(piece)
        if ends:
            yield from self._end()

    def _piece(self, piece: Piece) -> Iterator[bytes]:
        if piece.usage is not None:
            self._usage = piece.usage
            return
        if piece.choice not in self._calls:
            yield from self._begin(piece.choice)
        if self._text:
            yield self._chunk(
                {"index": piece.choice, "text": piece.text or "", "logprobs": None, "finish_reason": None}, piece.extra
            )
        else:
            yield self._chunk(_delta(piece.choice, self._said(piece)), piece.extra)

    def _begin(self, choice: int) -> Iterator[bytes]:
        self._calls[choice] = set()
        if not self._text:
            yield self._chunk(_delta(choice, {"role": "assistant", "content": ""}))

    def _said(self, piece: Piece) -> dict[str, Any]:
        delta: dict[str, Any] = {}
        if piece.reasoning is not None:
            delta["reasoning_content"] = piece.reasoning
        if piece.text is not None:
            delta["content"] = piece.text
        if piece.tool is not None:
            delta["tool_calls"] = [self._call(piece, piece.tool)]
        return delta

    def _call(self, piece: Piece, tool: int) -> dict[str, Any]:
        function: dict[str, Any] = {"arguments": piece.arguments or ""}
        if tool in self._calls[piece.choice]:
            return {"index": tool, "function": function}
        self._calls[piece.choice].add(tool)
        return {
            "index": tool,
            "id": f"call_{self._head['id']}_{piece.choice}_{tool}",
            "type": "function",
            "function": {"name": piece.name or "", **function},
        }

    def _end(self) -> Iterator[bytes]:
        if not self._calls:
            yield from self._begin(0)
        for choice, calls in self._calls.items():
            finish = "tool_calls" if calls and self._finish == "stop" else self._finish
            yield self._chunk(
                {"index": choice, "text": "", "logprobs": None, "finish_reason": finish}
                if self._text
                else {"index": choice, "delta": {}, "logprobs": None, "finish_reason": finish}
            )
        if self._usage is not None:
            yield written({**self._head, "choices": [], "usage": self._usage})
        yield DONE

    def _chunk(self, choice: dict[str, Any], extra: dict[str, Any] | None = None) -> bytes:
        return written({**self._head, "choices": [choice], **(extra or {})})
