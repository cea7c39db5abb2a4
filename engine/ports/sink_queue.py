"""The way of records to one sink: a bounded queue, batches, and attempts until they are taken.

Two threads: one writes, and may be held up by the sink for as long as it likes; the other brings to disk what has no
place in memory then. Must not know how a sink writes or what a record holds.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from pathlib import Path
from typing import Protocol

from engine.ports.record_lines import Record, line_of
from engine.ports.sink_backlog import Backlog
from engine.ports.spool import Spool

log = logging.getLogger("pointsman.sinks")

CAPACITY = 10_000  # records in memory
_CROWDED = 5_000  # records in memory, from which on they go to disk
_CAPACITY_BYTES, _CROWDED_BYTES = 64 << 20, 16 << 20  # the same in bytes
_SPILL_PAUSE = 0.2  # seconds between two writes to disk
_LOOK = 30.0  # seconds between two looks for what ended processes left
_SAY = 10.0  # seconds between two messages about losses
_LONGEST_RETRY_AFTER = 300.0  # seconds
_PATIENCE = 10  # records refused in a row, after which whole batches are: then it is not about one of them


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


class Writes(Protocol):
    """What the queue needs to know of a sink; see Sink."""

    label: str
    batch: int
    gather: float
    backoff: float
    longest_pause: float
    retries: int | None

    def write(self, lines: list[bytes]) -> int: ...

    def disconnect(self) -> None: ...


class SinkQueue:
    """Records on their way to a sink."""

    def __init__(self, sink: Writes, capacity: int = CAPACITY) -> None:
        self.written = 0
        self._taken_in = self._dropped = self._no_json = 0  # by `put`, which runs in another thread than the rest
        self._sink = sink
        self._capacity = capacity
        self._crowded_at = min(_CROWDED, capacity)
        self._backlog = Backlog(sink.label)
        self._records = self._backlog.records
        self._wake, self._crowded, self._closing = threading.Event(), threading.Event(), threading.Event()
        self._threads: list[threading.Thread] = []
        self._look_at = 0.0
        self._deadline = float("inf")
        self._size = sink.batch
        self._down = False
        self._attempts = 0  # that failed, at the batch at hand
        self._refusals = 0  # of single records, in a row
        self._say_lost, self._say_failed = _Seldom("lost"), _Seldom("refused or given up")

    @property
    def failed(self) -> int:
        return self._no_json + self._backlog.failed

    @property
    def lost(self) -> int:
        return self._dropped + self._backlog.gone

    @property
    def waiting(self) -> int:
        return self._backlog.in_memory

    @property
    def spooled(self) -> int:
        return self._backlog.spool.records if self._backlog.spool is not None else 0

    def put(self, record: Record) -> None:
        """Take a record. Never blocks, never raises; without room it is lost."""
        line = line_of(record)
        if line is None:
            self._no_json += 1
            return
        records = self._records
        size = self._taken_in - self._backlog.taken_out
        if len(records) >= self._crowded_at or size >= _CROWDED_BYTES:
            if len(records) >= self._capacity or size >= _CAPACITY_BYTES or self._closing.is_set():
                self._dropped += 1
                return
            self._crowded.set()
        self._taken_in += len(line)
        records.append(line)
        if not self._wake.is_set():
            self._wake.set()

    def note_rejected(self, count: int) -> None:
        """Count records as refused although `write` is about to say that they were written."""
        self.written -= count
        self._backlog.failed += count

    def start(self, folder: Path | None, limit: int) -> None:
        """Begin to write, what waits on disk first. A second call does nothing."""
        if self._threads:
            return
        self._backlog.label = self._sink.label
        self._backlog.spool = Spool(folder, limit) if folder is not None else None
        for work, name in ((self._run, "sink"), (self._spill, "spool")):
            self._threads.append(threading.Thread(target=work, name=f"{name} {self._sink.label}", daemon=True))
            self._threads[-1].start()

    def look(self) -> None:
        """Another has left records in the spool: take them over now."""
        self._look_at = 0.0
        self._wake.set()

    def close(self, drain: float) -> None:
        """Write what was taken, for at most `drain` seconds; the rest is kept on disk, or lost and said."""
        self._deadline = time.monotonic() + drain
        if self._records:
            self.start(None, 0)
        self._crowded_at = 0
        for event in (self._closing, self._wake, self._crowded):
            event.set()
        for thread in self._threads:
            thread.join(max(0.0, self._deadline - time.monotonic()) + 0.1)
        self._backlog.end()
        if self._backlog.spool is not None and self.spooled:
            folder = self._backlog.spool.folder
            log.warning("sink %s: %d records wait in %s for the next start", self._sink.label, self.spooled, folder)
        self._say_lost(self._sink.label, self.lost, now=True)
        self._say_failed(self._sink.label, self.failed, now=True)

    # --- the thread that writes ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.clear()
            try:
                self._claim()
                self._deliver()
            except Exception:  # the thread must live on
                log.exception("sink %s", self._sink.label)
            self._say_lost(self._sink.label, self.lost)
            if not self._closing.wait(self._sink.gather):
                self._wake.wait(_LOOK)  # who closes sets `closing` first
        self._deliver()
        self._sink.disconnect()

    def _claim(self) -> None:
        spool, now = self._backlog.spool, time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + _LOOK
        if spool is not None and (found := spool.claim()):
            log.info("sink %s: %d records that an ended process left are delivered now", self._sink.label, found)

    def _deliver(self) -> None:
        while time.monotonic() < self._deadline and self._backlog.take(self._sink.batch):
            if self._down and self._closing.is_set() and self._backlog.spill_all():
                return
            part = self._backlog.part(self._size)
            try:
                if not (count := self._sink.write(part)):
                    raise SinkDown("nothing was written")  # noqa: TRY301  for the branch below
            except (SinkDown, OSError) as error:
                self._note_down(error, len(part))
            except Exception as error:  # noqa: BLE001  the thread must live on, and the log says why nothing comes
                self._note_refused(error, len(part))
            else:
                self._note_written(count)

    def _note_written(self, count: int) -> None:
        self.written += count
        self._attempts = self._refusals = 0
        self._size = min(self._sink.batch, self._size * 2)
        if self._down:
            log.warning("sink %s is up again", self._sink.label)
            self._down, self._crowded_at = False, min(_CROWDED, self._capacity)
        self._backlog.drop(count)

    def _note_down(self, error: Exception, count: int) -> None:
        self._attempts += 1
        if self._sink.retries is not None and self._attempts > self._sink.retries:
            self._give_up(count, error)
            return
        if not self._down:
            log.warning("sink %s is down, records wait: %s", self._sink.label, error)
            self._down, self._crowded_at = True, 0
        self._backlog.spill_all()
        pause = min(self._sink.longest_pause, self._sink.backoff * 2 ** min(self._attempts - 1, 20))
        asked = min(_LONGEST_RETRY_AFTER, error.retry_after if isinstance(error, SinkDown) else 0.0)
        if self._closing.wait(max(asked, pause * random.uniform(0.5, 1.0))):  # noqa: S311  jitter
            time.sleep(0.02)  # what could not be brought to disk is tried until the end

    def _note_refused(self, error: Exception, count: int) -> None:
        if count > 1 and self._refusals < _PATIENCE:
            self._size = count // 2
            return
        self._refusals += count == 1
        if self._refusals >= _PATIENCE:
            self._size = self._sink.batch
        self._give_up(count, error)

    def _give_up(self, count: int, error: Exception) -> None:
        self._attempts = 0
        self._backlog.drop(count, failed=True)
        told = str(error) if isinstance(error, (SinkDown, SinkRefused, OSError)) else f"{type(error).__name__}: {error}"
        self._say_failed(self._sink.label, self.failed, f"; the last: {told}")

    # --- the thread that brings records to disk -----------------------------------------------------------------------

    def _spill(self) -> None:
        while not self._closing.is_set():
            self._crowded.wait()
            self._crowded.clear()
            if not self._closing.is_set():
                self._backlog.spill()
            self._closing.wait(_SPILL_PAUSE)


class _Seldom:
    """Says how many records there are by now of which that is true, and not again for a while."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._said, self._next = 0, 0.0

    def __call__(self, label: str, count: int, more: str = "", now: bool = False) -> None:
        at = time.monotonic()
        if count > self._said and (now or at >= self._next):
            log.warning("sink %s: %d records %s so far%s", label, count, self._what, more)
            self._said, self._next = count, at + _SAY
