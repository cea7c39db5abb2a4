"""A request as bytes. Must not know connections."""

from __future__ import annotations

from engine.ports.wire import Call
from engine.proxy.fields import FRAMING
from engine.proxy.url import Destination

_LOOKED_AT = FRAMING | {"host", "authorization"}
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


def head(call: Call, to: Destination) -> bytes:
    """The request line and the header fields; ValueError when one of them would end its line early."""
    lines = [f"{call.method} {to.target} HTTP/1.1"]
    authority: str | None = to.authority
    authorization = to.authorization
    for name, value in call.headers:
        low = name.lower()
        if low in _LOOKED_AT:
            if low in FRAMING:
                continue
            if low == "host":
                authority = None
            else:
                authorization = None
        lines.append(f"{name}: {value}")
    if authority is not None:
        lines.append(f"Host: {authority}")
    if authorization is not None:
        lines.append(f"Authorization: {authorization}")
    if call.body or call.method not in _BODILESS:
        lines.append(f"Content-Length: {len(call.body)}")
    text = "\r\n".join(lines)
    breaks = len(lines) - 1
    if text.count("\n") != breaks or text.count("\r") != breaks or "\0" in text:
        raise ValueError("a header field has a line break or a NUL in it")
    return text.encode() + b"\r\n\r\n"
