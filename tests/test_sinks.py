"""Sinks: what is put is written, what cannot be written is counted, and nothing blocks."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from sink_problems import problem_of
from test_actions import exchange, read_action

import engine.ports
from engine.catalogue import BAD, Scope, discover
from engine.phases import PHASES
from engine.ports.sink_file import File
from engine.ports.sinks import Sink, SinkRef, SinkSection
from engine.rules.yaml_text import compose
from engine.source import Mapping, Source

discover(engine.ports)


def sink(text: str, folder: Path | str = ".") -> Any:
    node, problems = compose(Source("rules.yaml", text))
    assert node is not None
    assert not problems
    scope = Scope(folder=str(folder))
    made = SinkSection.read(node, scope)
    assert made is not BAD, scope.problems
    return made


def records(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def until(held: Any) -> None:
    """Wait for the writer's thread; the test fails by its own assertion when it never comes."""
    end = time.monotonic() + 5
    while not held() and time.monotonic() < end:
        time.sleep(0.01)


def test_a_file_beside_the_rules_gets_one_line_each(tmp_path: Path) -> None:
    made = sink("{file: logs/audit.jsonl}", tmp_path)
    made.put({"id": "before the start"})
    made.start()
    made.start()
    made.put({"id": "2", "text": "ä\n\U0001f600", "big": 2**70})
    made.close()
    assert records(tmp_path / "logs/audit.jsonl") == [
        {"id": "before the start"},
        {"id": "2", "text": "ä\n\U0001f600", "big": 2**70},
    ]
    assert (made.written, made.failed, made.lost) == (2, 0, 0)


def test_records_are_written_without_waiting_for_the_close(tmp_path: Path) -> None:
    made = sink("{file: audit.jsonl}", tmp_path)
    made.start()
    for number in range(3):
        made.put({"n": number})
        until(lambda number=number: made.written == number + 1)
    assert records(tmp_path / "audit.jsonl") == [{"n": 0}, {"n": 1}, {"n": 2}]
    made.close()


def test_a_sink_that_never_started_is_written_at_its_close(tmp_path: Path) -> None:
    made = sink("{file: audit.jsonl}", tmp_path)
    made.put({"id": "1"})
    made.close()
    assert records(tmp_path / "audit.jsonl") == [{"id": "1"}]
    sink("{file: other.jsonl}", tmp_path).close()
    assert not (tmp_path / "other.jsonl").exists()


@pytest.mark.parametrize(
    ("keep", "left"),
    [
        (2, {"a.jsonl": [4], "a.jsonl.1": [2, 3], "a.jsonl.2": [0, 1]}),
        (1, {"a.jsonl": [4], "a.jsonl.1": [2, 3]}),
        (0, {"a.jsonl": [4]}),
    ],
)
def test_a_full_file_is_kept_and_a_new_one_begun(tmp_path: Path, keep: int, left: dict[str, list[int]]) -> None:
    made = sink(f"{{file: {{path: a.jsonl, max_mb: 0.001, keep: {keep}}}}}", tmp_path)
    for number in range(5):
        made.put({"n": number, "text": "x" * 450})
    made.close()
    found = {file.name: [record["n"] for record in records(file)] for file in tmp_path.iterdir()}
    assert found == left


def test_a_record_larger_than_a_file_is_written_whole(tmp_path: Path) -> None:
    made = sink("{file: {path: a.jsonl, max_mb: 0.001}}", tmp_path)
    for number in range(3):
        made.put({"n": number, "text": "x" * (5000 if number == 1 else 1)})
    made.close()
    assert [record["n"] for record in records(tmp_path / "a.jsonl.1")] == [1]
    assert [record["n"] for record in records(tmp_path / "a.jsonl")] == [2]


def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    made = sink("{file: a.jsonl}", tmp_path)
    made.start()
    made.put({"n": 1})
    until(lambda: made.written == 1)
    (tmp_path / "a.jsonl").rename(tmp_path / "moved")
    made.put({"n": 2})
    made.close()
    assert records(tmp_path / "a.jsonl") == [{"n": 2}]


