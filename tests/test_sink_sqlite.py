"""`sqlite`: rows that SQLite itself reads, while it is locked, moved, removed and after."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from test_sinks import sink, until

from engine.catalogue import BAD, Scope
from engine.ports import sink_sqlite
from engine.ports.sinks import SinkSection
from engine.rules.yaml_text import compose
from engine.source import Source

RECORD = {
    "id": "req-1",
    "time": "2026-03-02T10:00:00Z",
    "call_type": "completion",
    "key": "ci",
    "team": "core",
    "user": None,
    "model": "gpt-4o",
    "upstream": "openai",
    "status": 200,
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    "timing": {"total_ms": 12.5},
    "cost": 0.25,
    "text": "ä\U0001f600",
}


def database(text: str, folder: Path) -> Any:
    made = sink(text, folder)
    made.gather, made.backoff, made.longest_pause = 0.005, 0.005, 0.02
    return made


def rows(path: Path, asked: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(asked).fetchall()


def ids(path: Path, table: str = "records") -> list[str]:
    return [row[0] for row in rows(path, f'SELECT id FROM "{table}" ORDER BY rowid')]


def test_a_row_has_what_is_asked_most_and_the_whole_record(tmp_path: Path) -> None:
    made = database("{sqlite: data/audit.db}", tmp_path)
    made.put(RECORD)
    made.put({"id": "req-2", "user": {"odd": 1}, "usage": None, "status": 2**70})
    made.close()
    file = tmp_path / "data/audit.db"
    asked = 'SELECT time, id, "key", team, "user", model, upstream, status, total_ms, total_tokens, cost FROM records'
    first, second = rows(file, asked)
    assert first == ("2026-03-02T10:00:00Z", "req-1", "ci", "core", None, "gpt-4o", "openai", 200, 12.5, 5, 0.25)
    assert second == (None, "req-2", None, None, '{"odd": 1}', None, None, float(2**70), None, None, None)
    assert json.loads(rows(file, "SELECT record FROM records")[0][0]) == RECORD
    assert rows(file, "SELECT count(*) FROM records WHERE json_extract(record, '$.usage.total_tokens') = 5") == [(1,)]
    assert rows(file, "PRAGMA journal_mode") == [("wal",)]
    assert (made.written, made.failed, made.lost) == (2, 0, 0)


def test_a_table_of_another_name_grows(tmp_path: Path) -> None:
    for number in range(2):
        made = database("{sqlite: {path: a.db, table: Order}}", tmp_path)
        made.put({"id": str(number)})
        made.close()
    assert ids(tmp_path / "a.db", "Order") == ["0", "1"]


def test_records_wait_while_the_database_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_sqlite, "_BUSY", 0.02)
    made = database("{sqlite: a.db}", tmp_path)
    made.start(tmp_path / "spool")
    made.put({"id": "0"})
    until(lambda: made.written == 1)
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for number in range(1, 20):
            made.put({"id": str(number)})
        until(lambda: made.spooled == 19)
        assert made.waiting == 0
        other.execute("COMMIT")
    until(lambda: made.written == 20)
    made.close()
    assert ids(tmp_path / "a.db") == [str(number) for number in range(20)]


def removed(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def moved(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))


@pytest.mark.parametrize("gone", [removed, moved])
def test_a_database_that_is_gone_is_made_anew(gone: Callable[[Path], None], tmp_path: Path) -> None:
    made = database("{sqlite: data/a.db}", tmp_path)
    made.start(tmp_path / "spool")
    made.put({"id": "0"})
    until(lambda: made.written == 1)
    gone(tmp_path / "data")
    made.put({"id": "1"})
    until(lambda: made.written == 2)
    made.close()
    assert ids(tmp_path / "data/a.db") == ["1"]


def test_a_table_that_does_not_fit_is_said_and_nothing_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        connection.execute("CREATE TABLE records (id TEXT, time TEXT)")
    made = database("{sqlite: a.db}", tmp_path)
    made.start(tmp_path / "spool")
    made.put({"id": "0"})
    until(lambda: made.spooled == 1)
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        connection.execute("DROP TABLE records")
    until(lambda: made.written == 1)
    made.close()
    assert "table records has no column named" in caplog.text
    assert ids(tmp_path / "a.db") == ["0"]


def test_a_row_that_the_table_refuses_costs_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    database("{sqlite: a.db}", tmp_path)
    columns = ", ".join(f'"{name}"' for name in (*sink_sqlite._COLUMNS, "record"))
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        connection.execute(f"CREATE TABLE records ({columns}, UNIQUE (id))")
    made = database("{sqlite: a.db}", tmp_path)
    for name in ("a", "b", "a", "c"):
        made.put({"id": name})
    made.close()
    assert ids(tmp_path / "a.db") == ["a", "b", "c"]
    assert (made.written, made.failed) == (3, 1)
    assert "UNIQUE constraint failed" in caplog.text


def test_a_file_that_became_something_else_waits_for_a_cure(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = database("{sqlite: a.db}", tmp_path)
    (tmp_path / "a.db").write_text("no database " * 1000)
    made.start(tmp_path / "spool")
    made.put({"id": "0"})
    until(lambda: made.spooled == 1)
    (tmp_path / "a.db").unlink()
    until(lambda: made.written == 1)
    made.close()
    assert "file is not a database" in caplog.text


@pytest.mark.parametrize(
    ("text", "code", "at", "message"),
    [
        ("{sqlite: .}", "bad-path", ".", "is a folder"),
        ("{sqlite: notes.txt}", "bad-path", "notes.txt", "is no SQLite database"),
        ("{sqlite: {path: a.db, table: 'a b'}}", "wrong-type", "'a b'", "expected"),
        ("{sqlite: {path: a.db, table: sqlite_x}}", "reserved-name", "sqlite_x", "SQLite's"),
        ("{sqlite: {table: a}}", "missing-key", "{", "needs `path`"),
    ],
)
def test_problems(text: str, code: str, at: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("what is to be done\n" * 100)
    node, _ = compose(Source("rules.yaml", text))
    scope = Scope(folder=str(tmp_path))
    assert node is not None
    assert SinkSection.read(node, scope) is BAD
    (problem,) = scope.problems
    assert (problem.code, text[problem.span.start : problem.span.end]) == (code, at)
    assert message in problem.message


def test_a_database_of_ours_is_none_of_them_even_while_it_is_written(tmp_path: Path) -> None:
    made = database("{sqlite: a.db}", tmp_path)
    made.start()
    made.put({"id": "0"})
    until(lambda: made.written == 1)
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert made.same_as(database("{sqlite: a.db}", tmp_path))
    made.close()
