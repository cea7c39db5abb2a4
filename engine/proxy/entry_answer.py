"""The head of an answer as bytes. Must not know connections."""

from __future__ import annotations

import time
from email.utils import formatdate
from http import HTTPStatus

from engine.ports.wire import Headers
from engine.proxy.fields import FRAMING

_LOOKED_AT = FRAMING | {"date", "server"}
_REASONS = {status.value: status.phrase for status in HTTPStatus}
_NOW = [0, ""]  # the second that was told last, and how


def head(status: int, headers: Headers, framing: str) -> bytes:
    """The status line and the header fields; ValueError when one of them would end its line early.

    `framing` are lines of this connection's own; what the headers say of framing is another's.
    """
    lines = [f"{name}: {value}\r\n" for name, value in headers if name.lower() not in _LOOKED_AT]
    server, date = "pointsman", ""
    if len(lines) != len(headers):
        for name, value in headers:
            if name.lower() == "server":
                server = value
            elif name.lower() == "date":
                date = value
    breaks = len(lines) + 3 + framing.count("\n")
    text = (
        f"HTTP/1.1 {status} {_REASONS.get(status, '')}\r\n{''.join(lines)}{framing}"
        f"Date: {date or _date()}\r\nServer: {server}\r\n\r\n"
    )
    if text.count("\n") != breaks + 1 or text.count("\r") != breaks + 1 or "\0" in text:
        raise ValueError("a header field has a line break or a NUL in it")
    return text.encode()


def _date() -> str:
    """The time as HTTP tells it, made once a second."""
    now = int(time.time())
    if _NOW[0] != now:
        _NOW[:] = now, formatdate(now, usegmt=True)
    return str(_NOW[1])
