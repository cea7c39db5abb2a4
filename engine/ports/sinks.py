"""Where records go: what a sink is, its queue and its writer, and how a file names one.

A sink never blocks and never fails an exchange: `put` adds to a bounded queue, a thread of the sink's own writes, and
what is lost is counted and said. Must not know how records are made.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from abc import abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar

from engine.catalogue import Entry, Scope
from engine.options import BAD, found
from engine.ports.kinds import OneKind
from engine.source import Node, Scalar

log = logging.getLogger("pointsman.sinks")

Record = dict[str, Any]
_GATHER = 0.02  # seconds between two batches: one write for many records, and few wake-ups beside the event loop
_AGAIN = 1.0  # seconds until a write that failed is tried again
_BATCH = 500  # records
_HALF = re.compile("[\ud800-\udfff]")


class SinkDown(Exception):
    """The place cannot take records now: all that `write` was given comes again, `retry_after` seconds later at least.

    An OSError means the same. The text says what is wrong, without credentials.
    """

    def __init__(self, why: str, retry_after: float = 0.0) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class SinkRefused(Exception):
    """The place will never take these records as they are; any exception but SinkDown and OSError means the same.

    Several are tried again in halves, so that one that is bad costs no other.
    """


class Sink(Entry, kind="sink"):
    """A place that records are written to.

    `written`, `failed` (refused, or no JSON) and `lost` (no room) count records.
    Subclasses say how lines are written; that runs in the sink's own thread and may block.
    """

    capacity: ClassVar[int] = 10_000  # records waiting
    batch: int = _BATCH  # most records of one `write`; an option may have this name
    gather: float = _GATHER  # seconds between two writes, so that one takes many records
    traces: ClassVar[bool] = False  # its records are spans: upstreams are told which one asks them
    label: str = ""  # what messages call this sink; set before `super().check`

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        self.label = self.label or self.name
        self.written = self.failed = self.lost = 0
        self._queue: deque[Record] = deque()
        self._lines: deque[bytes] = deque()  # made by the writer, not written yet
        self._wake = threading.Event()
        self._writer: threading.Thread | None = None
        self._closing = False
        self._deadline = float("inf")
        self._said_lost = 0

    @abstractmethod
    def write(self, lines: list[bytes]) -> int:
        """Write records, JSON texts without line ends, one to `batch` of them; how many of the first were written.

        The rest comes again at once. SinkDown (or OSError) when the place is down, SinkRefused when it will never take
        these; after either none, or all, may have been written: records may come twice, and each has its `id`.
        """

    def disconnect(self) -> None:
        """Close what `write` opened: in the sink's thread, when it ends."""

    def same_as(self, other: Sink) -> bool:
        """True when a reload may keep this sink in place of another read from the new file."""
        return type(self) is type(other) and all(vars(self)[name] == vars(other)[name] for name in self.options)

    def start(self) -> None:
        """Begin to write; records put before are written now. A second call does nothing."""
        if self._writer is None:
            self._writer = threading.Thread(target=self._run, name=f"sink {self.label}", daemon=True)
            self._writer.start()

    def put(self, record: Record) -> None:
        """Take a record, which from now on nobody may change. Never blocks, never raises; a full queue loses it."""
        if self._closing or len(self._queue) >= self.capacity:
            self.lost += 1
            return
        self._queue.append(record)
        if not self._wake.is_set():
            self._wake.set()

    def close(self, drain: float = 5.0) -> None:
        """Write what was taken, for at most `drain` seconds; blocks that long. What is left is lost and said."""
        self._deadline = time.monotonic() + drain
        self._closing = True
        if self._queue:
            self.start()
        self._wake.set()
        if self._writer is not None:
            self._writer.join(drain + _GATHER)
        self.lost += len(self._queue) + len(self._lines)
        self._queue.clear()
        self._lines.clear()
        self._say_lost()

    # --- the writer's thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        import msgspec

        encode = msgspec.json.Encoder(enc_hook=str).encode
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._queue and time.monotonic() < self._deadline:
                self._make_lines(encode)
                self._write_lines()
            self._say_lost()
            if self._closing:
                return
            time.sleep(_GATHER)

    def _make_lines(self, encode: Callable[[Any], bytes]) -> None:
        while self._queue and len(self._lines) < _BATCH:
            record = self._queue.popleft()
            try:
                self._lines.append(_line(record, encode))
            except Exception as error:  # noqa: BLE001  one record that is no JSON must not stop the others
                self.failed += 1
                log.warning("sink %s: record %s is no JSON: %s", self.label, record.get("id"), error)

    def _write_lines(self) -> None:
        """Write all lines; tries again while the sink is down, until the time to drain is over."""
        down = False
        while self._lines and time.monotonic() < self._deadline:
            try:
                count = self.write(list(self._lines))
            except Exception as error:  # noqa: BLE001  the thread must live on, and the log says why nothing comes
                if not down:
                    log.warning("sink %s is down, records wait: %s", self.label, error)
                down = True
                self._pause()
                continue
            for _ in range(count):
                self._lines.popleft()
            self.written += count
        if down and not self._lines:
            log.warning("sink %s is up again", self.label)

    def _pause(self) -> None:
        until = time.monotonic() + _AGAIN
        while time.monotonic() < min(until, self._deadline):
            time.sleep(_GATHER)

    def _say_lost(self) -> None:
        if self.lost > self._said_lost:
            log.warning("sink %s: %d records lost so far", self.label, self.lost)
            self._said_lost = self.lost


def _line(record: Record, encode: Callable[[Any], bytes]) -> bytes:
    """A record as JSON; halves of surrogate pairs, which a callback may have brought in, become U+FFFD."""
    try:
        return encode(record)
    except UnicodeEncodeError:
        return _HALF.sub("\ufffd", json.dumps(record, ensure_ascii=False, default=str)).encode()


class SinkSection(OneKind, kind="sink", noun="a sink", sample="audit: {file: audit.jsonl}"):
    """The value of a name in `sinks`."""


class SinkRef:
    """The name of a sink; read as the sink itself."""

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": "string"}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        if isinstance(node, Scalar) and isinstance(node.value, str):
            return scope.find("sink", node.value, node.span)
        scope.problem(
            "wrong-type",
            f"expected the name of a sink, found {found(node)}",
            node.span,
            help="names are defined in `sinks`",
        )
        return BAD
