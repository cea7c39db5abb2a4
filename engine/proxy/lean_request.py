"""A request as bytes. Must not know connections."""

from __future__ import annotations

from engine.ports.wire import Call
from engine.proxy.fields import FRAMING
from engine.proxy.url import Destination

_LOOKED_AT = FRAMING | {"host"}
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


def head(call: Call, to: Destination) -> bytes:
    """The request line and the header fields; ValueError when one of them would end its line early."""
    lines = [f"{name}: {value}\r\n" for name, value in call.headers if name not in _LOOKED_AT]
    authority = to.authority if len(lines) == len(call.headers) else _written_authority(call, to)
    if to.authorization is not None and all(name != "authorization" for name, _ in call.headers):
        lines.append(f"Authorization: {to.authorization}\r\n")
    if call.body or call.method not in _BODILESS:
        lines.append(f"Content-Length: {len(call.body)}\r\n")
    text = f"{call.method} {to.target} HTTP/1.1\r\nHost: {authority}\r\n{''.join(lines)}\r\n"
    breaks = len(lines) + 3
    if text.count("\n") != breaks or text.count("\r") != breaks or "\0" in text:
        raise ValueError("a header field has a line break or a NUL in it")
    return text.encode()


def _written_authority(call: Call, to: Destination) -> str:
    """The host that the headers name, else the URL's."""
    return next((value for name, value in call.headers if name == "host"), to.authority)
