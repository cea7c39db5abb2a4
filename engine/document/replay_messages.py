"""Events of `/v1/messages`: a whole message as a stream, and pieces put into wire form. Must not know requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from engine.document.dialect import Body, Piece
from engine.document.runs import Run, gathered
from engine.document.sse import written
from engine.document.usage import usage_of

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
_AT_END = ("stop_reason", "stop_sequence")


def stop_reason(finish: str) -> str:
    """Anthropic's word for a `finish_reason`."""
    return _STOP_REASONS.get(finish, finish)


def event(kind: str, **fields: Any) -> bytes:
    """One event; its name and its `type` are the same."""
    return written({"type": kind, **fields}, kind)


def replay(body: Body) -> Iterator[bytes]:
    """The complete event sequence of a whole message."""
    usage = body.get("usage")
    start: Body = {
        "type": "message",
        "role": "assistant",
        **body,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }
    start["usage"] = usage if isinstance(usage, dict) else {"input_tokens": 0, "output_tokens": 0}
    yield event("message_start", message=start)
    blocks = body.get("content")
    for index, block in enumerate(blocks if isinstance(blocks, list) else ()):
        if isinstance(block, dict):
            yield from _block(index, block)
    output = start["usage"].get("output_tokens", 0)
    yield event("message_delta", delta={name: body.get(name) for name in _AT_END}, usage={"output_tokens": output})
    yield event("message_stop")


def _block(index: int, block: dict[str, Any]) -> Iterator[bytes]:
    start, deltas = _taken_apart(block)
    yield event("content_block_start", index=index, content_block=start)
    for delta in deltas:
        yield event("content_block_delta", index=index, delta=delta)
    yield event("content_block_stop", index=index)


def _taken_apart(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A block as it starts, and the deltas that make it whole; a kind without deltas starts whole."""
    kind = block.get("type")
    if kind == "text" and isinstance(block.get("text"), str):
        cited = block.get("citations")
        cited = cited if isinstance(cited, list) else []
        start = {**block, "text": "", **({"citations": []} if cited else {})}
        return start, [
            {"type": "text_delta", "text": block["text"]},
            *({"type": "citations_delta", "citation": each} for each in cited),
        ]
    if kind == "thinking" and isinstance(block.get("thinking"), str):
        deltas = [{"type": "thinking_delta", "thinking": block["thinking"]}]
        start = {**block, "thinking": ""}
        if isinstance(block.get("signature"), str):
            start["signature"] = ""
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        return start, deltas
    if isinstance(kind, str) and kind.endswith("tool_use"):
        given = block.get("input", {})
        spelled = given if isinstance(given, str) else msgspec.json.encode(given).decode()
        return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": spelled}]
    return block, []


def compose(pieces: Iterable[Piece], model: str, id: str, finish: str) -> Iterator[bytes]:
    """Pieces as events; what changes its sort begins a new block."""
    script = gathered(pieces)
    if script.starts:
        yield event(
            "message_start",
            message={
                "id": id,
                "type": "message",
                "role": "assistant",
                "model": model,
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {"input_tokens": 0, "output_tokens": 0},
            },
        )
    index = 0
    for place, run in enumerate(script.runs):
        yield from _run(id, index, run, closed=script.ends or place + 1 < len(script.runs))
        index += run.sort != "raw"
    if not script.ends:
        return
    reason = stop_reason("tool_calls" if finish == "stop" and script.tools() else finish)
    yield event("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage=_usage(script.usage))
    yield event("message_stop")


def _run(id: str, index: int, run: Run, *, closed: bool) -> Iterator[bytes]:
    starts: dict[str, tuple[dict[str, Any], str, str]] = {
        "text": ({"type": "text", "text": ""}, "text_delta", "text"),
        "reasoning": ({"type": "thinking", "thinking": "", "signature": ""}, "thinking_delta", "thinking"),
        "tool": (
            {"type": "tool_use", "id": f"toolu_{id}_{run.tool}", "name": run.name, "input": {}},
            "input_json_delta",
            "partial_json",
        ),
    }
    start, kind, name = starts.get(run.sort, ({}, "", ""))
    if start:
        yield event("content_block_start", index=index, content_block=start)
    for delta in run.deltas:
        if isinstance(delta, bytes):
            yield delta
        else:
            yield event("content_block_delta", index=index, delta={"type": kind, name: delta})
    if start and closed:
        yield event("content_block_stop", index=index)


def _usage(told: dict[str, Any] | None) -> dict[str, Any]:
    """Usage in Anthropic's words, from those or from the common ones."""
    if told is not None and ("input_tokens" in told or "output_tokens" in told):
        return told
    tokens = usage_of(told) or {"prompt_tokens": 0, "completion_tokens": 0}
    return {"input_tokens": tokens["prompt_tokens"], "output_tokens": tokens["completion_tokens"]}
