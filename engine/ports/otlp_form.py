"""A record as a span of OpenTelemetry, and spans as the JSON that OTLP/HTTP takes (no protobuf is needed for it).

Must not know who the spans are sent to, nor how.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from engine.ports import genai_names as names
from engine.ports.genai_messages import input_messages, output_messages, system_instructions
from engine.ports.otlp_rules import Event, events_of

Record = dict[str, Any]
Attributes = dict[str, Any]


_CLIENT, _ERROR = 3, 2  # the kind of a span and the status of one
_LARGEST = 2**63 - 1
_ENCODE = msgspec.json.Encoder().encode


class Span(NamedTuple):
    """A span, its attributes still plain values, of which None is none; times in nanoseconds since 1970."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    start: int
    end: int
    attributes: Attributes
    events: list[Event]
    error: str | None

    def told(self, more: Attributes) -> Span:
        """The same span with more attributes."""
        return self._replace(attributes={**self.attributes, **more})


def span_of(record: Record, *, texts: bool = True) -> Span:
    """The span of an exchange, or of a record that was written on its way: an instant within it.

    `texts`: what was asked and said is told, where the record has it.
    """
    trace = record.get("trace") or {}
    timing = record.get("timing")
    began = trace.get("began")
    start = round(began * 1e6) * 1000 if isinstance(began, float | int) else _nanoseconds(record["time"])
    call_type = record.get("call_type")
    name = f"{names.operation_of(call_type)} {record.get('model') or ''}".rstrip() if call_type else "request"
    span_id, parent = trace.get("span_id"), trace.get("parent_id")
    if timing is None or span_id is None:  # its own id would be that of the whole exchange
        derived = hashlib.sha256(_ENCODE(record)).hexdigest()
        parent, span_id = span_id, derived[:16]
    if timing is None:
        name, end = f"checkpoint {name}", start
    else:
        end = start + round(timing["total_ms"] * 1e6)
    return Span(
        trace_id=trace.get("trace_id") or _trace_id(record),
        span_id=span_id,
        parent_id=parent,
        name=name,
        start=start,
        end=end,
        attributes=_attributes(record, call_type, texts),
        events=events_of(record, start, end),
        error=str(record["error"].get("message")) if record.get("error") else None,
    )


def _nanoseconds(written: str) -> int:
    return round(datetime.fromisoformat(written).timestamp()) * 1_000_000_000


def _trace_id(record: Record) -> str:
    """For a record that was made without a trace: always the same one."""
    return hashlib.sha256(f"{record['time']} {record['id']}".encode()).hexdigest()[:32]


# --- attributes -------------------------------------------------------------------------------------------------------


def _attributes(record: Record, call_type: str | None, texts: bool) -> Attributes:
    asked, timing = record.get("provider"), record.get("timing") or {}
    found: Attributes = {
        names.SERVER_ADDRESS: asked and asked.get("address"),
        names.SERVER_PORT: asked and asked.get("port"),
        names.HTTP_STATUS: record.get("status"),
        names.USER: record.get("user"),
        names.SESSION: session_of(record),
        names.ERROR_TYPE: error_type(record),
        **_own(record),
    }
    if call_type:
        found |= {
            names.OPERATION: names.operation_of(call_type),
            names.PROVIDER: names.provider_of(asked, call_type),
            names.REQUEST_MODEL: record.get("model"),
            names.REQUEST_STREAM: True if record.get("stream") else None,
            names.FIRST_CHUNK: timing["ttft_ms"] / 1000 if timing.get("ttft_ms") is not None else None,
            **_of_prompt(record.get("prompt")),
            **_of_answer(record),
            **{name: (record.get("usage") or {}).get(told) for told, name in names.USAGE.items()},
            **_parameters(record.get("request")),
            **(_content(record, call_type) if texts else {}),
        }
    return found


