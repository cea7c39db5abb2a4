"""What the gateway costs: requests a second, latency, stream events, memory, start-up, beside a floor and a bare path.

One command, `python bench/proxy.py`: with two cores or more the proxy has one to itself; load and canned upstream share
the other. Each round asks in turn
  floor   the canned upstream itself, nothing between
  bare    aiohttp towards clients, bare httptools upstream, msgspec between, no rules (bare.py)
  peers   nginx and the other gateways of peers.py on the proxy's core, those that are installed
  N rules `server.py` with a generated file of that many rules, ten of which match where there are ten, metrics counted
          and a record of every exchange written to a file
  compiled  the most rules again with the build of `make native`, where there is one
and the medians over the rounds are printed with their ratio to bare. It fails if another number of rules matched, if
records are missing on disk, if an answer of ours was not 200, or if a slower part stood in for the one that is to be
measured; of peers, failures are told. Figures of one run may be compared with each other, not with those of other
machines.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
NATIVE = HERE.parent / "build" / "native"
sys.path[:0] = [str(HERE), str(HERE.parent)]

from canned import EVENTS  # noqa: E402  # found beside this file
from figures import Figures, medians, table  # noqa: E402
from load import PLAIN, Manner, load, request  # noqa: E402
from peers import FOLDER, PEERS, Fault, serving, versions  # noqa: E402
from processes import ROOT, busy, cores, family, free_port, memory, port_of, running, until_answers  # noqa: E402

Round = dict[str, Figures]

MATCHING = 10
RECORDS = "audit.jsonl"


def rules(count: int, upstream: str) -> str:
    """A rules file: `count` rules of the usual kinds, the last ten of which match the bench's request."""
    matching = min(count, MATCHING)
    entries = [_other_rule(number) for number in range(count - matching)]
    entries += [
        {
            "name": f"hit-{number}",
            "match": {"request.model": "bench"},
            "actions": [{"set_header": {f"x-bench-{number}": str(number)}}],
        }
        for number in range(matching)
    ]
    entries.append({"name": "record", "phase": "log", "actions": [{"log_to": "audit"}]})
    sections = {"upstreams": {"canned": {"base_url": f"{upstream}/v1"}}, "sinks": {"audit": {"file": RECORDS}}}
    return json.dumps({"version": 1, **sections, "rules": entries})


def _other_rule(number: int) -> dict[str, object]:
    kinds: list[tuple[object, object]] = [
        ({"request.model": f"model-{number}"}, {"default": {"temperature": 0.5}}),
        ({"headers.x-team": {"in": [f"team-{number}", f"crew-{number}"]}}, {"set_header": {"x-team": "known"}}),
        ({"prompt_text": {"contains": f"forbidden phrase {number}"}}, {"reject": "Not allowed"}),
        ({"prompt_text": {"matches": f"E-{number:04d}-[0-9]{{6}}"}}, {"reject": "No employee numbers"}),
        (f"request.user == 'user-{number}'", {"set": {"metadata.number": number}}),
    ]
    match, action = kinds[number % len(kinds)]
    return {"name": f"other-{number}", "match": match, "actions": [action]}


# --- ours --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def ours(count: int, upstream: str, on: set[int], code: Path = ROOT) -> Iterator[tuple[int, int, float]]:
    """The gateway with so many rules: port, process id and seconds to its first answer; checked at the end."""
    with tempfile.TemporaryDirectory() as folder:
        with served(rules(count, upstream), on, Path(folder), code) as (port, admin, pid, start):
            yield port, pid, start
            matched = _matched(port)
            if len(matched) != min(count, MATCHING):
                raise SystemExit(f"bench: {len(matched)} of {count} rules matched: {matched}")
            time.sleep(0.2)  # until the last exchange is counted
            counted = _counted(admin)
        files = Path(folder).glob(f"{RECORDS}*")  # a full file is moved away
        written = sum(file.read_bytes().count(b"\n") for file in files)
    if written != counted:
        raise SystemExit(f"bench: {counted} exchanges, and {written} records on disk")


