"""Header fields as both ends of the wire need them. Must not know what any field means beyond framing."""

from __future__ import annotations

from collections.abc import Iterable

from multidict import CIMultiDict

from engine.ports.wire import Headers

# Each end of the wire frames its own messages: what the other end said about framing must not come through.
FRAMING = frozenset({"connection", "content-length", "expect", "keep-alive", "proxy-connection", "te", "trailer",
                     "transfer-encoding", "upgrade"})


def unframed(headers: Headers) -> CIMultiDict[str]:
    """The fields that are passed on, in order, repeated ones kept."""
    return CIMultiDict((name, value) for name, value in headers if name.lower() not in FRAMING)


def readable(fields: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Fields as aiohttp parsed them, bytes that are not UTF-8 read as Latin-1: no lone surrogate is left."""
    return [(str(name), value if value.isascii() else _without_surrogates(value)) for name, value in fields]


def _without_surrogates(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode(errors="surrogateescape").decode("latin-1")
    return value
