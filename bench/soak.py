"""A long time under load while rules change and workers die: what fails, how memory grows, how long answers take.

    python bench/soak.py                       one minute
    python bench/soak.py --minutes 30          the one to believe

`server.py` with two workers, a thousand rules of which ten match, and a file of records stands between a canned
upstream and a generator that asks at fixed times, whole answers and streams (one of twenty), at 70 % of what the same
mix came to before without pauses. Every ten seconds the rules file changes; every minute one worker is killed
(SIGKILL), the first time at half a minute. It is stopped first and its connections are noted: a request that fails on
another one is a violation. So is a process that grows by more than 5 % over what it had half a minute after its start,
a change of rules that was not taken, a worker that was not replaced, an error in the log, or a rate that was not kept.
Latency counts from when a request was due. Exit code 1 when violated. Needs /proc; everything listens on loopback and
ends with this process.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
import tempfile
import time
import urllib.request
from array import array
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import uvloop

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from load import request  # noqa: E402  # found beside this file
from processes import ROOT, memory, port_of, running  # noqa: E402
from proxy import rules  # noqa: E402

STREAMS = 20  # one request of so many asks for a stream
RELOAD, KILL, SETTLED = 10.0, 60.0, 30.0  # seconds
BUSY = 5.0  # seconds after a reload or a kill that say little of the rest
GROWTH = 1.05
KEPT = 0.97  # of the rate that was asked for


@dataclass
class Seen:
    """What came of all requests."""

    asked: int = 0
    streams: int = 0
    took: array[float] = field(default_factory=lambda: array("d"))
    quiet: array[float] = field(default_factory=lambda: array("d"))  # those of no moment at which something was done
    busy_until: float = 0.0
    failed: list[tuple[int, str]] = field(default_factory=list)  # the client's port, and how
    lost: set[int] = field(default_factory=set)  # ports that a killed worker had
    kills: int = 0
    reloads: int = 0
    errors: list[str] = field(default_factory=list)  # that the gateway logged
    memory: dict[int, list[tuple[float, float]]] = field(default_factory=dict)  # by process: when, megabytes

    def violations(self) -> list[str]:
        """Requests that failed although nobody killed their worker, and processes that grew."""
        told = [f"port {port}: {how}" for port, how in self.failed if port not in self.lost] + self.errors
        for pid, samples in self.memory.items():
            settled, last = self.grown(samples)
            if last > settled * GROWTH:
                told.append(f"process {pid} grew from {settled:.1f} to {last:.1f} MB")
        return told

    @staticmethod
    def grown(samples: list[tuple[float, float]]) -> tuple[float, float]:
        """What a process had once it had settled, and at the end; nothing of one that did not live long enough."""
        first, last = samples[0][0], samples[-1][0]
        if last - first < SETTLED + 10:
            return 0.0, 0.0
        settled = [size for at, size in samples if SETTLED <= at - first <= SETTLED + 5]
        return median(settled), median(size for at, size in samples if at > last - 5)


class Load:
    """Asks over some connections: at fixed times, or (`rate` None) again as soon as one is free."""

    def __init__(self, port: int, connections: int, seen: Seen) -> None:
        self.port, self.seen = port, seen
        self._messages = request(port), request(port, stream=True)
        self._due: deque[tuple[float, bool]] = deque()
        self._free: list[Connection] = []
        self._count = connections
        self._opening: set[asyncio.Task[None]] = set()
        self.over = False
        self.greedy = False

    async def run(self, seconds: float, rate: float | None) -> None:
        """Ask for so long, then wait for what is under way."""
        for _ in range(self._count):
            await self._open()
        began, sent = time.perf_counter(), 0
        self.greedy = rate is None
        self._due.extend((began, False) for _ in range(self._count if self.greedy else 0))
        while (passed := time.perf_counter() - began) < seconds:
            while rate is not None and sent < passed * rate:
                self._due.append((began + sent / rate, sent % STREAMS == 0))
                sent += 1
            self._give()
            await asyncio.sleep(0.002)
        self.greedy = False
        end = time.perf_counter() + 30
        while (self._due or len(self._free) < self._count) and time.perf_counter() < end:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        self.over = True
        for _ in self._due:
            self.seen.failed.append((0, "was never asked: the gateway did not keep up"))
        for connection in self._free:
            connection.transport.close()

    def free(self, connection: Connection) -> None:
        """It can ask again."""
        self._free.append(connection)
        if self.greedy:
            self._due.append((time.perf_counter(), self.seen.asked % STREAMS == 0))
        self._give()

    def gone(self, connection: Connection) -> None:
        """Another takes its place."""
        if connection in self._free:
            self._free.remove(connection)
        if not self.over:
            task = asyncio.get_running_loop().create_task(self._again())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    def _give(self) -> None:
        while self._due and self._free:
            due, streamed = self._due.popleft()
            self.seen.asked += 1
            self.seen.streams += streamed
            self._free.pop(0).ask(self._messages[streamed], due)

    async def _again(self) -> None:
        try:
            await self._open()
        except OSError as wrong:
            self.seen.failed.append((0, f"could not connect: {wrong}"))

    async def _open(self) -> None:
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(self), "127.0.0.1", self.port
        )
        self.free(connection)


class Connection(asyncio.Protocol):
    """One request after the other; it ends where the gateway says so, or just does."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._due: float | None = None
        self._came = bytearray()
        self._head = 0  # bytes of it, once it has come
        self._end: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def ask(self, message: bytes, due: float) -> None:
        self._due = due
        self.transport.write(message)

    def data_received(self, data: bytes) -> None:
        self._came += data
        if not self._head and not self._headed():
            return
        if self._due is None or not self._arrived():
            return
        seen, now = self._load.seen, time.perf_counter()
        seen.took.append(now - self._due)
        if now > seen.busy_until:
            seen.quiet.append(now - self._due)
        good = self._came.startswith(b"HTTP/1.1 200") and (b"[DONE]" in self._came or b'"choices"' in self._came)
        if not good:
            seen.failed.append((self.port, bytes(self._came[:200]).decode("latin-1")))
        closes = b"\r\nConnection: close" in self._came[: self._head]
        self._came.clear()
        self._head = 0
        self._due = None
        if closes:
            self.transport.close()
        else:
            self._load.free(self)

    def _headed(self) -> bool:
        """The head has come; from now on the end is known, or that chunks tell it."""
        self._head = self._came.find(b"\r\n\r\n") + 4
        if self._head < 4:
            self._head = 0
            return False
        length = re.search(rb"\r\ncontent-length: (\d+)", self._came[: self._head], re.IGNORECASE)
        self._end = None if length is None else self._head + int(length[1])
        return True

    def _arrived(self) -> bool:
        """As much has come as was announced."""
        if self._end is None:
            return self._came.endswith(b"\r\n0\r\n\r\n")
        return len(self._came) >= self._end

    def connection_lost(self, exc: Exception | None) -> None:
        if self._due is not None:
            self._load.seen.failed.append((self.port, f"lost within a request: {exc or 'closed'}"))
        self._load.gone(self)


