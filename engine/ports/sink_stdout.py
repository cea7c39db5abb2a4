"""`stdout`: records as lines on the standard output. Must not know what a record holds."""

from __future__ import annotations

import sys

from engine.catalogue import Example
from engine.ports.sinks import Sink


class Stdout(Sink, name="stdout"):
    """Write each record as one line of JSON on the standard output."""

    examples = [
        Example("a record on the standard output", "log: {stdout: {}}"),
        Example("the short form", "log: stdout"),
    ]

    def write(self, lines: list[bytes]) -> int:
        out = sys.stdout.buffer
        out.write(b"".join([line + b"\n" for line in lines]))
        out.flush()
        return len(lines)
