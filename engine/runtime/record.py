"""One record per exchange: what happened, as JSON. Made after the answer, only for the sinks that asked.

Must not know sinks beyond `put`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from engine.document.exchange import Exchange, written_time
from engine.document.finish import finish_of
from engine.language.findings import findings, replaced
from engine.language.patterns import group


def write_records(x: Exchange) -> None:
    """Give every sink that `log_to` named its record, with as much content as was asked for; each sink once."""
    wanted: dict[int, tuple[Any, str]] = {}
    for sink, content in x.log_requests or ():
        _, before = wanted.get(id(sink), (sink, "none"))
        wanted[id(sink)] = sink, max(before, content, key=_MOST.index)
    for sink, content in wanted.values():
        sink.put(record_of(x, content))


def write_checkpoints(x: Exchange) -> None:
    """Write the records of the exchange as it stands that a rule before the log phase asked for."""
    asked, x.checkpoints = x.checkpoints or (), None
    for sink, content in asked:
        sink.put(record_of(x, content))


_MOST = ("none", "redacted", "full")


def record_of(x: Exchange, content: str = "none") -> dict[str, Any]:
    """The record of an exchange; `content` says whether bodies are in it, and whether patterns are taken out of it."""
    record = _told(x)
    if content != "none":
        record |= {"request": x.request if x.sent is None else x.sent, "response": x.response, "vars": dict(x.vars)}
        if x.unkept is not None:
            record["unkept"] = "the stream was larger than server.max_held: its text is not in this record"
    if content == "full":
        record["input"] = {
            "method": x.method,
            "path": x.path,
            "query": x.query,
            "client": x.client,
            "headers": x.headers,
            "body": x.original,
        }
    if content == "redacted":
        for part in ("request", "response", "error", "vars", "metadata"):
            record[part] = _without_findings(record[part])
    return record


def _told(x: Exchange) -> dict[str, Any]:
    key, request = x.key or {}, x.request or {}
    passed = {} if x.passed_by is None else {"passthrough": x.passed_by}
    writers = x.program.writers
    return {
        "id": x.id,
        "time": written_time(x.clock.now()),
        "trace": _trace(x) if x.program.traced or not _NAMED.isdisjoint(x.headers) else None,
        "rules_version": x.program.version,
        "call_type": x.call_type,
        "stream": x.stream,
        "key": key.get("name"),
        "team": key.get("team"),
        "user": request.get("user") or key.get("user"),
        "model_requested": x.model_requested,
        "model": request.get("model"),
        "upstream": x.upstream["name"] if x.upstream else None,
        "provider": _provider(x),
        "attempts": x.attempts,
        "status": x.status,
        "matched": list(x.matched),
        "outcomes": [outcome(*entry) for entry in x.outcomes],
        "decided_by": x.cut_by if x.answer is None else x.answer.rule,
        "changed_by": [rule for rule, _, did, *_ in x.outcomes if did == "acted" and rule in writers]
        if writers
        else [],
        "answer": finish_of(x.answered if x.answered is not None or x.response is None else x.response["body"]),
        "usage": x.usage,
        "cost": x.cost,
        "cache_hit": x.cache_hit,
        "timing": x.timing,
        "metadata": x.metadata,
        "error": x.error,
        "tags": list(x.tags),
        **passed,
    }


_NAMED = {"traceparent", "x-request-id"}  # with these the client says who it is, and may say the same twice


def _trace(x: Exchange) -> dict[str, Any]:
    """The span that an exchange is; what tells it from another to which its client gave the same id."""
    trace = x.trace
    ids = {"trace_id": trace.trace_id, "span_id": trace.span_id, "parent_id": trace.parent_id}
    return {**ids, "began": trace.began}


def _provider(x: Exchange) -> dict[str, Any] | None:
    """Who was asked last: what it speaks, and where it is."""
    upstream = x.program.upstreams.get(x.upstream["name"]) if x.upstream else None
    return None if upstream is None else _at(upstream.kind, upstream.base_url)


@lru_cache(256)
def _at(kind: str, base_url: str) -> dict[str, Any]:
    parts = urlsplit(base_url)
    return {"kind": kind, "address": parts.hostname, "port": parts.port or (443 if parts.scheme == "https" else 80)}


def outcome(rule: str, phase: str, result: str, why: str, seconds: float) -> dict[str, Any]:
    """What a rule did to an exchange."""
    return {"rule": rule, "phase": phase, "result": result, "why": why or None, "us": round(seconds * 1e6, 1)}


def _without_findings(value: Any) -> Any:
    """A JSON value, every text of it without what a built-in pattern finds."""
    if isinstance(value, str):
        found = findings(group(""), value)
        return replaced(value, found, lambda name, _: f"[{name}]") if found else value
    if isinstance(value, dict):
        return {_without_findings(name): _without_findings(item) for name, item in value.items()}
    return [_without_findings(item) for item in value] if isinstance(value, list) else value
