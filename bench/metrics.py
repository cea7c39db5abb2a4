"""Microseconds that metrics and a record cost an exchange, and milliseconds that a scrape takes.

    taskset -c 1 python bench/metrics.py

One process, one core, no sockets. The exchange matched ten of a thousand rules, upstream told its usage, the model has
a price, and a rule sends a record to a sink, which here only takes it. Figures are medians of rounds.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import deque
from typing import Any

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from rules import SHORT, body, exchange_of, rules_file, timed  # noqa: E402  found beside this file

from engine.phases import LOG, REQUEST  # noqa: E402  the path comes first
from engine.proxy.exposition import OPENMETRICS, TEXT, exposition  # noqa: E402
from engine.proxy.gateway import timing  # noqa: E402
from engine.rules.compile import compile_program  # noqa: E402
from engine.rules.load import load  # noqa: E402
from engine.runtime.executor import run_now  # noqa: E402
from engine.runtime.metrics import Metrics  # noqa: E402
from engine.runtime.record import write_records  # noqa: E402

HEAD = """
sinks: {audit: {file: audit.jsonl}}
prices: {gpt-4o: {input: 2.5, output: 10}}
"""
TAIL = "  - {name: record, phase: log, actions: [{log_to: audit}]}\n"
ANSWER = {
    "id": "chatcmpl-1",
    "model": "gpt-4o",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14},
}


def finished(program: Any) -> Any:
    """An exchange as it stands when its log phase begins."""
    x = exchange_of(program, body(SHORT))
    run_now(program.plan(REQUEST, "completion"), x)
    assert len(x.matched) == 10
    x.id, x.status, x.attempts = "req-0123456789abcdef00000001", 200, 1
    x.model_requested = "gpt-4o"
    x.upstream = {"name": "main", "model": "gpt-4o", "attempt": 1}
    x.called = x.began
    x.heard()
    x.asked_phases = 1 << REQUEST.order | 1 << LOG.order
    x.answered = ANSWER
    x.response = {"status": 200, "headers": {"content-type": "application/json"}, "body": ANSWER}
    return x


def of_an_exchange(program: Any) -> dict[str, float]:
    """What is paid for each exchange."""
    x, metrics = finished(program), Metrics()
    program.sinks["audit"].put = deque(maxlen=1000).append  # to queue is what an exchange pays

    def count() -> None:
        metrics.exchange(x)
        metrics.logged(x)

    def record() -> None:
        x.timing = timing(x)
        del x.outcomes[10:], x.matched[10:]
        x.log_requests = None
        run_now(program.plan(LOG, "completion"), x)
        write_records(x)

    def both() -> None:
        record()
        count()

    x.timing = timing(x)
    found = {"timing": timed(lambda: timing(x)), "record": timed(record), "record and metrics": timed(both)}
    found["metrics"] = timed(count)
    found["metrics of a call"] = timed(lambda: metrics.called(x))
    x.answered = x.response = None
    found["metrics without usage and cost"] = timed(count)
    x.outcomes = []
    found["metrics without rules either"] = timed(count)
    return found


def of_a_scrape(program: Any, rules: int) -> dict[str, float]:
    """What a scrape takes of the event loop, and then of a thread, once so many rules have matched."""
    x, metrics = finished(program), Metrics()
    x.timing = timing(x)
    x.outcomes = [(f"rule-{number}", "request", "acted", "", 1e-6) for number in range(rules)]
    metrics.exchange(x)
    metrics.logged(x)
    figures = metrics.figures()
    return {
        "figures": timed(metrics.figures) / 1000,
        "text": timed(lambda: exposition(figures, TEXT)) / 1000,
        "OpenMetrics": timed(lambda: exposition(figures, OPENMETRICS)) / 1000,
        "kB": len(exposition(figures)) / 1000,
    }


def main() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "rules.yaml")
        with open(path, "w") as file:
            file.write(HEAD + rules_file("mixed", 1000) + TAIL)
        program = compile_program(load(path))
    for name, figure in of_an_exchange(program).items():
        print(f"{figure:8.2f} µs  {name}")
    for rules in (10, 1_000, 10_000):
        told = ", ".join(f"{name} {figure:.2f}" for name, figure in of_a_scrape(program, rules).items())
        print(f"scrape with {rules} rules, ms: {told}")


if __name__ == "__main__":
    main()
