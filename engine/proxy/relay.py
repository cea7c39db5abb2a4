"""From an upstream's answer to the client: response rules on whole and held answers, streams as they come.

Must not know how upstreams are reached or chosen.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

import msgspec

from engine.document.answers import Answer, Refusal
from engine.document.exchange import Exchange, joined
from engine.document.sse import Parser
from engine.errors import UpstreamError
from engine.phases import RESPONSE
from engine.ports.wire import Arrival, Client
from engine.proxy.reply import EVENTS, as_refusal, own_headers, wants_usage, with_edits
from engine.proxy.send import HOP_BY_HOP, encode
from engine.runtime.executor import run

_decode = msgspec.json.Decoder().decode
_NOT_RELAYED = HOP_BY_HOP | {"content-length", "content-encoding", "date", "server", "x-request-id", "request-id",
                             "x-pointsman-rules", "x-pointsman-version", "x-pointsman-rule"}


async def relay(arrival: Arrival, client: Client, x: Exchange) -> Answer | None:
    """Bring an upstream's answer to the client; an Answer is given back when a rule, or a fault, gives another."""
    headers = joined(arrival.headers, leave_out=frozenset())
    x.response = {"status": arrival.status, "headers": headers, "body": None}
    if arrival.status < 400 and headers.get("content-type", "").startswith("text/event-stream"):
        return await _relay_stream(arrival, client, x)
    return await _relay_whole(arrival, client, x)


async def _relay_whole(arrival: Arrival, client: Client, x: Exchange) -> Answer | None:
    raw = _plain(await arrival.read(), x)
    if arrival.status >= 400:
        return await _relay_error(raw, arrival, client, x)
    plan = x.program.plan(RESPONSE, x.call_type)
    body = _read_answer(raw, x)
    if isinstance(body, Refusal):
        return body
    if plan is not None:
        answer = await run(plan, x)
        if answer is not None:
            return answer
        if x.response["body"] is not body:  # type: ignore[index]
            raw = encode(x.response["body"])  # type: ignore[index]
    x.status = arrival.status
    await client.reply(arrival.status, _headers(arrival, x), raw)
    return None


async def _relay_error(raw: bytes, arrival: Arrival, client: Client, x: Exchange) -> Answer | None:
    """An upstream's own error keeps its status and body."""
    body = _read_json(raw)
    x.response["body"] = body  # type: ignore[index]
    told = body.get("error") if isinstance(body, dict) else None
    told = told if isinstance(told, dict) else {}
    x.error = {"status": arrival.status, "type": told.get("type"), "code": told.get("code"),
               "message": told.get("message"), "source": "upstream", "param": told.get("param")}
    x.status = arrival.status
    await client.reply(arrival.status, _headers(arrival, x), raw)
    return None


def _read_answer(raw: bytes, x: Exchange) -> Any:
    """The parsed body of a good answer, now in `x.response`; a Refusal for what no client could read."""
    body = _read_json(raw)
    if body is None:
        start = raw[:40].decode("utf-8", "replace")
        return as_refusal(x, "upstream", f"the answer is not JSON, it begins with {start!r}")
    x.response["body"] = body  # type: ignore[index]
    return body


def _read_json(raw: bytes) -> Any:
    try:
        return _decode(raw)
    except (ValueError, RecursionError):
        return None


def _plain(raw: bytes, x: Exchange) -> bytes:
    """The body without a content coding that the upstream used although identity was asked for."""
    coding = x.response["headers"].get("content-encoding", "identity")  # type: ignore[index]
    if coding == "identity" or not raw:
        return raw
    if coding not in ("gzip", "deflate"):
        raise UpstreamError("connection", f"the answer has an unknown content coding {coding!r}")
    try:
        return zlib.decompress(raw, 47)  # 47: gzip or zlib header, found out by zlib
    except zlib.error:
        raise UpstreamError("connection", "the answer's content coding is broken") from None


