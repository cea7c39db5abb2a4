"""What the gateway answers itself, before any rule: health, the list of models, the schema. Must not know rules."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from engine.document.answers import Refusal
from engine.ports.wire import Client
from engine.proxy.body import encode
from engine.proxy.gateway import Gateway
from engine.proxy.listing import list_models, show_model
from engine.proxy.reply import JSON, own_headers, reply
from engine.rules.program import Program

_PACKAGE = Path(__file__).parent.parent
_SCHEMA = (_PACKAGE / "rules.schema.json", _PACKAGE.parent / "schema" / "rules.schema.json")  # installed, or a checkout

Aside = Callable[[Client, Gateway], Awaitable[None]]


async def answer_aside(client: Client, gateway: Gateway) -> bool:
    """Answer what is not an exchange; False when it is one."""
    if client.method not in ("GET", "HEAD"):
        return False
    target = client.target.removeprefix("/v1")
    if target.startswith("/models/"):
        await show_model(client, gateway, unquote(target.removeprefix("/models/")))
        return True
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
    status, told = readiness(gateway.program, gateway.problems, draining=gateway.draining)
    await _say(client, gateway, status, told)


def readiness(program: Program, problems: list[dict[str, Any]], *, draining: bool) -> tuple[int, dict[str, Any]]:
    """Ready while rules are served, a broken reload included: then its problems stand here."""
    if draining:
        return 503, {"status": "draining"}
    told = {"status": "ready", "rules_version": program.version, "rules": len(program.rule_names)}
    return 200, {**told, "problems": problems} if problems else told


async def _schema(client: Client, gateway: Gateway) -> None:
    """The schema of rules files, for editors."""
    x = gateway.begin(client)
    for place in _SCHEMA:
        if place.is_file():
            await client.reply(200, [JSON, *own_headers(x)], place.read_bytes())
            return
    await reply(client, x, Refusal(404, "this installation has no schema file; run `pointsman schema`"))


async def _home(client: Client, gateway: Gateway) -> None:
    await _say(
        client,
        gateway,
        200,
        {
            "name": "pointsman",
            "endpoints": "/v1/chat/completions and its kin",
            "health": "/health/ready",
            "schema": "/schema.json",
        },
    )


_ASIDES: dict[str, Aside] = {
    "/": _home,
    "/health/live": _live,
    "/health/liveliness": _live,
    "/health/liveness": _live,
    "/health/ready": _ready,
    "/health/readiness": _ready,
    "/schema.json": _schema,
    "/v1/models": list_models,
    "/models": list_models,
}
