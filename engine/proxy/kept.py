"""What of a stream is kept, and the whole body that it amounts to. Must not know clients or rules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from engine.document.exchange import Exchange
from engine.document.sse import EventTooLarge, Parser
from engine.proxy.reply import as_refusal

_ENDS = {
    "completion": (b"[DONE]", b'"finish_reason":"', b'"finish_reason": "'),
    "text_completion": (b"[DONE]", b'"finish_reason":"', b'"finish_reason": "'),
    "messages": (b"message_stop",),
    "responses": (b"response.completed", b"response.failed", b"response.incomplete"),
}
_ERROR = b'"error"'
_LONGEST = 32  # bytes: no sign is longer, and one may be torn over two chunks


class Ending:
    """Whether a stream said that it ended: what just stops is a broken answer, whatever HTTP says."""

    def __init__(self, call_type: str | None) -> None:
        self._signs = _ENDS.get(call_type or "", ())
        self._last = b""
        self.seen = not self._signs

    def add(self, chunk: bytes) -> None:
        """Look at a chunk; an error told in the stream is an end too."""
        if not self.seen:
            window = self._last + chunk
            self.seen = _ERROR in window or any(sign in window for sign in self._signs)
            self._last = window[-_LONGEST:]


class Kept:
    """The chunks of a stream, as long as they fit; `chunks` is None once they did not."""

    def __init__(self, limit: int) -> None:
        self._room = limit
        self.chunks: list[bytes] | None = []

    def add(self, chunk: bytes) -> None:
        """Keep a chunk."""
        self._room -= len(chunk)
        if self._room < 0:
            self.chunks = None
        elif self.chunks is not None:
            self.chunks.append(chunk)


def assemble(chunks: Iterable[bytes], x: Exchange) -> dict[str, Any] | None:
    """The whole body that a stream's chunks amount to; an in-band error becomes the exchange's `error`."""
    parser, assembler = Parser(), x.dialect.assembler()
    try:
        for chunk in chunks:
            for event in parser.feed(chunk):
                assembler.feed(event)
        for event in parser.finish():
            assembler.feed(event)
    except EventTooLarge as wrong:
        x.error = x.error or as_refusal(x, "upstream", str(wrong)).as_error()
    if assembler.error is not None and x.error is None:
        x.error = told({"error": assembler.error}, 200)
    return assembler.body


def told(body: Any, status: int) -> dict[str, Any]:
    """The `error` root for what an upstream told."""
    told = body.get("error", body) if isinstance(body, dict) else {}
    told = told if isinstance(told, dict) else {"message": told}
    message = told.get("message") or f"the upstream answered with status {status}"
    return {
        "status": status,
        "type": told.get("type"),
        "code": told.get("code"),
        "message": message,
        "source": "upstream",
        "param": told.get("param"),
    }
