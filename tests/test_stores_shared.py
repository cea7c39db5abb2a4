"""Several processes on one store: nothing is counted twice or lost, and what a killed one held comes back."""

from __future__ import annotations

import asyncio
import json
import sys
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
import store_process
from valkey_server import Valkey

from engine.ports.stores import Slots

SCRIPT = str(Path(__file__).with_name("store_process.py"))
FIVE = Slots("five", 5)


@pytest.fixture(params=["redis", "sqlite"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A server or a file."""
    if request.param == "sqlite":
        return str(tmp_path / "state.db")
    valkey: Valkey = request.getfixturevalue("valkey")
    return valkey.url


async def start(*words: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, SCRIPT, *words, stdout=asyncio.subprocess.PIPE)


async def four(where: str, what: str, times: int) -> list[Any]:
    """What each of four processes saw."""
    processes = [await start(where, what, str(times)) for _ in range(4)]
    try:
        async with asyncio.timeout(50):
            printed = [await process.communicate() for process in processes]
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
                await process.wait()
    return [json.loads(out) for out, _ in printed]


async def test_a_thousand_a_day_are_a_thousand(where: str) -> None:
    fitted = await four(where, "take", 2500 if "://" in where else 500)
    assert sum(fitted) == 1000


async def test_a_limit_of_five_at_once_never_sees_six(where: str) -> None:
    times = 100 if "://" in where else 25
    held = [held for process in await four(where, "hold", times) for held in process]
    changes = sorted([(since, 1) for since, _ in held] + [(until, -1) for _, until in held])
    assert len(held) >= 4 * times
    assert max(accumulate(change for _, change in changes)) <= 5


async def test_slots_of_a_killed_process_come_back_within_the_lease(where: str) -> None:
    killed, living = [await start(where, "keep", "2") for _ in range(2)]
    store = store_process.opened(where, store_process.SHORT)
    try:
        async with asyncio.timeout(20):
            for process in (killed, living):
                assert process.stdout is not None
                assert json.loads(await process.stdout.readline()) == [True, True]
        fitted = [(await store.take([FIVE], str(n)))[0].fits for n in range(2)]
        assert fitted == [True, False]
        killed.kill()
        await killed.wait()
        await asyncio.sleep(store_process.SHORT + 0.3)
        fitted = [(await store.take([FIVE], str(n)))[0].fits for n in range(1, 4)]
        assert fitted == [True, True, False]  # those of the living one are renewed
    finally:
        for process in (killed, living):
            if process.returncode is None:
                process.kill()
                await process.wait()
        await store.close()
