"""What the cache costs: microseconds of whole exchanges in memory with and without it, and of its own steps.

    taskset -c 0 python bench/cache.py
    python bench/cache.py --json

One process, one core, no sockets: a client and an upstream in memory around the server's own code. Figures are medians
of rounds, in time of the processor. A `miss` is kept; the time to keep it, which no client waits for, is in it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from statistics import median
from time import process_time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

import server  # noqa: E402  the path comes first
from engine.document.dialects import DIALECTS  # noqa: E402
from engine.ports.wire import Call, Headers  # noqa: E402
from engine.proxy.gateway import Gateway  # noqa: E402
from engine.rules.compile import compile_program  # noqa: E402
from engine.rules.load import load  # noqa: E402

TIMES, ROUNDS = 2_000, 7
TEXT = "The quick brown fox jumps over the lazy dog. " * 8
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}
WHOLE = json.dumps(ANSWER).encode()
EVENTS = list(DIALECTS["completion"].replay(ANSWER, include_usage=True))
CHUNKS = [*EVENTS[:1], *EVENTS[1:2] * 50, *EVENTS[2:]]
REQUEST = {"model": "gpt-4o", "temperature": 0.2, "messages": [{"role": "user", "content": TEXT[:200]}]}
HEADERS = [("host", "127.0.0.1"), ("content-type", "application/json"), ("user-agent", "bench")]


class Asking:
    """A client in memory."""

    method, target, query_string = "POST", "/v1/chat/completions", ""
    peer: str | None = "127.0.0.1"

    def __init__(self, body: bytes, *more: tuple[str, str]) -> None:
        self.headers: Headers = [*HEADERS, *more]
        self.started = False
        self._body = body

    async def read(self, limit: int) -> bytes:
        return self._body

    async def reply(self, status: int, headers: Headers, body: bytes) -> None:
        assert status == 200, body

    async def start(self, status: int, headers: Headers) -> None:
        self.started = True

    async def write(self, chunk: bytes) -> None: ...

    async def end(self, *, clean: bool = True) -> None: ...


class Answering:
    """An upstream in memory, and its answer."""

    status = 200

    def __init__(self, content_type: str, pieces: list[bytes]) -> None:
        self.headers: Headers = [("content-type", content_type)]
        self._pieces = pieces

    async def send(self, call: Call) -> Answering:
        return self

    async def read(self) -> bytes:
        return b"".join(self._pieces)

    async def chunks(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece

    async def close(self) -> None: ...


def gateway(rule: str, upstream: Answering) -> Gateway:
    """A gateway with one rule."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "rules.yaml")
        with open(path, "w") as file:
            file.write(f"upstreams: {{main: {{base_url: 'http://x/v1'}}}}\nrules: [{{name: r, actions: [{rule}]}}]\n")
        return Gateway(compile_program(load(path)), lambda _: upstream)


async def timed(work: Callable[[int], Awaitable[None]], over: Gateway) -> float:
    """Microseconds of one exchange, with what it leaves to do."""
    figures = []
    for number in range(ROUNDS):
        began = process_time()
        for at in range(number * TIMES, (number + 1) * TIMES):
            await work(at)
        await over.settled()
        figures.append((process_time() - began) / TIMES * 1e6)
    return median(figures)


async def exchanges(rule: str, upstream: Answering, *more: tuple[str, str], fresh: bool, stream: bool) -> float:
    """One kind of exchange: every time another request (`fresh`), or always the same."""
    over = gateway(rule, upstream)
    body = {**REQUEST, "stream": True} if stream else REQUEST
    same = json.dumps(body).encode()

    async def work(at: int) -> None:
        raw = json.dumps({**body, "seed": at}).encode() if fresh else same
        await server.exchange(Asking(raw, *more), over)

    await work(-1)
    await over.settled()
    figure = await timed(work, over)
    await over.close()
    return figure


async def measure() -> dict[str, float]:
    """All figures."""
    whole, stream = Answering("application/json", [WHOLE]), Answering("text/event-stream", CHUNKS)
    plain, cache, counted = "{tag: x}", "{cache: {ttl: 1h}}", "{rate_limit: {tokens: 1000000000/min}}"
    off = ("cache-control", "no-store, no-cache")
    return {
        "whole, no cache": await exchanges(plain, whole, fresh=True, stream=False),
        "whole, miss": await exchanges(cache, whole, fresh=True, stream=False),
        "whole, the client says no-store, no-cache": await exchanges(cache, whole, off, fresh=True, stream=False),
        "whole, no cache, always the same": await exchanges(plain, whole, fresh=False, stream=False),
        "whole, hit": await exchanges(cache, whole, fresh=False, stream=False),
        f"stream of {len(CHUNKS)} chunks, no cache": await exchanges(plain, stream, fresh=True, stream=True),
        f"stream of {len(CHUNKS)} chunks, usage counted": await exchanges(counted, stream, fresh=True, stream=True),
        f"stream of {len(CHUNKS)} chunks, miss": await exchanges(cache, stream, fresh=True, stream=True),
        "stream, hit": await exchanges(cache, stream, fresh=False, stream=True),
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="for machines")
    asked = parser.parse_args()
    try:
        import uvloop
    except ImportError:
        figures = asyncio.run(measure())
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            figures = runner.run(measure())
    if asked.json:
        print(json.dumps(figures, indent=2))
        return
    for name, microseconds in figures.items():
        print(f"{microseconds:8.1f} us  {name}")


if __name__ == "__main__":
    main()
