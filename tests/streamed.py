"""Streams under rules without sockets: chunks of bytes in, what the client gets for each of them out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from engine.document.answers import Answer
from engine.document.dialect import Event, Piece
from engine.document.dialects import DIALECTS
from engine.document.exchange import Exchange
from engine.document.marks import Marks
from engine.document.sse import Parser
from engine.proxy.gateway import SystemClock
from engine.proxy.ruled import Ruled
from engine.report import as_text
from engine.rules.compile import compile_program
from engine.rules.load import load
from engine.rules.program import Program


def program(rules: str) -> Program:
    """The program of the entries of `rules:`."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "rules.yaml")
        file.write_text(f"upstreams: {{main: {{base_url: 'http://127.0.0.1:9/v1'}}}}\nrules:\n{rules}")
        loaded = load(str(file))
    assert loaded.fine, as_text(loaded.problems)
    return compile_program(loaded)


@dataclass
class Result:
    """What the client got for each chunk, and at the end; `exchange` is what rules noted."""

    exchange: Exchange
    chunks: list[bytes] = field(default_factory=list)
    passed: list[bytes] = field(default_factory=list)  # before marks were restored
    cut: Answer | None = None
    answer: Answer | None = None

    @property
    def whole(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def body(self) -> Any:
        """The whole answer that the client reads."""
        return assembled(self.whole, self.exchange.call_type or "")

    @property
    def events(self) -> list[Event]:
        return events(self.whole)


def events(data: bytes) -> list[Event]:
    """The events of a stream."""
    parser = Parser()
    return [*parser.feed(data), *parser.finish()]


def bodies(data: bytes) -> list[Any]:
    """The JSON of every event."""
    return [json.loads(event.data) for event in events(data) if event.data and not event.data.startswith("[DONE]")]


def assembled(data: bytes, call_type: str) -> Any:
    """The whole answer of a stream."""
    assembler = DIALECTS[call_type].assembler()
    for event in events(data):
        assembler.feed(event)
    return assembler.body


def composed(call_type: str, pieces: Iterable[Piece]) -> bytes:
    """Pieces as a stream of an upstream."""
    return b"".join(DIALECTS[call_type].compose(list(pieces), model="m", id="id", created=1))


def exchange(rules: Program, call_type: str = "completion", marks: Marks | None = None, **request: Any) -> Exchange:
    """An exchange whose streamed answer is about to come."""
    x = Exchange(rules, SystemClock())
    x.call_type, x.dialect, x.id, x.marks = call_type, DIALECTS[call_type], "req-1", marks
    x.original = x.request = {"model": "m", "stream": True, **request}
    x.response = {"status": 200, "headers": {"content-type": "text/event-stream"}, "body": None}
    return x


async def through(x: Exchange, chunks: Sequence[bytes]) -> Result:
    """Chunks through the stream rules of the exchange; `chunks` of the result has one entry for each, and the rest."""
    result = Result(x)
    rules = Ruled(x, restoring=True)
    await rules.begin()
    result.answer = rules.answer
    if rules.answer is not None:
        return result
    taken = 0

    async def source() -> Any:
        nonlocal taken
        for chunk in chunks:
            taken += 1
            yield chunk

    got: dict[int, bytes] = {}
    async for passed, restored in rules.through(source()):
        result.passed.append(passed)
        number = max(taken, 1)  # what comes before any chunk belongs to the first
        got[number] = got.get(number, b"") + restored
    result.chunks = [got.get(number, b"") for number in range(1, max(len(chunks), 1) + 1)]
    result.cut = rules.cut
    return result


def run(x: Exchange, chunks: Sequence[bytes]) -> Result:
    """The same for tests that are not asynchronous."""
    return asyncio.run(through(x, chunks))
