"""The way of records to a sink that is down, slow or choosy: none is lost in silence, and they keep their order."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_sinks import until

from engine.catalogue import Scope
from engine.ports import sink_backlog, sink_queue
from engine.ports.sinks import Retry, Sink, SinkDown, SinkRefused, start_sinks

Act = Callable[[list[int]], None]


class Scripted(Sink):
    """A sink that does as it is told: one act for each write, the last for all that follow."""

    gather = 0.001
    backoff = 0.001
    longest_pause = 0.005

    def __init__(self, *acts: Act, **facts: Any) -> None:
        vars(self).update(facts)
        self.check({}, None, Scope())  # type: ignore[arg-type]
        self.acts = list(acts)
        self.took: list[int] = []
        self.sizes: list[int] = []
        self.disconnected = 0

    def write(self, lines: list[bytes]) -> int:
        numbers = [json.loads(line)["n"] for line in lines]
        self.sizes.append(len(numbers))
        act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
        act(numbers)
        self.took += numbers
        return len(numbers)

    def disconnect(self) -> None:
        self.disconnected += 1


def fine(_: list[int]) -> None:
    """Take all."""


def down(_: list[int]) -> None:
    raise SinkDown("no route to it")


def refusing(*bad: int) -> Act:
    def act(numbers: list[int]) -> None:
        if set(bad) & set(numbers):
            raise SinkRefused(f"{sorted(set(bad) & set(numbers))} will not do")

    return act


def put(sink: Sink, *numbers: int) -> None:
    for number in numbers:
        sink.put({"n": number})


def on_disk(folder: Path) -> list[int]:
    return [json.loads(one)["n"] for file in sorted(folder.glob("*.jsonl")) for one in file.read_bytes().splitlines()]


def counted(sink: Sink) -> tuple[int, int, int, int, int]:
    return sink.written, sink.failed, sink.lost, sink.waiting, sink.spooled


def test_records_wait_on_disk_while_a_sink_is_down_and_come_in_order(tmp_path: Path) -> None:
    up = threading.Event()

    def until_up(_: list[int]) -> None:
        if not up.is_set():
            raise SinkDown("not yet")

    sink = Scripted(until_up)
    sink.start(tmp_path)
    put(sink, 1, 2)
    until(lambda: sink.spooled == 2)
    put(sink, *range(3, 2000))
    until(lambda: sink.spooled == 1999)
    assert on_disk(tmp_path) == list(range(1, 2000))
    assert sink.waiting == 0
    up.set()
    until(lambda: sink.written == 1999)
    put(sink, 2000)
    sink.close()
    assert sink.took == list(range(1, 2001))
    assert counted(sink) == (2000, 0, 0, 0, 0)
    assert list(tmp_path.iterdir()) == []
    assert sink.disconnected == 1


def test_what_a_slow_sink_has_no_place_for_goes_to_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_queue, "_CROWDED", 50)
    monkeypatch.setattr(sink_queue, "_SPILL_PAUSE", 0.001)
    go = threading.Event()
    sink = Scripted(lambda _: go.wait(10), capacity=100)  # type: ignore[arg-type, return-value]
    sink.start(tmp_path)
    put(sink, 0)
    until(lambda: bool(sink.sizes))  # the writer has it, and hangs
    for number in range(1, 1000):  # as fast as the disk is, not faster
        until(lambda: sink.waiting < 100)
        put(sink, number)
    assert sink.spooled >= 800
    go.set()
    sink.close()
    assert (sink.took, sink.lost) == (list(range(1000)), 0)


def test_memory_is_bounded_in_bytes_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_queue, "_CROWDED_BYTES", 10_000)
    monkeypatch.setattr(sink_queue, "_CAPACITY_BYTES", 20_000)
    go = threading.Event()
    sink = Scripted(lambda _: go.wait(10), batch=1)  # type: ignore[arg-type, return-value]
    sink.start()
    put(sink, 0)
    until(lambda: bool(sink.sizes))
    for number in range(1, 30):
        sink.put({"n": number, "text": "x" * 1000})
    assert (sink.waiting, sink.lost) == (21, 9)
    go.set()
    until(lambda: sink.written == 21)
    put(sink, 30)
    sink.close()
    assert sink.took == [*range(21), 30]


def test_one_write_is_no_more_than_a_few_megabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_backlog, "_PART_BYTES", 3000)
    sink = Scripted(fine)
    for number in range(6):
        sink.put({"n": number, "text": "x" * (5000 if number == 3 else 1000)})
    sink.close()
    assert sink.took == list(range(6))
    assert sink.sizes == [2, 1, 1, 2]


def test_a_close_while_it_is_down_leaves_all_to_the_next(tmp_path: Path) -> None:
    sink = Scripted(down, longest_pause=60.0, backoff=60.0)
    sink.start(tmp_path)
    put(sink, 1, 2)
    until(lambda: sink.spooled == 2)
    put(sink, 3, 4)
    sink.close(drain=60.0)  # and comes back at once: what is down is not waited for
    assert on_disk(tmp_path) == [1, 2, 3, 4]
    assert counted(sink) == (0, 0, 0, 0, 4)
    after = Scripted(fine)
    put(after, 5)
    after.start(tmp_path)
    until(lambda: after.written == 5)
    after.close()
    assert after.took == [1, 2, 3, 4, 5]


def test_a_close_while_a_write_hangs_leaves_all_to_the_next(tmp_path: Path) -> None:
    go = threading.Event()
    sink = Scripted(lambda _: go.wait(10), batch=2)  # type: ignore[arg-type, return-value]
    sink.start(tmp_path)
    put(sink, 1, 2, 3)
    until(lambda: bool(sink.sizes))
    sink.close(drain=0.05)
    assert on_disk(tmp_path) == [1, 2, 3]
    go.set()
    until(lambda: sink.disconnected == 1)
    assert on_disk(tmp_path) == [1, 2, 3]  # 1 and 2 come twice: nobody knows better
    assert sink.lost == 0


def test_a_close_in_the_middle_of_a_chunk_leaves_only_its_rest(tmp_path: Path) -> None:
    before = Scripted(down)
    before.start(tmp_path)
    put(before, *range(10))
    before.close()
    sink = Scripted(fine, down, batch=4)
    sink.start(tmp_path)
    until(lambda: len(sink.sizes) > 1)
    sink.close()
    assert sink.took == [0, 1, 2, 3]
    assert on_disk(tmp_path) == [4, 5, 6, 7, 8, 9]


def test_one_bad_record_costs_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sink = Scripted(refusing(70, 71, 300))
    put(sink, *range(500))
    sink.start(tmp_path)
    sink.close()
    assert sink.took == [number for number in range(500) if number not in (70, 71, 300)]
    assert counted(sink) == (497, 3, 0, 0, 0)
    assert len(sink.sizes) < 60
    assert "3 records refused" in caplog.text
    assert "[70] will not do" in caplog.text


def test_a_sink_that_refuses_everything_is_not_asked_for_each(tmp_path: Path) -> None:
    sink = Scripted(refusing(*range(5000)))
    put(sink, *range(5000))
    sink.start(tmp_path)
    sink.close()
    assert counted(sink) == (0, 5000, 0, 0, 0)
    assert len(sink.sizes) < 40


@pytest.mark.parametrize("error", [ValueError("odd"), KeyError("model"), RuntimeError("no")])
def test_an_error_of_the_sink_s_own_is_about_the_record(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    def act(numbers: list[int]) -> None:
        if 2 in numbers:
            raise error

    sink = Scripted(act)
    put(sink, 1, 2, 3)
    sink.close()
    assert (sink.took, sink.failed) == ([1, 3], 1)
    assert f"{type(error).__name__}: {error}" in caplog.text


def test_what_was_tried_often_enough_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    retry = Retry.__new__(Retry)
    vars(retry).update(times=2, backoff=0.001)
    sink = Scripted(down, down, down, fine, retry=retry, batch=2)
    put(sink, 1, 2, 3)
    sink.start()
    until(lambda: sink.written == 1)
    sink.close()
    assert (sink.took, sink.sizes) == ([3], [2, 2, 2, 1])
    assert counted(sink) == (1, 2, 0, 0, 0)
    assert "2 records refused or given up so far; the last: no route to it" in caplog.text


def test_attempts_are_further_and_further_apart_and_no_sooner_than_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def later(_: list[int]) -> None:
        raise SinkDown("busy", retry_after=7.0)

    def much_later(_: list[int]) -> None:
        raise SinkDown("busy", retry_after=10**9)

    sink = Scripted(*[down] * 5, later, much_later, fine, backoff=0.5, longest_pause=3.0, gather=0.0)
    waits: list[float] = []
    monkeypatch.setattr(sink._queue._closing, "wait", lambda seconds: bool(waits.append(seconds)))
    put(sink, 1)
    sink.start()
    until(lambda: sink.written == 1)
    monkeypatch.undo()
    sink.close()
    waits = [seconds for seconds in waits if seconds not in (0.0, sink_queue._SPILL_PAUSE)]
    assert [low <= wait <= 2 * low for wait, low in zip(waits, (0.25, 0.5, 1.0, 1.5, 1.5), strict=False)] == [True] * 5
    assert waits[5:] == [7.0, 300.0]


def test_what_has_no_room_on_disk_waits_in_memory_and_the_rest_is_lost_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "spool").write_text("a file where a folder should be")
    up = threading.Event()

    def until_up(_: list[int]) -> None:
        if not up.is_set():
            raise OSError("no space left")

    sink = Scripted(until_up, capacity=10)
    sink.start(tmp_path / "spool")
    put(sink, 0)
    until(lambda: len(sink.sizes) > 2)
    put(sink, *range(1, 20))
    assert (sink.lost, sink.waiting, sink.spooled) == (9, 11, 0)
    up.set()
    until(lambda: sink.written == 11)
    sink.close()
    assert sink.took == list(range(11))
    assert "records wait in memory alone" in caplog.text
    assert "9 records lost" in caplog.text


def test_a_full_spool_loses_what_comes_and_keeps_what_is_there(tmp_path: Path) -> None:
    sink = Scripted(down, capacity=10)
    sink.start(tmp_path, limit=100)
    for number in range(2000):
        put(sink, number)
        if number % 10 == 0:
            until(lambda: sink.waiting == 0 or sink.spooled >= 500)
    sink.close(drain=0.05)
    kept = on_disk(tmp_path)
    assert kept == sorted(set(kept))
    assert 500 <= len(kept) < 2000
    assert sink.lost == 2000 - len(kept)


def test_nothing_is_lost_when_the_disk_is_not_there_and_the_sink_comes_back_in_time() -> None:
    sink = Scripted(down, down, down, fine)
    put(sink, 1, 2)
    sink.close()
    assert (sink.took, sink.lost) == ([1, 2], 0)


def test_a_sink_that_writes_nothing_and_says_so_is_down(caplog: pytest.LogCaptureFixture) -> None:
    sink = Scripted(fine)
    sink.write = lambda lines: 0  # type: ignore[method-assign]
    put(sink, 1)
    sink.close(drain=0.05)
    assert sink.lost == 1
    assert "nothing was written" in caplog.text


def test_a_chunk_that_vanished_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    up = threading.Event()

    def until_up(_: list[int]) -> None:
        if not up.is_set():
            for file in tmp_path.glob("*.jsonl"):
                file.unlink()
            raise SinkDown("not yet")

    sink = Scripted(until_up)
    before = Scripted(down)
    before.start(tmp_path)
    put(before, 1, 2, 3)
    before.close()
    for file in tmp_path.glob("*.jsonl"):
        file.rename(file.with_name(f"0{file.name[1:]}"))
    sink.start(tmp_path)
    put(sink, 4)
    until(lambda: sink.failed + sink.lost > 0 or len(sink.sizes) > 3)
    up.set()
    until(lambda: sink.spooled == 0)
    put(sink, 5)
    sink.close()
    assert 5 in sink.took
    assert sink.written + sink.lost == 5


def test_each_sink_has_a_spool_of_its_own_and_what_no_sink_has_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sinks = {"audit": Scripted(down), "../up": Scripted(down), "..": Scripted(down)}
    start_sinks(sinks, str(tmp_path / "spool"), 10**6)
    for number, sink in enumerate(sinks.values()):
        put(sink, number)
        sink.close()
    kept = {path.name: on_disk(path) for path in (tmp_path / "spool").iterdir()}
    assert kept == {"audit": [0], "%2E%2E%2Fup": [1], "%2E%2E": [2]}
    assert not caplog.text.count("no sink")
    left = {"audit": Scripted(fine)}
    start_sinks(left, str(tmp_path / "spool"), 10**6)
    until(lambda: left["audit"].written == 1)
    left["audit"].close()
    assert caplog.text.count("no sink") == 2
    assert "no sink `../up` is defined any more" in caplog.text


def test_what_another_left_meanwhile_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_queue, "_LOOK", 0.01)
    sink, other = Scripted(fine), Scripted(down)
    sink.start(tmp_path)
    other.start(tmp_path)
    put(other, 1, 2)
    until(lambda: other.spooled == 2)
    time.sleep(0.05)
    assert sink.took == []
    other.close()
    until(lambda: sink.written == 2)
    sink.close()
    assert sink.took == [1, 2]


@given(
    script=st.lists(st.sampled_from(["fine", "down", "refuse", "wrong", "half"]), max_size=12),
    groups=st.lists(st.integers(0, 30), min_size=1, max_size=5),
    batch=st.integers(1, 20),
    last=st.sampled_from(["fine", "down"]),
    spooled=st.booleans(),
)
def test_every_record_is_written_or_counted_or_kept(
    tmp_path_factory: pytest.TempPathFactory, script: list[str], groups: list[int], batch: int, last: str, spooled: bool
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    steps = iter([*script])

    class Whimsical(Scripted):
        def write(self, lines: list[bytes]) -> int:
            step = next(steps, last)
            numbers = [json.loads(line)["n"] for line in lines]
            if step == "half":
                numbers = numbers[: (len(numbers) + 1) // 2]
            elif step != "fine":
                raise {"down": SinkDown("x"), "refuse": SinkRefused("x"), "wrong": ValueError("x")}[step]
            self.took += numbers
            return len(numbers)

    sink = Whimsical(fine, batch=batch, gather=0.0)
    sink.start(folder if spooled else None)
    total = 0
    for size in groups:
        put(sink, *range(total, total + size))
        total += size
    sink.close(drain=5.0 if spooled or last == "fine" else 0.02)
    kept = on_disk(folder)
    assert sink.took == sorted(set(sink.took))
    assert kept == sorted(set(kept))
    assert not set(kept) & set(sink.took)
    assert sink.written == len(sink.took)
    assert sink.written + sink.failed + sink.lost + len(kept) == total
    if spooled:
        assert sink.lost == 0
