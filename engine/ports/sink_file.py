"""`file`: records as lines of a file that is rotated. Must not know what a record holds."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

from engine.catalogue import Example, Scope
from engine.options import option
from engine.ports.line_files import append, fitting, lock
from engine.ports.sinks import Sink
from engine.source import Node


class File(Sink, name="file"):
    """Append each record as one line of JSON to a file.

    A file that would grow over `max_mb` is kept as `NAME.1`, the one before as `NAME.2`, and so on; the oldest goes.
    Several processes may write to one file.
    """

    longest_pause = 2.0

    path: str = option("The file, relative to the rules file.", short=True, minLength=1)
    max_mb: float = option("Size in megabytes (1,000,000 bytes) beyond which a new file is begun.", 100, minimum=0.001)
    keep: int = option("How many full files are kept.", 5, minimum=0)

    examples = [
        Example("records in a file beside the rules", "audit: {file: audit.jsonl}"),
        Example("with its size bounded", "audit: {file: {path: logs/audit.jsonl, max_mb: 20, keep: 3}}"),
    ]

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        self.label = f"file {self.path}"
        self._file = Path(scope.folder, self.path).expanduser().absolute()
        if self._file.is_dir():
            scope.problem(
                "bad-path",
                f"`{self.path}` is a folder",
                places["path"].span,
                help=f"name a file in it: `{self.path.rstrip('/')}/audit.jsonl`",
            )
        self.path = str(self._file)
        super().check(places, node, scope)

    def write(self, lines: list[bytes]) -> int:
        """As many lines as fit into the file; one that is too long alone has a file of its own."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        limit = int(self.max_mb * 1_000_000)
        while True:  # opened for every batch, so that a file that was moved away is begun anew
            with self._file.open("ab", buffering=0) as file:
                if not lock(file.fileno(), self._file, wait=True):
                    continue  # another process has moved it, to begin a new one
                size = os.fstat(file.fileno()).st_size
                if size and len(lines[0]) + 1 > limit - size:
                    self._rotate()
                    continue
                part = fitting(lines, limit - size)
                append(file, part, size)
                return len(part)

    def _rotate(self) -> None:
        names = [self._file, *(Path(f"{self._file}.{number}") for number in range(1, self.keep + 1))]
        for older, newer in reversed(list(pairwise(names))):
            if older.exists():
                older.replace(newer)
        if self.keep == 0:
            self._file.unlink()
