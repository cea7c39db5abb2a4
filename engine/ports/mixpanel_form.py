"""A record as an event of Mixpanel's import API. Must not know how events are sent."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from engine.ports.record_key import key_of

EVENT = "LLM Response"
_TOLD = (
    "id",
    "call_type",
    "stream",
    "key",
    "team",
    "model_requested",
    "model",
    "upstream",
    "attempts",
    "status",
    "matched",
    "decided_by",
    "tags",
    "cost",
    "cache_hit",
    "rules_version",
)
_NOBODY = frozenset(  # Mixpanel refuses events of users that are called so
    {"anon", "anonymous", "nil", "none", "null", "n/a", "na", "undefined", "unknown", "true", "false", "0", "-1"}
    | {"[]", "{}", "lmy47d", "00000000-0000-0000-0000-000000000000"}
)


def event_of(line: bytes, record: dict[str, Any]) -> dict[str, Any]:
    """The event of a record. `$insert_id` is how Mixpanel knows one that comes again."""
    usage, timing, error = record.get("usage") or {}, record.get("timing") or {}, record.get("error") or {}
    properties = {
        "time": _milliseconds(record),
        "distinct_id": _user(record),
        "$insert_id": str(key_of(line)),
        "llm_response": _response(record),
        **{name: record.get(name) for name in _TOLD},
        **{name: usage.get(name) for name in ("prompt_tokens", "completion_tokens", "total_tokens")},
        **{name: timing.get(name) for name in ("total_ms", "upstream_ms", "ttft_ms", "overhead_ms")},
        "error_type": error.get("type"),
        "error_code": error.get("code"),
    }
    return {"event": EVENT, "properties": {name: value for name, value in properties.items() if value is not None}}


def _milliseconds(record: dict[str, Any]) -> int:
    began = (record.get("trace") or {}).get("began")
    return round((datetime.fromisoformat(record["time"]).timestamp() if began is None else began) * 1000)


def _user(record: dict[str, Any]) -> str:
    """Who asked: the user, else the key; the empty text where that is nobody, and no event may go without."""
    user = record.get("user") or record.get("key") or ""
    return "" if str(user).strip().lower() in _NOBODY else str(user)


def _response(record: dict[str, Any]) -> dict[str, Any]:
    """The answer's body where the record has content, else what is known of it."""
    response = record.get("response")
    body = response.get("body") if isinstance(response, dict) else None
    return body if isinstance(body, dict) else {**(record.get("answer") or {}), "usage": record.get("usage")}
