"""What an upstream client costs alone: calls a second of its own CPU time, 32 at once, against the canned upstream.

    python bench/transports.py            the table
    python bench/transports.py --json     for machines

`bare` is a client on httptools with no time-outs, no pool to speak of and no care: what is left of its speed is what
care costs. With two cores or more the client has one to itself. Figures of one run may be compared with each other,
not with those of other machines.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

import uvloop

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from bare import Upstream  # noqa: E402  # found beside this file
from load import request  # noqa: E402
from processes import cores, port_of, running  # noqa: E402

from engine.ports.wire import Call, Transport  # noqa: E402
from engine.proxy.lean import LeanTransport  # noqa: E402
from engine.proxy.upstream import AiohttpTransport  # noqa: E402

AT_ONCE = 32
HEADERS = (
    ("user-agent", "bench"),
    ("accept", "*/*"),
    ("authorization", "Bearer sk-bench"),
    ("x-request-id", "req-0123456789abcdef00000001"),
    ("content-type", "application/json"),
    ("accept-encoding", "identity"),
)


def asker(name: str, port: int) -> tuple[Callable[[], Awaitable[bytes]], Callable[[], Awaitable[None]]]:
    """A function that makes one call and gives its body, and one that closes the client."""
    body = request(port).partition(b"\r\n\r\n")[2]
    if name == "bare":
        bare = Upstream(f"http://127.0.0.1:{port}")

        async def ask_bare() -> bytes:
            return (await bare.whole("/v1/chat/completions", body))[1]

        return ask_bare, bare.close
    transport: Transport = LeanTransport() if name == "lean" else AiohttpTransport()
    call = Call("POST", f"http://127.0.0.1:{port}/v1/chat/completions", HEADERS, body)

    async def ask() -> bytes:
        arrival = await transport.send(call)
        try:
            return await arrival.read()
        finally:
            await arrival.close()

    return ask, transport.close


async def per_second(name: str, port: int, seconds: float) -> float:
    """Calls a second of CPU time with so many at once: what others do on the machine hardly shows in it."""
    ask, close = asker(name, port)
    assert b"chat.completion" in await ask()
    made = 0
    until = time.perf_counter() + seconds

    async def keep_asking() -> None:
        nonlocal made
        while time.perf_counter() < until:
            await ask()
            made += 1

    began = time.process_time()
    await asyncio.gather(*(keep_asking() for _ in range(AT_ONCE)))
    took = time.process_time() - began
    await close()
    return made / took


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=2.0, help="for each figure (default 2)")
    options.add_argument("--rounds", type=int, default=5, help="over which medians are taken (default 5)")
    options.add_argument("--json", action="store_true", help="print figures for machines")
    chosen = options.parse_args()
    ours, others = cores()
    if ours:
        os.sched_setaffinity(0, ours)
    names = ("bare", "lean", "aiohttp")
    with running([sys.executable, str(HERE / "canned.py")], others) as canned:
        port = port_of(canned)
        rounds = [
            {name: uvloop.run(per_second(name, port, chosen.seconds)) for name in names} for _ in range(chosen.rounds)
        ]
    found = {name: median(each[name] for each in rounds) for name in names}
    if chosen.json:
        print(json.dumps(found, indent=1))
        return
    for name, figure in found.items():
        print(f"{name:10}{figure:>10,.0f} calls/s{1e6 / figure:>8.1f} us{figure / found['bare']:>8.2f} of bare")


if __name__ == "__main__":
    main()