def _own(record: Record) -> Attributes:
    """What the conventions have no name for."""
    timing = record.get("timing") or {}
    return {
        "pointsman.request_id": record.get("id"),
        "pointsman.rules_version": record.get("rules_version"),
        "pointsman.key": record.get("key"),
        "pointsman.team": record.get("team"),
        "pointsman.upstream": record.get("upstream"),
        "pointsman.attempts": record.get("attempts"),
        "pointsman.model_requested": record.get("model_requested"),
        "pointsman.matched": record.get("matched") or None,
        "pointsman.tags": record.get("tags") or None,
        "pointsman.cache_hit": record.get("cache_hit"),
        "pointsman.cost_usd": record.get("cost"),
        "pointsman.overhead_ms": timing.get("overhead_ms"),
    }


def session_of(record: Record) -> str | None:
    """The session that the client's metadata names."""
    metadata = record.get("metadata")
    session = metadata.get("session_id") if isinstance(metadata, dict) else None
    return session if isinstance(session, str) else None


def error_type(record: Record) -> str | None:
    """What class of error it was: the code where there is one."""
    error = record.get("error")
    if not error:
        return None
    if error.get("source") == "timeout":
        return "timeout"
    return str(error.get("code") or error.get("type") or error.get("status") or "_OTHER")


def _of_prompt(prompt: Any) -> Attributes:
    return {names.PROMPT_NAME: prompt["id"], names.PROMPT_VERSION: prompt["version"]} if prompt else {}


def _of_answer(record: Record) -> Attributes:
    answer = record.get("answer") or {}
    reasons = answer.get("finish_reasons")
    return {
        names.RESPONSE_ID: answer.get("id"),
        names.RESPONSE_MODEL: answer.get("model"),
        names.FINISH_REASONS: [reason or "error" for reason in reasons] if reasons else None,
    }


def _parameters(request: Any) -> Attributes:
    """The numbers of a request that a record with content has; none that is not of its type."""
    if not isinstance(request, dict):
        return {}
    found: Attributes = {}
    for told, (name, kind) in names.PARAMETERS.items():
        value = request.get(told)
        if isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else kind):
            continue
        if (told, value) != ("n", 1):
            found[name] = kind(value)
    return found


def _content(record: Record, call_type: str) -> Attributes:
    """The texts, where the record has them, as JSON."""
    response = record.get("response")
    found = {
        names.SYSTEM_INSTRUCTIONS: system_instructions(call_type, record.get("request")),
        names.INPUT_MESSAGES: input_messages(call_type, record.get("request")),
        names.OUTPUT_MESSAGES: output_messages(call_type, response.get("body") if isinstance(response, dict) else None),
    }
    return {name: as_json(value) for name, value in found.items() if value}


def as_json(value: Any) -> str:
    """A value as an attribute that is JSON."""
    return _ENCODE(value).decode()


# --- the wire ---------------------------------------------------------------------------------------------------------


def encoded(spans: Iterable[Span], resource: Mapping[str, Any], version: str) -> bytes:
    """A request of OTLP/HTTP with these spans."""
    who = _ENCODE({"attributes": _pairs(resource)})
    scope = _ENCODE({"name": "pointsman", "version": version})
    told = b",".join([_ENCODE(_span(span)) for span in spans])  # one by one: other threads come in between
    return b'{"resourceSpans":[{"resource":%b,"scopeSpans":[{"scope":%b,"spans":[%b]}]}]}' % (who, scope, told)


def _span(span: Span) -> dict[str, Any]:
    told = {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "name": span.name,
        "kind": _CLIENT,
        "startTimeUnixNano": str(span.start),
        "endTimeUnixNano": str(span.end),
        "attributes": _pairs(span.attributes),
        "events": [
            {"timeUnixNano": str(event.at), "name": event.name, "attributes": _pairs(event.attributes)}
            for event in span.events
        ],
    }
    if span.parent_id is not None:
        told["parentSpanId"] = span.parent_id
    if span.error is not None:
        told["status"] = {"code": _ERROR, "message": span.error}
    return told


def _pairs(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Attributes as the wire has them; None is none."""
    return [{"key": name, "value": _value(value)} for name, value in attributes.items() if value is not None]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int) and -_LARGEST <= value <= _LARGEST:
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, (list, tuple)):
        return {"arrayValue": {"values": [_value(item) for item in value]}}
    return {"stringValue": value if isinstance(value, str) else as_json(value)}
