"""Rules that change while they are served: what is seen as a change, what is kept, what is said."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from running import AUDIT, CHAT, LOG, Running, completion, running, upstream
from scripted import Talk, scripted, whole

from engine.errors import Problem
from engine.rules.compile import compile_program
from engine.rules.load import load
from engine.runtime.reload import Watched

ANSWER = whole(json.dumps(completion("hello")).encode())


class Reloading:
    """A set of rules in a folder, looked at by hand."""

    def __init__(self, folder: Path, rules: str, **files: str) -> None:
        self.folder = folder
        for name, text in files.items():
            self.write(name.replace("_", "."), text)
        self.write("rules.yaml", rules)
        loaded = load(str(folder / "rules.yaml"))
        assert loaded.fine, loaded.problems
        self.program = compile_program(loaded)
        self.watched = Watched(str(folder / "rules.yaml"), loaded)
        self.problems: list[Problem] = []

    def write(self, name: str, text: str) -> None:
        """Write a file, and see to it that its time is another one whatever the clock's steps."""
        file = self.folder / name
        file.write_text(text)
        stamp = getattr(self, "stamp", 1_000_000_000_000_000_000) + 1_000_000
        os.utime(file, ns=(stamp, stamp))
        self.stamp = stamp

    def look(self) -> Any:
        def complain(problems: list[Problem]) -> None:
            self.problems = problems

        return self.watched.look(complain, self.program)


RULES = """include: ['team*.yaml']
lists: {vip: {file: vip.txt}}
rules: [{name: a, match: {request.user: {in: {list: vip}}}, actions: [{tag: x}]}]
"""
TEAM = "rules: [{name: b, actions: [{tag: b}]}]\n"


@pytest.mark.parametrize("name", ["rules.yaml", "team.yaml", "vip.txt", "team-new.yaml"])
def test_what_is_a_change(name: str, tmp_path: Path) -> None:
    one = Reloading(tmp_path, RULES, team_yaml=TEAM, vip_txt="alice\n")
    assert not one.watched.changed()
    texts = {
        "rules.yaml": RULES + "# more\n",
        "vip.txt": "bob\n",
        "team.yaml": TEAM.replace("b", "c"),
        "team-new.yaml": "rules: [{name: new, actions: [{tag: n}]}]\n",
    }
    one.write(name, texts[name])
    assert one.watched.changed()
    program = one.look()
    assert program.version != one.program.version
    assert not one.watched.changed()


def test_a_file_that_goes_is_a_change(tmp_path: Path) -> None:
    one = Reloading(tmp_path, RULES, team_yaml=TEAM, vip_txt="alice\n")
    (tmp_path / "team.yaml").unlink()
    assert one.watched.changed()
    assert one.look().rule_names == ("a",)
    (tmp_path / "vip.txt").unlink()
    assert one.watched.changed()
    assert one.look() is None
    assert [problem.code for problem in one.problems] == ["missing-file"]
    one.write("vip.txt", "alice\n")
    assert one.watched.changed()
    assert (one.look() is not None, one.problems) == (True, [])


def test_a_broken_file_is_looked_at_again_when_it_is_mended(tmp_path: Path) -> None:
    one = Reloading(tmp_path, RULES, team_yaml=TEAM, vip_txt="alice\n")
    one.write("rules.yaml", "rules: [\n")
    assert one.watched.changed()
    assert one.look() is None
    assert one.problems
    assert not one.watched.changed()
    one.write("rules.yaml", RULES)
    assert one.watched.changed()
    assert one.look().version == one.program.version
    assert one.problems == []


def test_a_module_that_a_callback_imports_is_watched(tmp_path: Path) -> None:
    hook = """import words
from engine import Callback

class H(Callback):
    def request(self, context):
        context.tag(words.TAG)
"""
    one = Reloading(tmp_path, "callbacks: hooks.H\nrules: []\n", hooks_py=hook, words_py="TAG = 'one'\n")
    one.write("words.py", "TAG = 'two'\n")
    assert one.watched.changed()
    assert one.look() is not None


def test_sinks_written_the_same_are_kept(tmp_path: Path) -> None:
    sinks = "sinks: {same: {file: same.jsonl}, other: {file: {path: other.jsonl, keep: 3}}}\nrules: []\n"
    one = Reloading(tmp_path, sinks)
    one.write("rules.yaml", sinks.replace("keep: 3", "keep: 4") + "# more\n")
    program = one.look()
    assert program.sinks["same"] is one.program.sinks["same"]
    assert program.sinks["other"] is not one.program.sinks["other"]


# --- while exchanges run ----------------------------------------------------------------------------------------------


def reload(run: Running, rules: str) -> None:
    (run.folder / "rules.yaml").write_text(rules)
    loaded = load(str(run.folder / "rules.yaml"), run.gateway.program.sinks)
    assert loaded.fine, loaded.problems
    run.gateway.adopt(compile_program(loaded))


async def test_an_exchange_ends_on_the_rules_it_began_with(tmp_path: Path) -> None:
    arrived, go = asyncio.Event(), asyncio.Event()

    async def waiting(talk: Talk) -> None:
        arrived.set()
        await asyncio.wait_for(go.wait(), 10)
        await ANSWER(talk)

    async with scripted(waiting, ANSWER) as up:

        def rules(name: str) -> str:
            rule = f"  - {{name: {name}, phase: response, actions: [{{set_header: {{x-rules: {name}}}}}]}}"
            return upstream(up.url) + AUDIT + "rules:\n" + rule + LOG

        async with running(rules("old"), tmp_path) as run:
            first = asyncio.create_task(run.post())
            await arrived.wait()
            old = run.gateway.program.version
            reload(run, rules("new"))
            go.set()
            answers = [await first, await run.post()]
            assert [answer.headers["x-rules"] for answer in answers] == ["old", "new"]
            records = await run.records(2)
            told = {record["matched"][0]: record["rules_version"] == old for record in records}  # in either order
            assert told == {"old": True, "new": False}


async def test_records_of_a_dropped_sink_reach_it(tmp_path: Path) -> None:
    arrived, go = asyncio.Event(), asyncio.Event()

    async def waiting(talk: Talk) -> None:
        arrived.set()
        await asyncio.wait_for(go.wait(), 10)
        await ANSWER(talk)

    async with scripted(waiting) as up:
        log = "rules: [{name: log, phase: log, actions: [{log_to: gone}]}]\n"
        async with running(upstream(up.url) + "sinks: {gone: {file: gone.jsonl}}\n" + log, tmp_path) as run:
            first = asyncio.create_task(run.post(body=CHAT))
            await arrived.wait()
            reload(run, upstream(up.url) + "rules: []\n")
            go.set()
            assert (await first).status_code == 200
            await run.gateway.close()
        assert len((tmp_path / "gone.jsonl").read_text().splitlines()) == 1
