"""`sqlite`: state in a file, kept over restarts and shared by the processes of a machine.

Must not know what is counted.
"""

from __future__ import annotations

import asyncio
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.catalogue import Example, Scope
from engine.options import Duration, option
from engine.ports.patience import Patience
from engine.ports.sqlite_file import SqliteFile
from engine.ports.store_returns import Returns
from engine.ports.stores import LEASE, Claim, OpenStore, Slots, Standing, Store, StoreError, Used, taken
from engine.source import Node

if TYPE_CHECKING:
    from engine.document.moments import Clock

_FORGET_EVERY = 256  # jobs, or when there was a pause after some
_HEADER = b"SQLite format 3\0"


class Sqlite(Store, name="sqlite"):
    """State in a file: kept over restarts, and shared by all processes of a machine that name it.

    Not for network file systems. Slots of a process that was killed come back within 30 seconds. When the machine's
    clock jumps back, rates flow on from where they were, and budgets count in the window that the calendar says.
    """

    meant = {
        **dict.fromkeys(("file", "filename", "db", "database", "url"), "it is called `path`"),
        **dict.fromkeys(("room", "size", "max_size"), "it is called `max_mb`"),
    }

    path: str = option("The file, relative to the rules file.", short=True, minLength=1)
    timeout: Duration = option("How long an exchange waits for the disk and for other processes.", 1.0)
    max_mb: float = option(
        "Megabytes (1,000,000 bytes) of values that are kept; those whose time ends first go first.", 256, minimum=0
    )

    examples = [
        Example("a file beside the rules", "local: {sqlite: state.db}"),
        Example("with room for more", "local: {sqlite: {path: /var/lib/pointsman/state.db, max_mb: 2000}}"),
    ]

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        file = Path(scope.folder, self.path).expanduser().absolute()
        if file.is_dir():
            scope.problem(
                "bad-path",
                f"`{self.path}` is a folder",
                places["path"].span,
                help=f"name a file in it: `{self.path.rstrip('/')}/state.db`",
            )
        elif file.is_file() and not _may_be_sqlite(file):
            scope.problem(
                "bad-path",
                f"`{self.path}` is a file, but none of SQLite's",
                places["path"].span,
                help="name another; it is made when it is not there",
            )
        if self.timeout <= 0:
            scope.problem("wrong-type", "expected a time above 0", places["timeout"].span, help="write it like `500ms`")
        self.path = str(file)
        self.address = f"sqlite {self.path} {self.timeout} {self.max_mb}"

    def open(self, clock: Clock) -> OpenStore:
        return SqliteStore(self.path, clock, self.timeout, int(self.max_mb * 1_000_000))


def _may_be_sqlite(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return opened.read(len(_HEADER)) in {b"", _HEADER}
    except OSError:
        return True  # whoever may not read it now is told when it is used


class _Job(NamedTuple):
    """Work for the thread. `late`: it is worth doing when nobody waits for it any more."""

    work: Callable[[float], Any]
    deadline: float
    late: bool
    answer: asyncio.Future[Any]


class SqliteStore:
    """A thread of its own does all that may wait for the disk, and renews the slots that are held here."""

    def __init__(
        self, path: str, clock: Clock, timeout: float = 1.0, room: int = 256_000_000, lease: float = LEASE
    ) -> None:
        self._path = path
        self._file = SqliteFile(path, clock, room, lease)
        self._timeout = timeout
        self._lease = lease
        self._me = os.urandom(8).hex()
        self._returns = Returns(self.settle)
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._held: set[tuple[str, str]] = set()  # slots: keys and holders; the thread's

    async def take(self, claims: Sequence[Claim], holder: str) -> list[Standing]:
        answer = self._ask(lambda deadline: self._take(claims, f"{self._me}:{holder}", deadline))
        standings: list[Standing] = await self._soon(self._returns.standings(answer, list, claims, holder))
        return standings

    async def settle(self, uses: Sequence[Used], holder: str) -> None:
        await self._soon(self._ask(lambda deadline: self._settle(uses, f"{self._me}:{holder}", deadline), late=True))

    async def get(self, key: str) -> bytes | None:
        found: bytes | None = await self._soon(self._ask(lambda deadline: self._file.get(key, deadline)))
        return found

    async def put(self, key: str, value: bytes, ttl: float) -> None:
        await self._soon(
            self._ask(lambda deadline: self._file.change(lambda: self._file.put(key, value, ttl), deadline))
        )

    async def close(self) -> None:
        await self._returns.finished()
        if self._thread is not None:
            self._jobs.put(None)
            await asyncio.to_thread(self._thread.join, 5 * self._timeout)
            self._thread = None

    async def _soon(self, answer: Any) -> Any:
        try:
            async with Patience(self._timeout):
                return await answer
        except TimeoutError:
            raise StoreError(f"store {self._path}: no answer within {self._timeout:g} s") from None

    def _ask(self, work: Callable[[float], Any], *, late: bool = False) -> asyncio.Future[Any]:
        answer = asyncio.get_running_loop().create_future()
        self._jobs.put(_Job(work, time.monotonic() + self._timeout, late, answer))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=f"store {self._path}", daemon=True)
            self._thread.start()
        return answer

    # --- in the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        renewal = time.monotonic() + self._lease / 3
        jobs = 0
        while True:
            try:
                job = self._jobs.get(timeout=max(0.0, renewal - time.monotonic()))
            except queue.Empty:
                job = None
            else:
                if job is None:
                    break
                self._do(job)
                jobs += 1
            if jobs >= _FORGET_EVERY or (jobs and job is None):
                self._try(self._file.forget)
                jobs = 0
            if time.monotonic() >= renewal:
                renewal = time.monotonic() + self._lease / 3
                if self._held:
                    self._try(self._renew)
        if self._held:
            self._try(self._let_all_go)
        self._file.close()

    def _do(self, job: _Job) -> None:
        now = time.monotonic()
        if now > job.deadline and not job.late:
            return  # whoever asked was told
        try:
            done, failed = job.work(max(now, job.deadline)), None
        except Exception as error:  # noqa: BLE001  the thread must live on, and whoever asked is told
            done, failed = None, StoreError(f"store {self._path}: {error}")
        with suppress(RuntimeError):  # the loop is closed
            job.answer.get_loop().call_soon_threadsafe(_answer, job.answer, done, failed)

    def _try(self, work: Callable[[], None]) -> None:
        with suppress(sqlite3.Error, OSError):  # leases run on; the next call tells what is wrong
            self._file.change(work, time.monotonic() + self._timeout)

    def _take(self, claims: Sequence[Claim], holder: str, deadline: float) -> list[Standing]:
        standings: list[Standing] = self._file.change(lambda: self._file.take(claims, holder, self._file.now), deadline)
        if taken(claims, standings):
            for claim, standing in zip(claims, standings, strict=True):
                if isinstance(claim, Slots) and standing.fits:
                    self._held.add((claim.key, holder))
        return standings

    def _settle(self, uses: Sequence[Used], holder: str, deadline: float) -> None:
        for use in uses:
            self._held.discard((use.claim.key, holder))
        self._file.change(lambda: self._file.settle(uses, holder, self._file.now), deadline)

    def _renew(self) -> None:
        for key, holder in self._held:
            self._file.hold(key, holder, self._file.now)

    def _let_all_go(self) -> None:
        for key, holder in self._held:
            self._file.let_go(key, holder)


def _answer(answer: asyncio.Future[Any], done: Any, failed: StoreError | None) -> None:
    if answer.done():
        return
    if failed is not None:
        answer.set_exception(failed)
    else:
        answer.set_result(done)
