"""Where records go: what a sink is, and how a file names one.

A sink never blocks and never fails an exchange: `put` adds to a bounded queue, a thread of the sink's own writes, what
cannot be written waits on disk, and what is lost is counted and said. Must not know how records are made.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote, unquote

from engine.catalogue import Entry, Scope
from engine.options import BAD, Duration, found, option
from engine.ports.kinds import OneKind
from engine.ports.record_lines import Record
from engine.ports.sink_queue import CAPACITY, SinkDown, SinkQueue, SinkRefused
from engine.ports.spool import LIMIT, left_behind
from engine.source import Node, Scalar

__all__ = ["Record", "Retry", "Sink", "SinkDown", "SinkRef", "SinkRefused", "SinkSection", "start_sinks"]

log = logging.getLogger("pointsman.sinks")


class Retry(Entry, kind="section", name="sinks.retry", noun="`retry`"):
    """How often a batch is tried again that could not be delivered, and when it is given up."""

    times: int | None = option("Attempts after the first; default until it works.", None, short=True, minimum=0)
    backoff: Duration = option("Time until the first of them; doubled from one to the next, up to 30s.", 0.2)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Retry) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]


class Sink(Entry, kind="sink"):
    """A place that records are written to.

    Subclasses say how lines are written; that runs in the sink's own thread and may block. Options may have the names
    of these attributes, which say how.
    """

    batch: int = 500  # most records of one `write`
    gather: float = 0.1  # seconds between two writes, so that one takes many records
    backoff: float = 0.2  # seconds until the first new attempt; doubled from one to the next, and jittered
    longest_pause: float = 30.0  # seconds between two attempts
    retries: int | None = None  # attempts after the first; None: until it works
    retry: Retry | None = None  # an option of sinks whose author may choose these two
    traces: ClassVar[bool] = False  # its records are spans: upstreams are told which one asks them
    label: str = ""  # what messages call this sink; from the start on its name in the file is in it
    capacity: ClassVar[int] = CAPACITY  # records in memory

    put: Callable[[Record], None]
    """Take a record. Never blocks, never raises; without room it is lost."""

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        self.label = self.label or self.name
        if self.retry is not None:
            self.retries, self.backoff = self.retry.times, max(0.01, self.retry.backoff)
        self._queue = SinkQueue(self, self.capacity)
        self.put = self._queue.put

    @abstractmethod
    def write(self, lines: list[bytes]) -> int:
        """Write records, JSON texts without line ends, one to `batch` of them; how many of the first were written.

        The rest comes again at once. SinkDown (or OSError) when the place is down, SinkRefused when it will never take
        these; after either none, or all, may have been written: records may come twice, and each has its `id`.
        """

    def disconnect(self) -> None:
        """Close what `write` opened: in the sink's thread, when it ends."""

    def note_rejected(self, count: int) -> None:
        """For `write`: count as refused what a place says it has not kept of records that it took otherwise."""
        self._queue.note_rejected(count)

    def same_as(self, other: Sink) -> bool:
        """True when a reload may keep this sink in place of another read from the new file."""
        return type(self) is type(other) and all(vars(self)[name] == vars(other)[name] for name in self.options)

    def start(self, spool: Path | None = None, limit: int = LIMIT) -> None:
        """Begin to write; records put before are written now. A second call does nothing.

        `spool` is the folder for what cannot be written yet, of this sink alone, and `limit` the bytes it may hold.
        """
        self._queue.start(spool, limit)

    def look(self) -> None:
        """Another sink of this name has left records in the spool: take them over now."""
        self._queue.look()

    def close(self, drain: float = 5.0) -> None:
        """Write what was taken, for at most `drain` seconds; blocks that long. The rest stays in the spool."""
        self._queue.close(drain)

    @property
    def written(self) -> int:
        """Records that were written."""
        return self._queue.written

    @property
    def failed(self) -> int:
        """Records that were refused, given up, or no JSON."""
        return self._queue.failed

    @property
    def lost(self) -> int:
        """Records for which there was no room."""
        return self._queue.lost

    @property
    def waiting(self) -> int:
        """Records in memory, not written yet."""
        return self._queue.waiting

    @property
    def spooled(self) -> int:
        """Records on disk, not written yet."""
        return self._queue.spooled


def start_sinks(sinks: Mapping[str, Sink], spool: str, limit: int) -> None:
    """Start all, each with a folder of its own in `spool`; say what waits there for sinks that are no more."""
    folders = {name: quote(name, safe="").replace(".", "%2E") for name in sinks}
    for name, sink in sinks.items():
        sink.label = f"{name} ({sink.name})"
        sink.start(Path(spool, folders[name]), limit)
    for left in left_behind(Path(spool), set(folders.values())):
        log.warning("no sink `%s` is defined any more: its records stay in %s", unquote(left.name), left)


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
