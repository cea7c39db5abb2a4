"""The command: what it is told, whether the rules can be served, and by one process or many.

Must not know what happens within an exchange.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Coroutine

from engine.errors import Problem, RulesError
from engine.proxy.addresses import FIXED, Compiler, says
from engine.proxy.alone import Handle, serve_alone
from engine.proxy.room import open_more
from engine.proxy.supervisor import serve_many
from engine.proxy.worker import Place, work
from engine.report import as_text
from engine.rules.lint_workers import lint_workers
from engine.rules.load import load
from engine.rules.program import Program
from engine.rules.section_options import host_and_port
from engine.runtime.reload import Watched

Serving = Coroutine[None, None, int]


def serve(arguments: list[str], handle: Handle, script: str) -> int:
    """Run until stopped: 0 after a clean shutdown, 1 when the files have problems or the port is taken, 2 wrong use.

    `script` is what Python runs to serve with the same `handle`: how workers are begun.
    """
    given = _parser().parse_args(arguments)
    _begin_log(given)
    serving = work(given, handle) if given.worker is not None else _serving(given, arguments, handle, script)
    return _run(serving) if serving is not None else 1


def _serving(given: argparse.Namespace, arguments: list[str], handle: Handle, script: str) -> Serving | None:
    """What serves the rules; None after saying why they cannot be served.

    It alone holds them: what a frame that never returns held of them would stay for ever.
    """
    loaded = load(given.file)
    if loaded.problems:
        _show(loaded.problems)
    if not loaded.fine:
        return None
    compiler = Compiler(given)
    try:
        program = compiler(loaded)
    except RulesError as refused:
        _show(refused.problems)
        return None
    if given.workers and not says(loaded, "workers") and (more := lint_workers(loaded, given.workers)):
        _show(more)
    watched = Watched(given.file, loaded, compiler)
    chosen = given.admin is not None or says(loaded, "admin")
    if program.server.workers == 1:
        return serve_alone(program, watched, handle, chosen=chosen)
    return serve_many(program, watched, [sys.executable, script, *arguments, *_fixed(program)], chosen=chosen)


def _begin_log(given: argparse.Namespace) -> None:
    who = "" if given.worker is None else f"worker {Place.parsed(given.worker).seat + 1}: "
    form = f"%(asctime)s %(levelname)s %(name)s: {who}%(message)s"
    logging.basicConfig(level=given.log_level.upper(), format=form)
    logging.getLogger("asyncio").setLevel(logging.INFO)
    for chatty in ("httpx", "httpcore"):  # they tell addresses in full, credentials included
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _fixed(program: Program) -> list[str]:
    """The options that hold from start to end, whatever the file says by the time a worker begins."""
    options = ((f"--{name}", str(vars(program.server)[name])) for name in FIXED)
    return [word for option in options for word in option]


def _show(problems: list[Problem]) -> None:
    print(as_text(problems, color=sys.stderr.isatty()), file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pointsman serve", description="Run the gateway with a rules file.")
    parser.add_argument("file", metavar="FILE", help="the rules file")
    parser.add_argument("--host", help="address to listen on; default server.host")
    parser.add_argument("--port", type=_port, help="port to listen on; default server.port; 0 takes a free one")
    parser.add_argument("--workers", type=_workers, help="processes that share the port; default server.workers")
    parser.add_argument("--admin", type=_address, help="address of metrics and health, or off; default server.admin")
    parser.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="info",
        help="debug shows each rule's decision",
    )
    parser.add_argument("--worker", help=argparse.SUPPRESS)  # what a supervisor tells those it begins
    return parser


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text} is no port; ports go from 0 to 65535")
    return int(text)


def _run(main: Serving) -> int:
    """On uvloop where it is installed, else on asyncio's own loop."""
    open_more()
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def _workers(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 256):
        raise argparse.ArgumentTypeError(f"{text} is no number of processes; from 1 to 256")
    if int(text) > 1 and os.name == "nt":
        raise argparse.ArgumentTypeError("more than one process needs another system than Windows")
    return int(text)


def _address(text: str) -> str:
    if text != "off":
        try:
            host_and_port(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text} is no address; write HOST:PORT, or off") from None
    return text
