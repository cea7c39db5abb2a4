"""What the language promises of callbacks in Python: whatever one does, the others and the process go on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from running import AUDIT, CHAT, LOG, completion, running, upstream
from scripted import scripted, whole

ANSWER = whole(json.dumps(completion("hello")).encode())
HOOKS = """
import asyncio, sys, threading, time
from pathlib import Path
from engine import Callback

gate = threading.Event()

class Base(Callback):
    def request(self, context):
        self.change(context)
    async def response(self, context):
        await asyncio.sleep(0)
        context.response["body"]["seen"] = True

class Inherited(Base):
    def __init__(self, level=1):
        self.level = level
    def change(self, context):
        context.request["level"] = self.level

instance = Inherited(7)

class Wild(Base):
    def change(self, context):
        context.request["changed"] = True
        context.set_var("noted", 1)
        context.tag("noted")
        self.misbehave(context)

class Raises(Wild):
    def misbehave(self, context): raise ValueError("why")
class Stops(Wild):
    def misbehave(self, context): raise StopIteration(5)
class Exits(Wild):
    def misbehave(self, context): sys.exit(3)
class Interrupts(Wild):
    def misbehave(self, context): raise KeyboardInterrupt
class MakesNoJson(Wild):
    def misbehave(self, context): context.request["x"] = object()
class MakesCircle(Wild):
    def misbehave(self, context): context.request["x"] = context.request
class MakesList(Wild):
    def misbehave(self, context): context.request = [1]
class Assigns(Wild):
    def misbehave(self, context): context.headers = {}
class Blocks(Wild):
    def misbehave(self, context):
        gate.wait(20)
        context.set_var("late", 1)
class Returns(Callback):
    def request(self, context): return 42
class Hangs(Callback):
    async def request(self, context): await asyncio.sleep(20)
class Cancels(Callback):
    async def request(self, context): raise asyncio.CancelledError
class ExitsAsync(Callback):
    async def request(self, context): raise SystemExit
class Half(Callback):
    def request(self, context): context.request["user"] = "\\ud800"
class Reads(Callback):
    def request(self, context):
        context.headers["x-evil"] = "1"; context.vars["evil"] = 1; context.tags.append("evil")
        context.original["model"] = "evil"
class Logs(Callback):
    def log(self, context):
        while not (Path(__file__).parent / "go").exists():
            time.sleep(0.01)
class Rejects(Callback):
    async def request(self, context): context.reject("No", 418, "teapot", "c1")
class Tells(Callback):
    def request(self, context): context.reject_with_message("told")
"""
MISBEHAVING = [
    "Raises",
    "Stops",
    "Exits",
    "Interrupts",
    "MakesNoJson",
    "MakesCircle",
    "MakesList",
    "Assigns",
    "Blocks",
    "Returns",
    "Hangs",
    "Cancels",
    "ExitsAsync",
]


def rules(callback: str, folder: Path, more: str = "", phase: str = "request") -> str:
    (folder / "my_hooks.py").write_text(HOOKS)
    return (
        AUDIT
        + f"""
rules:
  - name: mine
    phase: {phase}
    match: {{headers.x-calm: {{exists: false}}}}
    timeout: 300ms
    {more}
    actions: [{{callback: {callback}}}]
"""
        + LOG
    )


@pytest.mark.parametrize("callback", MISBEHAVING)
async def test_a_callback_that_misbehaves_is_an_error_of_its_rule(callback: str, tmp_path: Path) -> None:
    async with (
        scripted(ANSWER) as up,
        running(upstream(up.url) + rules(f"my_hooks.{callback}", tmp_path), tmp_path) as run,
    ):
        failed = await run.post()
        fine = await run.post(headers={"x-calm": "1"})
        record, _ = await run.records(2)
        assert (failed.status_code, failed.json()["error"]["message"]) == (500, "rule mine failed")
        assert failed.json()["error"]["type"] == "rule_error"
        assert fine.status_code == 200
        assert len(up.requests) == 1
    assert [(row["rule"], row["result"]) for row in record["outcomes"]] == [("mine", "error"), ("audit", "acted")]
    assert record["outcomes"][0]["why"]
    assert (record["status"], record["error"]["source"]) == (500, "rule_error")


@pytest.mark.parametrize("callback", MISBEHAVING)
async def test_a_skipped_error_has_changed_nothing(callback: str, tmp_path: Path) -> None:
    async with (
        scripted(ANSWER) as up,
        running(upstream(up.url) + rules(f"my_hooks.{callback}", tmp_path, "on_error: skip"), tmp_path) as run,
    ):
        assert (await run.post()).status_code == 200
        record = await run.record()
        assert json.loads(up.requests[0].body) == CHAT
    assert (record["tags"], record["vars"], record["matched"]) == ([], {}, ["mine", "audit"])


async def test_a_plain_method_that_blocks_holds_up_no_other_exchange(tmp_path: Path) -> None:
    written = rules("my_hooks.Logs", tmp_path, phase="log").replace("timeout: 300ms", "timeout: 20s")
    async with scripted(ANSWER) as up, running(upstream(up.url) + written, tmp_path) as run:
        assert (await run.post()).status_code == 200
        assert (await run.post()).status_code == 200  # while the first is still being logged
        assert not (tmp_path / "audit.jsonl").exists()
        (tmp_path / "go").touch()
        assert len(await run.records(2)) == 2


@pytest.mark.parametrize(
    ("callback", "sent"),
    [
        ("my_hooks.Inherited", {"level": 1}),
        ("my_hooks.instance", {"level": 7}),
        ("{use: my_hooks.Inherited, with: {level: 3}}", {"level": 3}),
        ("my_hooks.Half", {"user": "\ufffd"}),
        ("my_hooks.Reads", {}),
    ],
)
async def test_what_a_callback_changes(callback: str, sent: dict[str, object], tmp_path: Path) -> None:
    async with scripted(ANSWER) as up, running(upstream(up.url) + rules(callback, tmp_path), tmp_path) as run:
        assert (await run.post()).status_code == 200
        assert json.loads(up.requests[0].body) == {**CHAT, **sent}
        record = await run.record()
    assert (record["tags"], record["vars"], record["model_requested"]) == ([], {}, "gpt-4o")


@pytest.mark.parametrize("where", ["callbacks: my_hooks.{0}", "callbacks: [my_hooks.{0}]", "action"])
async def test_callbacks_refuse_and_answer(where: str, tmp_path: Path) -> None:
    for callback, status in (("Rejects", 418), ("Tells", 200)):
        written = rules(f"my_hooks.{callback}", tmp_path)
        if where != "action":
            written = AUDIT + where.format(callback) + "\nrules:" + LOG
        async with scripted(ANSWER) as up, running(upstream(up.url) + written, tmp_path) as run:
            answer = await run.post()
            assert answer.status_code == status
            assert not up.requests
            if status == 418:
                assert answer.json()["error"] == {"message": "No", "type": "teapot", "param": None, "code": "c1"}
            else:
                assert answer.json()["choices"][0]["message"]["content"] == "told"


async def test_an_inherited_method_under_callbacks_runs_after_the_rules(tmp_path: Path) -> None:
    written = AUDIT + "callbacks: my_hooks.instance\nrules:\n  - {name: first, actions: [{set: {level: 1}}]}" + LOG
    (tmp_path / "my_hooks.py").write_text(HOOKS)
    for name in ("engine", "server", "json"):  # an author's files never shadow ours
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')")
    async with scripted(ANSWER) as up, running(upstream(up.url) + written, tmp_path) as run:
        assert (await run.post()).json()["seen"] is True
        assert json.loads(up.requests[0].body)["level"] == 7
