"""The models that a client may ask for, as OpenAI's `/v1/models` lists them. Must not know rules."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from engine.document.answers import Refused
from engine.document.exchange import Exchange
from engine.errors import UpstreamError
from engine.ports.wire import Client
from engine.proxy.body import encode
from engine.proxy.gateway import Gateway
from engine.proxy.receive import authenticate
from engine.proxy.reply import JSON, as_refusal, own_headers, reply
from engine.proxy.send import allows, call_for_listing, unknown_model, upstream_root


async def list_models(client: Client, gateway: Gateway) -> None:
    """The names clients may ask for; where the file names none, what the first upstream lists."""
    x = await _known(client, gateway)
    if x is None:
        return
    models = x.program.models
    if models.entries is None:
        await _relay(client, gateway, x, "/models")
        return
    listed = [_told(name) for name in models.names if allows(x, name)]
    await client.reply(200, [JSON, *own_headers(x)], encode({"object": "list", "data": listed}))


async def show_model(client: Client, gateway: Gateway, name: str) -> None:
    """One model, also one that only a glob names; 404 for what a request with it would be refused."""
    x = await _known(client, gateway)
    if x is None:
        return
    models = x.program.models
    if models.entries is None:
        await _relay(client, gateway, x, "/models/" + quote(name, safe=""))
    elif models.find(name) is None or not allows(x, name):
        await reply(client, x, unknown_model(name, x))
    else:
        await client.reply(200, [JSON, *own_headers(x)], encode(_told(name)))


async def _known(client: Client, gateway: Gateway) -> Exchange | None:
    """The exchange of a caller with a good key; any other has got the refusal."""
    x = gateway.begin(client)
    try:
        await authenticate(x, client, x.program)
    except Refused as refused:
        await reply(client, x, refused.refusal)
        return None
    return x


def _told(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "pointsman"}


async def _relay(client: Client, gateway: Gateway, x: Exchange, path: str) -> None:
    target = x.program.models.first
    x.upstream = upstream_root(target, x)
    try:
        arrival = await gateway.transports(target.upstream).send(call_for_listing(x, x.program, path))
        try:
            body = await arrival.read()
        finally:
            await arrival.close()
    except UpstreamError as failed:
        await reply(client, x, as_refusal(x, failed.source, failed.message))
        return
    await client.reply(arrival.status, [JSON, *own_headers(x)], body)