# --- what happens meanwhile -------------------------------------------------------------------------------------------


def written(file: Path, count: int, upstream: str, version: int) -> None:
    """Another version of the rules, put in place at once."""
    told = json.loads(rules(count, upstream))
    told["sinks"] = {"audit": {"file": {"path": "audit.jsonl", "keep": 1}}}  # 200 MB at most
    told["rules"].append({"name": f"soak-{version}", "match": {"request.model": "nobody"}, "actions": [{"tag": "x"}]})
    told["rules"].append({"name": "audit", "phase": "log", "actions": [{"log_to": "audit"}]})
    beside = file.with_suffix(".new")
    beside.write_text(json.dumps(told))
    beside.replace(file)


def children(pid: int) -> list[int]:
    """Processes that a process has begun."""
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def ports_of(pid: int, port: int) -> set[int]:
    """The other ends of a process's connections on a port."""
    held = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            held.add(os.readlink(entry))
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        cells = line.split()
        if f"socket:[{cells[9]}]" in held and int(cells[1].rpartition(":")[2], 16) == port:
            found.add(int(cells[2].rpartition(":")[2], 16))
    return found


async def kill(supervisor: int, port: int, seen: Seen) -> None:
    """One worker, after its connections were noted."""
    workers = children(supervisor)
    victim = workers[seen.kills % len(workers)]
    os.kill(victim, signal.SIGSTOP)
    seen.lost |= ports_of(victim, port)
    os.kill(victim, signal.SIGKILL)
    seen.kills += 1
    for _ in range(200):  # until another has taken its seat
        await asyncio.sleep(0.05)
        if victim not in children(supervisor) and len(children(supervisor)) == len(workers):
            return
    seen.failed.append((0, "a killed worker was not replaced"))


async def meanwhile(supervisor: int, port: int, file: Path, count: int, upstream: str, seen: Seen) -> None:
    """Change the rules and kill workers when it is time, and look at memory every second."""
    began = time.monotonic()
    reload, killing = began + RELOAD, began + KILL / 2
    while True:
        await asyncio.sleep(1)
        now = time.monotonic()
        for pid in (supervisor, *children(supervisor)):
            seen.memory.setdefault(pid, []).append((now - began, memory(pid)))
        if now >= min(reload, killing):
            seen.busy_until = time.perf_counter() + BUSY
        if now >= reload:
            reload += RELOAD
            seen.reloads += 1
            written(file, count, upstream, seen.reloads)
        if now >= killing:
            killing += KILL
            await kill(supervisor, port, seen)


def figure(admin: int, name: str) -> float:
    """A figure of the gateway's own, by how its line begins."""
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics", timeout=10) as answer:
        told = answer.read().decode()
    return sum(float(line.rpartition(" ")[2]) for line in told.splitlines() if line.startswith(name))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def ready(admin: int) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{admin}/health/ready", timeout=2):
        return True
    return False


