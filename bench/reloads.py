"""What clients notice while rules change: latency around a reload and between reloads, the longest silence, memory.

    python bench/reloads.py                          30 reloads of 1,000 rules, 500 requests a second
    python bench/reloads.py --workers 2 --count 200  two processes, and whether memory stays flat

`server.py` has one core to itself (all, with workers); a generator on another asks it over eight connections at fixed
times, and latency counts from when a request was due. Every few seconds the rules file changes: a phrase in each rule
that looks for one, and a header of answers by which they tell their rules. A reload lasts from the write to the last
answer of the old rules; 0.3 s more belong to it. Linux; all listens on loopback and ends with this process.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import uvloop
from load import request
from proxy import HERE, cores, memory, port_of, rules, running, served

CONNECTIONS, AFTER = 8, 0.3
Answer = tuple[float, float, int]  # when it was due, seconds it took, the number of its rules
Seen = tuple[list[Answer], list[float], list[float]]


def text(count: int, number: int, upstream: str, workers: int) -> str:
    """The rules file of a number."""
    file = json.loads(rules(count, upstream).replace("forbidden phrase", f"forbidden {number}"))
    file["server"] = {"workers": workers}
    file["rules"].append({"name": "n", "phase": "response", "actions": [{"set_header": {"x-number": str(number)}}]})
    return json.dumps(file)


async def ask(port: int, due: asyncio.Queue[float], answers: list[Answer]) -> None:
    """One connection, which takes the next request that is due; another where the gateway closes it."""
    message = request(port)
    while True:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = b""
        while b"connection: close" not in head:
            at = await due.get()
            writer.write(message)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length, number = re.search(rb"content-length: (\d+)", head), re.search(rb"x-number: (\d+)", head)
            if length is None or number is None or not head.startswith(b"http/1.1 200"):
                raise SystemExit(f"bench: {head.decode()}")
            await reader.readexactly(int(length[1]))
            answers.append((at, time.perf_counter() - at, int(number[1])))
        writer.close()


async def drive(port: int, rate: float, every: float, texts: list[str], file: Path) -> Seen:
    """Ask at a rate while one text after the other is written: the answers, when was written, memory then."""
    due = asyncio.Queue[float]()
    seen: Seen = [], [], []
    answers, written, sizes = seen
    asking = asyncio.gather(*(ask(port, due, answers) for _ in range(CONNECTIONS)))
    began, sent = time.perf_counter(), 0
    while (now := time.perf_counter()) < began + every * (len(texts) + 1) and not asking.done():
        for _ in range(int((now - began) * rate) - sent):
            due.put_nowait(began + sent / rate)
            sent += 1
        if len(written) < min(len(texts), int((now - began) / every)):
            sizes.append(resident())
            await asyncio.to_thread(file.write_text, texts[len(written)])
            written.append(time.perf_counter())
        await asyncio.sleep(0.001)
    asking.cancel()
    sizes.append(resident())
    with contextlib.suppress(asyncio.CancelledError):
        await asking
    return seen


def resident() -> float:
    """Megabytes of the gateway's processes: those that this one began, with theirs, and that run `server.py`."""
    mine = [pid for file in Path("/proc/self/task").glob("*/children") for pid in file.read_text().split()]
    theirs = [pid for one in mine for pid in Path(f"/proc/{one}/task/{one}/children").read_text().split()]
    return sum(memory(int(pid)) for pid in mine + theirs if b"server.py" in Path(f"/proc/{pid}/cmdline").read_bytes())


def told(answers: list[Answer], written: list[float]) -> dict[str, float]:
    """The figures: milliseconds."""
    windows = [(at, max(due + took for due, took, of in answers if of <= old)) for old, at in enumerate(written)]
    within = {one for one in answers if any(begin <= one[0] <= end + AFTER for begin, end in windows)}
    came = sorted(due + took for due, took, _ in answers)
    found = {"reload": 1e3 * sorted(end - begin for begin, end in windows)[len(windows) // 2]}
    for name, some in (("within", within), ("outside", set(answers) - within)):
        took = sorted(one[1] for one in some)
        found |= {f"{name} {p * 100:g}%": 1e3 * took[min(int(p * len(took)), len(took) - 1)] for p in (0.5, 0.99, 1)}
    return found | {"longest silence": 1e3 * max(after - before for before, after in pairwise(came))}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("rules", 1000), ("count", 30), ("workers", 1), ("rate", 500), ("every", 2.0)):
        options.add_argument(f"--{name}", type=type(default), default=default, help=f"default {default}")
    given = options.parse_args()
    ours, others = cores()
    with running([sys.executable, str(HERE / "canned.py")], others) as canned, tempfile.TemporaryDirectory() as folder:
        upstream = f"http://127.0.0.1:{port_of(canned)}"
        texts = [text(given.rules, number, upstream, given.workers) for number in range(given.count + 1)]
        with served(texts[0], ours if given.workers == 1 else ours | others, Path(folder)) as (port, _, _, start):
            driven = drive(port, given.rate, given.every, texts[1:], Path(folder, "rules.yaml"))
            answers, written, sizes = uvloop.run(driven)
    print("  ".join(f"{name} {ms:.1f} ms" for name, ms in {**told(answers, written), "start": start * 1e3}.items()))
    quarters = (sizes[at * (len(sizes) - 1) // 4] for at in range(5))
    print(f"{len(answers)} answers; MB over time: " + ", ".join(f"{size:.1f}" for size in quarters))


if __name__ == "__main__":
    main()
