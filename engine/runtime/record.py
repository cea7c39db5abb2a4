"""One record per exchange: what happened, as JSON. Made after the answer, only for the sinks that asked.

Must not know sinks beyond `put`.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import msgspec

from engine.document.dialect_responses import kept_upstream
from engine.document.exchange import Exchange
from engine.document.finish import finish_of
from engine.document.moments import written_time
from engine.runtime.redaction import redacted


def write_records(x: Exchange) -> None:
    """Give every sink that `log_to` named its record, with as much content as was asked for; each sink once."""
    asked = x.log_requests or ()
    if len(asked) == 1:
        ((sink, content),) = asked
        sink.put(record_of(x, content))
        return
    wanted: dict[int, tuple[Any, str]] = {}
    for sink, content in asked:
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


class Outcome(msgspec.Struct, gc=False):
    """What a rule did to an exchange. Made and written faster than a mapping: most of a record are these."""

    rule: str
    phase: str
    result: str
    why: str | None
    us: float


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
            record[part] = redacted(record[part])
    return record


def _told(x: Exchange) -> dict[str, Any]:
    key, request, program = x.key, x.request or {}, x.program
    name, team, user = (None, None, None) if key is None else (key.get("name"), key.get("team"), key.get("user"))
    record = {
        "id": x.id,
        "time": written_time(x.clock.now()),
        "trace": _trace(x) if program.traced or not _NAMED.isdisjoint(x.headers) else None,
        "rules_version": program.version,
        "call_type": x.call_type,
        "stream": request.get("stream") is True,
        "key": name,
        "team": team,
        "user": request.get("user") or user,
        "model_requested": x.model_requested,
        "model": request.get("model"),
        "upstream": None if x.upstream is None else x.upstream["name"],
        "provider": _provider(x),
        "attempts": x.attempts,
        "status": x.status,
        "matched": x.matched.copy(),
        "outcomes": [
            Outcome(rule, phase, result, why or None, nanoseconds / 1000)
            for rule, phase, result, why, nanoseconds in x.outcomes
        ],
        "decided_by": x.cut_by if x.answer is None else x.answer.rule,
        "changed_by": _changed_by(x, program.writers) if program.writers else [],
        "prompt": kept_upstream(request["prompt"]) if x.prompt is None and "prompt" in request else x.prompt,
        "answer": finish_of(x.answered if x.answered is not None or x.response is None else x.response["body"]),
        "usage": x.usage,
        "cost": x.cost,
        "cache_hit": x.cache_hit,
        "timing": x.timing,
        "metadata": request.get("metadata"),
        "error": x.error,
        "tags": x.tags.copy(),
    }
    if x.passed_by is not None:
        record["passthrough"] = x.passed_by
    return record


def _changed_by(x: Exchange, writers: Collection[str]) -> list[str]:
    return [rule for rule, _, did, _, _ in x.outcomes if did == "acted" and rule in writers]


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
