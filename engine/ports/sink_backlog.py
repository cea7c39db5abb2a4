"""What waits for a sink, in order: records in memory, those at hand, chunks on disk. Must not know how it is written.

What is on disk is older than what is in memory. Whoever moves records from one place to another holds the lock; only
what comes in does not wait for it.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from itertools import islice

from engine.ports.line_files import fitting
from engine.ports.spool import Chunk, Spool

log = logging.getLogger("pointsman.sinks")

_PART = 500  # records that are brought to disk at once
_PART_BYTES = 4 << 20  # of one write


class Backlog:
    """Records on their way, as lines of JSON.

    `records` grows by every exchange; `taken_out` are the bytes that have left it. `failed` and `gone` count records
    that were refused or torn, and that are nowhere any more.
    """

    def __init__(self, label: str) -> None:
        self.records: deque[bytes] = deque()
        self.taken_out = 0
        self.spool: Spool | None = None
        self.failed = self.gone = 0
        self.label = label
        self._lines: deque[bytes] = deque()  # at hand, not written yet
        self._chunk: Chunk | None = None  # of the spool, where these lines are from
        self._mark = 0  # their place in the order of the spool, where they are from memory
        self._lock = threading.Lock()
        self._room = True  # on disk, when last tried
        self._ended = False

    @property
    def in_memory(self) -> int:
        return len(self.records) + (len(self._lines) if self._chunk is None else 0)

    # --- for who writes -----------------------------------------------------------------------------------------------

    def take(self, most: int) -> bool:
        """Have lines at hand, of a chunk or `most` from memory; False when there are none."""
        with self._lock:
            if not self._lines and not self._next_chunk():
                self._chunk, self._mark = None, self.spool.mark() if self.spool is not None else 0
                self._lines.extend(self._next(most))
            return bool(self._lines) and not self._ended

    def part(self, most: int) -> list[bytes]:
        """The first of the lines at hand; a few megabytes, or one."""
        return [*fitting(list(islice(self._lines, most)), _PART_BYTES)]

    def drop(self, count: int, failed: bool = False) -> None:
        """Forget lines that are written, or never will be."""
        with self._lock:
            self.failed += count if failed else 0
            if self._ended:
                return  # all of them are in the spool
            if count >= len(self._lines):
                self._lines.clear()
            for _ in range(count if self._lines else 0):
                self._lines.popleft()
            if not self._lines and self._chunk is not None and self.spool is not None:
                self.spool.done(self._chunk)
                self._chunk = None

    def _next_chunk(self) -> bool:
        while self.spool is not None and (chunk := self.spool.first()) is not None:
            try:
                lines, torn = chunk.lines()
            except OSError as wrong:
                log.warning("sink %s: %d records cannot be read: %s", self.label, chunk.records, wrong)
                self.gone += chunk.records
                self.spool.set_aside(chunk)
                continue
            if torn:
                log.warning("sink %s: %d torn lines in %s", self.label, torn, chunk.path)
                self.failed += torn
            if lines:
                self._chunk, self._lines = chunk, deque(lines)
                return True
            self.spool.done(chunk)
        return False

    # --- to disk ------------------------------------------------------------------------------------------------------

    def spill(self) -> None:
        """Bring the records in memory to disk, as far as there is room."""
        with self._lock:
            self._spill_records()

    def spill_all(self) -> bool:
        """Bring the lines at hand to disk as well; whether all that waits is there now."""
        with self._lock:
            self._spill_lines()
            self._spill_records()
            return not self.in_memory

    def end(self) -> None:
        """Keep on disk what is not written, and let go of it; what has no room is gone."""
        self._ended = True
        if self._lock.acquire(timeout=1.0):  # who is held up by a disk has it, and keeps it
            self._spill_lines()
            self._spill_records()
            self._leave()
            self._lock.release()
        self.gone += self.in_memory
        self.records.clear()

    def _leave(self) -> None:
        if self.spool is None:
            return
        if self._chunk is not None and len(self._lines) < self._chunk.records:
            try:
                self.spool.leave(self._chunk, self._lines)
            except OSError as wrong:
                log.warning("sink %s: some records will come twice: %s", self.label, wrong)
        self.spool.close()

    def _spill_lines(self) -> None:
        if self._chunk is None:
            for _ in range(self._kept(list(self._lines), self._mark)):
                self._lines.popleft()

    def _spill_records(self) -> None:
        while self.records and self.spool is not None:
            lines = self._next(_PART)
            kept = self._kept(lines)
            self.records.extendleft(reversed(lines[kept:]))
            self.taken_out -= sum(map(len, lines[kept:]))
            if kept < len(lines):
                return

    def _kept(self, lines: list[bytes], mark: int = 0) -> int:
        """How many of the lines are in the spool now."""
        if self.spool is None or not lines:
            return 0
        try:
            kept = self.spool.add(lines, mark)
        except OSError as wrong:
            if self._room:
                log.warning("sink %s: records wait in memory alone: %s", self.label, wrong)
            self._room = False
            return 0
        self._room = True
        return kept

    def _next(self, most: int) -> list[bytes]:
        """The oldest lines in memory, taken out of it."""
        lines = [self.records.popleft() for _ in range(min(most, len(self.records)))]
        self.taken_out += sum(map(len, lines))
        return lines