async def soak(chosen: argparse.Namespace, port: int, supervisor: int, file: Path, upstream: str) -> tuple[Seen, float]:
    """The maximum first, then the long time; what was seen, and the rate that was asked for."""
    maximum = Seen()
    await Load(port, chosen.connections, Seen()).run(3, None)  # warm
    await Load(port, chosen.connections, maximum).run(10, None)
    rate = chosen.share * len(maximum.took) / 10
    print(f"maximum {len(maximum.took) / 10:,.0f}/s, one of {STREAMS} a stream of 500 events; asking {rate:,.0f}/s")
    seen = Seen()
    beside = asyncio.create_task(meanwhile(supervisor, port, file, chosen.rules, upstream, seen))
    await Load(port, chosen.connections, seen).run(chosen.minutes * 60, rate)
    beside.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await beside
    return seen, rate


def report(seen: Seen, rate: float, minutes: float, admin: int) -> int:
    """Print what was seen; the exit code."""
    ordered = sorted(seen.took)
    times = {"in all": ordered, f"but for {BUSY:.0f} s after changes and kills": sorted(seen.quiet)}
    own = [how for port, how in seen.failed if port in seen.lost]
    print(f"requests {seen.asked:,}, {seen.streams:,} of them streams; answered {len(ordered):,}")
    print(f"failed on killed workers {len(own)} (of {seen.kills} kills), elsewhere {len(seen.failed) - len(own)}")
    for title, took in times.items():
        shares = ((name, took[int(share * (len(took) - 1))] * 1e3) for name, share in PERCENTILES.items() if took)
        print(f"ms from when it was due, {title}: " + ", ".join(f"{name} {value:.2f}" for name, value in shares))
    if not ordered or median(ordered) > 0.1:
        print("the machine did not keep up, as when others use it: these times tell of the line before the gateway")
    for pid, samples in seen.memory.items():
        settled, last = seen.grown(samples)
        most, lived = max(size for _, size in samples), samples[-1][0] - samples[0][0]
        print(f"process {pid}: {lived:4.0f} s, RSS {settled:.1f} MB settled, {last:.1f} at the end, {most:.1f} at most")
        print("    every 10 s: " + " ".join(f"{size:.0f}" for _, size in samples[::10]))
    told = seen.violations()
    good, bad = (figure(admin, f'pointsman_reloads_total{{result="{name}"}}') for name in ("good", "bad"))
    print(f"reloads {seen.reloads}, of which the gateway took {good:.0f} and refused {bad:.0f}")
    records = {kind: figure(admin, f'{_RECORDS}result="{kind}"}}') for kind in ("written", "failed", "lost")}
    print("records, with those of the maximum: " + ", ".join(f"{kind} {many:,.0f}" for kind, many in records.items()))
    if records["failed"] or records["lost"] or records["written"] < len(ordered):
        told.append("not every record was written")
    if bad or good < seen.reloads - 1:  # the last one may be on its way
        told.append("not every change of the rules was taken")
    if len(ordered) < KEPT * rate * minutes * 60:
        told.append(f"the rate was not kept: {len(ordered) / minutes / 60:,.0f}/s")
    for wrong in told[:20]:
        print(f"VIOLATED  {wrong}")
    return 1 if told else 0


_RECORDS = 'pointsman_sink_records_total{sink="audit",'
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "most": 1.0}


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--minutes", type=float, default=1.0, help="default 1; 10 and 30 are those to believe")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--connections", type=int, default=32)
    options.add_argument("--rules", type=int, default=1000)
    options.add_argument("--share", type=float, default=0.7, help="of the maximum that is asked for (default 0.7)")
    chosen = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as an interrupt does, this ends the children too
    with tempfile.TemporaryDirectory() as folder, running([sys.executable, str(HERE / "canned.py")], set()) as canned:
        file, port, admin = Path(folder) / "rules.yaml", free_port(), free_port()
        upstream = f"http://127.0.0.1:{port_of(canned)}"
        written(file, chosen.rules, upstream, 0)
        command = [sys.executable, str(ROOT / "server.py"), str(file), "--port", str(port)]
        command += ["--workers", str(chosen.workers), "--admin", f"127.0.0.1:{admin}", "--log-level", "warning"]
        log = Path(folder) / "log"
        with running(["sh", "-c", f'exec "$@" 2>{log}', "sh", *command], set()) as server:
            until = time.monotonic() + 60
            while not ready(admin):
                if server.poll() is not None or time.monotonic() > until:
                    raise SystemExit(f"bench: server.py did not start\n{log.read_text()}")
                time.sleep(0.1)
            seen, rate = uvloop.run(soak(chosen, port, server.pid, file, upstream))
            time.sleep(1)
            seen.errors = [line for line in log.read_text().splitlines() if " ERROR " in line or "Traceback" in line]
            return report(seen, rate, chosen.minutes, admin)


if __name__ == "__main__":
    sys.exit(main())
