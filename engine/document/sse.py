"""Server-sent events as bytes: taking a stream apart wherever the network cut it, and writing events.

Must not know what the events say.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import msgspec

from engine.document.dialect import Event

LARGEST_EVENT = 8 * 1024 * 1024  # bytes
DONE = b"data: [DONE]\n\n"

_encode = msgspec.json.encode
_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


class EventTooLarge(Exception):
    """An event is longer than the limit; what came before it has been given out."""


class Parser:
    """Bytes in, at any split; events out, the same for every split.

    An event carries its bytes in `raw`, with comments, unknown fields and its blank line, so that the `raw` of all
    events joined are the bytes that came. Blocks without data (comments, lone blank lines) are events with empty
    `data`. A stream whose lines end in a lone CR is one event late, as the next byte may belong to the line end.
    """

    __slots__ = ("_buffer", "_first", "_largest", "_scanned", "_too_large")

    def __init__(self, largest: int = LARGEST_EVENT) -> None:
        self._buffer = bytearray()
        self._scanned = 0
        self._first = True
        self._largest = largest
        self._too_large = False

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that this chunk completes; EventTooLarge on the call after the last good one was given out."""
        if self._too_large:
            raise EventTooLarge(f"an event is longer than {self._largest} bytes")
        if not self._buffer and chunk.endswith(b"\n\n") and not chunk.endswith(b"\n\n\n") and b"\r" not in chunk:
            return self._checked([self._event(raw + b"\n\n") for raw in chunk[:-2].split(b"\n\n")])
        self._buffer += chunk
        events = []
        while raw := self._next():
            events.append(self._event(raw))
        if len(self._buffer) > self._largest:
            self._too_large = True
            self._buffer.clear()
        return self._checked(events)

    def finish(self) -> list[Event]:
        """What is left when the stream has ended: at most one event, without its blank line."""
        if self._too_large:
            raise EventTooLarge(f"an event is longer than {self._largest} bytes")
        if not self._buffer:
            return []
        raw = bytes(self._buffer)
        self._buffer.clear()
        return [self._event(raw)]

    def _next(self) -> bytes | None:
        """The bytes of the next whole event, taken out of the buffer."""
        buffer = self._buffer
        found = _BLANK_LINE.search(buffer, self._scanned)
        if found is None or (found.end() == len(buffer) and buffer.endswith(b"\r")):
            self._scanned = max(0, (found.start() if found else len(buffer) - 2))
            return None
        raw = bytes(buffer[: found.end()])
        del buffer[: found.end()]
        self._scanned = 0
        return raw

    def _checked(self, events: list[Event]) -> list[Event]:
        """Events up to the first that is too large; if that is the first of all, EventTooLarge."""
        for number, event in enumerate(events):
            if len(event.raw) > self._largest:
                self._too_large = True
                del events[number:]
                break
        if self._too_large and not events:
            raise EventTooLarge(f"an event is longer than {self._largest} bytes")
        return events

    def _event(self, raw: bytes) -> Event:
        if self._first:
            self._first = False
            return parsed(raw, raw.removeprefix(_BOM))
        return parsed(raw, raw)


def end_of_events(buffer: bytes | bytearray, scanned: int = 0) -> int:
    """Where the last whole event ends; 0 when there is none. What was `scanned` before holds no end."""
    if b"\r" not in buffer:
        at = buffer.rfind(b"\n\n", scanned)
        return at + 2 if at >= 0 else 0
    end = 0
    for found in _BLANK_LINE.finditer(buffer, scanned):
        if found.end() < len(buffer) or not buffer.endswith(b"\r"):  # the next byte may belong to the line end
            end = found.end()
    return end


def split_events(whole: bytes) -> list[bytes]:
    """Whole events, each with the blank line that ends it; one more line end behind the last is a block of its own."""
    if b"\r" not in whole:
        *events, rest = whole.split(b"\n\n")
        return [raw + b"\n\n" for raw in events] + ([rest] if rest else [])
    ends = [found.end() for found in _BLANK_LINE.finditer(whole)]
    return [whole[start:end] for start, end in pairwise([0, *ends])]


def parsed(raw: bytes, block: bytes) -> Event:
    """One block of lines as an event; bytes that are no UTF-8 become U+FFFD."""
    if block.startswith(b"data: ") and block.find(b"\n") == len(block) - 2 and b"\r" not in block:
        return Event(block[6:-2].decode("utf-8", "replace"), None, raw)
    data: list[str] = []
    name = None
    for line in _LINE_END.split(block):
        label, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if label == b"data":
            data.append(value.decode("utf-8", "replace"))
        elif label == b"event":
            name = value.decode("utf-8", "replace") or None
    return Event("\n".join(data), name, raw)


def written(body: Any, name: str | None = None) -> bytes:
    """A JSON value as one event."""
    if name is None:
        return b"data: %b\n\n" % _encode(body)
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _encode(body))


def rewritten(event: Event, body: Any) -> bytes:
    """An event with other data; its name, id and comments stay."""
    data = b"data: %b" % _encode(body)
    if event.raw.startswith(b"data: ") and event.raw.find(b"\n") == len(event.raw) - 2:
        return data + b"\n\n"
    lines = [line for line in _LINE_END.split(event.raw.removeprefix(_BOM)) if line]
    place = next((number for number, line in enumerate(lines) if line.startswith(b"data")), len(lines))
    kept = [line for line in lines if not (line == b"data" or line.startswith(b"data:"))]
    return b"\n".join([*kept[:place], data, *kept[place:]]) + b"\n\n"
