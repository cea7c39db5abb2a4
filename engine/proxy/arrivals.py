"""What an upstream's answer brings: its headers for the client, its body as a whole. Must not know rules."""

from __future__ import annotations

from engine.document.exchange import Exchange
from engine.ports.wire import Arrival
from engine.proxy.arrival_chunks import bounded, coding_of
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
    return await bounded(arrival, x, most)


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
