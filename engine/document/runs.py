"""Pieces gathered into runs: neighbours of one sort, which some APIs wrap in a block or item of its own.

Must not know how any API writes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from engine.document.dialect import Piece
from engine.document.dialect_generic import raw_bytes

Delta = str | bytes  # text of the run, or bytes that stand as they are


@dataclass(slots=True)
class Run:
    """Neighbouring deltas of one sort: `text`, `reasoning`, `tool`, or `raw` bytes before all others."""

    sort: str
    deltas: list[Delta] = field(default_factory=list)
    tool: int = 0
    name: str = ""

    @property
    def text(self) -> str:
        """The whole text of the run."""
        return "".join(delta for delta in self.deltas if isinstance(delta, str))


@dataclass(slots=True)
class Script:
    """All runs of a stream, the usage it tells, and whether it has a start and a proper end.

    A stream of raw pieces alone has neither; after a raw piece at the end nothing follows.
    """

    runs: list[Run] = field(default_factory=list)
    usage: dict[str, Any] | None = None
    starts: bool = True
    ends: bool = True

    def tools(self) -> bool:
        """Whether a tool is called."""
        return any(run.sort == "tool" for run in self.runs)


def gathered(pieces: Iterable[Piece]) -> Script:
    """The script that pieces amount to."""
    script = Script()
    for piece in pieces:
        script.ends = piece.raw is None
        if piece.usage is not None:
            script.usage = piece.usage
        for sort, delta in _deltas(piece):
            run = script.runs[-1] if script.runs else None
            if run is None or not _goes_on(run, sort, piece):
                run = Run(sort, tool=piece.tool or 0, name=piece.name or "")
                script.runs.append(run)
            run.deltas.append(delta)
    script.starts = script.ends or any(run.sort != "raw" for run in script.runs)
    return script


def _goes_on(run: Run, sort: str, piece: Piece) -> bool:
    return sort == "raw" or (run.sort == sort and (sort != "tool" or run.tool == piece.tool))


def _deltas(piece: Piece) -> Iterator[tuple[str, Delta]]:
    if piece.raw is not None:
        yield "raw", raw_bytes(piece.raw)
    if piece.reasoning is not None:
        yield "reasoning", piece.reasoning
    if piece.text is not None:
        yield "text", piece.text
    if piece.tool is not None:
        yield "tool", piece.arguments or ""
