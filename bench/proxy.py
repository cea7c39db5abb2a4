"""What the gateway costs: requests a second, latency, stream events, memory, start-up, beside a floor and a bare path.

One command, `python bench/proxy.py`: with two cores or more the proxy has one to itself; load and canned upstream share
the other. Each round asks in turn
  floor   the canned upstream itself, nothing between
  bare    aiohttp towards clients, bare httptools upstream, msgspec between, no rules (bare.py)
  nginx   `proxy_pass` on the proxy's core, where nginx is installed
  N rules `server.py` with a generated file of that many rules, ten of which match where there are ten, metrics counted
          and a record of every exchange written to a file
  compiled  the most rules again with the build of `make native`, where there is one
and the medians over the rounds are printed with their ratio to bare. It fails if another number of rules matched, if
records are missing on disk, or if a slower part stood in for the one that is to be measured. Figures of one run may be
compared with each other, not with those of other machines.
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
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
NATIVE = ROOT / "build" / "native"
sys.path[:0] = [str(HERE), str(ROOT)]

from canned import EVENTS  # noqa: E402  # found beside this file
from load import load, request  # noqa: E402

COLUMNS = {
    "requests_s": "req/s, 32 conn.",
    "cpu_us": "CPU us/req",
    "p50_us": "p50 us",
    "p99_us": "p99 us",
    "events_s": "events/s",
    "stream_us": "stream p50 us",
    "rss_mb": "RSS MB",
    "start_s": "start s",
}
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


# --- processes --------------------------------------------------------------------------------------------------------


def cores() -> tuple[set[int], set[int]]:
    """One core for the proxy and the others for load and upstream; all for both where there is only one."""
    free = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(free) < 2:
        return set(free), set(free)
    return {free[0]}, {free[1]}


@contextlib.contextmanager
def running(command: list[str], on: set[int], stderr: int | None = None) -> Iterator[subprocess.Popen[str]]:
    """A child process on these cores, ended by its own id whatever happens."""
    pin = (lambda: os.sched_setaffinity(0, on)) if on else None
    child = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        cwd=ROOT,
        preexec_fn=pin,  # noqa: PLW1509
    )
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(15)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def port_of(child: subprocess.Popen[str]) -> int:
    """The port that a child prints as its first line."""
    assert child.stdout is not None
    line = child.stdout.readline()
    if not line.strip().isdigit():
        raise SystemExit(f"bench: {child.args} did not start")
    return int(line)


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
        written = Path(folder, RECORDS).read_bytes().count(b"\n")
    if written != counted:
        raise SystemExit(f"bench: {counted} exchanges, and {written} records on disk")


@contextlib.contextmanager
def served(text: str, on: set[int], folder: Path, code: Path = ROOT) -> Iterator[tuple[int, int, int, float]]:
    """The gateway with a rules file: port, admin port, process id and seconds to its first answer."""
    file = folder / "rules.yaml"
    file.write_text(text)
    port, admin = _free_port(), _free_port()
    words = [sys.executable, str(code / "server.py"), str(file), "--port", str(port), "--admin", f"127.0.0.1:{admin}"]
    began = time.perf_counter()
    with running(words, on, stderr=subprocess.DEVNULL) as child:
        while not _answers(port):
            if child.poll() is not None or time.perf_counter() - began > 30:
                raise SystemExit("bench: server.py did not start")
            time.sleep(0.01)
        yield port, admin, child.pid, time.perf_counter() - began


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


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


NGINX = """worker_processes 1; daemon off; pid {folder}/pid; error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; keepalive_requests 1000000;
  upstream canned {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port};
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    location / {{ proxy_pass http://canned; }}
  }}
}}
"""


@contextlib.contextmanager
def nginx(upstream: int, on: set[int]) -> Iterator[tuple[int, int] | None]:
    """Nginx in front of the canned upstream: port and process id of its worker; None where it is not installed."""
    binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if binary is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        port = _free_port()
        Path(folder, "conf").write_text(NGINX.format(folder=folder, upstream=upstream, port=port))
        with running([binary, "-p", folder, "-c", f"{folder}/conf"], on, stderr=subprocess.DEVNULL) as child:
            until = time.monotonic() + 5
            while not _answers(port):
                if time.monotonic() > until:
                    raise SystemExit("bench: nginx did not start")
                time.sleep(0.01)
            children = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
            yield port, int(children[0]) if children else child.pid


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as asked:
        asked.sendall(request(port))
        return asked.recv(12) == b"HTTP/1.1 200"
    return False


def busy(pid: int) -> float:
    """Seconds of CPU time that a process has used, where /proc tells: what others do on the machine hardly shows."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def memory(pid: int) -> float:
    """Megabytes resident, where /proc tells."""
    with contextlib.suppress(OSError):
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
        if found:
            return int(found[1]) / 1024
    return 0.0