@contextlib.contextmanager
def served(text: str, on: set[int], folder: Path, code: Path = ROOT) -> Iterator[tuple[int, int, int, float]]:
    """The gateway with a rules file: port, admin port, process id and seconds to its first answer."""
    file = folder / "rules.yaml"
    file.write_text(text)
    port, admin = free_port(), free_port()
    words = [sys.executable, str(code / "server.py"), str(file), "--port", str(port), "--admin", f"127.0.0.1:{admin}"]
    began = time.perf_counter()
    with running(words, on, stderr=subprocess.DEVNULL) as child:
        if not until_answers(child, port, 30):
            raise SystemExit("bench: server.py did not start")
        yield port, admin, child.pid, time.perf_counter() - began


def _matched(port: int) -> list[str]:
    """The rules that match the bench's request, as an answer's header tells."""
    with socket.create_connection(("127.0.0.1", port), 5) as asked:
        asked.sendall(request(port))
        head = asked.recv(65536).partition(b"\r\n\r\n")[0].decode("latin-1")
    told = re.search(r"^x-pointsman-rules: ([^\r]*)", head, re.MULTILINE | re.IGNORECASE)
    return [name for name in told[1].split(", ") if name] if told else []


def _counted(admin: int) -> int:
    """The exchanges that the gateway has counted."""
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    return sum(
        int(float(number)) for number in re.findall(r"^pointsman_requests_total\{.*\} (\S+)", text, re.MULTILINE)
    )


# --- measuring --------------------------------------------------------------------------------------------------------


def measure(port: int, seconds: float, pid: int, manner: Manner = PLAIN) -> Figures:
    """One round with one server: many connections, one connection, streams. `pid` and all below it take the CPU."""
    load(port, min(seconds, 0.5), 4, manner=manner)  # warm
    before = sum(map(busy, family(pid)))
    many = load(port, seconds, 32, manner=manner)
    used = sum(map(busy, family(pid))) - before
    one = load(port, seconds, 1, manner=manner)
    streams = load(port, seconds, 8, stream=True, manner=manner)
    driven, asked, refused = by_wrk(port, seconds, manner) or (many.per_second, 0, 0)
    runs = (many, one, streams)
    return {
        "requests_s": driven,
        "cpu_us": used / len(many.took) * 1e6,
        "p50_us": one.percentile(0.5),
        "p99_us": one.percentile(0.99),
        "events_s": streams.per_second * EVENTS,
        "stream_us": streams.percentile(0.5),
        "failed": sum(run.failed for run in runs) + refused,
        "asked": sum(len(run.took) for run in runs) + asked,
    }


def flawless(port: int, seconds: float, pid: int) -> Figures:
    """The same of a server none of whose answers may fail."""
    figures = measure(port, seconds, pid)
    if figures["failed"]:
        raise SystemExit(f"bench: {figures['failed']:.0f} answers of port {port} were not 200 or did not come")
    return figures


def by_wrk(port: int, seconds: float, manner: Manner) -> tuple[float, int, int] | None:
    """Requests a second as wrk counts them, all, and those that failed: it costs its core less than our own generator.

    None if it is not installed.
    """
    wrk = shutil.which("wrk")
    if wrk is None:
        return None
    head, _, body = request(port, manner=manner).decode().partition("\r\n\r\n")
    named = (line.split(": ", 1) for line in head.split("\r\n")[1:])
    own = "".join(f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}\n" for name, value in named)
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(f'wrk.method = "POST"\n{own}wrk.body = [[{body}]]\n')
        script.flush()
        words = [wrk, "-t1", "-c32", f"-d{max(1, round(seconds))}s", "-s", script.name]
        words.append(f"http://127.0.0.1:{port}{manner.path}")
        said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    lost = [int(count) for count in re.findall(r"(?:connect|read|write|timeout) (\d+)", said)]
    refused = [int(count) for count in re.findall(r"Non-2xx or 3xx responses: (\d+)", said)]
    asked, rate = re.search(r"(\d+) requests in", said), re.search(r"Requests/sec:\s+([\d.]+)", said)
    return (float(rate[1]), int(asked[1]), sum(lost + refused)) if asked and rate else None


def measure_peers(names: list[str], upstream: int, seconds: float, on: set[int], faults: dict[str, str]) -> Round:
    """Every peer once, in turn; why one gave no figures is noted among the faults."""
    found: Round = {}
    for name in names:
        try:
            with serving(name, upstream, on, FOLDER) as (port, pid, manner, start):
                idle = sum(map(memory, family(pid)))
                found[name] = {**measure(port, seconds, pid, manner), "rss_mb": idle, "start_s": start}
        except (Fault, RuntimeError, OSError, subprocess.SubprocessError) as error:
            faults[name] = f"failed: {error or type(error).__name__}"
    return found


