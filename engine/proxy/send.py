"""From an exchange to the upstream call it means. Must not know clients or rules."""

from __future__ import annotations

import logging
from typing import Any

from engine.actions.options import header_value
from engine.document.answers import Refusal, Refused
from engine.document.exchange import Exchange
from engine.document.headers import CREDENTIALS
from engine.errors import did_you_mean
from engine.language.values import EvaluationError
from engine.ports.wire import Call
from engine.proxy.body import encode
from engine.proxy.form import encode_form
from engine.rules.models import Target, Upstream, matches_any
from engine.rules.program import Program

log = logging.getLogger("pointsman")
HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_NOT_PASSED = HOP_BY_HOP | {
    "host",
    "content-length",
    "accept-encoding",
    "content-type",
    "content-encoding",
    "expect",
    "x-request-id",
}
_NOT_PASSED_NOR_SECRET = _NOT_PASSED | CREDENTIALS
_OURS = HOP_BY_HOP | {"content-type", "accept-encoding", "content-encoding", "content-length"}  # no rule frames a body
JSON = "application/json"
TAKEN_OUT = ("prompt_id", "prompt_variables", "prompt_label", "prompt_version")


def find_target(x: Exchange, program: Program) -> Target:
    """Where the request goes after the rules; 404 for a model nobody defined, 403 for one the key may not use."""
    assert x.request is not None
    model = x.request.get("model")
    if not isinstance(model, str):
        if program.models.entries is None and not _restricted(x):
            return program.models.first
        raise Refused(
            Refusal(400, "Missing required parameter: 'model'.", param="model", code="missing_required_parameter")
        )
    target = program.models.find(model)
    if target is None:
        raise Refused(unknown_model(model, x))
    if not allows(x, model):
        raise Refused(
            Refusal(
                403, f"this key may not use model {model!r}", param="model", code="model_not_allowed", source="auth"
            )
        )
    return target


def _restricted(x: Exchange) -> bool:
    return x.key is not None and x.key["models"] is not None


def allows(x: Exchange, model: str) -> bool:
    """Whether the caller's key may use a model."""
    return x.key is None or x.key["models"] is None or matches_any(model, x.key["models"])


def unknown_model(model: str, x: Exchange) -> Refusal:
    """A model that nobody defined; the hint names only what the key may use."""
    hint = did_you_mean(model, [name for name in x.program.models.names if allows(x, name)])
    return Refusal(404, f"unknown model {model!r}; {hint}".rstrip("; "), param="model", code="model_not_found")


def upstream_root(target: Target, x: Exchange) -> dict[str, Any]:
    """The `upstream` root of the document."""
    model = target.model or (x.request or {}).get("model")
    return {"name": target.upstream.name, "model": model, "attempt": x.attempts}


def call_for(x: Exchange, target: Target, program: Program) -> Call:
    """The HTTP request: body re-encoded, credentials swapped, hop-by-hop headers left behind."""
    upstream = target.upstream
    body = body_for(x, target)
    url = upstream.address(body.get("model")) + x.dialect.upstream_path
    if x.query_string or upstream.query:
        url += "?" + "&".join(part for part in (x.query_string, upstream.query) if part)
    x.asked_usage = must_ask_usage(x, body, upstream)
    if x.asked_usage:
        body = {**body, "stream_options": {**(body.get("stream_options") or {}), "include_usage": True}}
    x.sent = body
    content_type, raw = (JSON, encode(body)) if x.uploads is None else encode_form(body, x.uploads)
    return Call("POST", url, headers_for(x, target, program, content_type), raw, upstream.patience)


def must_ask_usage(x: Exchange, body: dict[str, Any], upstream: Upstream) -> bool:
    """Whether a stream's usage is needed, told only when asked for, and not asked for yet."""
    if x.call_type not in ("completion", "text_completion") or body.get("stream") is not True:
        return False
    if not (upstream.stream_usage and (x.counts_usage or x.program.needs[x.call_type].usage)):
        return False
    options = body.get("stream_options")
    return options is None or (isinstance(options, dict) and options.get("include_usage") is not True)


def call_for_listing(x: Exchange, program: Program, path: str) -> Call:
    """The call that asks the first upstream for its models, or for one of them."""
    target = program.models.first
    upstream = target.upstream
    return Call("GET", f"{upstream.base_url}{path}", headers_for(x, target, program, JSON), b"", upstream.patience)


def body_for(x: Exchange, target: Target) -> dict[str, Any]:
    """What goes upstream: the body after the rules, without what only the gateway reads, under the target's model."""
    assert x.request is not None
    body = x.request
    if any(name in body for name in TAKEN_OUT):
        body = {name: value for name, value in body.items() if name not in TAKEN_OUT}
    if target.model is not None and body.get("model") != target.model:
        body = {**body, "model": target.model}
    return body


def headers_for(x: Exchange, target: Target, program: Program, content_type: str | None) -> list[tuple[str, str]]:
    """The client's headers as rules and the upstream's section changed them, without what is for this hop alone."""
    dropped = _NOT_PASSED if program.open and not target.upstream.has_key else _NOT_PASSED_NOR_SECRET
    named = x.given.get("connection")
    if named:
        dropped = dropped.union(name.strip().lower() for name in named.split(","))
    edits: dict[str, str | None] = {"traceparent": x.trace.traceparent} if program.traced else {}
    edits.update(target.upstream.headers)
    if target.upstream.filled:
        edits.update(_filled(target.upstream, x))
    edits.update(x.to_upstream)
    # what is ours, and no rule's, is dropped already
    headers = [pair for pair in x.raw_headers if pair[0] not in dropped and pair[0] not in edits]
    headers += [(name, value) for name, value in edits.items() if value is not None and name not in _OURS]
    if "x-request-id" not in edits:
        headers.append(("x-request-id", x.id))
    if content_type is not None:
        headers.append(("content-type", content_type))
    headers.append(("accept-encoding", "identity"))
    return headers


def _filled(upstream: Upstream, x: Exchange) -> dict[str, str]:
    """The upstream's headers that are filled in for this call; what comes out empty is left out."""
    try:
        return {name: header_value(value, name) for name, text in upstream.filled if (value := text(x))}
    except (EvaluationError, ValueError) as wrong:
        log.warning("%s: a header of upstream %s cannot be made: %s", x.id, upstream.name, wrong)
        told = f"a header of upstream {upstream.name} cannot be made"
        raise Refused(Refusal(500, told, code="upstream_header", source="rule_error")) from None
