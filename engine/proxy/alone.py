"""One process with all there is: it listens, reloads, tells of itself, and drains. Must not know other processes."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from typing import Any

from engine.errors import Problem
from engine.ports.wire import Client
from engine.proxy.admin import open_admin
from engine.proxy.aside import readiness
from engine.proxy.banner import announce, cannot_listen
from engine.proxy.entry import Listening, listen
from engine.proxy.figures import of_gateway, of_process, of_rules
from engine.proxy.gateway import Gateway
from engine.proxy.room import limits_of
from engine.proxy.ways import Ways
from engine.report import as_text
from engine.rules.program import Program
from engine.rules.uncollected import settle
from engine.runtime.families import Figures
from engine.runtime.reload import Watched, watch
from engine.runtime.reloads import Reloads

log = logging.getLogger("pointsman")
Handle = Callable[[Client, Gateway], Awaitable[None]]


class Alone:
    """What the admin address tells of the only process."""

    def __init__(self, gateway: Gateway, listening: Listening) -> None:
        self._gateway = gateway
        self._listening = listening
        self.reloads = Reloads(gateway.clock)

    @property
    def server(self) -> Any:
        return self._gateway.program.server

    async def figures(self) -> Figures:
        program = self._gateway.program
        return {
            **of_gateway(self._gateway, self._listening),
            **of_rules(program.version, len(program.rule_names), self.reloads),
            **of_process(),
            "pointsman_workers": {(): 1},
        }

    def readiness(self) -> tuple[int, dict[str, Any]]:
        return readiness(self._gateway.program, self._gateway.problems, draining=self._gateway.draining)

    def reloading(self) -> dict[str, Any]:
        program = self._gateway.program
        return {"rules_version": program.version, "rules": len(program.rule_names), **self.reloads.told()}

    def complain(self, problems: list[Problem]) -> None:
        """Note what became of an attempt to serve other rules, and say so when it failed."""
        self.reloads.note(problems)
        self._gateway.problems = [problem.as_json() for problem in problems]
        say(problems, self._gateway.program)


def say(problems: list[Problem], serving: Program) -> None:
    """Tell an operator why changed rules are not served."""
    if problems:
        log.error(
            "the changed rules have problems; the last good ones (%s) go on serving\n%s",
            serving.version,
            as_text(problems),
        )


async def serve_alone(program: Program, watched: Watched, handle: Handle, *, chosen: bool) -> int:
    """Serve until told to stop; `chosen`: somebody wrote the admin address down."""
    ways = Ways()
    gateway = Gateway(program, ways)
    server = program.server
    try:
        limits = limits_of(program)
        listening = await listen(lambda client: handle(client, gateway), server.host, server.port, limits=limits)
    except OSError as wrong:
        return cannot_listen(f"{server.host}:{server.port}", wrong, "--host and --port")
    told = Alone(gateway, listening)
    try:
        admin = await open_admin(told, chosen=chosen)
    except OSError as wrong:
        await listening.close()
        return cannot_listen(server.admin, wrong, "--admin")
    gateway.adopted = lambda program: listening.bound(limits_of(program))
    name_parts()
    gateway.start()
    settle()
    announce(program, listening.port, admin.port if admin is not None else None)
    del program  # else the first rules would stay when others are served
    stop, asked = asyncio.Event(), asyncio.Event()
    on_signals(stop, asked)
    watching = asyncio.create_task(watch(watched, gateway, told.complain, asked))
    try:
        await stop.wait()
    finally:
        watching.cancel()
        await shut_down(gateway, listening, ways)
        if admin is not None:
            await admin.close()
    return 0


def name_parts() -> None:
    """Log what reaches upstreams, what serves clients, and on which event loop: the benches read it."""
    loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    log.debug("upstreams by %s, clients by %s, on %s", Ways.transport, Listening.server, loop)


def on_signals(stop: asyncio.Event, asked: asyncio.Event) -> None:
    """`stop` is set by SIGTERM and SIGINT, `asked` by SIGHUP."""
    loop = asyncio.get_running_loop()
    for name in ("SIGINT", "SIGTERM"):
        loop.add_signal_handler(getattr(signal, name), stop.set)
    if hasattr(signal, "SIGHUP"):
        loop.add_signal_handler(signal.SIGHUP, asked.set)


async def shut_down(gateway: Gateway, listening: Listening, ways: Ways) -> None:
    """Nothing new, what runs may finish, every record reaches its sink."""
    gateway.draining = True
    await listening.close(gateway.program.server.drain)
    await gateway.close()
    await ways.close()
