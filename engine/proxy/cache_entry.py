"""A kept answer: what of an upstream's answer is worth keeping, its form in a store, and the answer made of it again.

There is one form for whole answers and streams: the JSON body. Must not know stores, keys or who waits for an answer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

import msgspec

from engine.document.assemble import Assembly, error_in
from engine.document.dialect import Dialect
from engine.document.sse import LARGEST_EVENT, EventTooLarge, Parser
from engine.ports.wire import BrokenBody, Headers, UnknownCoding
from engine.proxy.body import BadJson, encode, parse, parse_lenient
from engine.proxy.coding import decoder
from engine.proxy.reply import EVENTS

_OF_ONE_ANSWER = frozenset(
    {
        "age",
        "alt-svc",
        "cache-control",
        "cf-cache-status",
        "cf-ray",
        "content-type",
        "etag",
        "expires",
        "last-modified",
        "nel",
        "report-to",
        "retry-after",
        "set-cookie",
        "traceparent",
        "tracestate",
        "vary",
        "via",
        "x-cache",
    }
)
_PARTS_OF_NAMES = ("ratelimit", "processing-ms", "request-id", "service-time")
_ENDED = (None, "completed", "incomplete")  # of a response; one that runs in the background is not answered yet
_head = msgspec.json.Decoder().decode


class Unfit(Exception):
    """An answer that is not kept; the text says why."""


class Entry(NamedTuple):
    """A kept answer; `at` is when it came, in Unix seconds."""

    at: float
    headers: Sequence[tuple[str, str]]
    body: bytes

    def packed(self) -> bytes:
        """The form in which a store has it: a line about the answer, then its body."""
        return msgspec.json.encode([self.at, self.headers]) + b"\n" + self.body


def unpacked(raw: bytes) -> Entry | None:
    """What `packed` made; None for anything else, which somebody else wrote."""
    first, _, body = raw.partition(b"\n")
    try:
        at, headers = _head(first)
        return Entry(float(at), [(str(name), str(value)) for name, value in headers], body)
    except (ValueError, TypeError):
        return None


# --- what is kept -----------------------------------------------------------------------------------------------------


def whole(chunks: Sequence[bytes], coding: str | None, largest: int) -> bytes:
    """The body of a whole answer as it is kept; Unfit."""
    raw = _decoded(chunks, coding, largest)
    try:
        body, mended = parse_lenient(raw)
    except BadJson as wrong:
        raise Unfit(f"it is not JSON ({wrong})") from None
    _check(body)
    return encode(body) if mended else raw


def from_stream(chunks: Sequence[bytes], coding: str | None, largest: int, dialect: Dialect) -> bytes:
    """The body that a stream amounts to, as it is kept; Unfit."""
    parser, assembler = Parser(), dialect.assembler()
    assert isinstance(assembler, Assembly)
    try:
        for event in [*parser.feed(_decoded(chunks, coding, largest)), *parser.finish()]:
            assembler.feed(event)
    except EventTooLarge as wrong:
        raise Unfit(str(wrong)) from None
    if assembler.error is not None:
        raise Unfit("it holds an error")
    body = assembler.body
    if body is None or not assembler.complete or assembler.malformed:
        raise Unfit("the stream is not complete")
    _check(body)
    return encode(body)


def _check(body: Any) -> None:
    if isinstance(body, dict):
        if error_in(body) is not None:
            raise Unfit("it holds an error")
        if body.get("object") == "response" and body.get("status") not in _ENDED:
            raise Unfit(f"its status is {body.get('status')!r}")
    elif not isinstance(body, list):
        raise Unfit("it is neither an object nor a list")


def _decoded(chunks: Sequence[bytes], coding: str | None, largest: int) -> bytes:
    try:
        undo = decoder(coding)
        if undo is None:
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)
        made = bytearray()
        for chunk in chunks:
            for piece in undo.pieces(chunk):
                made += piece
                if len(made) > largest:
                    raise Unfit(too_large(largest))
        undo.finish()
        return bytes(made)
    except (UnknownCoding, BrokenBody):
        raise Unfit(f"its content coding {coding!r} cannot be undone") from None


def too_large(largest: int) -> str:
    """Why an answer is not kept that is larger than `max_size`."""
    return f"it is larger than {largest} bytes (`max_size`)"


def lasting(headers: Headers) -> list[tuple[str, str]]:
    """The headers that say something of the answer, not of the one time it was given."""
    named = [(name.lower(), value) for name, value in headers]
    return [
        pair for pair in named if pair[0] not in _OF_ONE_ANSWER and not any(part in pair[0] for part in _PARTS_OF_NAMES)
    ]


# --- the answer made of it again --------------------------------------------------------------------------------------


class Replayed:
    """A kept answer on its way to a client: an `Arrival` that nobody has to wait for."""

    status = 200

    def __init__(self, headers: Headers, pieces: Sequence[bytes]) -> None:
        self.headers = headers
        self._pieces = pieces

    async def read(self) -> bytes:
        return b"".join(self._pieces)

    async def chunks(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece

    async def close(self) -> None:
        """Nothing is held open."""


def replayed(entry: Entry, dialect: Dialect, sent: dict[str, Any]) -> Replayed | None:
    """The answer to a request that asked for it in its own way, as a stream or whole; None where that cannot be."""
    if sent.get("stream") is not True:
        return Replayed([("content-type", "application/json"), *entry.headers], [entry.body])
    try:
        body = parse(entry.body)
    except BadJson:
        return None
    if not isinstance(body, dict) or len(entry.body) > LARGEST_EVENT // 2:
        return None
    options = sent.get("stream_options")
    usage = isinstance(options, dict) and options.get("include_usage") is True
    events = dialect.replay(body, include_usage=usage)
    return Replayed([*EVENTS, *entry.headers], [b"".join(events)])
