"""What `server.passthrough` lets through: any method, bytes as they came, no body that a rule could read.

Must not know how an exchange of an API of ours goes.
"""

from __future__ import annotations

from urllib.parse import quote

from engine.document.answers import Answer
from engine.document.exchange import Exchange
from engine.errors import UpstreamError
from engine.ports.closing import closed_after
from engine.ports.wire import Arrival, Call, Client
from engine.proxy.admission import admit
from engine.proxy.attempts import failing
from engine.proxy.gateway import Gateway
from engine.proxy.receive import read
from engine.proxy.relay import relay_bytes
from engine.proxy.reply import as_refusal, in_dialect
from engine.proxy.send import headers_for, upstream_root
from engine.rules.models import Target
from engine.runtime.executor import run


async def pass_through(client: Client, gateway: Gateway, x: Exchange) -> Answer | None:
    """Run the rules that need no body, then bring the request to the first upstream and its answer to the client."""
    body = await read(client, x.program.server.body_limit)
    answer = await run(x.program.plans.get(("request:head", "")), x) or await admit(gateway, x)
    answer = answer or await _bring(client, gateway, x, body)
    return None if answer is None else await failing(x, in_dialect(x, answer))


async def _bring(client: Client, gateway: Gateway, x: Exchange, body: bytes) -> Answer | None:
    target = x.program.models.first
    x.attempts += 1
    x.upstream = upstream_root(target, x)
    x.called, x.arrived = x.clock.monotonic(), None
    try:
        arrival = await gateway.transports(target.upstream).send(_call(x, target, body))
        return await closed_after(_relayed(arrival, client, x), arrival)
    except UpstreamError as failed:
        return as_refusal(x, failed.source, failed.message)
    finally:
        gateway.metrics.called(x)


async def _relayed(arrival: Arrival, client: Client, x: Exchange) -> Answer | None:
    try:
        return await relay_bytes(arrival, client, x, "its path is passed through")
    finally:
        x.heard()


def _call(x: Exchange, target: Target, body: bytes) -> Call:
    """The client's request as it came, on the path that was decoded and judged."""
    upstream = target.upstream
    query = "&".join(part for part in (x.query_string, upstream.query) if part)
    path = quote(x.path.removeprefix("/v1"), safe="/:@!$&'()*+,;=~")
    headers = headers_for(x, target, x.program, x.headers.get("content-type"))
    return Call(x.method, upstream.base_url + path + (f"?{query}" if query else ""), headers, body, upstream.patience)
