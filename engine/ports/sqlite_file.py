"""The file of a store in SQLite: tables, transactions, its clock. Used by one thread. Must not know asyncio."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from engine.ports.store_counts import LATE, Counts, Kept
from engine.ports.stores import LEASE, Claim, Standing

if TYPE_CHECKING:
    from engine.document.moments import Clock

T = TypeVar("T")

# Times are Unix seconds by the file's clock, but those of sums, which are the calendar's. `until`: when a row means
# nothing any more. `store_clock` has one row: when the file was last written (to the second), how far its clock is
# ahead of the machine's, how many bytes of values are kept.
_TABLES = """
CREATE TABLE IF NOT EXISTS store_rates (key TEXT PRIMARY KEY, level REAL, at REAL, until REAL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS store_slots (key TEXT, holder TEXT, until REAL, PRIMARY KEY (key, holder)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS store_sums (key TEXT, part TEXT, dollars REAL, until REAL, PRIMARY KEY (key, part))
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS store_values (key TEXT PRIMARY KEY, value BLOB, size INTEGER, until REAL);
CREATE TABLE IF NOT EXISTS store_clock (id INTEGER PRIMARY KEY, seen REAL, ahead REAL, kept INTEGER);
CREATE INDEX IF NOT EXISTS store_rates_until ON store_rates (until);
CREATE INDEX IF NOT EXISTS store_slots_until ON store_slots (until);
CREATE INDEX IF NOT EXISTS store_sums_until ON store_sums (until);
CREATE INDEX IF NOT EXISTS store_values_until ON store_values (until);
INSERT OR IGNORE INTO store_clock VALUES (1, 0, 0, 0);
CREATE TRIGGER IF NOT EXISTS store_values_more AFTER INSERT ON store_values
    BEGIN UPDATE store_clock SET kept = kept + new.size; END;
CREATE TRIGGER IF NOT EXISTS store_values_less AFTER DELETE ON store_values
    BEGIN UPDATE store_clock SET kept = kept - old.size; END;
"""
_AROUND = 100  # bytes that a kept value takes beside its own and those of its key
_AT_ONCE = 1000  # rows that are forgotten in one transaction
_FORGET = (
    "DELETE FROM store_rates WHERE key IN (SELECT key FROM store_rates WHERE until <= ? LIMIT ?)",
    "DELETE FROM store_slots WHERE (key, holder) IN (SELECT key, holder FROM store_slots WHERE until <= ? LIMIT ?)",
    "DELETE FROM store_sums WHERE (key, part) IN (SELECT key, part FROM store_sums WHERE until <= ? LIMIT ?)",
    "DELETE FROM store_values WHERE key IN (SELECT key FROM store_values WHERE until <= ? LIMIT ?)",
)


class SqliteFile(Counts):
    """Numbers and values in a file that several processes may share.

    The file's clock is the machine's, but never goes back: where the machine's does, the file's goes on from where it
    was. What flows back, leases and the time of values are by it.
    """

    def __init__(self, path: str, clock: Clock, room: int, lease: float = LEASE) -> None:
        self._path = path
        self._clock = clock
        self._room = room
        self._lease = lease
        self._open: sqlite3.Connection | None = None
        self._inode = -1
        self._marked = False
        self._wall = 0.0
        self.now = 0.0

    # --- transactions -------------------------------------------------------------------------------------------------

    def change(self, work: Callable[[], T], deadline: float) -> T:
        """Do work in one transaction that begins before a deadline of the monotonic clock, or raise sqlite3.Error."""
        with self._begun_anew_after_errors():
            rows = self._connected(deadline)
            _begin(rows, deadline)
            try:
                self._read_clock(rows)
                done = work()
                rows.execute("COMMIT")
            except BaseException:
                if rows.in_transaction:
                    rows.execute("ROLLBACK")
                raise
        return done

    def get(self, key: str, deadline: float) -> bytes | None:
        """A value whose time is not over; reads without waiting for those who write."""
        with self._begun_anew_after_errors():
            row = (
                self._connected(deadline)
                .execute(
                    "SELECT value FROM store_values, store_clock WHERE key = ? AND until > max(? + ahead, seen)",
                    (_name(key), self._clock.now().timestamp()),
                )
                .fetchone()
            )
        return None if row is None else bytes(row[0])

    def close(self) -> None:
        """Close the file; a next call opens it again."""
        if self._open is not None:
            self._open.close()
            self._open = None

    @property
    def _rows(self) -> sqlite3.Connection:
        assert self._open is not None
        return self._open

    @contextmanager
    def _begun_anew_after_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if not _is_busy(error):
                self.close()
            raise

    def _connected(self, deadline: float) -> sqlite3.Connection:
        if self._open is not None and self._inode != _inode(self._path):
            self.close()  # somebody deleted the file, which begins the counts anew
        if self._open is None:
            Path(self._path).parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))  # kept answers are nobody else's business
            wait = max(0.0, deadline - time.monotonic())
            self._open = sqlite3.connect(self._path, timeout=wait, isolation_level=None)
            self._open.execute("PRAGMA journal_mode = WAL")
            self._open.execute("PRAGMA synchronous = NORMAL")
            self._open.executescript(_TABLES)
            self._open.execute("PRAGMA busy_timeout = 0")
            self._inode = _inode(self._path)
        return self._open

    def _read_clock(self, rows: sqlite3.Connection) -> None:
        self._wall = self._clock.now().timestamp()
        seen, ahead = rows.execute("SELECT seen, ahead FROM store_clock").fetchone()
        now = self._wall + ahead
        if now < seen:
            rows.execute("UPDATE store_clock SET ahead = ?", (ahead + seen - now,))
            now = seen
        elif now - seen > 1.0:
            rows.execute("UPDATE store_clock SET seen = ?", (now,))
        self.now = now

    # --- numbers ------------------------------------------------------------------------------------------------------

    def level(self, key: str) -> Kept | None:
        kept: Kept | None = self._rows.execute(
            "SELECT level, at, until FROM store_rates WHERE key = ?", (_name(key),)
        ).fetchone()
        return kept

    def set_level(self, key: str, level: float, now: float, lasts: float) -> None:
        self._rows.execute(
            "INSERT OR REPLACE INTO store_rates VALUES (?, ?, ?, ?)", (_name(key), level, now, now + lasts)
        )

    def held(self, key: str, holder: str, now: float) -> tuple[int, bool]:
        count, mine = self._rows.execute(
            "SELECT count(*), total(holder = ?) FROM store_slots WHERE key = ? AND until > ?", (holder, _name(key), now)
        ).fetchone()
        return count, mine > 0

    def hold(self, key: str, holder: str, now: float) -> None:
        self._rows.execute(
            "INSERT OR REPLACE INTO store_slots VALUES (?, ?, ?)", (_name(key), holder, now + self._lease)
        )

    def let_go(self, key: str, holder: str) -> None:
        self._rows.execute("DELETE FROM store_slots WHERE key = ? AND holder = ?", (_name(key), holder))

    def spent(self, key: str, window: str) -> float | None:
        kept = self._rows.execute(
            "SELECT dollars FROM store_sums WHERE key = ? AND part = ?", (_name(key), window)
        ).fetchone()
        return kept and float(kept[0])

    def set_spent(self, key: str, window: str, spent: float, ends: float) -> None:
        self._rows.execute(
            "INSERT OR REPLACE INTO store_sums VALUES (?, ?, ?, ?)", (_name(key), window, spent, ends + LATE)
        )

    def wall(self) -> float:
        return self._wall

    def take(self, claims: Sequence[Claim], holder: str, now: float) -> list[Standing]:
        self._marked = len(claims) > 1  # a claim alone that does not fit has changed nothing
        if self._marked:
            self._rows.execute("SAVEPOINT taking")
        return super().take(claims, holder, now)

    def undo(self) -> None:
        if self._marked:
            self._rows.execute("ROLLBACK TO taking")

    def forget(self) -> None:
        """Delete rows that mean nothing any more, some of each table."""
        for statement in _FORGET:
            self._rows.execute(statement, (min(self.now, self._wall), _AT_ONCE))

    def put(self, key: str, value: bytes, ttl: float) -> None:
        """Keep a value; those whose time ends first make room."""
        rows = self._rows
        rows.execute("DELETE FROM store_values WHERE key = ?", (_name(key),))
        size = len(key) + len(value) + _AROUND
        if ttl <= 0 or size > self._room:
            return
        rows.execute("INSERT INTO store_values VALUES (?, ?, ?, ?)", (_name(key), value, size, self.now + ttl))
        while rows.execute("SELECT kept FROM store_clock").fetchone()[0] > self._room:
            rows.execute("DELETE FROM store_values WHERE until = (SELECT min(until) FROM store_values)")


def _begin(rows: sqlite3.Connection, deadline: float) -> None:
    """Begin to write; SQLite's own way of waiting sleeps up to a tenth of a second at a time."""
    while True:
        try:
            rows.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() >= deadline:
                raise
            time.sleep(0.001)  # others hold it for less than that
        else:
            return


def _is_busy(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def _inode(path: str) -> int:
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return -1


def _name(key: str) -> str | bytes:
    """A key as SQLite takes it: half a surrogate pair, which a header may bring in, is no text to it."""
    try:
        key.encode()
    except UnicodeEncodeError:
        return key.encode("utf-8", "surrogatepass")
    return key
