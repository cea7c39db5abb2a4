"""Stores in SQLite: they count as memory does, over restarts and between processes, and outlast what disks do."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from store_sequences import DAYS, STEPS, SteppedClock, alike, answers

import engine.ports
from engine.catalogue import BAD, Scope, discover
from engine.ports.store_memory import MemoryStore
from engine.ports.store_sqlite import Sqlite, SqliteStore
from engine.ports.stores import Rate, Slots, Spend, Standing, StoreError, StoreSection, Used
from engine.rules.yaml_text import compose
from engine.source import Source

discover(engine.ports)


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
async def store(tmp_path: Path, clock: SteppedClock) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(str(tmp_path / "state.db"), clock, timeout=5.0)
    yield opened
    await opened.close()


async def in_thread(store: SqliteStore, work: Callable[[], Any]) -> None:
    await store._ask(lambda deadline: store._file.change(work, deadline))


@given(STEPS)
async def test_it_answers_as_memory_does(steps: list[Any]) -> None:
    clock, other = SteppedClock(), SteppedClock()
    with TemporaryDirectory() as folder:
        store = SqliteStore(f"{folder}/state.db", clock, timeout=5.0, lease=1e9)
        try:
            assert await answers(store, clock, steps) == await answers(MemoryStore(other), other, steps)
        finally:
            await store.close()


async def test_what_was_counted_stays_counted_over_a_restart(tmp_path: Path, clock: SteppedClock) -> None:
    path = str(tmp_path / "deep" / "state.db")
    claims = [Rate("r", 2, 60), Spend("d", 1.0, DAYS, 0.75)]
    for remaining in ([1, 0.25], [0, 0.0]):
        store = SqliteStore(path, clock)
        assert [standing.remaining for standing in await store.take(claims, "a")] == remaining
        await store.close()


async def test_nobody_else_may_read_the_file(store: SqliteStore, tmp_path: Path) -> None:
    await store.put("k", b"what somebody asked", 60.0)
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "state.db", tmp_path / "state.db-wal")} == {0o600}


async def test_slots_that_are_still_held_at_close_come_back(tmp_path: Path, clock: SteppedClock) -> None:
    first, second = (SqliteStore(str(tmp_path / "state.db"), clock) for _ in range(2))
    assert (await first.take([Slots("s", 1)], "a"))[0].fits
    assert not (await second.take([Slots("s", 1)], "a"))[0].fits  # holders of two processes are two
    await first.close()
    assert (await second.take([Slots("s", 1)], "a"))[0].fits
    await second.close()


async def test_slots_of_a_holder_that_died_come_back_and_those_of_a_living_one_do_not(tmp_path: Path) -> None:
    clock = SteppedClock()
    dead, living, asking = (SqliteStore(str(tmp_path / "state.db"), clock, lease=30.0) for _ in range(3))
    await dead.take([Slots("s", 2)], "a")
    await living.take([Slots("s", 2)], "a")
    dead._held.clear()  # as if it had been killed
    assert not (await asking.take([Slots("s", 2)], "b"))[0].fits
    clock.advance(20.0)
    await in_thread(living, living._renew)  # what its thread does three times in a lease
    clock.advance(20.0)
    assert [(await asking.take([Slots("s", 2)], holder))[0].fits for holder in "bc"] == [True, False]
    for store in (dead, living, asking):
        await store.close()


async def test_a_clock_that_jumps_back_locks_nobody_out(store: SqliteStore, clock: SteppedClock) -> None:
    rate, slot, spend = Rate("r", 60, 60.0, cost=60), Slots("s", 1), Spend("d", 1.0, DAYS, 1.0)
    await store.take([rate, slot, spend], "a")
    await store.put("v", b"v", 100.0)
    store._held.clear()
    clock.jump(-3 * 3600.0)
    assert alike((await store.take([Rate("r", 60, 60.0)], "b"))[0], Standing(False, 0.0, 1.0, 60.0))
    clock.advance(30.0)
    assert alike((await store.take([Rate("r", 60, 60.0)], "b"))[0], Standing(True, 29.0, 0.0, 31.0))
    assert (await store.take([slot], "b"))[0].fits
    assert (await store.take([spend], "b"))[0].remaining == 0.0  # the calendar's window is the same
    clock.advance(71.0)
    assert await store.get("v") is None


async def test_a_clock_that_jumps_forward_has_passed_that_time(store: SqliteStore, clock: SteppedClock) -> None:
    await store.take([Rate("r", 60, 60.0, cost=60), Spend("d", 1.0, DAYS, 1.0)], "a")
    clock.jump(86400.0)
    standings = await store.take([Rate("r", 60, 60.0), Spend("d", 1.0, DAYS, 1.0)], "a")
    assert [standing.fits for standing in standings] == [True, True]
    clock.jump(-86400.0)
    assert not (await store.take([Spend("d", 1.0, DAYS, 1.0)], "a"))[0].fits  # the day before is not forgotten


async def test_values_end_and_those_that_end_first_make_room(tmp_path: Path, clock: SteppedClock) -> None:
    store = SqliteStore(str(tmp_path / "state.db"), clock, room=10_000)
    await store.put("short", b"a", 5.0)
    await store.put("long", b"\x00b", 5000.0)
    clock.advance(5.0)
    assert (await store.get("short"), await store.get("long"), await store.get("none")) == (None, b"\x00b", None)
    for n in range(30):
        await store.put(f"k{n}", b"x" * 800, 50.0 + n)
    assert (await store.get("k0"), await store.get("k29")) == (None, b"x" * 800)
    assert await store.get("long") == b"\x00b"
    await store.put("k29", b"y" * 20_000, 50.0)
    assert (await store.get("k29"), await store.get("long")) == (None, b"\x00b")
    await store.close()
    with sqlite3.connect(tmp_path / "state.db") as rows:
        kept, sizes = rows.execute("SELECT kept, (SELECT sum(size) FROM store_values) FROM store_clock").fetchone()
    rows.close()
    assert kept == sizes <= 10_000


async def test_rows_that_mean_nothing_any_more_are_forgotten(tmp_path: Path, clock: SteppedClock) -> None:
    store = SqliteStore(str(tmp_path / "state.db"), clock)
    for n in range(600):
        await store.take([Rate(f"r{n}", 10, 60.0)], "a")
        await store.put(f"v{n}", b"", 3.0)
        clock.advance(1.0)
    await store.close()
    with sqlite3.connect(tmp_path / "state.db") as rows:
        counts = [
            rows.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("store_rates", "store_values")
        ]
    rows.close()
    assert max(counts) < 300


async def test_a_key_that_is_no_text_is_a_key(store: SqliteStore) -> None:
    for key in ("ä\ud800", "ä\udfff", "nul\0", "nul"):
        assert [(await store.take([Rate(key, 1, 60)], "a"))[0].fits for _ in range(2)] == [True, False]
        await store.put(key, key.encode("utf-8", "surrogatepass"), 9.0)
        assert await store.get(key) == key.encode("utf-8", "surrogatepass")


async def test_what_was_taken_for_an_exchange_that_left_is_given_back(store: SqliteStore, tmp_path: Path) -> None:
    await store.take([Rate("other", 1, 1)], "a")
    block = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    block.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(store.take([Slots("s", 1), Spend("d", 1.0, DAYS, 1.0)], "a"))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    block.execute("COMMIT")
    block.close()
    await store.take([Rate("other", 1, 1)], "a")  # the thread has come to what it was asked before
    await store._returns.finished()
    standings = await store.take([Slots("s", 1), Spend("d", 1.0, DAYS, 1.0)], "b")
    assert [standing.fits for standing in standings] == [True, True]


async def test_a_file_that_another_holds_is_told_soon_and_works_again(tmp_path: Path, clock: SteppedClock) -> None:
    path = tmp_path / "state.db"
    store = SqliteStore(str(path), clock, timeout=0.1)
    await store.take([Slots("s", 9)], "a")
    block = sqlite3.connect(path, isolation_level=None)
    block.execute("BEGIN IMMEDIATE")
    async with asyncio.timeout(5):
        asked = [store.take([Rate("r", 5, 60)], "a") for _ in range(20)]
        told = await asyncio.gather(*asked, return_exceptions=True)
    assert {type(error) for error in told} == {StoreError}
    assert str(path) in str(told[0])
    with pytest.raises(StoreError):
        await store.settle([Used(Slots("s", 9))], "a")
    assert not store._held  # its lease runs out
    block.execute("COMMIT")
    block.close()
    assert (await store.take([Rate("r", 5, 60)], "a"))[0].remaining == 4
    await store.close()


async def test_a_file_that_is_deleted_begins_anew(tmp_path: Path, clock: SteppedClock) -> None:
    store = SqliteStore(str(tmp_path / "state.db"), clock)
    assert (await store.take([Rate("r", 1, 60)], "a"))[0].fits
    for ending in ("", "-wal", "-shm"):
        (tmp_path / f"state.db{ending}").unlink()
    assert (await store.take([Rate("r", 1, 60)], "a"))[0].fits
    assert not (await store.take([Rate("r", 1, 60)], "a"))[0].fits
    await store.close()


async def test_a_file_that_cannot_be_used_is_told(tmp_path: Path, clock: SteppedClock) -> None:
    (tmp_path / "text.db").write_text("this is no database " * 100, encoding="utf-8")
    (tmp_path / "file").write_text("", encoding="utf-8")
    for path in ("text.db", "file/state.db", "."):
        store = SqliteStore(str(tmp_path / path), clock)
        with pytest.raises(StoreError, match=str(tmp_path)):
            await store.take([Rate("r", 1, 60)], "a")
        await store.close()


async def test_a_full_disk_is_told_and_room_makes_it_work_again(store: SqliteStore, tmp_path: Path) -> None:
    await store.take([Rate("r", 5, 60)], "a")
    await in_thread(store, lambda: store._file._rows.execute("PRAGMA max_page_count = 1").fetchone())
    with pytest.raises(StoreError, match="full"):
        await store.put("k", b"x" * 1_000_000, 60.0)
    await store.put("k", b"x" * 1_000_000, 60.0)  # the file was opened again
    assert (await store.take([Rate("r", 5, 60)], "a"))[0].remaining == 3


def read(text: str, folder: Path) -> tuple[Any, list[str]]:
    node, problems = compose(Source("rules.yaml", text))
    assert node is not None
    assert not problems
    scope = Scope(folder=str(folder))
    return StoreSection.read(node, scope), [problem.code for problem in scope.problems]


def test_a_file_is_named_from_where_the_rules_stand(tmp_path: Path) -> None:
    made, problems = read("{sqlite: {path: deep/state.db, timeout: 200ms, max_mb: 1}}", tmp_path)
    assert isinstance(made, Sqlite), problems
    assert (made.path, made.timeout, made.max_mb) == (str(tmp_path / "deep" / "state.db"), 0.2, 1)
    assert read("{sqlite: deep/state.db}", tmp_path)[0].address != made.address


def test_what_cannot_be_a_database_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.db").write_text("hello", encoding="utf-8")
    (tmp_path / "empty.db").write_text("", encoding="utf-8")
    assert read("{sqlite: folder}", tmp_path) == (BAD, ["bad-path"])
    assert read("{sqlite: text.db}", tmp_path) == (BAD, ["bad-path"])
    assert read("{sqlite: {path: a.db, timeout: 0}}", tmp_path) == (BAD, ["wrong-type"])
    assert read("{sqlite: empty.db}", tmp_path)[1] == []