def _headers(arrival: Arrival, x: Exchange) -> list[tuple[str, str]]:
    kept = [(name, value) for name, value in arrival.headers if name.lower() not in _NOT_RELAYED]
    return with_edits([*kept, *own_headers(x)], x)


# --- streams ----------------------------------------------------------------------------------------------------------


async def _relay_stream(arrival: Arrival, client: Client, x: Exchange) -> Answer | None:
    program = x.program
    if program.holds(x):
        return await _relay_held(arrival, client, x)
    answer = await run(program.plans.get(("response:head", x.call_type)), x)
    if answer is not None:
        return answer
    kept = Kept(program.server.max_held) if program.needs[x.call_type].assembled else None
    x.status = arrival.status
    await client.start(arrival.status, _headers(arrival, x))
    try:
        await _pass_on(arrival, client, x, kept)
    except UpstreamError as broken:
        await _break_off(client, x, broken, kept)
    if kept is not None:
        x.pending_stream = kept.chunks
    return None


async def _pass_on(arrival: Arrival, client: Client, x: Exchange, kept: Kept | None) -> None:
    """Every chunk leaves as it came."""
    async for chunk in arrival.chunks():
        if x.first_byte is None:
            x.first_byte = x.clock.monotonic()
        x.mid_event = not chunk.endswith((b"\n\n", b"\r\n\r\n", b"\r\r"))
        await client.write(chunk)
        if kept is not None:
            kept.add(chunk)
    await client.end()


async def _break_off(client: Client, x: Exchange, broken: UpstreamError, kept: Kept | None) -> None:
    """An upstream that broke its stream: an error event between events, a broken body within one; never a clean end."""
    refusal = as_refusal(x, broken.source, broken.message)
    if not x.mid_event:
        await client.write(x.dialect.error_event(refusal, x.id))
    await client.end(clean=not x.mid_event)


class Kept:
    """The chunks of a stream, as long as they fit; `chunks` is None once they did not."""

    def __init__(self, limit: int) -> None:
        self.room = limit
        self.chunks: list[bytes] | None = []

    def add(self, chunk: bytes) -> None:
        """Keep a chunk."""
        self.room -= len(chunk)
        if self.room < 0:
            self.chunks = None
        elif self.chunks is not None:
            self.chunks.append(chunk)


async def _relay_held(arrival: Arrival, client: Client, x: Exchange) -> Answer | None:
    """Collect the stream, rule on it as on a whole answer, then send it on as a stream."""
    kept = Kept(x.program.server.max_held)
    async for chunk in arrival.chunks():
        kept.add(chunk)
        if kept.chunks is None:
            return as_refusal(x, "upstream", "the streamed answer is larger than `server.max_held`, and a rule holds it")
    assert kept.chunks is not None
    body = assemble(kept.chunks, x)
    if body is None:
        return as_refusal(x, "upstream", "the stream held no answer")
    x.response["body"] = body  # type: ignore[index]
    answer = await run(x.program.plan(RESPONSE, x.call_type), x)
    if answer is not None:
        return answer
    changed = x.response["body"] is not body  # type: ignore[index]
    events: Iterable[bytes] = kept.chunks
    if changed:
        events = x.dialect.replay(x.response["body"], include_usage=wants_usage(x))  # type: ignore[index]
    x.status = arrival.status
    await client.start(arrival.status, with_edits([*EVENTS, *own_headers(x)], x))
    for event in events:
        await client.write(event)
    await client.end()
    return None


def assemble(chunks: Iterable[bytes], x: Exchange) -> dict[str, Any] | None:
    """The whole body that a stream's chunks amount to; an in-band error becomes the exchange's `error`."""
    parser, assembler = Parser(), x.dialect.assembler()
    for chunk in chunks:
        for event in parser.feed(chunk):
            assembler.feed(event)
    if assembler.error is not None and x.error is None:
        told = assembler.error
        x.error = {"status": 200, "type": told.get("type"), "code": told.get("code"), "message": told.get("message"),
                   "source": "upstream", "param": told.get("param")}
    return assembler.body
