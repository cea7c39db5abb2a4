"""Events of `/v1/responses`: a whole response as a stream, and pieces put into wire form. Must not know requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from engine.document.dialect import Body, Piece
from engine.document.runs import Delta, Run, gathered
from engine.document.sse import written
from engine.document.usage import usage_of

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
_TEXTS = {
    "output_text": ("text", "response.output_text"),
    "refusal": ("refusal", "response.refusal"),
    "reasoning_text": ("text", "response.reasoning_text"),
    "summary_text": ("text", "response.reasoning_summary_text"),
}
_CALLS = {
    "function_call": ("arguments", "response.function_call_arguments"),
    "mcp_call": ("arguments", "response.mcp_call_arguments"),
    "custom_tool_call": ("input", "response.custom_tool_call_input"),
}


def response(id: str, model: str, created: int, finish: str) -> Body:
    """A response without output: what the client libraries expect to find in every one."""
    reason = _INCOMPLETE.get(finish)
    return {
        "id": id,
        "object": "response",
        "created_at": created,
        "status": "incomplete" if reason else "completed",
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": [],
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "usage": in_words_of_responses(None),
    }


def in_words_of_responses(told: dict[str, Any] | None) -> dict[str, Any]:
    """Usage in the words of this API, from whatever words; zeros for nothing."""
    tokens = usage_of(told) or {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    return {
        "input_tokens": tokens["prompt_tokens"],
        "input_tokens_details": {"cached_tokens": tokens.get("cached_tokens", 0)},
        "output_tokens": tokens["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": tokens.get("reasoning_tokens", 0)},
        "total_tokens": tokens["total_tokens"],
    }


class Sequence:
    """Writes events and numbers them."""

    def __init__(self) -> None:
        self._next = 0

    def event(self, kind: str, **fields: Any) -> bytes:
        """One event; its name and its `type` are the same."""
        self._next += 1
        return written({"type": kind, "sequence_number": self._next - 1, **fields}, kind)

    def start(self, body: Body) -> Iterator[bytes]:
        """The two events before any output."""
        begun = {**body, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
        yield self.event("response.created", response=begun)
        yield self.event("response.in_progress", response=begun)

    def end(self, body: Body) -> bytes:
        """The last event, with the whole response."""
        status = body.get("status")
        return self.event(f"response.{status if status in ('incomplete', 'failed') else 'completed'}", response=body)

    def item(self, index: int, item: dict[str, Any], deltas: list[Delta] | None = None) -> Iterator[bytes]:
        """An item from its beginning to its end; `deltas` cut up its one text, else each text is one delta."""
        kind = item.get("type")
        lists = [name for name in ("summary", "content") if isinstance(item.get(name), list)]
        begun: dict[str, Any] = {**item, **{name: [] for name in lists}}
        if "status" in item:
            begun["status"] = "in_progress"
        name, stem = _CALLS.get(kind, ("", "")) if isinstance(kind, str) else ("", "")
        calls = isinstance(item.get(name), str)
        yield self.event("response.output_item.added", output_index=index, item={**begun, name: ""} if calls else begun)
        where = {"item_id": item.get("id", ""), "output_index": index}
        for place in lists:
            for number, part in enumerate(item[place]):
                if isinstance(part, dict):
                    yield from self._part({**where, f"{place}_index": number}, part, deltas)
        if calls:
            yield from self._deltas(stem, where, [item[name]] if deltas is None else deltas)
            yield self.event(f"{stem}.done", **where, **{name: item[name]}, **_named(item))
        yield self.event("response.output_item.done", output_index=index, item=item)

    def _part(self, where: dict[str, Any], part: dict[str, Any], deltas: list[Delta] | None) -> Iterator[bytes]:
        kind = part.get("type")
        name, stem = _TEXTS.get(kind, ("text", "")) if isinstance(kind, str) else ("text", "")
        around = "response.reasoning_summary_part" if "summary_index" in where else "response.content_part"
        said = part.get(name)
        spoken = bool(stem) and isinstance(said, str)
        yield self.event(f"{around}.added", **where, part={**part, name: ""} if spoken else part)
        if spoken:
            beside: dict[str, Any] = {"logprobs": part.get("logprobs") or []} if kind == "output_text" else {}
            yield from self._deltas(stem, {**where, **beside}, [said] if deltas is None else deltas)
            yield from self._annotations(where, part)
            yield self.event(f"{stem}.done", **where, **beside, **{name: said})
        yield self.event(f"{around}.done", **where, part=part)

    def _annotations(self, where: dict[str, Any], part: dict[str, Any]) -> Iterator[bytes]:
        annotations = part.get("annotations")
        for number, annotation in enumerate(annotations if isinstance(annotations, list) else ()):
            told = {"annotation_index": number, "annotation": annotation}
            yield self.event("response.output_text.annotation.added", **where, **told)

    def _deltas(self, stem: str, where: dict[str, Any], deltas: list[Any]) -> Iterator[bytes]:
        for delta in deltas:
            yield delta if isinstance(delta, bytes) else self.event(f"{stem}.delta", **where, delta=delta)


def replay(body: Body) -> Iterator[bytes]:
    """The complete event sequence of a whole response."""
    sequence = Sequence()
    yield from sequence.start(body)
    output = body.get("output")
    for index, item in enumerate(output if isinstance(output, list) else ()):
        if isinstance(item, dict):
            yield from sequence.item(index, item)
    yield sequence.end(body)


def compose(pieces: Iterable[Piece], body: Body) -> Iterator[bytes]:
    """Pieces as events; what changes its sort begins a new item of the output."""
    script, sequence = gathered(pieces), Sequence()
    body = {**body, "usage": in_words_of_responses(script.usage)}
    if script.starts:
        yield from sequence.start(body)
    for run in script.runs:
        if run.sort == "raw":
            yield from (delta for delta in run.deltas if isinstance(delta, bytes))
            continue
        item = _as_item(body["id"], len(body["output"]), run)
        events = sequence.item(len(body["output"]), item, run.deltas)
        body = {**body, "output": [*body["output"], item]}
        if script.ends or run is not script.runs[-1]:
            yield from events
        else:
            yield from _until(events, run.deltas[-1])
    if script.ends:
        yield sequence.end(body)


def _until(events: Iterator[bytes], last: Delta) -> Iterator[bytes]:
    """Events up to the very last bytes of a stream that is to break off."""
    for event in events:
        yield event
        if event is last:
            return


def _as_item(id: str, index: int, run: Run) -> dict[str, Any]:
    if run.sort == "reasoning":
        return {"id": f"rs_{id}_{index}", "type": "reasoning", "summary": [{"type": "summary_text", "text": run.text}]}
    if run.sort == "tool":
        return {
            "id": f"fc_{id}_{index}",
            "type": "function_call",
            "status": "completed",
            "call_id": f"call_{id}_{run.tool}",
            "name": run.name,
            "arguments": run.text,
        }
    part = {"type": "output_text", "text": run.text, "annotations": [], "logprobs": []}
    return {"id": f"msg_{id}_{index}", "type": "message", "role": "assistant", "status": "completed", "content": [part]}


def _named(item: dict[str, Any]) -> dict[str, Any]:
    return {"name": item["name"]} if item.get("type") == "function_call" and "name" in item else {}
