"""Where a gateway listens: what the command line and the file say of it, and whether it may be served there, and here.

Must not know sockets.
"""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from typing import Any

from engine.errors import Problem, RulesError
from engine.rules.compile import compile_program
from engine.rules.loaded import Loaded
from engine.rules.program import Program
from engine.rules.sections import Server, is_loopback, lacks_admin_key
from engine.runtime.trace import logged
from engine.source import Mapping, Span

log = logging.getLogger("pointsman")
FIXED = ("host", "port", "admin", "workers")
"""Options of `server` that the command line has too, and that hold from start to end."""


class Compiler:
    """Compiles a file under the addresses that are served: the command line's, and after the start the same ones.

    With log level debug the program is a traced one.
    """

    def __init__(self, given: argparse.Namespace) -> None:
        self._wrap = logged if given.log_level == "debug" else None
        options = vars(given)
        self._fixed = {name: options[name] for name in FIXED if options[name] is not None}
        self._first: dict[str, Any] = {}
        self._says = given.worker is None  # else its supervisor does

    def __call__(self, loaded: Loaded) -> Program:
        """The program; RulesError when it may not be served on these addresses."""
        written = vars(loaded.single.get("server") or Server.defaults())
        program = compile_program(loaded, self._wrap, **self._fixed)
        missing = [
            replace(problem, severity="error") for problem in loaded.problems if problem.code == "missing-package"
        ]
        problems = [*missing, *_without_keys(program, loaded), *_without_admin_key(program, loaded)]
        if problems:
            raise RulesError(problems)
        said = {name: written[name] for name in FIXED}
        if not self._first:
            self._first = said
            self._fixed = {name: vars(program.server)[name] for name in FIXED}
        for name in (name for name in FIXED if self._says and said[name] != self._first[name]):
            log.warning("another server.%s is taken at the next start; it is still %s", name, self._fixed[name])
        return program


def says(loaded: Loaded, name: str) -> bool:
    """Whether the file itself has an option of `server`."""
    return any(
        isinstance(node, Mapping) and node.get(name) is not None for _, node, _ in loaded.written.named("server")
    )


def _missing(loaded: Loaded) -> list[Problem]:
    """Packages that are not installed: rules can be checked and tested without them, but not served."""
    return [replace(problem, severity="error") for problem in loaded.problems if problem.code == "missing-package"]


def _without_keys(program: Program, loaded: Loaded) -> list[Problem]:
    """Whoever reaches an open gateway spends its upstream's key: beyond loopback that must be said to be wanted."""
    if not program.open or program.server.open or is_loopback(program.server.host):
        return []
    message = f"refusing to serve {program.server.host} without keys"
    return [Problem("no-keys", message, _place(loaded), "define `keys` or `server.auth`, or set `server.open: true`")]


def _without_admin_key(program: Program, loaded: Loaded) -> list[Problem]:
    """What the file says itself was found when it was loaded: this is of the command line."""
    if not lacks_admin_key(program.server):
        return []
    message = f"refusing to serve metrics on {program.server.admin} without a key"
    return [Problem("no-admin-key", message, _place(loaded), "set `server.admin_key: os.environ/NAME`")]


def _place(loaded: Loaded) -> Span:
    """The section `server`, or the start of the file."""
    place = Span(loaded.written.sources[0], 0, 0)
    return next((key.span for key, *_ in loaded.written.named("server")), place)
