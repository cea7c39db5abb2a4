"""What of a stream is kept, and the whole body that it amounts to. Must not know clients or rules."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil
from typing import Any

from engine.document.exchange import Exchange
from engine.document.sse import EventTooLarge, Parser
from engine.language.functions_added import ApproxTokens
from engine.proxy.reply import as_refusal

_ENDS = {
    "completion": (b"[DONE]", b'"finish_reason":"', b'"finish_reason": "'),
    "text_completion": (b"[DONE]", b'"finish_reason":"', b'"finish_reason": "'),
    "messages": (b"message_stop",),
    "responses": (b"response.completed", b"response.failed", b"response.incomplete"),
}
_ERROR = b'"error"'
_SAMPLE = 64 * 1024  # bytes
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
    """The chunks of a stream, as long as they fit. Once they do not, `over` is true and a sample of them is left."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.size = 0
        self.over = False
        self.chunks: list[bytes] = []

    def add(self, chunk: bytes) -> None:
        """Keep a chunk."""
        self.size += len(chunk)
        if self.over:
            return
        if self.size > self._limit:
            self.over = True
            self.chunks = _beginning([*self.chunks, chunk], _SAMPLE) if self._limit else []
        else:
            self.chunks.append(chunk)

    @property
    def times_sample(self) -> float | None:
        """How many times what is left of a stream all of it was; None where all is there, or nothing was wanted."""
        sample = sum(map(len, self.chunks))
        return self.size / sample if self.over and sample else None


def _beginning(chunks: Iterable[bytes], most: int) -> list[bytes]:
    found = []
    for chunk in chunks:
        found.append(chunk[:most])
        most -= len(found[-1])
        if most <= 0:
            break
    return found


def take_passed(x: Exchange) -> None:
    """After a stream has passed: its whole body becomes the answer that the log phase sees.

    It is put together only where somebody reads it, or the upstream told no usage and what passed must be estimated.
    """
    assert x.pending_stream is not None
    assert x.response is not None
    x.answered = x.told
    if x.unkept is None and x.pending_stream and (x.program.needs[x.call_type or ""].assembled or x.usage is None):
        x.response["body"] = x.answered = assemble(x.pending_stream, x)


def said_tokens(x: Exchange) -> int:
    """About how many tokens an answer has, as far as it came: for what the upstream told no usage of."""
    said, times = x.said, 1.0
    if x.unkept is not None:
        sample = assemble(x.pending_stream or (), x)
        said, times = x.dialect.said(sample or {}), x.unkept
    return ceil(sum(map(ApproxTokens.call, (said.completion, said.tool, said.reasoning))) * times)


def assemble(chunks: Iterable[bytes], x: Exchange) -> dict[str, Any] | None:
    """The whole body that a stream's chunks amount to; an in-band error becomes the exchange's `error`."""
    body = _assembled(chunks, x)
    if body is not None and x.asked_usage and x.told and "usage" in x.told:
        return {**body, "usage": x.told["usage"]}  # told to us alone
    return body


def _assembled(chunks: Iterable[bytes], x: Exchange) -> dict[str, Any] | None:
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
