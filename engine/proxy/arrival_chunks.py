"""An upstream's body as it comes, without the content coding that it may have. Must not know rules or clients."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from engine.document.exchange import Exchange
from engine.errors import UpstreamError
from engine.ports.wire import Arrival, BrokenBody, UnknownCoding
from engine.proxy.coding import decoder


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


async def bounded(arrival: Arrival, x: Exchange, most: int) -> bytes:
    """The whole body; UpstreamError when it is larger than `most` bytes."""
    pieces: list[bytes] = []
    size = 0
    async with aclosing(chunks_of(arrival, x)) as chunks:
        async for chunk in chunks:
            size += len(chunk)
            if size > most:
                raise UpstreamError("upstream", f"the answer is larger than {most} bytes (`server.answer_limit`)")
            pieces.append(chunk)
    return b"".join(pieces)


def coding_of(x: Exchange) -> str | None:
    coding: str | None = x.response["headers"].get("content-encoding")  # type: ignore[index]
    return coding
