"""`sqlite`: records as rows of a table. Must not know how records are made."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.catalogue import Example, Scope
from engine.options import Advice, option
from engine.ports.sinks import Sink, SinkDown, SinkRefused
from engine.source import Node

if TYPE_CHECKING:
    import sqlite3

_COLUMNS = {  # name: its type and where it is in a record
    "time": ("TEXT", ("time",)),
    "id": ("TEXT", ("id",)),
    "key": ("TEXT", ("key",)),
    "team": ("TEXT", ("team",)),
    "user": ("TEXT", ("user",)),
    "call_type": ("TEXT", ("call_type",)),
    "model": ("TEXT", ("model",)),
    "upstream": ("TEXT", ("upstream",)),
    "status": ("INTEGER", ("status",)),
    "total_ms": ("REAL", ("timing", "total_ms")),
    "prompt_tokens": ("INTEGER", ("usage", "prompt_tokens")),
    "completion_tokens": ("INTEGER", ("usage", "completion_tokens")),
    "total_tokens": ("INTEGER", ("usage", "total_tokens")),
    "cost": ("REAL", ("cost",)),
}
_BUSY = 2.0  # seconds that a write waits for others


class Sqlite(Sink, name="sqlite"):
    """Add each record as a row to a table of an SQLite database, which is made when it is not there.

    The columns are `time id key team user call_type model upstream status total_ms prompt_tokens completion_tokens
    total_tokens cost`, and `record`, the whole as JSON. Others may read meanwhile. While the database is locked or its
    disk is full, records wait.
    """

    gather = 0.2
    longest_pause = 5.0

    path: str = option("The database file, relative to the rules file.", short=True, minLength=1)
    table: str = option(
        "The table.",
        "records",
        pattern="^[A-Za-z_][A-Za-z0-9_]{0,62}$",
        advice=Advice("letters, digits and `_`, as in `records`"),
    )

    examples = [
        Example("records in a database beside the rules", "audit: {sqlite: audit.db}"),
        Example("in a table of another name", "audit: {sqlite: {path: data/audit.db, table: calls}}"),
    ]

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        self.label = f"sqlite {self.path}"
        self._path = Path(scope.folder, self.path).expanduser().absolute()
        if wrong := _unfit(self._path):
            help = "name a file that is not there yet, or an SQLite database"
            scope.problem("bad-path", f"`{self.path}` is {wrong}", places["path"].span, help=help)
        if self.table.lower().startswith("sqlite_"):
            help = "choose another name, such as `records`"
            scope.problem("reserved-name", "tables that begin with `sqlite_` are SQLite's", places["table"].span, help)
        self.path = str(self._path)
        self._database: sqlite3.Connection | None = None
        self._known = (0, 0)  # the file that is connected to
        columns = ", ".join(f'"{name}"' for name in (*_COLUMNS, "record"))
        marks = ", ".join("?" * (len(_COLUMNS) + 1))
        self._insert = f'INSERT INTO "{self.table}" ({columns}) VALUES ({marks})'  # noqa: S608  checked above
        super().check(places, node, scope)

    def write(self, lines: list[bytes]) -> int:
        import sqlite3

        rows = [_row(line) for line in lines]
        try:
            database = self._connected()
            with database:
                database.executemany(self._insert, rows)
        except (sqlite3.IntegrityError, sqlite3.DataError) as wrong:  # a constraint of the author's own table, say
            raise SinkRefused(str(wrong)) from wrong
        except sqlite3.Error as wrong:
            self.disconnect()
            raise SinkDown(str(wrong)) from wrong
        return len(lines)

    def disconnect(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _connected(self) -> sqlite3.Connection:
        """The database at the path: what was removed or moved away is written to no more."""
        import sqlite3

        if self._database is not None and _identity(self._path) != self._known:
            self.disconnect()
        if self._database is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(self._path, timeout=_BUSY)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            columns = ", ".join(f'"{name}" {kind}' for name, (kind, _) in _COLUMNS.items())
            self._database.execute(f'CREATE TABLE IF NOT EXISTS "{self.table}" ({columns}, "record" TEXT)')
            self._database.execute(f'CREATE INDEX IF NOT EXISTS "{self.table}_time" ON "{self.table}" ("time")')
            self._known = _identity(self._path)
        return self._database


def _unfit(path: Path) -> str:
    """What a path is that can be no database; empty where one is or may be made."""
    if path.is_dir():
        return "a folder"
    if path.is_file() and path.stat().st_size:
        import sqlite3

        try:  # by SQLite itself: to open and close the file otherwise would end locks that this process has on it
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
                database.execute("PRAGMA schema_version")
        except sqlite3.OperationalError:
            return ""  # in use, or not readable now: said when it is written to
        except sqlite3.DatabaseError:
            return "no SQLite database"
    return ""


def _identity(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino


def _row(line: bytes) -> list[Any]:
    import msgspec

    record = msgspec.json.decode(line)
    return [*(_cell(record, path) for _, path in _COLUMNS.values()), line.decode()]


def _cell(record: Any, path: tuple[str, ...]) -> Any:
    """A value as SQLite takes it: what is no plain value, or an integer beyond its bounds, as text."""
    for name in path:
        record = record.get(name) if isinstance(record, dict) else None
    if record is None or isinstance(record, (str, float)):
        return record
    if isinstance(record, int) and -(2**63) <= record < 2**63:
        return record
    return json.dumps(record, ensure_ascii=False)
