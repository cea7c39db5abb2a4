"""What a match, an effect and an error of a rule mean: order, stop, undo, time-outs, observing, shares and days."""

from __future__ import annotations

import datetime
import hashlib
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from running import AUDIT, CHAT, LOG, Running, completion, running, upstream
from scripted import scripted, whole

import server
from engine.proxy.entry import listen
from engine.proxy.gateway import Gateway
from engine.proxy.ways import Ways
from engine.rules.compile import compile_program
from engine.rules.load import load
from engine.tools.cases_wire import FrozenClock

CASES = yaml.safe_load((Path(__file__).parent / "executor.yaml").read_text())
HOOKS = """
import asyncio
from engine import Callback

class Slow(Callback):
    async def request(self, context):
        context.request["slow"] = True
        await asyncio.sleep(30)

class OwnTimeout(Callback):
    async def request(self, context):
        raise TimeoutError("of another thing")

class CancelledInside(Callback):
    async def request(self, context):
        raise asyncio.CancelledError

class Broken(Callback):
    def request(self, context):
        context.request["broken"] = True
        context.set_var("broken", True)
        context.tag("broken")
        raise ValueError("no such thing")

class Refuses(Callback):
    def request(self, context):
        if context.request["model"] == "refused":
            context.reject("Not this model.", status=403, code="nope")
        if context.request["model"] == "answered":
            context.reject_with_message("From Python")

class Everything(Callback):
    def request(self, context):
        context.request["seen"] = context.tags
    async def response(self, context):
        context.response["body"]["by"] = "python"
        context.response["headers"]["x-by"] = "python"
        context.response["status"] = 203
    def log(self, context):
        context.set_var("logged", context.matched)

class BrokenLog(Callback):
    def log(self, context):
        raise KeyError("log")
"""


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
async def test_case(case: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "hooks.py").write_text(HOOKS)
    for name, text in case.get("files", {}).items():
        (tmp_path / name).write_text(text)
    async with scripted(whole(json.dumps(completion("hello")).encode())) as up:
        rules = upstream(up.url) + AUDIT + case.get("more", "") + "rules:" + case["rules"].rstrip() + LOG
        async with running(rules, tmp_path) as run:
            answer = await run.post(body={**CHAT, **case.get("body", {})})
            check_answer(case, answer)
            if "sent" in case:
                assert (json.loads(up.requests[0].body) if up.requests else None) == (
                    None if case["sent"] is None else {**CHAT, **case.get("body", {}), **case["sent"]}
                )
            if "sent_headers" in case:
                sent = dict(up.requests[0].headers)
                assert {name: sent.get(name) for name in case["sent_headers"]} == case["sent_headers"]
            await check_record(case, run)


def check_answer(case: dict[str, Any], answer: httpx.Response) -> None:
    assert answer.status_code == case.get("status", 200), answer.text
    if "message" in case:
        assert answer.json()["error"]["message"] == case["message"]
    if "text" in case:
        assert answer.json()["choices"][0]["message"]["content"] == case["text"]
    for name, value in case.get("headers", {}).items():
        assert answer.headers.get(name) == value
    assert answer.json().items() >= case.get("answer", {}).items()


async def check_record(case: dict[str, Any], run: Running) -> None:
    record = await run.record()
    matched = [*case.get("matched", ()), *case.get("matched_after", ()), "audit"]
    assert sorted(record["matched"]) == sorted(matched)
    assert record["matched"][: len(case.get("matched", ()))] == case.get("matched", [])
    outcomes = [[entry["rule"], entry["result"]] for entry in record["outcomes"] if entry["rule"] != "audit"]
    assert outcomes == case.get("outcomes", [[rule, "acted"] for rule in case.get("matched", ())])
    if "why" in case:
        assert [entry["why"] for entry in record["outcomes"] if entry["rule"] != "audit"] == case["why"]
    assert record["tags"] == case.get("tags", [])
    assert record["vars"] == case.get("vars", {})
    if "error" in case:
        assert record["error"].items() >= case["error"].items()


# --- who is let in ----------------------------------------------------------------------------------------------------


async def test_a_share_of_traffic_is_a_hash_and_never_chance(tmp_path: Path) -> None:
    rule = "rules: [{name: some, enabled: {percent: 30, by: request.user}, actions: [{set: {seen: true}}]}]\n"

    def share(user: str) -> float:
        return int.from_bytes(hashlib.sha256(f"some\0{user}".encode()).digest()[:8]) / 2**64 * 100

    async with scripted(whole()) as up, running(upstream(up.url) + rule, tmp_path) as run:
        users = [f"user-{number}" for number in range(40)]
        for user in users * 2:
            await run.post(body={**CHAT, "user": user})
        seen = ["seen" in json.loads(request.body) for request in up.requests]
        assert seen[:40] == seen[40:] == [share(user) < 30 for user in users]
        assert 0 < sum(seen[:40]) < 40


async def test_by_default_a_share_is_of_keys_or_of_addresses(tmp_path: Path) -> None:
    names = ["a", "b", "c", "d", "e", "f", "g", "h"]
    keys = "\n".join(f"  - {{name: {name}, sha256: {hashlib.sha256(name.encode()).hexdigest()}}}" for name in names)
    rule = "\nrules: [{name: half, enabled: {percent: 50}, actions: [{set: {seen: true}}]}]\n"
    async with scripted(whole()) as up, running(upstream(up.url) + "keys:\n" + keys + rule, tmp_path) as run:
        for name in names:
            await run.post(headers={"x-api-key": name})
        seen = ["seen" in json.loads(request.body) for request in up.requests]
        assert seen == [hashlib.sha256(b"half\0" + name.encode()).digest()[0] < 128 for name in names]
    async with scripted(whole()) as up, running(upstream(up.url) + rule, tmp_path) as run:
        await run.post()
        expected = hashlib.sha256(b"half\x00127.0.0.1").digest()[0] < 128
        assert ("seen" in json.loads(up.requests[0].body)) is expected


@pytest.mark.parametrize(
    ("now", "zone", "acts"),
    [
        ("2030-12-31T23:59:59+00:00", "UTC", True),
        ("2031-01-01T00:00:00+00:00", "UTC", False),
        ("2031-01-01T04:59:59+00:00", "America/New_York", True),
        ("2031-01-01T05:00:00+00:00", "America/New_York", False),
    ],
)
async def test_a_rule_holds_to_the_end_of_its_last_day(now: str, zone: str, acts: bool, tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    rule = "rules: [{name: a, expires: 2030-12-31, actions: [{reject: No}]}]\n"
    file.write_text(f"server: {{timezone: {zone}}}\n{rule}")
    ways, clock = Ways(), FrozenClock(datetime.datetime.fromisoformat(now))
    gateway = Gateway(compile_program(load(str(file))), ways, clock)
    listening = await listen(lambda client: server.exchange(client, gateway), "127.0.0.1", 0)
    try:
        async with httpx.AsyncClient() as http:
            answer = await http.post(f"http://127.0.0.1:{listening.port}/v1/chat/completions", json=CHAT)
        assert (answer.status_code == 400) is acts
    finally:
        await listening.close()
        await gateway.close()
        await ways.close()