# --- measuring --------------------------------------------------------------------------------------------------------


def measure(port: int, seconds: float, pid: int) -> dict[str, float]:
    """One round with one server: many connections, one connection, streams."""
    load(port, min(seconds, 0.5), 4)  # warm
    before = busy(pid)
    many = load(port, seconds, 32)
    used = busy(pid) - before
    one = load(port, seconds, 1)
    streams = load(port, seconds, 8, stream=True)
    failed = many.failed + one.failed + streams.failed
    if failed:
        raise SystemExit(f"bench: {failed} answers of port {port} were not 200 or did not come")
    return {
        "requests_s": by_wrk(port, seconds) or many.per_second,
        "cpu_us": used / len(many.took) * 1e6,
        "p50_us": one.percentile(0.5),
        "p99_us": one.percentile(0.99),
        "events_s": streams.per_second * EVENTS,
        "stream_us": streams.percentile(0.5),
    }


def by_wrk(port: int, seconds: float) -> float | None:
    """Requests a second as wrk counts them, if it is installed: it costs its core less than our own generator."""
    wrk = shutil.which("wrk")
    if wrk is None:
        return None
    body = request(port).partition(b"\r\n\r\n")[2].decode()
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(f'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\nwrk.body = [[{body}]]\n')
        script.flush()
        said = subprocess.run(
            [
                wrk,
                "-t1",
                "-c32",
                f"-d{max(1, round(seconds))}s",
                "-s",
                script.name,
                f"http://127.0.0.1:{port}/v1/chat/completions",
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    return float(found[1]) if found else None


def one_round(sizes: list[int], seconds: float, on: tuple[set[int], set[int]]) -> dict[str, dict[str, float]]:
    """Every server once, in turn."""
    proxy, others = on
    found: dict[str, dict[str, float]] = {}
    with running([sys.executable, str(HERE / "canned.py")], others) as canned:
        port = port_of(canned)
        upstream = f"http://127.0.0.1:{port}"
        found["floor"] = measure(port, seconds, canned.pid)
        with running([sys.executable, str(HERE / "bare.py"), upstream], proxy) as bare:
            bare_port = port_of(bare)
            idle = memory(bare.pid)
            found["bare"] = {**measure(bare_port, seconds, bare.pid), "rss_mb": idle}
        with nginx(port, proxy) as native:
            if native is not None:
                found["nginx"] = measure(native[0], seconds, native[1])
        for count in sizes:
            with ours(count, upstream, proxy) as (our_port, pid, start):
                idle = memory(pid)
                found[f"{count} rules"] = {**measure(our_port, seconds, pid), "rss_mb": idle, "start_s": start}
        if sizes and compiled():
            with ours(max(sizes), upstream, proxy, NATIVE) as (our_port, pid, start):
                idle = memory(pid)
                found["compiled"] = {**measure(our_port, seconds, pid), "rss_mb": idle, "start_s": start}
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


def medians(rounds: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """For every server and figure the median over the rounds."""
    return {
        name: {figure: statistics.median(each[name][figure] for each in rounds) for figure in figures}
        for name, figures in rounds[0].items()
    }


def table(found: dict[str, dict[str, float]]) -> str:
    """The medians, and how ours stand to the bare path."""
    rows = [f"{'':12}" + "".join(f"{title:>16}" for title in COLUMNS.values()) + f"{'of bare':>10}"]
    for name, figures in found.items():
        cells = "".join(f"{_short(figures.get(figure)):>16}" for figure in COLUMNS)
        rows.append(f"{name:12}{cells}{figures['requests_s'] / found['bare']['requests_s']:>10.2f}")
    return "\n".join(rows)


def _short(figure: float | None) -> str:
    if figure is None:
        return ""
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.2f}"


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
    options.add_argument("--json", action="store_true", help="print figures for machines")
    chosen = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as an interrupt does, this ends the children too
    sizes: list[int] = chosen.rules
    if sizes and not (ROOT / "server.py").exists():
        print("bench: there is no server.py to measure; floor and bare path only", file=sys.stderr)
        sizes = []
    on = cores()
    if on[1]:
        os.sched_setaffinity(0, on[1])
    found = medians([one_round(sizes, chosen.seconds, on) for _ in range(chosen.rounds)])
    method = {
        "pinned": on[0] != on[1],
        "load": "wrk" if shutil.which("wrk") else "own",
        "rounds": chosen.rounds,
        "seconds": chosen.seconds,
        "python": sys.version.split()[0],
        **parts(),
    }
    print(json.dumps({"method": method, "medians": found}, indent=1) if chosen.json else f"{table(found)}\n{method}")


if __name__ == "__main__":
    main()
