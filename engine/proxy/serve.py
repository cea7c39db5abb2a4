"""The process: load, listen, reload, drain. Must not know what happens within an exchange."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable

from engine.errors import Problem
from engine.ports.wire import Client, Transport
from engine.proxy.banner import banner
from engine.proxy.demo import Demo
from engine.proxy.gateway import Gateway
from engine.proxy.upstream import AiohttpTransport
from engine.proxy.wire import Listening, listen
from engine.report import as_text
from engine.rules.compile import compile_program
from engine.rules.load import Loaded, load
from engine.rules.models import Upstream
from engine.rules.program import Program
from engine.rules.sections import is_loopback
from engine.runtime.reload import Watched, watch
from engine.runtime.trace import logged

log = logging.getLogger("pointsman")
Handle = Callable[[Client, Gateway], Awaitable[None]]


def serve(arguments: list[str], handle: Handle) -> int:
    """Run until stopped: 0 after a clean shutdown, 1 when the files have problems or the port is taken, 2 wrong use."""
    given = _parser().parse_args(arguments)
    logging.basicConfig(level=given.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("asyncio").setLevel(logging.INFO)
    loaded = load(given.file)
    if loaded.problems:
        print(as_text(loaded.problems, color=sys.stderr.isatty()), file=sys.stderr)
    if not loaded.fine:
        return 1
    compile_ = _compiler(given)
    program = compile_(loaded)
    if not (program.keys or program.server.open or is_loopback(program.server.host)):
        print(f"refusing to serve {program.server.host} without keys: define `keys`, or set `server.open: true`",
              file=sys.stderr)
        return 1
    try:
        _run(_serve(program, Watched(given.file, loaded, compile_), handle))
    except OSError as wrong:
        print(f"cannot listen on {program.server.host}:{program.server.port}: {wrong.strerror or wrong}\n"
              "choose another port with --port", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pointsman serve", description="Run the gateway with a rules file.")
    parser.add_argument("file", metavar="FILE", help="the rules file")
    parser.add_argument("--host", help="address to listen on; default server.host")
    parser.add_argument("--port", type=int, help="port to listen on; default server.port; 0 takes a free one")
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info",
                        help="debug shows each rule's decision")
    return parser


def _compiler(given: argparse.Namespace) -> Callable[[Loaded], Program]:
    """Compiles a file under the command line's host and port; traced at log level debug."""
    wrap = logged if given.log_level == "debug" else None
    overrides = {name: value for name in ("host", "port") if (value := getattr(given, name)) is not None}
    return lambda loaded: compile_program(loaded, wrap, **overrides)


def _run(main: Awaitable[None]) -> None:
    """On uvloop where it is installed, else on asyncio's own loop."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)  # type: ignore[arg-type]
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)  # type: ignore[arg-type]


class Ways:
    """The transports of a process: the embedded demo, and one client for all else."""

    def __init__(self) -> None:
        self._demo = Demo()
        self._network = AiohttpTransport()

    def __call__(self, upstream: Upstream) -> Transport:
        return self._demo if upstream.kind == "demo" else self._network

    async def close(self) -> None:
        """Close idle connections."""
        await self._network.close()


async def _serve(program: Program, watched: Watched, handle: Handle) -> None:
    ways = Ways()
    gateway = Gateway(program, ways)
    server = program.server
    listening = await listen(lambda client: handle(client, gateway), server.host, server.port)
    gateway.start()
    print(banner(program, server.host, listening.port), flush=True)
    stop, asked = asyncio.Event(), asyncio.Event()
    _on_signals(stop, asked)
    watching = asyncio.create_task(watch(watched, gateway, _complainer(gateway), asked))
    try:
        await stop.wait()
    finally:
        watching.cancel()
        await _shut_down(gateway, listening, ways)


def _on_signals(stop: asyncio.Event, asked: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for name in ("SIGINT", "SIGTERM"):
        loop.add_signal_handler(getattr(signal, name), stop.set)
    if hasattr(signal, "SIGHUP"):
        loop.add_signal_handler(signal.SIGHUP, asked.set)


def _complainer(gateway: Gateway) -> Callable[[list[Problem]], None]:
    def complain(problems: list[Problem]) -> None:
        gateway.problems = problems
        if problems:
            log.error("the changed rules have problems; the last good ones (%s) go on serving\n%s",
                      gateway.program.version, as_text(problems))

    return complain


async def _shut_down(gateway: Gateway, listening: Listening, ways: Ways) -> None:
    """Nothing new, what runs may finish, every record reaches its sink."""
    gateway.draining = True
    await listening.close(gateway.program.server.drain)
    await gateway.close()
    await ways.close()
