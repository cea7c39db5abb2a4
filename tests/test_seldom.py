"""Warnings that come with every request are logged now and then, with the number of those that were not."""

from __future__ import annotations

from pathlib import Path

import pytest
from running import AUDIT, CHAT, LOG, running
from scripted import scripted, whole

from engine.runtime import seldom
from engine.runtime.seldom import Seldom

FAILS = """
  - {name: broken, match: "abs(metadata.team) == `1`", actions: [{reject: never}]}
"""
LEFT_OUT = " (and %d times since this was last logged)"
CASES = {
    "one": ([(0, "a")], ["a"]),
    "two at once": ([(0, "a"), (0, "a")], ["a"]),
    "two kinds": ([(0, "a"), (0, "b"), (1, "a"), (1, "b")], ["a", "b"]),
    "again, after a while": ([(0, "a"), (10, "a")], ["a", "a"]),
    "some between": ([(0, "a"), (1, "a"), (9.9, "a"), (10, "a")], ["a", "a" + LEFT_OUT % 2]),
    "counted anew": (
        [(0, "a"), (1, "a"), (2, "a"), (12, "a"), (13, "a"), (30, "a")],
        ["a", "a" + LEFT_OUT % 2, "a" + LEFT_OUT % 1],
    ),
    "counted by kind": ([(0, "a"), (1, "b"), (2, "b"), (20, "a"), (20, "b")], ["a", "b", "a", "b" + LEFT_OUT % 1]),
}


@pytest.mark.parametrize(("told", "logged"), CASES.values(), ids=CASES)
def test_what_is_logged(told: list[tuple[float, str]], logged: list[str], caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    warnings = Seldom(lambda: now)
    for at, kind in told:
        now = at
        warnings.warn((kind,), kind)
    assert [record.getMessage() for record in caplog.records] == logged


def test_kinds_without_end_take_no_memory_without_end() -> None:
    warnings = Seldom()
    for number in range(3 * seldom._MOST_KINDS):
        warnings.warn((str(number),), "")
    assert len(warnings._said) <= seldom._MOST_KINDS


async def test_a_rule_that_fails_each_time_is_logged_once_and_recorded_each_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with scripted(whole(b'{"choices": []}')) as up:
        rules = f"upstreams: {{main: {{base_url: '{up.url}/v1'}}}}\n{AUDIT}rules:{FAILS}{LOG}"
        async with running(rules, tmp_path) as run:
            body = {**CHAT, "metadata": {"team": "a"}}
            assert [(await run.post(body=body)).status_code for _ in range(5)] == [500] * 5
            records = await run.records(5)
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(said) == 1
    assert said[0].startswith("rule broken failed in request: ")
    assert [outcome["result"] for record in records for outcome in record["outcomes"]] == ["error", "acted"] * 5
