"""What clients notice while rules change: latency around a reload and between reloads, and the longest silence.

    python bench/reloads.py                          30 reloads of 1,000 rules, 500 requests a second
    python bench/reloads.py --rules 10000 --every 8  more rules, which take longer to read
    python bench/reloads.py --workers 2 --count 200  two processes, and whether memory stays flat

`server.py` has one core to itself (all, with workers); a generator on another asks it over eight connections at fixed
times, and latency counts from when a request was due. Every few seconds the rules file changes: one phrase in each rule
that looks for one, and a header that answers carry, by which they tell their rules. A reload lasts from the write until
0.3 s after the last answer of the old rules. Linux; everything listens on loopback and ends with this process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import tempfile
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import uvloop
from load import request
from proxy import HERE, cores, memory, port_of, rules, running, served

CONNECTIONS = 8
AFTER = 0.3  # seconds after a reload that still belong to it


@dataclass
class Seen:
    """When requests were due, how long they took, of which rules the answer was; when files were written."""

    answers: list[tuple[float, float, int]] = field(default_factory=list)
    written: list[float] = field(default_factory=list)
    failed: int = 0

    def windows(self) -> list[tuple[float, float]]:
        """From each write until the last answer of the rules before; in seconds of `perf_counter`."""
        ends = [
            max(due + took for due, took, of in self.answers if of <= number) for number in range(len(self.written))
        ]
        return list(zip(self.written, ends, strict=True))

    def told(self) -> dict[str, float]:
        """The figures: milliseconds."""
        windows = self.windows()
        within = [one for one in self.answers if any(a <= one[0] <= b + AFTER for a, b in windows)]
        outside = sorted(set(self.answers) - set(within))
        found = {"reload": percentile([end - begin for begin, end in windows], 0.5)}
        for name, some in (("within", within), ("outside", outside)):
            took = [one[1] for one in some]
            found |= {f"{name} {share * 100:g} %": percentile(took, share) for share in (0.5, 0.99, 1)}
        came = sorted(due + took for due, took, _ in self.answers)
        return found | {"longest silence": max(b - a for a, b in pairwise(came)) * 1e3}


def percentile(seconds: list[float], share: float) -> float:
    ordered = sorted(seconds)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] * 1e3


def text(count: int, number: int, upstream: str, workers: int) -> str:
    """The rules file of a number."""
    file = json.loads(rules(count, upstream).replace("forbidden phrase", f"forbidden {number}"))
    file["server"] = {"workers": workers}
    file["rules"].append({"name": "n", "phase": "response", "actions": [{"set_header": {"x-number": str(number)}}]})
    return json.dumps(file)


async def ask(port: int, due: asyncio.Queue[float], seen: Seen) -> None:
    """One connection, which takes the next request that is due."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    message = request(port)
    while True:
        at = await due.get()
        writer.write(message)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = re.search(rb"content-length: (\d+)", head)
        await reader.readexactly(int(length[1]) if length else 0)
        number = re.search(rb"x-number: (\d+)", head)
        seen.failed += not head.startswith(b"http/1.1 200")
        seen.answers.append((at, time.perf_counter() - at, int(number[1]) if number else 0))


async def drive(port: int, rate: float, every: float, texts: list[str], file: Path) -> Seen:
    """Ask at a rate while each text is written to the file, one after the other."""
    seen, due = Seen(), asyncio.Queue[float]()
    askers = [asyncio.create_task(ask(port, due, seen)) for _ in range(CONNECTIONS)]
    began, sent = time.perf_counter(), 0
    while (now := time.perf_counter()) < began + every * (len(texts) + 1):
        for _ in range(int((now - began) * rate) - sent):
            due.put_nowait(began + sent / rate)
            sent += 1
        if len(seen.written) < min(len(texts), int((now - began) / every)):
            await asyncio.to_thread(file.write_text, texts[len(seen.written)])
            seen.written.append(time.perf_counter())
        if broken := [asker for asker in askers if asker.done()]:
            broken[0].result()
        await asyncio.sleep(0.001)
    for asker in askers:
        asker.cancel()
    return seen


def resident(pid: int) -> float:
    """Megabytes of a process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return memory(pid) + sum(map(memory, map(int, children)))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("rules", 1000), ("count", 30), ("workers", 1), ("rate", 500)):
        options.add_argument(f"--{name}", type=int, default=default, help=f"default {default}")
    options.add_argument("--every", type=float, default=2.0, help="seconds from one write to the next, default 2")
    chosen = options.parse_args()
    ours, others = cores()
    with running([sys.executable, str(HERE / "canned.py")], others) as canned, tempfile.TemporaryDirectory() as folder:
        upstream = f"http://127.0.0.1:{port_of(canned)}"
        texts = [text(chosen.rules, number, upstream, chosen.workers) for number in range(chosen.count + 1)]
        on = ours if chosen.workers == 1 else ours | others
        with served(texts[0], on, Path(folder)) as (port, _, pid, start):
            first = resident(pid)
            seen = uvloop.run(drive(port, chosen.rate, chosen.every, texts[1:], Path(folder, "rules.yaml")))
            grown = resident(pid)
    told = {**seen.told(), "start": start * 1e3}
    print("  ".join(f"{name} {figure:.1f} ms" for name, figure in told.items()))
    print(f"{len(seen.answers)} answers, {seen.failed} not 200; {first:.0f} MB at the start, {grown:.0f} MB at the end")


if __name__ == "__main__":
    main()