def test_what_is_no_json_is_counted_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = sink("{file: a.jsonl}", tmp_path)
    circle: list[object] = []
    circle.append(circle)
    made.put({"id": "bad", "text": circle})
    made.put({"id": "odd", "text": Path("p")})
    made.close()
    assert records(tmp_path / "a.jsonl") == [{"id": "odd", "text": "p"}]
    assert (made.written, made.failed, made.lost) == (1, 1, 0)
    assert "record bad is no JSON" in caplog.text


def test_half_a_surrogate_costs_no_record(tmp_path: Path) -> None:
    made = sink("{file: a.jsonl}", tmp_path)
    made.put({"id": "half", "text": "a\ud800"})
    made.close()
    assert records(tmp_path / "a.jsonl") == [{"id": "half", "text": "a\ufffd"}]


class Held(Sink):
    """A sink that waits to be let go, or fails a number of times."""

    def __init__(self, fails: int = 0, capacity: int = 10) -> None:
        self.capacity = capacity  # type: ignore[misc]
        self.check({}, None, Scope())  # type: ignore[arg-type]
        self.go, self.lines, self.fails = threading.Event(), [], fails

    def write(self, lines: list[bytes]) -> int:
        self.go.wait(10)
        if self.fails:
            self.fails -= 1
            raise OSError("no space left")
        self.lines += lines
        return len(lines)


def test_a_full_queue_loses_records_and_never_blocks(caplog: pytest.LogCaptureFixture) -> None:
    held = Held(capacity=5)
    held.start()
    held.put({"n": 0})
    until(lambda: not held._queue._records)  # the writer has it, and hangs
    for number in range(1, 9):
        held.put({"n": number})
    assert held.lost == 3
    held.go.set()
    held.close()
    assert [json.loads(line)["n"] for line in held.lines] == [0, 1, 2, 3, 4, 5]
    assert held.written == 6
    assert "3 records lost" in caplog.text
    held.put({"n": 10})
    assert held.lost == 4


def test_a_sink_that_is_down_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    held = Held(fails=3)
    held.backoff = 0.01
    held.go.set()
    held.start()
    held.put({"n": 1})
    until(lambda: held.written)
    held.close()
    assert held.lines == [b'{"n":1}']
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2  # down, up again
    assert "no space left" in caplog.text


def test_a_close_ends_when_its_time_is_over() -> None:
    held = Held(fails=10**6)
    held.go.set()
    held.start()
    held.put({"n": 1})
    held.put({"n": 2})
    held.close(drain=0.1)
    assert (held.written, held.lost) == (0, 2)


