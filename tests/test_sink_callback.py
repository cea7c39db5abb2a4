"""`callback` as a sink: the author's functions and classes get every record, and may fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_sinks import sink, until

from engine.catalogue import BAD, Scope
from engine.ports.sinks import SinkSection
from engine.rules.yaml_text import compose
from engine.source import Source

HOOKS = """
import asyncio, json, sys

def note(what, to="out"):
    with open(__file__.replace("hooks.py", to), "a") as file:
        print(json.dumps(what), file=file)

def on_record(record):
    note(record)

async def later(record):
    await asyncio.sleep(0)
    note(record)

class Warehouse:
    def __init__(self, table="t"):
        self.table = table
    def write(self, records):
        note([self.table, records])
    def close(self):
        note("closed")

class Loop:
    async def write(self, records):
        self.loop = asyncio.get_running_loop()
        note(records)
    async def close(self):
        note(self.loop is asyncio.get_running_loop())

house = Warehouse("made here")
times = []

def at_last(record):
    times.append(1)
    if len(times) < 4:
        raise KeyError("model")
    note(record)

def never(record):
    raise ConnectionError("nobody is there")

def leaves(record):
    sys.exit(3)

async def cancelled(record):
    raise asyncio.CancelledError

async def hangs(record):
    await asyncio.sleep(60)

def none(): pass
number = 7
"""


@pytest.fixture(autouse=True)
def hooks(tmp_path: Path) -> None:
    (tmp_path / "hooks.py").write_text(HOOKS)


def called(text: str, folder: Path) -> Any:
    made = sink(text, folder)
    made.gather, made.backoff, made.longest_pause = 0.002, 0.002, 0.01
    return made


def noted(folder: Path) -> list[Any]:
    return [json.loads(line) for line in (folder / "out").read_text().splitlines()]


@pytest.mark.parametrize(
    ("text", "out"),
    [
        ("{callback: hooks.on_record}", [{"n": 1}, {"n": 2}, {"n": 3}]),
        ("{callback: hooks.later}", [{"n": 1}, {"n": 2}, {"n": 3}]),
        ("{callback: {use: hooks.on_record, batch: 2}}", [[{"n": 1}, {"n": 2}], [{"n": 3}]]),
        (
            "{callback: {use: hooks.Warehouse, with: {table: calls}, batch: 9}}",
            [["calls", [{"n": 1}, {"n": 2}, {"n": 3}]], "closed"],
        ),
        ("{callback: {use: hooks.Loop, batch: 2}}", [[{"n": 1}, {"n": 2}], [{"n": 3}], True]),
        ("{callback: {use: hooks.house, batch: 3}}", [["made here", [{"n": 1}, {"n": 2}, {"n": 3}]], "closed"]),
        ("{callback: hooks.at_last}", [{"n": 1}, {"n": 2}, {"n": 3}]),
    ],
)
def test_what_it_gets(text: str, out: list[Any], tmp_path: Path) -> None:
    made = called(text, tmp_path)
    for number in range(1, 4):
        made.put({"n": number})
    made.start()
    until(lambda: made.written == 3)
    made.close()
    assert noted(tmp_path) == out
    assert (made.written, made.failed, made.lost) == (3, 0, 0)


@pytest.mark.parametrize(
    ("use", "says"),
    [
        ("hooks.never", "ConnectionError: nobody is there (hooks.py, line "),
        ("hooks.leaves", "SystemExit: 3"),
        ("hooks.cancelled", "CancelledError"),
        ("{use: hooks.hangs, timeout: 1ms}", "TimeoutError"),
    ],
)
def test_a_record_that_it_never_takes_is_given_up(
    use: str, says: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = called(f"{{callback: {use}}}", tmp_path)
    made.put({"n": 1})
    made.start()
    until(lambda: made.failed == 1)
    made.close()
    assert (made.written, made.failed, made.lost) == (0, 1, 0)
    assert "1 records refused or given up so far; the last: " in caplog.text
    assert says in caplog.text


@pytest.mark.parametrize(
    ("text", "code", "at", "message"),
    [
        ("{callback: nowhere.f}", "unknown-module", "nowhere", "no module `nowhere`"),
        ("{callback: hooks.on_recrd}", "unknown-attribute", "on_recrd", "has no `on_recrd`"),
        ("{callback: hooks.number}", "bad-callback", "hooks.number", "takes no records"),
        ("{callback: hooks.none}", "bad-callback", "hooks.none", "must take one argument"),
        ("{callback: hooks.Warehouse.write}", "bad-callback", "hooks.Warehouse.write", "must take one argument"),
        ("{callback: {use: hooks.Warehouse, with: {tabel: a}}}", "bad-callback", "hooks.Warehouse", "tabel"),
        ("{callback: {use: hooks.on_record, with: {a: 1}}}", "bad-callback", "hooks.on_record", "constructor"),
        ("{callback: 7}", "wrong-type", "7", "dotted path"),
    ],
)
def test_problems(text: str, code: str, at: str, message: str, tmp_path: Path) -> None:
    node, _ = compose(Source("rules.yaml", text))
    scope = Scope(folder=str(tmp_path))
    assert node is not None
    assert SinkSection.read(node, scope) is BAD
    (problem,) = scope.problems
    assert (problem.code, text[problem.span.start : problem.span.end]) == (code, at)
    assert message in problem.message
