"""One of several processes on one store, for tests: started as a script, it prints what it saw as JSON.

python tests/store_process.py URL_OR_FILE take TIMES      how many of so many takes fitted, of 1,000 a day
python tests/store_process.py URL_OR_FILE hold TIMES      from when to when it held a slot of 5, at least so many times
python tests/store_process.py URL_OR_FILE keep SLOTS      holds slots with a lease of a second until it is killed
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from itertools import count
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from engine.ports.redis_client import RedisClient
from engine.ports.store_redis import RedisStore
from engine.ports.store_sqlite import SqliteStore
from engine.ports.stores import OpenStore, Rate, Slots, Used
from engine.proxy.gateway import SystemClock

AT_ONCE = 25
SHORT = 1.5  # seconds of a lease


def opened(where: str, lease: float) -> OpenStore:
    if "://" in where:
        return RedisStore(RedisClient(where, 20.0), "many", lease=lease)
    return SqliteStore(where, SystemClock(), 20.0, lease=lease)


async def take(store: OpenStore, times: int) -> int:
    limit = Rate("day", 1000, 86400.0)
    fitted = 0

    async def some() -> None:
        nonlocal fitted
        for _ in range(times // AT_ONCE):
            standings = await store.take([limit], "h")
            fitted += standings[0].fits

    await asyncio.gather(*[some() for _ in range(AT_ONCE)])
    return fitted


async def hold(store: OpenStore, times: int) -> list[tuple[float, float]]:
    slot = Slots("five", 5)
    held: list[tuple[float, float]] = []

    async def some(name: int) -> None:
        attempts = count()
        while len(held) < times:
            holder = f"{name}.{next(attempts)}"
            if (await store.take([slot], holder))[0].fits:
                since = time.monotonic()
                await asyncio.sleep(0.002)
                held.append((since, time.monotonic()))
                await store.settle([Used(slot)], holder)
            else:
                await asyncio.sleep(0.001)

    await asyncio.gather(*[some(name) for name in range(AT_ONCE)])
    return held


async def keep(store: OpenStore, slots: int) -> None:
    fitted = [(await store.take([Slots("five", 5)], str(n)))[0].fits for n in range(slots)]
    sys.stdout.write(json.dumps(fitted) + "\n")
    sys.stdout.flush()
    await asyncio.sleep(30)


async def main(where: str, what: str, number: int) -> None:
    store = opened(where, SHORT if what == "keep" else 30.0)
    does: Any = {"take": take, "hold": hold, "keep": keep}[what]
    seen = await does(store, number)
    await store.close()
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