def one_round(
    sizes: list[int], peers: list[str], seconds: float, on: tuple[set[int], set[int]], faults: dict[str, str]
) -> Round:
    """Every server once, in turn."""
    proxy, others = on
    found: Round = {}
    with running([sys.executable, str(HERE / "canned.py")], others) as canned:
        port = port_of(canned)
        upstream = f"http://127.0.0.1:{port}"
        found["floor"] = flawless(port, seconds, canned.pid)
        with running([sys.executable, str(HERE / "bare.py"), upstream], proxy) as bare:
            bare_port = port_of(bare)
            idle = memory(bare.pid)
            found["bare"] = {**flawless(bare_port, seconds, bare.pid), "rss_mb": idle}
        found |= measure_peers(peers, port, seconds, proxy, faults)
        for count in sizes:
            with ours(count, upstream, proxy) as (our_port, pid, start):
                idle = memory(pid)
                found[f"{count} rules"] = {**flawless(our_port, seconds, pid), "rss_mb": idle, "start_s": start}
        if sizes and compiled():
            with ours(max(sizes), upstream, proxy, NATIVE) as (our_port, pid, start):
                idle = memory(pid)
                found["compiled"] = {**flawless(our_port, seconds, pid), "rss_mb": idle, "start_s": start}
    return found


def compiled() -> bool:
    """Whether there is a compiled build; fails where it is one of other sources."""
    if not (NATIVE / "server.py").exists():
        return False
    for source in [ROOT / "server.py", *(ROOT / "engine").rglob("*.py")]:
        copied = NATIVE / source.relative_to(ROOT)
        if not copied.exists() or copied.read_bytes() != source.read_bytes():
            raise SystemExit(f"bench: {copied} is not of these sources; run `make native`, or remove it")
    return True


def parts() -> dict[str, str]:
    """What `server.py` uses; fails where something slower would stand in for what is to be measured."""
    from engine.proxy.banner import CODE
    from engine.proxy.entry import Listening
    from engine.proxy.ways import Ways

    if importlib.util.find_spec("uvloop") is None:
        raise SystemExit("bench: uvloop is not installed")
    return {"loop": "uvloop", "clients": Listening.server, "upstreams": Ways.transport, "code": CODE}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=3.0, help="of load for each figure (default 3)")
    options.add_argument("--rounds", type=int, default=5, help="over which medians are taken (default 5)")
    options.add_argument("--rules", type=int, nargs="*", default=[0, 100, 1000], help="numbers of rules to load")
    options.add_argument(
        "--peers",
        nargs="+",
        default=["all"],
        choices=[*PEERS, "all", "none"],
        metavar="NAME",
        help=f"other gateways to measure: all (default), none, or of {', '.join(PEERS)}",
    )
    options.add_argument("--json", action="store_true", help="print figures for machines")
    chosen = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as an interrupt does, this ends the children too
    sizes: list[int] = chosen.rules
    if sizes and not (ROOT / "server.py").exists():
        print("bench: there is no server.py to measure; floor and bare path only", file=sys.stderr)
        sizes = []
    peers = versions([name for name in PEERS if name in chosen.peers or "all" in chosen.peers], FOLDER)
    missing = [name for name, version in peers.items() if version is None]
    if missing:
        print(f"bench: not installed: {', '.join(missing)}; see peers.py", file=sys.stderr)
    there = {name: version for name, version in peers.items() if version is not None}
    on = cores()
    if on[1]:
        os.sched_setaffinity(0, on[1])
    faults: dict[str, str] = {}
    found = medians([one_round(sizes, list(there), chosen.seconds, on, faults) for _ in range(chosen.rounds)])
    method = {
        "pinned": on[0] != on[1],
        "load": "wrk" if shutil.which("wrk") else "own",
        "rounds": chosen.rounds,
        "seconds": chosen.seconds,
        "python": sys.version.split()[0],
        **parts(),
        "peers": there,
        "not installed": missing,
    }
    told = {"method": method, "medians": found, "faults": faults}
    print(json.dumps(told, indent=1) if chosen.json else f"{table(found, faults)}\n{method}")


if __name__ == "__main__":
    main()
