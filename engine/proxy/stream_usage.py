"""What a stream tells beside its text, found in its bytes as they pass: usage, which is taken out where the client did
not ask for it, and errors.

The same for every way in which the network cut the bytes, and nothing is encoded anew. Must not know clients.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import UNSET, Raw, UnsetType

from engine.document.dialect import Body, Dialect, Event
from engine.document.exchange import Exchange
from engine.document.sse import LARGEST_EVENT, end_of_events, parsed, split_events
from engine.proxy.kept import told
from engine.proxy.usage_events import TellingEvent, Told, decode_event, decode_told

# Up to an event's last brace there is nothing but plain members: this one is of the event's own object.
_LAST_NULL = re.compile(rb',"usage":null(?=(?:,"\w+":(?:"[^"\\\n]*"|[\w.+-]+))*\}\n\n)')
_LAST_NULL_SPACED = re.compile(rb', "usage": null(?=(?:, "\w+": (?:"[^"\\\n]*"|[\w.+-]+))*\}\n\n)')
_NULL = re.compile(rb',\s*"usage"\s*:\s*null(?=\s*[,}])|"usage"\s*:\s*null\s*,\s*')
_HALF = re.compile(rb"\\(?:u[dD][89a-fA-F][0-9a-fA-F]{2}|.)", re.DOTALL)
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[][{}]', re.DOTALL)
_BOM = b"\xef\xbb\xbf"


class StreamUsage:
    """Reads a stream beside its way.

    `take` gives what goes on of a chunk. Where usage is taken out these are whole events, and what is cut waits for its
    rest; elsewhere it is the chunk itself. `told` is what a whole answer would tell, as far as it is final.
    """

    def __init__(self, dialect: Dialect, *, takes_out: bool) -> None:
        self._dialect = dialect
        self._takes_out = takes_out
        self._waiting = bytearray()
        self._scanned = 0
        self._off = False  # an event was too large to be looked at
        self._begun: Body = {}  # of Anthropic's: what is told at the start and not final
        self.told: Body = {}
        self.error: dict[str, Any] | None = None

    def take(self, chunk: bytes) -> bytes:
        """What goes on of a chunk."""
        if self._off:
            return chunk
        if not self._waiting and chunk.endswith(b"\n\n") and b"\r" not in chunk:
            passed = self._events(chunk)
            return passed if self._takes_out else chunk
        self._waiting += chunk
        end = end_of_events(self._waiting, self._scanned)
        self._scanned = max(0, len(self._waiting) - 3)
        passed = b""
        if end:
            passed = self._events(bytes(self._waiting[:end]))
            del self._waiting[:end]
            self._scanned = max(0, len(self._waiting) - 3)
        if len(self._waiting) > LARGEST_EVENT:
            self._off = True
            passed += self._waiting
            self._waiting.clear()
        return passed if self._takes_out else chunk

    def finish(self) -> bytes:
        """What is left at the end: an event without its blank line."""
        rest, self._waiting = bytes(self._waiting), bytearray()
        passed = self._event(rest) if rest and not self._off else b""
        return passed if self._takes_out else b""

    def _events(self, whole: bytes) -> bytes:
        """Whole events, without what is taken out of them."""
        if _is_told(b'"error"', whole):
            self._look_for_error(whole)
        if b'"usage"' not in whole:
            return whole
        if self._takes_out:
            spaced = b'"usage": null' in whole
            whole = (_LAST_NULL_SPACED if spaced else _LAST_NULL).sub(b"", whole)
        elif not _is_told(b'"usage"', whole):
            return whole
        return b"".join(map(self._event, split_events(whole)))

    def _event(self, raw: bytes) -> bytes:
        if b'"usage"' not in raw:
            return raw
        data = raw[6:] if raw.startswith(b"data: ") and raw.find(b"\n") == len(raw) - 2 else _parsed(raw).data.encode()
        told = _decoded(data)
        if told is None:
            return raw
        self._note(told)
        if not self._takes_out or told.usage is UNSET:
            return raw
        if told.usage is None:
            return _without_null(raw)
        if told.choices != () or told.prompt_filter_results is not UNSET:
            return raw
        return raw[: len(raw) - len(raw.lstrip(b"\r\n"))]  # blank lines before it are no part of it

    def _note(self, event: TellingEvent) -> None:
        if event.type == "message_start":
            self._begun = _told(_inner(event.message))
            return
        found = event if event.response is UNSET else _inner(event.response)
        if isinstance(found.usage, dict):
            self.told = _together(self._begun, _told(found)) if self._begun else _told(found)

    def _look_for_error(self, whole: bytes) -> None:
        for raw in split_events(whole):
            if b'"error"' in raw:
                alone = self._dialect.assembler()
                alone.feed(_parsed(raw))
                self.error = alone.error or self.error


def watch(x: Exchange) -> StreamUsage | None:
    """What reads the usage of a stream that comes; None when nobody wants to know."""
    needs = x.program.needs[x.call_type or ""]
    if not (needs.told or needs.assembled or x.counts_usage):
        return None
    return StreamUsage(x.dialect, takes_out=x.asked_usage)


def note_told(read: StreamUsage, x: Exchange) -> None:
    """Note on the exchange what its stream has told."""
    x.told = read.told
    if read.error is not None and x.error is None:
        x.error = told({"error": read.error}, 200)


def _is_told(member: bytes, whole: bytes) -> bool:
    """Whether a member may be more than null somewhere."""
    found = whole.count(member)
    return found > 0 and found != whole.count(member + b":null") + whole.count(member + b": null")


def _inner(raw: Raw | UnsetType) -> Told:
    try:
        return Told() if isinstance(raw, UnsetType) else decode_told(raw)
    except ValueError:
        return Told()


def _told(found: TellingEvent | Told) -> Body:
    told = {"model": found.model, "service_tier": found.service_tier, "usage": found.usage}
    return {name: value for name, value in told.items() if value is not None}


def _together(before: Body, now: Body) -> Body:
    """Anthropic's last event tells what has changed since the first."""
    usage = {name: value for name, value in now["usage"].items() if value is not None}
    return {**before, **now, "usage": {**(before.get("usage") or {}), **usage}}


def _parsed(raw: bytes) -> Event:
    return parsed(raw, raw.removeprefix(_BOM))


def _decoded(data: bytes) -> TellingEvent | None:
    try:
        return decode_event(data)
    except (ValueError, RecursionError):
        pass
    try:  # half of a surrogate pair, which the decoder refuses, is no part of a usage
        return decode_event(
            _HALF.sub(lambda found: b"?" if found[0][1:2] == b"u" and len(found[0]) > 2 else found[0], data)
        )
    except (ValueError, RecursionError):
        return None


def _without_null(raw: bytes) -> bytes:
    """An event without its member `usage`, which is null; nobody else's member of that name is touched."""
    if raw.count(b'"usage"') == 1:
        return _NULL.sub(b"", raw, count=1)
    depth = 0
    for token in _TOKEN.finditer(raw):
        sort = token[0]
        if sort in b"[{":
            depth += 1
        elif sort in b"]}":
            depth -= 1
        elif depth == 1 and sort == b'"usage"':
            start = raw.rfind(b",", 0, token.start())
            for found in _NULL.finditer(raw, max(start, 0)):
                if found.start() <= token.start() < found.end():
                    return raw[: found.start()] + raw[found.end() :]
    return raw