def test_a_folder_that_cannot_be_written_keeps_nothing_torn(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a file where a folder should be")
    made = sink("{file: a/audit.jsonl}", tmp_path)
    made.put({"n": 1})
    made.close(drain=0.1)
    assert made.lost == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no disk that is always full")
def test_a_full_disk_keeps_records_elsewhere_until_there_is_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "audit.jsonl").symlink_to("/dev/full")
    made = sink("{file: audit.jsonl}", tmp_path)
    made.backoff, made.longest_pause = 0.005, 0.01
    made.start(tmp_path / "spool")
    for number in range(100):
        made.put({"n": number})
    until(lambda: made.spooled == 100)
    (tmp_path / "audit.jsonl").unlink()
    until(lambda: made.written == 100)
    made.close()
    assert [record["n"] for record in records(tmp_path / "audit.jsonl")] == list(range(100))
    assert "No space left on device" in caplog.text


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no disk that is always full")
def test_a_disk_that_is_full_altogether_costs_what_has_no_room_in_memory_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "audit.jsonl").symlink_to("/dev/full")
    script = f"""
import logging, resource, sys
sys.path.insert(0, "tests")
from pathlib import Path
from test_sinks import sink, until
logging.basicConfig()
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
made = sink("{{file: audit.jsonl}}", {str(tmp_path)!r})
made.start(Path({str(tmp_path)!r}, "spool"))
made.put({{"n": 0}})
until(lambda: made._queue._down)
for number in range(12_000):
    made.put({{"n": number, "text": "x" * 100}})
until(lambda: made.lost + made.waiting + made.spooled == 12_001)  # some may be on their way to the disk
print(made.written + made.failed, made.lost + made.waiting + made.spooled, made.lost > 0)
made.close(drain=0.1)
print(made.lost + made.spooled)
"""
    root = Path(__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0", "12001", "True", "12001"]
    assert "File too large" in done.stderr
    assert "records lost so far" in done.stderr


def test_a_folder_that_was_removed_is_made_again(tmp_path: Path) -> None:
    made = sink("{file: logs/audit.jsonl}", tmp_path)
    made.start()
    made.put({"n": 1})
    until(lambda: made.written == 1)
    (tmp_path / "logs/audit.jsonl").unlink()
    (tmp_path / "logs").rmdir()
    made.put({"n": 2})
    made.close()
    assert records(tmp_path / "logs/audit.jsonl") == [{"n": 2}]


@pytest.mark.parametrize("text", ["stdout", "{stdout: {}}", "{stdout: }"])
def test_stdout(text: str) -> None:
    program = f"""
import engine.ports.sink_stdout
from engine.catalogue import Scope
from engine.ports.sinks import SinkSection
from engine.rules.yaml_text import compose
from engine.source import Source
sink = SinkSection.read(compose(Source("r", {text!r}))[0], Scope())
sink.put({{"id": 1}})
sink.close()
"""
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert out.stdout == '{"id":1}\n'


@pytest.mark.parametrize(
    ("text", "code", "at", "help"),
    [
        ("{fil: a}", "unknown-sink-kind", "fil", "did you mean `file`?"),
        ("webhok", "unknown-sink-kind", "webhok", "webhook"),
        ("{file: a, stdout: {}}", "wrong-type", "{file: a, stdout: {}}", "audit.jsonl"),
        ("7", "wrong-type", "7", "audit.jsonl"),
        ("{file: {max_mb: 1}}", "missing-key", "{", "relative to the rules file"),
        ("{file: {path: a, keep: -1}}", "wrong-type", "-1", ""),
        ("{file: .}", "bad-path", ".", "audit.jsonl"),
    ],
)
def test_problems(text: str, code: str, at: str, help: str) -> None:
    problem, place = problem_of(text)
    assert (problem.code, place) == (code, at)
    assert help in problem.help


def test_a_reload_may_keep_a_sink_that_did_not_change(tmp_path: Path) -> None:
    one = sink("{file: a.jsonl}", tmp_path)
    assert one.same_as(sink("{file: {path: ./a.jsonl, keep: 5}}", tmp_path)) is True
    assert one.same_as(sink("{file: {path: a.jsonl, keep: 4}}", tmp_path)) is False
    assert one.same_as(sink("{file: a.jsonl}", tmp_path / "b")) is False
    assert one.same_as(sink("stdout")) is False
    assert isinstance(one, File)


def test_the_schema_has_the_bare_and_the_long_form() -> None:
    bare, long_form = SinkSection.schema()["anyOf"]
    assert "stdout" in bare["enum"]
    assert {"file", "stdout"} <= long_form["properties"].keys()


@pytest.mark.parametrize(
    ("text", "phase", "content", "checkpoint"),
    [
        ("{log_to: audit}", "log", "none", False),
        ("{log_to: [audit]}", "log", "none", False),
        ("{log_to: {sink: [audit], content: full}}", "log", "full", False),
        ("{log_to: {sink: audit, content: redacted}}", "request", "redacted", True),
    ],
)
async def test_log_to_notes_which_sink_wants_the_record(text: str, phase: str, content: str, checkpoint: bool) -> None:
    root, _ = compose(Source("rules.yaml", f"action: {text}"))
    assert isinstance(root, Mapping)
    audit = Held()
    scope = Scope({"sink": {"audit": audit}})
    scope.phases = frozenset({PHASES[phase]})
    action = read_action(root, scope)
    x = exchange({})
    assert action.compile(PHASES[phase])(x) is None
    assert x.log_requests == [(audit, content)]
    assert x.checkpoints == ([(audit, content)] if checkpoint else None)
    assert scope.used == {("sink", "audit")}


def test_a_sink_is_named_by_text() -> None:
    node, _ = compose(Source("rules.yaml", "7"))
    scope = Scope()
    assert node is not None
    assert SinkRef.read(node, scope) is BAD
    assert scope.problems[0].code == "wrong-type"
