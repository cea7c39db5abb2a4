"""What each step of an exchange costs, in microseconds: the gateway's own code, without sockets on either side.

    taskset -c 1 python bench/steps.py             1,000 rules, ten of which match
    taskset -c 1 python bench/steps.py --rules 0

The first figure is CPU time of a whole exchange, unmeasured within. In the table, `own` is a step without the steps
below it that are in the table too; the slowest twentieth is left out, and some tenths of each are the measuring.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import gc
import inspect
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from canned import WHOLE  # noqa: E402  # found beside this file
from load import request  # noqa: E402
from proxy import rules  # noqa: E402

import server  # noqa: E402
from engine.ports.wire import Call, Headers  # noqa: E402
from engine.proxy.gateway import Gateway  # noqa: E402
from engine.rules.compile import compile_program  # noqa: E402
from engine.rules.load import load  # noqa: E402

STEPS = [
    "answer_aside",
    "decide",
    "find_endpoint",
    "authenticate",
    "read_body",
    "parse",
    "check_known_fields",
    "run",
    "admit",
    "put_model_prompt",
    "ask",
    "find_target",
    "_prepared",
    "call_for",
    "headers_for",
    "encode",
    "_send",
    "relay",
    "parse_lenient",
    "_relay_whole",
    "rule_on",
    "joined",
    "headers_for_client",
    "passed_headers",
    "own_headers",
    "write_records",
    "timing",
    "_log",
]
METHODS = ("begin", "finish")
EXCHANGES = 4000

HEAD, _, BODY = request(9).partition(b"\r\n\r\n")
FIELDS = [
    (name.lower(), value) for name, _, value in (line.partition(": ") for line in HEAD.decode().split("\r\n")[1:])
]
ANSWER = WHOLE.partition(b"\r\n\r\n")[2]


class Client:
    """A client whose request is there and whose answer goes nowhere."""

    method, target, query_string, peer, started = "POST", "/v1/chat/completions", "", "127.0.0.1", False

    def __init__(self) -> None:
        self.headers: Headers = list(FIELDS)

    async def read(self, limit: int) -> bytes:
        return BODY

    async def reply(self, status: int, headers: Headers, body: bytes) -> None:
        assert status == 200, body


class Upstream:
    """A transport, and its only answer."""

    status = 200
    headers: Headers = (("content-type", "application/json"), ("content-length", str(len(ANSWER))))

    async def send(self, call: Call) -> Upstream:
        return self

    async def read(self) -> bytes:
        return ANSWER

    async def close(self) -> None:
        pass


class Clock:
    """Notes of every step how long it took, and how long without the steps within it."""

    def __init__(self) -> None:
        self.took: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self._within: list[float] = []

    def wrapped(self, name: str, step: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.iscoroutinefunction(step):

            @functools.wraps(step)
            async def waited(*given: Any, **named: Any) -> Any:
                began = self._begin()
                try:
                    return await step(*given, **named)
                finally:
                    self._end(name, began)

            return waited

        @functools.wraps(step)
        def called(*given: Any, **named: Any) -> Any:
            began = self._begin()
            try:
                return step(*given, **named)
            finally:
                self._end(name, began)

        return called

    def _begin(self) -> float:
        self._within.append(0.0)
        return time.perf_counter()

    def _end(self, name: str, began: float) -> None:
        took = time.perf_counter() - began
        within = self._within.pop()
        if self._within:
            self._within[-1] += took
        self.took[name].append((took, took - within))

    def watch(self) -> None:
        """Put itself around the steps, wherever they are called from."""
        modules = [module for name, module in sys.modules.items() if name == "server" or name.startswith("engine.")]
        for name in STEPS:
            known: dict[Any, Any] = {}
            for module in modules:
                step = getattr(module, name, None)
                if inspect.isfunction(step):
                    setattr(module, name, known.setdefault(step, self.wrapped(name, step)))
        for name in METHODS:
            setattr(Gateway, name, self.wrapped(f"Gateway.{name}", getattr(Gateway, name)))


async def exchanges(gateway: Gateway, count: int) -> float:
    """Microseconds of CPU time of one, log phase included."""
    began = time.process_time()
    for _ in range(count):
        await server.exchange(Client(), gateway)  # type: ignore[arg-type]
        await asyncio.sleep(0)
    return (time.process_time() - began) / count * 1e6


async def measure(count: int) -> tuple[float, Clock]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rules.yaml"
        file.write_text(rules(count, "http://127.0.0.1:9"))
        program = compile_program(load(str(file)))
    upstream = Upstream()
    gateway = Gateway(program, lambda _: upstream)  # type: ignore[arg-type, return-value]
    await exchanges(gateway, 500)
    gc.collect()
    gc.freeze()
    whole = min([await exchanges(gateway, EXCHANGES) for _ in range(5)])
    clock = Clock()
    clock.watch()
    await exchanges(gateway, EXCHANGES)
    await gateway.close()
    return whole, clock


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rules", type=int, default=1000, help="how many to load (default 1000)")
    chosen = options.parse_args()
    whole, clock = uvloop.run(measure(chosen.rules))
    print(
        f"{whole:6.1f} us of CPU for an exchange with {chosen.rules} rules\n\n{'':24}{'times':>6}{'us':>8}{'own us':>8}"
    )
    rows = []
    for name, took in clock.took.items():
        times = len(took) / EXCHANGES
        # a step that is called several times does not do the same each time: the mean, without what others disturbed
        kept = sorted(took)[: int(len(took) * 0.95)]
        inclusive = sum(each for each, _ in kept) / len(kept) * times * 1e6
        own = sum(each for _, each in kept) / len(kept) * times * 1e6
        rows.append((own, f"{name:24}{times:>6.0f}{inclusive:>8.1f}{own:>8.1f}"))
    print("\n".join(row for _, row in sorted(rows, reverse=True)))


if __name__ == "__main__":
    main()
