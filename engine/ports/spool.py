"""Records on disk that a sink could not be given yet, in order, and who may deliver them.

A spool is a folder of chunks: files of some hundred lines of JSON, named by their place in the order and their owner,
a sink of one process. While an owner lives it holds a lock, so that what it keeps is delivered by nobody else; what
was left by one that ended is claimed by exactly one other. Must not know sinks.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.ports.line_files import CAN_LOCK, append, fitting, is_at, lock

log = logging.getLogger("pointsman.sinks")

LIMIT = 1 << 30  # bytes
_CHUNK_RECORDS = 500
_CHUNK_BYTES = 4 << 20
_SUFFIX, _LOCK, _PART = ".jsonl", ".lock", ".part"
_STEP = 1000  # between two places in the order, for what is divided into several chunks


@dataclass(slots=True)
class Chunk:
    """A file of the spool; `owner` is whose lock covers it."""

    path: Path
    owner: str
    records: int = 0
    size: int = 0

    def lines(self) -> tuple[list[bytes], int]:
        """Its records, and how many lines are torn: a process was killed while it wrote, or a disk was full."""
        *found, rest = self.path.read_bytes().split(b"\n")
        whole = [line for line in found if line.startswith(b"{") and line.endswith(b"}")]
        return whole, len(found) - len(whole) + bool(rest)

    def append(self, lines: Sequence[bytes]) -> None:
        """All of the lines or none: what could be written of them is taken back."""
        with open(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab", buffering=0) as file:
            self.size += append(file, lines, self.size)
        self.records += len(lines)


class Spool:
    """What waits on disk for one sink, as one owner sees it. Safe to use from several threads."""

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self.folder = folder
        self.limit = limit
        self.records = 0
        self._chunks: list[Chunk] = []  # in order
        self._growing: Chunk | None = None  # the newest of our own, while it may take more
        self._owner = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._held: dict[str, int] = {}  # owner: the open file of its lock
        self._newest = 0
        self._lock = threading.RLock()
        self._closed = False

    def mark(self) -> int:
        """A place in the order: after all that was added, before all that will be, whatever the clock does."""
        with self._lock:
            self._growing = None
            return self._place()

    def add(self, lines: Sequence[bytes], mark: int = 0) -> int:
        """Keep records, at the end or at a mark; how many of the first are kept. OSError when none are."""
        kept = 0
        with self._lock:
            while kept < len(lines):
                try:
                    kept += self._add(lines[kept : kept + _CHUNK_RECORDS], mark)
                except OSError:
                    if not kept:
                        raise
                    break
                mark += bool(mark)
        return kept

    def first(self) -> Chunk | None:
        """The oldest chunk; nothing more is added to it."""
        with self._lock:
            if self._chunks and self._chunks[0] is self._growing:
                self._growing = None
            return self._chunks[0] if self._chunks else None

    def done(self, chunk: Chunk) -> None:
        """A chunk is delivered."""
        with self._lock:
            if self._closed:
                return  # it may be another's by now
            try:
                chunk.path.unlink(missing_ok=True)
            except OSError as wrong:
                log.warning("%s is delivered and cannot be removed, it will come again: %s", chunk.path, wrong)
            self._forget(chunk)

    def set_aside(self, chunk: Chunk) -> None:
        """Let a chunk be that cannot be read; its file stays."""
        with self._lock:
            self._forget(chunk)

    def leave(self, chunk: Chunk, rest: Sequence[bytes]) -> None:
        """Only the rest of a chunk is still to be delivered."""
        fresh = Chunk(chunk.path.with_suffix(_PART), chunk.owner)
        with self._lock:
            fresh.append(rest)
            fresh.path.replace(chunk.path)
            self.records -= chunk.records - fresh.records
            chunk.records, chunk.size = fresh.records, fresh.size

    def claim(self) -> int:
        """Take over what ended owners left; how many records."""
        with self._lock:
            before = self.records
            owners = {_owner_of(name) for kind in (_SUFFIX, _LOCK) for name in _names(self.folder, kind)}
            for owner in owners - self._held.keys() - {self._owner}:
                if not self._closed and self._take(owner):
                    mine = [name for name in _names(self.folder) if _owner_of(name) == owner]
                    self._chunks += [_found(self.folder / name, owner) for name in mine]
                    if not mine:  # all was delivered
                        self._release(owner)
            self._chunks.sort(key=lambda chunk: chunk.path.name)
            self.records = sum(chunk.records for chunk in self._chunks)
            return self.records - before

    def close(self) -> None:
        """Let others have what is here."""
        with self._lock:
            self._closed = True
            for owner in list(self._held):
                self._release(owner)

    # --- chunks -------------------------------------------------------------------------------------------------------

    def _add(self, lines: Sequence[bytes], mark: int) -> int:
        chunk = self._growing if not mark else None
        if chunk is None or chunk.records + len(lines) > _CHUNK_RECORDS or chunk.size >= _CHUNK_BYTES:
            self._expect_room()
            chunk = Chunk(self.folder / f"{mark or self._place():020d}.{self._owner}{_SUFFIX}", self._owner)
        part = fitting(lines, _CHUNK_BYTES - chunk.size)
        try:
            chunk.append(part)
        except OSError:
            self._growing = None
            if not chunk.records:
                chunk.path.unlink(missing_ok=True)
            raise
        if chunk not in self._chunks:
            self._chunks.append(chunk)
            self._chunks.sort(key=lambda chunk: chunk.path.name)
        self._growing = chunk if not mark else self._growing
        self.records += len(part)
        return len(part)

    def _place(self) -> int:
        self._newest = max(self._newest + _STEP, time.time_ns())
        return self._newest

    def _expect_room(self) -> None:
        if not CAN_LOCK or self._closed:
            raise OSError("nothing is kept on disk")
        if (used := sum(_size(self.folder / name) for name in _names(self.folder))) >= self.limit:
            raise OSError(f"{self.folder} holds {used:,} bytes; {self.limit:,} are allowed")
        private(self.folder)
        if not self._holds(self._owner) and not self._take(self._owner):
            raise OSError(f"{self.folder} cannot be locked")

    def _forget(self, chunk: Chunk) -> None:
        self._chunks.remove(chunk)
        self.records -= chunk.records
        if chunk.owner != self._owner and not any(other.owner == chunk.owner for other in self._chunks):
            self._release(chunk.owner)

    # --- locks --------------------------------------------------------------------------------------------------------

    def _holds(self, owner: str) -> bool:
        """Whether the lock that we hold is the one that others find: somebody may have removed the folder."""
        held = self._held.get(owner)
        if held is None or is_at(held, self.folder / f"{owner}{_LOCK}"):
            return held is not None
        os.close(self._held.pop(owner))
        return False

    def _take(self, owner: str) -> bool:
        """Take the lock of an owner, if nobody holds it."""
        path = self.folder / f"{owner}{_LOCK}"
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as wrong:
            log.warning("spool: %s", wrong)
            return False
        if lock(file, path, wait=False):
            self._held[owner] = file
            return True
        os.close(file)  # a living one has it, or one that was done with it has removed it
        return False

    def _release(self, owner: str) -> None:
        """Give a lock back, and take it away where nothing is left that it covers."""
        try:
            for name in _names(self.folder, _PART):  # of one that was killed while it left what it had
                if _owner_of(name) == owner:
                    (self.folder / name).unlink(missing_ok=True)
            if not any(_owner_of(name) == owner for name in _names(self.folder)):
                (self.folder / f"{owner}{_LOCK}").unlink(missing_ok=True)
        except OSError as wrong:
            log.warning("spool %s: %s", self.folder, wrong)
        os.close(self._held.pop(owner))


def left_behind(folder: Path, sinks: set[str]) -> list[Path]:
    """The spools in a folder that belong to none of these sinks and are not empty."""
    try:
        return [path for path in folder.iterdir() if path.name not in sinks and path.is_dir() and _names(path)]
    except OSError:
        return []


def private(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for nobody else's eyes: records may hold prompts."""
    if not folder.exists():
        private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _names(folder: Path, kind: str = _SUFFIX) -> list[str]:
    """The chunks in a folder, whoever has them, in order; or its other files of a kind."""
    try:
        return sorted(name for name in os.listdir(folder) if name.endswith(kind))
    except OSError:
        return []


def _owner_of(name: str) -> str:
    """`1-2` of `0017.1-2.jsonl` and of `1-2.lock`."""
    return name.rpartition(".")[0].rpartition(".")[2]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _found(path: Path, owner: str) -> Chunk:
    try:
        text = path.read_bytes()
    except OSError:
        text = b""  # said when it is to be delivered
    return Chunk(path, owner, text.count(b"\n"), len(text))
