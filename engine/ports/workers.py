"""Runs authors' code where it can hold up nobody: plain functions in threads, `async` ones on a loop apart.

What waits is bounded. Must not know what the code does.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any

Job = tuple[Callable[[], Any], "Future[Any]"]


class TooManyWaiting(Exception):
    """So much is waiting to be run that no more is taken."""


class Workers:
    """Some threads for plain functions and one for coroutines, begun when first needed; they keep no process alive.

    At most `most` jobs wait or run at a time.
    """

    def __init__(self, threads: int = 8, most: int = 10_000) -> None:
        self._most = most
        self._wanted = threads
        self._pending = 0
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, function: Callable[[], Any]) -> Future[Any]:
        """Run a plain function in one of the threads; TooManyWaiting."""
        self._take()
        future: Future[Any] = Future()
        future.add_done_callback(self._give_back)
        self._queue.put((function, future))
        with self._lock:
            if len(self._threads) < min(self._wanted, self._pending):
                self._threads.append(_begun(self._work, f"callbacks {len(self._threads)}"))
        return future

    def run_async(self, make: Callable[[], Coroutine[Any, Any, Any]]) -> Future[Any]:
        """Run a coroutine on the loop apart, whatever it does to that loop; TooManyWaiting."""
        self._take()
        future = asyncio.run_coroutine_threadsafe(make(), self._running())
        future.add_done_callback(self._give_back)
        return future

    def _take(self) -> None:
        with self._lock:
            if self._pending >= self._most:
                raise TooManyWaiting(f"{self._pending} calls of logging callbacks are waiting already")
            self._pending += 1

    def _give_back(self, _: Future[Any]) -> None:
        with self._lock:
            self._pending -= 1

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                _begun(self._loop.run_forever, "callbacks loop")
            return self._loop

    def _work(self) -> None:
        while True:
            function, future = self._queue.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = function()
            except BaseException as error:  # noqa: BLE001  whoever waits for it says so; the thread goes on
                future.set_exception(_raisable(error))
            else:
                future.set_result(result)


def _raisable(error: BaseException) -> Exception:
    """An error that may be raised where a task waits: not one that ends a generator, a loop or the process."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    wrapped = RuntimeError(f"raised {error!r}")
    wrapped.__cause__ = error
    return wrapped


def _begun(work: Callable[[], Any], name: str) -> threading.Thread:
    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    return thread


WORKERS = Workers()
"""Those of the process, for what is called once an exchange is over."""

_WAITED_FOR = Workers(threads=32, most=1_000)  # exchanges wait for these: no slow logging stands before them


async def in_thread(function: Callable[[], Any]) -> Any:
    """What a plain function returns that an exchange waits for; TooManyWaiting.

    Whoever stops waiting does not stop the function: threads cannot be ended.
    """
    return await asyncio.wrap_future(_WAITED_FOR.run(function))
