"""What every assembler shares: reading events one by one, in-band errors, ends, text torn between events.

Must not know a dialect.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from engine.document.dialect import Body, Event
from engine.document.usage import usage_of

_decode = msgspec.json.Decoder().decode


class Assembly:
    """Takes events and keeps what all dialects have in common; `take` and `body` are the dialect's.

    `malformed` counts events that were no JSON object. A dialect without a stream of its own is assembled by this
    class: the last object is the body.
    """

    def __init__(self) -> None:
        self.complete = False
        self.error: dict[str, Any] | None = None
        self.malformed = 0
        self._torn = False  # some text had half a surrogate pair
        self._last: Body | None = None

    def feed(self, event: Event) -> None:
        """Take one event; malformed ones are counted, never raised."""
        data = event.data
        if not data:
            return
        if data.startswith("[DONE]"):
            self.complete = True
            return
        body = self._decoded(data)
        if body is None:
            self.malformed += 1
            return
        error = error_in(body)
        if error is not None:
            self.error = error
        else:
            self.take(body)

    def take(self, body: Body) -> None:
        """Take the object of one event."""
        self._last = body
        kind = body.get("type")
        self.complete = isinstance(kind, str) and kind.endswith((".done", ".completed"))

    @property
    def body(self) -> Body | None:
        """The whole body so far; None before the first event."""
        whole: Body | None = self.mended(self._last)
        return whole

    @property
    def usage(self) -> dict[str, Any] | None:
        """Tokens in common words, as far as the stream told them."""
        return usage_of(self._last.get("usage")) if self._last is not None else None

    def mended(self, body: Any) -> Any:
        """A body whose halves of surrogate pairs are joined; a half without its other half is U+FFFD."""
        return _mended(body) if self._torn else body

    def _decoded(self, data: str) -> Body | None:
        try:
            body = _decode(data)
        except (ValueError, RecursionError):
            body = self._tolerated(data)
        return body if isinstance(body, dict) else None

    def _tolerated(self, data: str) -> Any:
        """What the strict decoder refuses for a lone surrogate alone."""
        try:
            body = json.loads(data)
        except (ValueError, RecursionError):
            return None
        self._torn = True
        return body


def error_in(body: Body) -> dict[str, Any] | None:
    """The error object of an event that is an error, in the words of OpenAI's (`message type param code`)."""
    error = body.get("error")
    if isinstance(error, dict) and error:
        return error
    if isinstance(error, str) and error:
        return {"message": error}
    if body.get("type") == "error":
        return {name: body.get(name) for name in ("message", "code", "param")} | {"type": "error"}
    return None


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        if value.isascii():
            return value
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list):
        return [_mended(item) for item in value]
    if isinstance(value, dict):
        return {_mended(name): _mended(item) for name, item in value.items()}
    return value


class Grown:
    """Texts that grow by deltas, by name; joined when asked for."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: dict[str, list[str]] = {}

    def add(self, name: str, text: str) -> None:
        """Append to a text."""
        self._parts.setdefault(name, []).append(text)

    def __contains__(self, name: str) -> bool:
        return name in self._parts

    def text(self, name: str) -> str:
        """A text so far; empty when it never came."""
        return "".join(self._parts.get(name, ()))

    def all(self) -> dict[str, str]:
        """Every text so far."""
        return {name: "".join(parts) for name, parts in self._parts.items()}


def index_of(part: dict[str, Any], name: str = "index") -> int:
    """The place that a delta is for; 0 when it does not say."""
    index = part.get(name)
    return index if isinstance(index, int) and not isinstance(index, bool) else 0
