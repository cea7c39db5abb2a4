"""What Langfuse reads of a span beyond OpenTelemetry's conventions: its own attributes, which it prefers to those.

Must not know how a span is written or sent.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from engine.ports.genai_names import PARAMETERS
from engine.ports.otlp_form import Attributes, Record, Span, as_json, session_of, span_of

_READ = ("system", "instructions", "messages", "input", "prompt", "query", "documents", "tools")
_ASKED = {  # parts of a record's usage, and what Langfuse calls them behind `input_` and `output_`
    "cached_tokens": "cached_tokens",
    "cache_write_tokens": "cache_creation",
    "prompt_audio_tokens": "audio_tokens",
    "prompt_image_tokens": "image_tokens",
}
_SAID = {
    "reasoning_tokens": "reasoning_tokens",
    "completion_audio_tokens": "audio_tokens",
    "completion_image_tokens": "image_tokens",
}
_CALLED = ("id", "key", "team", "upstream", "model_requested", "attempts", "status", "cache_hit", "matched")


def langfuse_span(record: Record, environment: str | None = None) -> Span:
    """A record as a span with what Langfuse understands; texts once, in its own attributes."""
    span = span_of(record, texts=False)
    return span.told({**_trace(record, span), **_observation(record), **_generation(record, span)}).told(
        {"langfuse.environment": environment}
    )


def _trace(record: Record, span: Span) -> Attributes:
    """Of the whole trace; its name only where this span begins it: another's trace has a name of its own."""
    return {
        "langfuse.trace.name": span.name if span.parent_id is None else None,
        "langfuse.user.id": record.get("user"),
        "langfuse.session.id": session_of(record),
        "langfuse.trace.tags": record.get("tags") or None,
        "langfuse.version": record.get("rules_version"),
    }


def _observation(record: Record) -> Attributes:
    error = record.get("error")
    warned = any(told["result"] in ("would", "error") for told in record.get("outcomes") or ())
    metadata = record.get("metadata")
    noted = {**metadata, **_own(record)} if isinstance(metadata, dict) else _own(record)
    return {
        "langfuse.observation.type": _type(record),
        "langfuse.observation.level": "ERROR" if error else "WARNING" if warned else None,
        "langfuse.observation.status_message": error and str(error.get("message")),
        **{f"langfuse.observation.metadata.{name}": _plain(value) for name, value in noted.items()},
    }


def _own(record: Record) -> dict[str, Any]:
    """What pointsman itself notes beside the client's metadata, under names that say so."""
    found = {("request_id" if name == "id" else name): record.get(name) for name in _CALLED}
    return {name: value for name, value in found.items() if value not in (None, [])}


def _type(record: Record) -> str:
    if record.get("timing") is None:
        return "event"
    if record.get("call_type") is None:
        return "span"
    return "embedding" if record["call_type"] == "embeddings" else "generation"


def _generation(record: Record, span: Span) -> Attributes:
    if not record.get("call_type"):
        return {}
    request, response = record.get("request"), record.get("response")
    request = request if isinstance(request, dict) else {}
    answer, timing = record.get("answer") or {}, record.get("timing") or {}
    first, cost = timing.get("ttft_ms"), record.get("cost")
    parameters = {name: request[name] for name in PARAMETERS if isinstance(request.get(name), int | float)}
    return {
        "langfuse.observation.model.name": answer.get("model") or record.get("model"),
        "langfuse.observation.model.parameters": as_json(parameters) if parameters else None,
        "langfuse.observation.input": _input(request),
        "langfuse.observation.output": _output(response.get("body") if isinstance(response, dict) else None),
        "langfuse.observation.usage_details": _usage(record.get("usage")),
        "langfuse.observation.cost_details": None if cost is None else as_json({"total": cost}),
        "langfuse.observation.completion_start_time": None if first is None else _moment(span.start, first),
        **_linked(record.get("prompt")),
    }


def _linked(prompt: Any) -> Attributes:
    """The version of a prompt of Langfuse's own, whose statistics this then counts in."""
    if not prompt or prompt["source"] != "langfuse" or not str(prompt["version"]).isdecimal():
        return {}
    return {
        "langfuse.observation.prompt.name": prompt["id"],
        "langfuse.observation.prompt.version": int(prompt["version"]),
    }


def _usage(usage: Any) -> str | None:
    """Kinds of tokens that do not overlap, so that they add up: what came from a cache is no further input."""
    if not usage:
        return None
    found = {"total": usage["total_tokens"]}
    for side, whole, parts in (("input", "prompt_tokens", _ASKED), ("output", "completion_tokens", _SAID)):
        apart = {f"{side}_{name}": usage[told] for told, name in parts.items() if usage.get(told)}
        found |= {side: max(0, usage[whole] - sum(apart.values())), **apart}
    return as_json(found)


def _input(request: dict[str, Any]) -> str | None:
    """What the model read; the messages alone where there is nothing else."""
    found = {name: request[name] for name in _READ if request.get(name) is not None}
    return _plain(next(iter(found.values())) if len(found) == 1 else found) if found else None


def _output(body: Any) -> str | None:
    """What it said; vectors and pictures are no text and stay out."""
    if not isinstance(body, dict):
        return None
    choices = body.get("choices")
    if isinstance(choices, list):
        said = [choice.get("message", choice.get("text")) for choice in choices if isinstance(choice, dict)]
        return _plain(said[0] if len(said) == 1 else said)
    found = next((body[name] for name in ("content", "output", "text", "results", "error") if name in body), None)
    return None if found is None else _plain(found)


def _plain(value: Any) -> str:
    """As Langfuse takes values: texts as they are, all else as JSON."""
    return value if isinstance(value, str) else as_json(value)


def _moment(start: int, milliseconds: float) -> str:
    began = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=start // 1000)
    return (began + timedelta(milliseconds=milliseconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
