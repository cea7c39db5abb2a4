"""Where authors' code runs that may hold up nobody."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from engine.ports.workers import TooManyWaiting, Workers


def test_plain_functions_run_elsewhere_and_errors_come_back() -> None:
    workers = Workers(threads=2)
    assert workers.run(threading.current_thread).result(5) is not threading.current_thread()
    with pytest.raises(ZeroDivisionError):
        workers.run(lambda: 1 / 0).result(5)
    assert workers.run(lambda: "still here").result(5) == "still here"


def test_what_blocks_blocks_no_other_thread() -> None:
    workers, release = Workers(threads=2), threading.Event()
    blocked = workers.run(lambda: release.wait(5))
    assert workers.run(lambda: "meanwhile").result(5) == "meanwhile"
    release.set()
    assert blocked.result(5)


def test_coroutines_run_on_a_loop_of_their_own() -> None:
    async def where() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    workers = Workers()
    first, second = workers.run_async(where).result(5), workers.run_async(where).result(5)
    assert first is second


async def test_a_blocking_coroutine_leaves_our_loop_alone() -> None:
    async def blocking() -> None:
        time.sleep(0.2)  # noqa: ASYNC251  that is what it is about

    future = Workers().run_async(blocking)
    await asyncio.sleep(0)
    assert not future.done()
    await asyncio.wrap_future(future)


def test_what_waits_is_bounded_and_given_back() -> None:
    workers, release = Workers(threads=1, most=2), threading.Event()
    waiting = [workers.run(lambda: release.wait(5)) for _ in range(2)]
    with pytest.raises(TooManyWaiting, match="2 calls"):
        workers.run(lambda: None)
    release.set()
    assert all(one.result(5) for one in waiting)
    deadline = time.monotonic() + 5
    while workers._pending and time.monotonic() < deadline:
        time.sleep(0.001)
    assert workers.run(lambda: "room again").result(5) == "room again"
