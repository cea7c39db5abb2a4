"""What the gateway answers itself, before any rule: health, the list of models, the schema. Must not know rules."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from engine.document.answers import Refusal, Refused
from engine.document.exchange import Exchange
from engine.errors import UpstreamError
from engine.ports.wire import Client
from engine.proxy.body import encode
from engine.proxy.gateway import Gateway
from engine.proxy.receive import authenticate
from engine.proxy.reply import JSON, as_refusal, own_headers, reply
from engine.proxy.send import call_for_listing, upstream_root
from engine.rules.models import matches_any

_PACKAGE = Path(__file__).parent.parent
_SCHEMA = (_PACKAGE / "rules.schema.json", _PACKAGE.parent / "schema" / "rules.schema.json")  # installed, or a checkout

Aside = Callable[[Client, Gateway], Awaitable[None]]


async def answer_aside(client: Client, gateway: Gateway) -> bool:
    """Answer what is not an exchange; False when it is one."""
    if client.method not in ("GET", "HEAD"):
        return False
    aside = _ASIDES.get(client.target.rstrip("/") or "/")
    if aside is None:
        return False
    await aside(client, gateway)
    return True


async def _say(client: Client, gateway: Gateway, status: int, body: Any) -> None:
    await client.reply(status, [JSON, *own_headers(gateway.begin(client))], encode(body))


async def _live(client: Client, gateway: Gateway) -> None:
    await _say(client, gateway, 200, {"status": "live"})


async def _ready(client: Client, gateway: Gateway) -> None:
    """Ready while rules are served, a broken reload included: then its problems stand here."""
    if gateway.draining:
        await _say(client, gateway, 503, {"status": "draining"})
        return
    told: dict[str, Any] = {"status": "ready", "rules_version": gateway.program.version,
                            "rules": len(gateway.program.rule_names)}
    if gateway.problems:
        told["problems"] = [problem.as_json() for problem in gateway.problems]
    await _say(client, gateway, 200, told)


async def _schema(client: Client, gateway: Gateway) -> None:
    """The schema of rules files, for editors."""
    x = gateway.begin(client)
    for place in _SCHEMA:
        if place.is_file():
            await client.reply(200, [JSON, *own_headers(x)], place.read_bytes())
            return
    await reply(client, x, Refusal(404, "this installation has no schema file; run `pointsman schema`"))


async def _home(client: Client, gateway: Gateway) -> None:
    await _say(client, gateway, 200, {"name": "pointsman", "endpoints": "/v1/chat/completions and its kin",
                             "health": "/health/ready", "schema": "/schema.json"})


async def _models(client: Client, gateway: Gateway) -> None:
    """The names clients may ask for; where the file names none, what the first upstream lists."""
    x = gateway.begin(client)
    try:
        authenticate(x, client, x.program)
    except Refused as refused:
        await reply(client, x, refused.refusal)
        return
    models = x.program.models
    if models.entries is None:
        await _relay_listing(client, gateway, x)
        return
    allowed = x.key["models"] if x.key is not None else None
    names = [name for name in models.names if allowed is None or matches_any(name, allowed)]
    listing = {"object": "list", "data": [{"id": name, "object": "model", "created": 0, "owned_by": "pointsman"}
                                          for name in names]}
    await client.reply(200, [JSON, *own_headers(x)], encode(listing))


async def _relay_listing(client: Client, gateway: Gateway, x: Exchange) -> None:
    target = x.program.models.first
    x.upstream = upstream_root(target, x)
    try:
        arrival = await gateway.transports(target.upstream).send(call_for_listing(x, x.program))
        try:
            body = await arrival.read()
        finally:
            await arrival.close()
    except UpstreamError as failed:
        await reply(client, x, as_refusal(x, failed.source, failed.message))
        return
    await client.reply(arrival.status, [JSON, *own_headers(x)], body)


_ASIDES: dict[str, Aside] = {
    "/": _home,
    "/health/live": _live, "/health/liveliness": _live, "/health/liveness": _live,
    "/health/ready": _ready, "/health/readiness": _ready,
    "/schema.json": _schema,
    "/v1/models": _models, "/models": _models,
}
