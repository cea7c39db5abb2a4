"""Several processes that serve on one port: begun, replaced, told of other rules, summed up and drained together.

The supervisor answers no request but those on the admin address. It reads the rules, so that a mistake is said once and
all workers serve the same. A worker is a process begun anew, not a fork: authors' callbacks may have threads and open
connections by then, which no fork survives. Must not know what happens within an exchange.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from engine.errors import Problem
from engine.proxy.admin import open_admin
from engine.proxy.alone import on_signals, say
from engine.proxy.aside import readiness
from engine.proxy.banner import announce, cannot_listen
from engine.proxy.channel import Message
from engine.proxy.child import Child, Command, ended
from engine.proxy.figures import of_process, of_rules
from engine.proxy.gateway import SystemClock
from engine.proxy.sharing import GONE, Seats, bind
from engine.rules.program import Program
from engine.runtime.families import Figures, lasting, of_known_rules, together
from engine.runtime.metrics import rules_of
from engine.runtime.reload import Watched, watch
from engine.runtime.reloads import Reloads

log = logging.getLogger("pointsman")

_SOON = 5.0  # seconds: a worker that lived no longer is replaced after a pause
_PAUSES = (0.1, 5.0)  # seconds: the first, doubled each time up to the last
_FRESH = 1.0  # seconds that workers have to tell what they counted, when somebody asks
_CLOSING = 20.0  # seconds beyond `server.drain` that workers have to bring their records to sinks


async def serve_many(program: Program, watched: Watched, command: list[str], *, chosen: bool) -> int:
    """Serve until told to stop; `command` begins a worker, `chosen`: somebody wrote the admin address down."""
    server = program.server
    try:
        sockets = bind(server.host, server.port)
    except OSError as wrong:
        return cannot_listen(f"{server.host}:{server.port}", wrong, "--host and --port")
    port = sockets[0].getsockname()[1]
    begins = Command([*command, "--port", str(port)], sockets, Seats(server.workers))
    crew = Supervisor(program, watched, begins, server.workers)
    stop, asked = asyncio.Event(), asyncio.Event()
    on_signals(stop, asked)
    try:
        admin = await open_admin(crew, chosen=chosen)
    except OSError as wrong:
        begins.close()
        return cannot_listen(server.admin, wrong, "--admin")
    watching = None
    if await crew.begin(stop):
        announce(program, port, admin.port if admin is not None else None)
        del program  # else the first rules would stay when others are served
        watching = asyncio.create_task(watch(watched, crew, crew.complain, asked))
        await stop.wait()
        watching.cancel()
    code = await crew.end()
    if admin is not None:
        await admin.close()
    return code


class Supervisor:
    """Keeps as many workers as were asked for, and tells of all of them as if they were one process."""

    def __init__(self, program: Program, watched: Watched, command: Command, count: int) -> None:
        self.program = program
        self.reloads = Reloads(SystemClock(program.server.timezone))
        self._watched = watched
        self._command = command
        self._count = count
        self._children: dict[int, Child] = {}
        self._ended: Figures = {}  # what workers had counted that are no more
        self._restarts = 0
        self._draining = False
        self._failed = False
        self._keepers: set[asyncio.Task[None]] = set()
        self._heard = asyncio.Event()  # some worker serves, or does not

    # --- workers ------------------------------------------------------------------------------------------------------

    async def begin(self, stop: asyncio.Event) -> bool:
        """Begin all; whether all serve. False also when it is time to stop before."""
        self._keepers = {asyncio.create_task(self._keep(seat)) for seat in range(self._count)}
        stopping = asyncio.create_task(stop.wait())
        while not (self._ready() == self._count or self._failed or stop.is_set()):
            self._heard.clear()
            hearing = asyncio.create_task(self._heard.wait())
            await asyncio.wait({hearing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            hearing.cancel()
        stopping.cancel()
        return self._ready() == self._count and not stop.is_set()

    def _ready(self) -> int:
        return sum(bool(child.version) for child in self._children.values())

    async def _keep(self, seat: int) -> None:
        """Have a worker in this seat until the end. The first one must serve; those after it are tried for ever."""
        pause, served = 0.0, False
        while not self._draining:
            began = time.monotonic()
            status, why, serves = await self._live(seat)
            served = served or serves
            if self._over(seat, status, why, served=served):
                return
            young = time.monotonic() - began < _SOON
            pause = min(max(_PAUSES[0], pause * 2), _PAUSES[1]) if young else 0.0
            log.warning("worker %d %s; another takes its place%s", seat + 1, ended(status), why and f"\n{why}")
            self._restarts += 1
            await asyncio.sleep(pause)

    def _over(self, seat: int, status: int, why: str, *, served: bool) -> bool:
        """Whether nobody takes the place of a worker that ended: it was to end, or it is no use to try again."""
        if self._draining:
            self._failed = self._failed or status != 0
            return True
        if served:
            return False
        log.error("worker %d %s before it served\n%s", seat + 1, ended(status), why)
        self._failed = True
        self._heard.set()
        return True

    async def _live(self, seat: int) -> tuple[int, str, bool]:
        """The life of one worker: its exit code, why it did not serve, and whether it did."""
        try:
            child = await self._command.begin(seat, self._count)
        except OSError as wrong:
            return 1, f"it could not be begun: {wrong.strerror or wrong}", False
        self._children[seat] = child
        child.post(Message("rules", files=self._watched.kept, problems=self.reloads.told()["problems"]))
        if self._draining:
            child.post(Message("stop"))
        status = await child.attend(self._heard)
        del self._children[seat]
        self._command.seats[seat] = GONE
        counted = of_known_rules(lasting(child.figures), rules_of(self.program))
        self._ended = together(self._ended, counted)
        return status, child.refused, bool(child.version)

    async def end(self) -> int:
        """Nothing new; what runs may finish, then the rest is ended. The exit code."""
        self._draining = True
        self._command.close()
        for child in self._children.values():
            child.post(Message("stop"))
        _, late = await asyncio.wait(self._keepers, timeout=self.program.server.drain + _CLOSING)
        if late:
            log.error(
                "ending workers that do not stop: %s", ", ".join(str(c.seat + 1) for c in self._children.values())
            )
            for child in self._children.values():
                child.kill()
            await asyncio.wait(late, timeout=_CLOSING)
        return 1 if self._failed else 0

    # --- rules --------------------------------------------------------------------------------------------------------

    def adopt(self, program: Program) -> None:
        """Have all workers serve other rules from their next exchange on."""
        self.program = program
        self._ended = of_known_rules(self._ended, rules_of(program))
        for child in self._children.values():
            child.post(Message("rules", files=self._watched.kept))

    def complain(self, problems: list[Problem]) -> None:
        """Note what became of an attempt to serve other rules; say it once, and have all workers tell it."""
        self.reloads.note(problems)
        for child in self._children.values() if problems else ():
            child.post(Message("problems", problems=self.reloads.told()["problems"]))
        say(problems, self.program)

    # --- what is told -------------------------------------------------------------------------------------------------

    @property
    def server(self) -> Any:
        return self.program.server

    async def figures(self) -> Figures:
        """Those of all workers, asked now; of one that does not answer what it told last."""
        await asyncio.gather(*(child.refresh(_FRESH) for child in self._children.values()))
        known = rules_of(self.program)
        own: Figures = {
            **of_rules(self.program.version, len(self.program.rule_names), self.reloads),
            **of_process(),
            "pointsman_worker_restarts": {(): self._restarts},
        }
        living = [of_known_rules(child.figures, known) for child in self._children.values()]
        return together(own, *living, self._ended)

    def readiness(self) -> tuple[int, dict[str, Any]]:
        """Ready while any worker serves."""
        ready = self._ready()
        problems = self.reloads.told()["problems"]
        status, told = readiness(self.program, problems, draining=self._draining)
        if status == 200 and not ready:
            status, told = 503, {"status": "starting"}
        return status, {**told, "workers": {"ready": ready, "of": self._count}}

    def reloading(self) -> dict[str, Any]:
        workers = [self._of_worker(child) for _, child in sorted(self._children.items())]
        known = {"rules_version": self.program.version, "rules": len(self.program.rule_names)}
        return {**known, **self.reloads.told(), "workers": workers}

    def _of_worker(self, child: Child) -> dict[str, Any]:
        told: dict[str, Any] = {"worker": child.seat + 1, "pid": child.pid, "rules_version": child.version or None}
        if child.version:
            told["connections"] = self._command.seats[child.seat]
        return {**told, "refused": child.refused} if child.refused else told
