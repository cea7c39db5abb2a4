"""What an upstream's answer brings: its headers for the client, its body as it comes. Must not know rules."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from engine.document.exchange import Exchange
from engine.errors import UpstreamError
from engine.ports.wire import Arrival, BrokenBody, UnknownCoding
from engine.proxy.coding import decoder
from engine.proxy.reply import own_headers, with_edits
from engine.proxy.send import HOP_BY_HOP

_NOT_RELAYED = HOP_BY_HOP | {
    "content-length",
    "content-encoding",
    "date",
    "server",
    "x-request-id",
    "request-id",
    "x-pointsman-rules",
    "x-pointsman-version",
    "x-pointsman-rule",
    "x-pointsman-cache",
}


async def read_whole(arrival: Arrival, x: Exchange) -> bytes:
    """The whole body, within bounds; without a content coding that was used although identity was asked for."""
    most = x.program.server.answer_limit
    if coding_of(x) is None:
        announced = x.response["headers"].get("content-length", "")  # type: ignore[index]
        if announced.isdecimal() and int(announced) <= most:
            return await arrival.read()
    pieces: list[bytes] = []
    size = 0
    async with aclosing(chunks_of(arrival, x)) as chunks:
        async for chunk in chunks:
            size += len(chunk)
            if size > most:
                raise UpstreamError("upstream", f"the answer is larger than {most} bytes (`server.answer_limit`)")
            pieces.append(chunk)
    return b"".join(pieces)


async def chunks_of(arrival: Arrival, x: Exchange) -> AsyncGenerator[bytes, None]:
    """The body as it comes, decoded; UpstreamError when it cannot be."""
    try:
        undo = decoder(coding_of(x))
        async for chunk in arrival.chunks():
            if x.first_byte is None:
                x.first_byte = x.clock.monotonic()
            for piece in undo.pieces(chunk) if undo else (chunk,):
                yield piece
        if undo:
            undo.finish()
    except (UnknownCoding, BrokenBody):
        raise UpstreamError("connection", f"the answer's content coding {coding_of(x)!r} cannot be undone") from None


def coding_of(x: Exchange) -> str | None:
    coding: str | None = x.response["headers"].get("content-encoding")  # type: ignore[index]
    return coding


def headers_for_client(arrival: Arrival, x: Exchange) -> list[tuple[str, str]]:
    return with_edits([*passed_headers(arrival, x), *own_headers(x)], x)


def passed_headers(arrival: Arrival, x: Exchange) -> list[tuple[str, str]]:
    """The upstream's headers that are for the client; where we limit, not how it stands with the upstream's limits."""
    left_out: frozenset[str] = _NOT_RELAYED
    if x.limit_headers:
        left_out = left_out.union(name for name, _ in x.limit_headers)
    kept = []
    for pair in arrival.headers:
        name = pair[0]
        if name not in left_out:
            kept.append(pair)
        elif name == "connection":  # what it names is for this hop alone, wherever it stands
            return _without_named(arrival, left_out)
    return kept


def _without_named(arrival: Arrival, left_out: frozenset[str]) -> list[tuple[str, str]]:
    values = [value for name, value in arrival.headers if name == "connection"]
    left_out = left_out | {name.strip().lower() for value in values for name in value.split(",")}
    return [(name, value) for name, value in arrival.headers if name not in left_out]
