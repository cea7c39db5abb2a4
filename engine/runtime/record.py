"""One record per exchange: what happened, as JSON. Made after the answer, only for the sinks that asked.

Must not know sinks beyond `put`.
"""

from __future__ import annotations

from typing import Any

from engine.document.exchange import Exchange


def write_records(x: Exchange) -> None:
    """Give every sink that `log_to` named its record, with as much content as was asked for."""
    for sink, content in x.log_requests or ():
        sink.put(record_of(x, content))


def record_of(x: Exchange, content: str = "none") -> dict[str, Any]:
    """The record of an exchange; `content` says whether bodies are in it."""
    key = x.key or {}
    record = {
        "id": x.id,
        "time": x.time["now"],
        "rules_version": x.program.version,
        "call_type": x.call_type,
        "stream": x.stream,
        "key": key.get("name"),
        "team": key.get("team"),
        "user": (x.request or {}).get("user") or key.get("user"),
        "model_requested": x.model_requested,
        "model": (x.request or {}).get("model"),
        "upstream": x.upstream["name"] if x.upstream else None,
        "attempts": x.attempts,
        "status": x.status,
        "matched": list(x.matched),
        "outcomes": [outcome(*entry) for entry in x.outcomes],
        "usage": x.usage,
        "cost": x.cost,
        "cache_hit": x.cache_hit,
        "timing": x.timing,
        "metadata": x.metadata,
        "error": x.error,
        "tags": list(x.tags),
    }
    if content == "full":
        record["request"] = x.request
        record["response"] = x.response
        record["input"] = {"method": x.method, "path": x.path, "query": x.query, "client": x.client,
                           "headers": x.headers, "body": x.original}
    return record


def outcome(rule: str, phase: str, result: str, why: str, seconds: float) -> dict[str, Any]:
    """What a rule did to an exchange."""
    return {"rule": rule, "phase": phase, "result": result, "why": why or None, "us": round(seconds * 1e6, 1)}
