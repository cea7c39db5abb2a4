"""Asks an address beside the exchange's own upstream call: a JSON object there, a JSON object back.

Must not know who asks, nor what the answer means.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from engine.ports.closing import closed_after
from engine.ports.wire import Arrival, Call, Headers, Patience, Transport

LARGEST = 1024 * 1024  # bytes of an answer: a verdict is small, and nobody may fill the memory with one
_AS_LONG_AS_THE_RULE = Patience(connect=None, first_byte=None, between_bytes=None)
_JSON: Headers = (("content-type", "application/json"), ("accept", "application/json"), ("accept-encoding", "identity"))


class NoVerdict(Exception):
    """Who was asked answered something else than what was asked for; the text names the host and says what."""


async def ask(transport: Transport, url: str, headers: Sequence[tuple[str, str]], body: dict[str, Any]) -> Any:
    """POST a JSON object and read the JSON object of a 2xx answer.

    Waits until it is cancelled: the rule's time-out bounds it. NoVerdict for any other answer, UpstreamError for none.
    """
    host = urlsplit(url).hostname
    call = Call("POST", url, [*headers, *_JSON], json.dumps(body, separators=(",", ":")).encode(), _AS_LONG_AS_THE_RULE)
    status, raw = await answered(transport, call, _succeeded)
    if not _succeeded(status):
        raise NoVerdict(f"{host} answered with status {status}")
    try:
        answer = json.loads(raw)
    except (ValueError, RecursionError):
        raise NoVerdict(f"{host} answered something that is not JSON") from None
    if not isinstance(answer, dict):
        raise NoVerdict(f"{host} answered JSON that is not an object")
    return answer


async def answered(transport: Transport, call: Call, reads: Callable[[int], bool]) -> tuple[int, bytes]:
    """The status of an answer, and its whole body if `reads` says so of the status.

    NoVerdict for a body beyond LARGEST, UpstreamError for no answer.
    """
    arrival = await transport.send(call)
    return await closed_after(_answer(arrival, reads, urlsplit(call.url).hostname), arrival)


async def _answer(arrival: Arrival, reads: Callable[[int], bool], host: str | None) -> tuple[int, bytes]:
    return arrival.status, await _bounded(arrival, host) if reads(arrival.status) else b""


def _succeeded(status: int) -> bool:
    return 200 <= status < 300


async def _bounded(arrival: Arrival, host: str | None) -> bytes:
    raw = bytearray()
    async for chunk in arrival.chunks():
        raw += chunk
        if len(raw) > LARGEST:
            raise NoVerdict(f"{host} answered more than {LARGEST} bytes")
    return bytes(raw)
