"""Rules that change while they are served: compiled first, swapped at once, the last good set kept.

Must not know the server; it is told whom to give a new program.
"""

from __future__ import annotations

import asyncio
import glob
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from engine.errors import Problem, RulesError
from engine.rules.compile import compile_program
from engine.rules.load import load
from engine.rules.loaded import Loaded
from engine.rules.program import Program
from engine.rules.uncollected import beside

log = logging.getLogger("pointsman")
Complain = Callable[[list[Problem]], None]
Signature = dict[str, tuple[int, int, int] | None]


class Watched:
    """A rules file and all it includes; `look` reads it again."""

    def __init__(self, path: str, loaded: Loaded, compile_: Callable[[Loaded], Program] = compile_program) -> None:
        self.path = path
        self._compile = compile_
        self._watching = watched_paths(path, loaded)
        self._seen = signature(self._watching)
        self.kept = loaded.written.keep()  # the last good files

    def changed(self) -> bool:
        """Whether a file is another one than when it was last read."""
        return signature(self._watching) != self._seen

    def look(self, complain: Complain, serving: Program) -> Program | None:
        """The rules as they stand now, compiled; None after complaining, and then the last good ones go on serving.

        Sinks that are written the same are kept, with their queues. For a thread: others get their turn meanwhile.
        """
        with beside():
            return self._look(complain, serving)

    def _look(self, complain: Complain, serving: Program) -> Program | None:
        before = signature(self._watching)
        loaded = load(self.path, serving.sinks)
        found = watched_paths(self.path, loaded)
        self._watching = found if loaded.fine else self._watching | found
        now = signature(self._watching)
        self._seen = {path: before.get(path, stamp) for path, stamp in now.items()}  # a write meanwhile shows next time
        errors = [problem for problem in loaded.problems if problem.severity == "error"]
        program = None
        if not errors:
            try:
                program = self._compile(loaded)
                self.kept = loaded.written.keep()
            except RulesError as refused:
                errors = refused.problems
        complain(errors)
        loaded.take_apart()
        return program


def watched_paths(path: str, loaded: Loaded) -> set[str]:
    """The files, the patterns of includes, the list files and the callbacks' files that make up a set of rules."""
    python = (file for authored in loaded.tables.get("authored", {}).values() for file in authored.files())
    return {path, *(source.name for source in loaded.written.sources), *loaded.written.also, *python}


def signature(paths: Iterable[str]) -> Signature:
    """What tells a changed file; a pattern stands for all it matches now."""
    found: Signature = {}
    for path in paths:
        for one in sorted(glob.glob(path, recursive=True)) if glob.has_magic(path) else [path]:
            found[one] = _stamp(one)
    return found


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        state = Path(path).stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size, state.st_ino


class Serving(Protocol):
    """Who serves a program and takes another."""

    program: Program

    def adopt(self, program: Program) -> None:
        """Serve another version from the next exchange on."""


async def watch(
    watched: Watched, serving: Serving, complain: Complain, asked: asyncio.Event, pause: float = 0.3
) -> None:
    """Reload on change and when `asked` (SIGHUP), for ever. Reading happens in a thread: no exchange waits for it."""
    while True:
        try:
            await asyncio.wait_for(asked.wait(), pause)
        except TimeoutError:
            if not await asyncio.to_thread(watched.changed):
                continue
        asked.clear()
        try:
            program = await asyncio.to_thread(watched.look, complain, serving.program)
        except Exception:
            log.exception("reloading %s failed; the last good rules go on serving", watched.path)
            continue
        if program is not None:
            serving.adopt(program)
            log.info("serving rules version %s, %d rules", program.version, len(program.rule_names))
