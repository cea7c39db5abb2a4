"""What a stream costs that is open and silent: bytes of memory of the gateway for each.

    python bench/idle.py                 a thousand streams through `server.py`
    python bench/idle.py --streams 5000

Each stream has got its first event, and nothing comes after it. Beside them one caller asks on, and its p50 and p99 are
printed with and without them. The upstream and the clients are in processes of their own: RSS is the gateway's alone.
Needs /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import sys
from pathlib import Path

import uvloop

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from canned import STREAM, WHOLE, Canned  # noqa: E402  # found beside this file
from load import Tally, load, request  # noqa: E402
from processes import memory, port_of, running  # noqa: E402
from proxy import rules, served  # noqa: E402


class Silent(Canned):
    """Begins a stream and says no more; answers all else."""

    def data_received(self, data: bytes) -> None:
        if b'"stream":true' in data:
            self.transport.write(STREAM[0] + STREAM[1])
        elif data.endswith(b"}"):
            self.transport.write(WHOLE)


async def upstream() -> None:
    """Serve until ended, after saying where."""
    server = await asyncio.get_running_loop().create_server(Silent, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def opened(port: int, count: int) -> list[asyncio.StreamWriter]:
    """So many streams whose first event has come."""
    writers = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request(port, stream=True))
        await asyncio.wait_for(reader.readuntil(b"\n\n"), 30)
        writers.append(writer)
    return writers


async def measure(port: int, pid: int, count: int, seconds: float) -> None:
    """Print what so many streams cost, and what a caller beside them notices."""
    loop = asyncio.get_running_loop()
    alone: Tally = await loop.run_in_executor(None, load, port, seconds, 1)
    before = memory(pid)
    writers = await opened(port, count)
    grown = memory(pid) - before
    beside: Tally = await loop.run_in_executor(None, load, port, seconds, 1)
    print(f"{count} silent streams: RSS {before:.1f} -> {before + grown:.1f} MB, {grown * 1024 / count:.1f} KB each")
    for name, tally in (("alone", alone), ("beside them", beside)):
        told = f"p50 {tally.percentile(0.5):.0f} us, p99 {tally.percentile(0.99):.0f} us, failed {tally.failed}"
        print(f"a caller {name}: {told}")
    for writer in writers:
        writer.transport.abort()
    await asyncio.sleep(1)
    print(f"after they left: RSS {memory(pid):.1f} MB")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--streams", type=int, default=1000)
    options.add_argument("--seconds", type=float, default=3.0, help="of the caller beside (default 3)")
    options.add_argument("--upstream", action="store_true", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
    if chosen.upstream:
        uvloop.run(upstream())
        return
    with (
        running([sys.executable, os.path.abspath(__file__), "--upstream"], set()) as canned,
        served(rules(10, f"http://127.0.0.1:{port_of(canned)}"), set()) as (port, pid, _),
    ):
        uvloop.run(measure(port, pid, chosen.streams, chosen.seconds))


if __name__ == "__main__":
    main()
