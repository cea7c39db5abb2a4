"""The process: load, listen, reload, drain. Must not know what happens within an exchange."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine

from engine.errors import Problem, RulesError
from engine.ports.wire import Client
from engine.proxy.banner import banner
from engine.proxy.entry import Listening, listen
from engine.proxy.gateway import Gateway
from engine.proxy.ways import Ways
from engine.report import as_text
from engine.rules.compile import compile_program
from engine.rules.load import load
from engine.rules.loaded import Loaded
from engine.rules.program import Program
from engine.rules.sections import Server, is_loopback
from engine.rules.uncollected import settle
from engine.runtime.reload import Watched, watch
from engine.runtime.trace import logged
from engine.source import Span

log = logging.getLogger("pointsman")
Handle = Callable[[Client, Gateway], Awaitable[None]]


def serve(arguments: list[str], handle: Handle) -> int:
    """Run until stopped: 0 after a clean shutdown, 1 when the files have problems or the port is taken, 2 wrong use."""
    given = _parser().parse_args(arguments)
    logging.basicConfig(level=given.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("asyncio").setLevel(logging.INFO)
    loaded = load(given.file)
    if loaded.problems:
        _show(loaded.problems)
    if not loaded.fine:
        return 1
    compiler = Compiler(given)
    try:
        program = compiler(loaded)
    except RulesError as refused:
        _show(refused.problems)
        return 1
    return _run(_serve(program, Watched(given.file, loaded, compiler), handle))


def _show(problems: list[Problem]) -> None:
    print(as_text(problems, color=sys.stderr.isatty()), file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pointsman serve", description="Run the gateway with a rules file.")
    parser.add_argument("file", metavar="FILE", help="the rules file")
    parser.add_argument("--host", help="address to listen on; default server.host")
    parser.add_argument("--port", type=_port, help="port to listen on; default server.port; 0 takes a free one")
    parser.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="info",
        help="debug shows each rule's decision",
    )
    return parser


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text} is no port; ports go from 0 to 65535")
    return int(text)


class Compiler:
    """Compiles a file under the host and port that are served: the command line's, and after the start the same ones.

    With log level debug the program is a traced one.
    """

    def __init__(self, given: argparse.Namespace) -> None:
        self._wrap = logged if given.log_level == "debug" else None
        self._fixed = {name: value for name in ("host", "port") if (value := getattr(given, name)) is not None}
        self._first: tuple[str, int] | None = None

    def __call__(self, loaded: Loaded) -> Program:
        """The program; RulesError when it may not be served on this host."""
        written = loaded.single.get("server") or Server.defaults()
        program = compile_program(loaded, self._wrap, **self._fixed)
        _check_open(program, loaded)
        if self._first is None:
            self._first = written.host, written.port
            self._fixed = {"host": program.server.host, "port": program.server.port}
        elif self._first != (written.host, written.port):
            log.warning("another server.host or server.port is taken at the next start; still on %(host)s", self._fixed)
        return program


def _check_open(program: Program, loaded: Loaded) -> None:
    """Whoever reaches an open gateway spends its upstream's key: beyond loopback that must be said to be wanted."""
    if not program.open or program.server.open or is_loopback(program.server.host):
        return
    source = loaded.written.sources[0]
    place = next((key.span for name, key, *_ in loaded.written.sections if name == "server"), Span(source, 0, 0))
    raise RulesError(
        [
            Problem(
                "no-keys",
                f"refusing to serve {program.server.host} without keys",
                place,
                "define `keys` or `server.auth`, or set `server.open: true`",
            )
        ]
    )


def _run(main: Coroutine[None, None, int]) -> int:
    """On uvloop where it is installed, else on asyncio's own loop."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def loop_in_use() -> str:
    """The event loop's kind, as the log and the benches name it."""
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]


async def _serve(program: Program, watched: Watched, handle: Handle) -> int:
    ways = Ways()
    gateway = Gateway(program, ways)
    server = program.server
    try:
        listening = await listen(lambda client: handle(client, gateway), server.host, server.port)
    except OSError as wrong:
        print(
            f"cannot listen on {server.host}:{server.port}: {wrong.strerror or wrong}\n"
            "choose another address with --host and --port",
            file=sys.stderr,
        )
        return 1
    log.debug("upstreams by %s, clients by %s, on %s", Ways.transport, Listening.server, loop_in_use())
    gateway.start()
    settle()
    print(banner(program, server.host, listening.port), flush=True)
    stop, asked = asyncio.Event(), asyncio.Event()
    _on_signals(stop, asked)
    watching = asyncio.create_task(watch(watched, gateway, _complainer(gateway), asked))
    try:
        await stop.wait()
    finally:
        watching.cancel()
        await _shut_down(gateway, listening, ways)
    return 0


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
            log.error(
                "the changed rules have problems; the last good ones (%s) go on serving\n%s",
                gateway.program.version,
                as_text(problems),
            )

    return complain


async def _shut_down(gateway: Gateway, listening: Listening, ways: Ways) -> None:
    """Nothing new, what runs may finish, every record reaches its sink."""
    gateway.draining = True
    await listening.close(gateway.program.server.drain)
    await gateway.close()
    await ways.close()
