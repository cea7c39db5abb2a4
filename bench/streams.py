"""What rules cost streams: events a second on one core and the delay of the first byte, beside a bare pass-through.

One command, `python bench/streams.py`: with two cores or more the proxy has one to itself; load and canned upstream
share the other. Each round asks in turn
  bare      aiohttp on both sides, no rules (bare.py)
  no rule   `server.py`, chunks leave as they came
  log only  a rule that notes on every stream
  record    a record with usage and cost in a file: usage is asked for, and taken out again
  texts     the same with what was said
  redact    every event's text is searched for secrets as it comes
  listen    every event's text is searched for words that would cut the stream
  held      a response rule must see the whole answer first
and the medians over the rounds are printed. Figures of one run may be compared with each other, not with those of
other machines.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from canned import EVENTS  # noqa: E402  # found beside this file
from figures import medians  # noqa: E402
from load import load, request  # noqa: E402
from processes import cores, port_of, running  # noqa: E402
from proxy import served  # noqa: E402

ASKED = 100  # streams whose first byte is timed, one after the other
RULES: dict[str, list[dict[str, Any]]] = {
    "no rule": [],
    "log only": [{"name": "r", "phase": "log", "actions": [{"tag": "seen"}]}],
    "record": [{"name": "r", "phase": "log", "actions": [{"log_to": "audit"}]}],
    "texts": [{"name": "r", "phase": "log", "actions": [{"log_to": {"sink": "audit", "content": "full"}}]}],
    "redact": [{"name": "r", "phase": "stream", "actions": [{"redact": {"patterns": ["secret.*"]}}]}],
    "listen": [
        {
            "name": "r",
            "phase": "stream",
            "match": {"completion_text": {"contains_any": ["forbidden", "secret"]}},
            "actions": [{"reject": "no"}],
        }
    ],
    "held": [
        {
            "name": "r",
            "phase": "response",
            "match": {"completion_text": {"contains": "forbidden"}},
            "actions": [{"reject": "no"}],
        }
    ],
}


def rules(name: str, upstream: str) -> str:
    """The rules file of a column."""
    recording = name in ("record", "texts")
    more = {"sinks": {"audit": {"file": "audit.jsonl"}}, "prices": {"bench": {"input": 1, "output": 2}}}
    upstreams = {"canned": {"base_url": f"{upstream}/v1"}}
    return json.dumps({"version": 1, "upstreams": upstreams, **(more if recording else {}), "rules": RULES[name]})


def measure(port: int, seconds: float) -> dict[str, float]:
    """Events a second over eight connections, and the median delay of the first event on one."""
    load(port, min(seconds, 0.5), 4, stream=True)  # warm
    streams = load(port, seconds, 8, stream=True)
    if streams.failed:
        raise SystemExit(f"bench: {streams.failed} streams of port {port} did not come")
    return {"events_s": streams.per_second * EVENTS, "first_us": statistics.median(_first(port) for _ in range(ASKED))}


def _first(port: int) -> float:
    """Microseconds from a request to the first event of its stream."""
    with socket.create_connection(("127.0.0.1", port), 5) as asked:
        began = time.perf_counter()
        asked.sendall(request(port, stream=True))
        answer = b""
        while b"data:" not in answer:
            answer += asked.recv(65536)
        return (time.perf_counter() - began) * 1e6


def one_round(seconds: float, on: tuple[set[int], set[int]]) -> dict[str, dict[str, float]]:
    """Every column once, in turn."""
    proxy, others = on
    found: dict[str, dict[str, float]] = {}
    with running([sys.executable, str(HERE / "canned.py")], others) as canned:
        upstream = f"http://127.0.0.1:{port_of(canned)}"
        with running([sys.executable, str(HERE / "bare.py"), upstream], proxy) as bare:
            found["bare"] = measure(port_of(bare), seconds)
        for name in RULES:
            with (
                tempfile.TemporaryDirectory() as folder,
                served(rules(name, upstream), proxy, Path(folder)) as (port, *_),
            ):
                found[name] = measure(port, seconds)
    return found


def table(found: dict[str, dict[str, float]]) -> str:
    """The medians, and what each adds to the bare path's first byte."""
    rows = [f"{'':10}{'events/s':>12}{'of bare':>10}{'first byte us':>16}{'added us':>10}"]
    bare = found["bare"]
    for name, told in found.items():
        share, added = told["events_s"] / bare["events_s"], told["first_us"] - bare["first_us"]
        rows.append(f"{name:10}{told['events_s']:>12,.0f}{share:>10.2f}{told['first_us']:>16,.0f}{added:>10,.0f}")
    return "\n".join(rows)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=2.0, help="of load for each figure (default 2)")
    options.add_argument("--rounds", type=int, default=3, help="over which medians are taken (default 3)")
    options.add_argument("--json", action="store_true", help="print figures for machines")
    chosen = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as an interrupt does, this ends the children too
    on = cores()
    if on[1]:
        os.sched_setaffinity(0, on[1])
    found = medians([one_round(chosen.seconds, on) for _ in range(chosen.rounds)])
    print(json.dumps(found, indent=1) if chosen.json else table(found))


if __name__ == "__main__":
    main()
