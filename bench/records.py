"""Microseconds per record, step by step: made and put on the event loop, written by the sink's thread.

    taskset -c 1 python bench/records.py                the table
    python bench/records.py --json --records 20000      for machines

One process, one core, no sockets. The exchange is a chat call of 330 bytes on which ten rules have matched, answered
by an upstream. All figures are CPU time, so that other processes count little: of one thread for the steps, of all of
the process for `all of it`, which is records made, put and written; it fails if one of them is not in the file.
Figures are medians of rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import process_time, sleep, thread_time
from typing import Any

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from engine.document.dialects import DIALECTS  # noqa: E402  the path comes first
from engine.document.exchange import Exchange  # noqa: E402
from engine.phases import LOG, REQUEST  # noqa: E402
from engine.ports.record_lines import line_of  # noqa: E402
from engine.proxy.gateway import SystemClock, timing  # noqa: E402
from engine.rules.compile import compile_program  # noqa: E402
from engine.rules.load import load  # noqa: E402
from engine.runtime.executor import run_now  # noqa: E402
from engine.runtime.record import record_of, write_records  # noqa: E402

MATCHING = 10
RULES = """
sinks: {{audit: {{file: audit.jsonl}}}}
rules:
{rules}
  - {{name: log, phase: log, actions: [{{log_to: {{sink: audit, content: {content}}}}}]}}
"""
REQUEST_BODY = {
    "model": "gpt-4o",
    "temperature": 0.2,
    "stream": False,
    "user": "alice",
    "max_tokens": 256,
    "messages": [
        {"role": "system", "content": "You answer in one sentence."},
        {
            "role": "user",
            "content": "Please summarise ticket 4711 for the customer, in two sentences, and be kind." * 2,
        },
    ],
}
ANSWER_BODY = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello!"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 31, "completion_tokens": 2, "total_tokens": 33},
}


def program(folder: str, content: str) -> Any:
    """Rules of which ten match, and one that asks for the record."""
    rules = "\n".join(
        f"  - {{name: rule-{number}, match: {{request.model: gpt-4o}}, actions: [{{tag: t{number}}}]}}"
        for number in range(MATCHING)
    )
    file = Path(folder, "rules.yaml")
    file.write_text(RULES.format(rules=rules, content=content))
    return compile_program(load(str(file)))


def exchange(rules: Any) -> Exchange:
    """An exchange that is over."""
    x = Exchange(rules, SystemClock())
    x.id, x.path, x.call_type, x.dialect = (
        "req-0123456789abcdef00000001",
        "/v1/chat/completions",
        "completion",
        DIALECTS["completion"],
    )
    x.request = x.original = x.sent = REQUEST_BODY
    x.model_requested = "gpt-4o"
    x.raw_headers = [("host", "a"), ("user-agent", "bench"), ("content-type", "application/json")]
    run_now(rules.plan(REQUEST, "completion"), x)
    x.upstream = {"name": "openai", "model": "gpt-4o", "attempt": 1}
    x.called, x.waited, x.arrived, x.attempts = x.began, 0.01, x.began + 0.01, 1
    answered(x)
    x.status = 200
    x.timing = timing(x)
    run_now(rules.plan(LOG, "completion"), x)
    return x


def answered(x: Exchange) -> Exchange:
    """The exchange with an answer that nobody has looked at yet."""
    x.response = {"status": 200, "headers": {"content-type": "application/json"}, "body": dict(ANSWER_BODY)}
    x.answered = x.response["body"]
    return x


def each(step: Callable[[], Any], repeat: int) -> float:
    """Microseconds of one step."""
    begin = thread_time()
    for _ in range(repeat):
        step()
    return (thread_time() - begin) / repeat * 1e6


def steps(x: Exchange, content: str, repeat: int) -> dict[str, float]:
    """Each step alone."""
    sink = x.log_requests[0][0]  # type: ignore[index]
    record = record_of(x, content)
    batch = [line_of(record)] * sink.batch
    found = {
        "timing": each(lambda: timing(x), repeat),
        "usage": each(lambda: answered(x).usage, repeat),
        "cost": each(lambda: x.cost, repeat),
        "made, with both": each(lambda: record_of(answered(x), content), repeat),
        "JSON": each(lambda: line_of(record), repeat),
        "put, with JSON": each(lambda: sink.put(record), min(repeat, 4000)),
        "written": each(lambda: sink.write(batch), max(1, repeat // sink.batch)) / sink.batch,
    }
    sink._queue._records.clear()  # noqa: SLF001  it was never started
    return found


def whole(x: Exchange, content: str, count: int, folder: str) -> float:
    """CPU time of the process for one record that is in its file; records come as from a busy loop, in bursts."""
    sink = x.log_requests[0][0]  # type: ignore[index]
    sink.start()
    begin = process_time()
    for number in range(count):
        write_records(answered(x))
        if number % 100 == 99:
            sleep(0.001)
    while sink.written < count and not sink.lost:
        sleep(0.01)
    spent = process_time() - begin
    sink.close()
    lines = sum(text.read_bytes().count(b"\n") for text in Path(folder).glob("audit.jsonl*"))
    if lines != count or sink.lost:
        sys.exit(f"{count} records were put, and {lines} are in the file")
    return spent / count * 1e6


def one_round(content: str, count: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        found = steps(exchange(program(folder, content)), content, count)
    with tempfile.TemporaryDirectory() as folder:
        found["all of it"] = whole(exchange(program(folder, content)), content, count, folder)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--records", type=int, default=20_000, help="records of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")
    given = parser.parse_args()
    table = {}
    for content in ("none", "redacted", "full"):
        rounds = [one_round(content, given.records) for _ in range(given.rounds)]
        table[content] = {name: round(median(one[name] for one in rounds), 2) for name in rounds[0]}
    if given.json:
        print(json.dumps(table, indent=1))
        return
    print(f"{'µs per record':18}" + "".join(f"{name:>17}" for name in table["none"]))
    for content, row in table.items():
        print(f"content {content:10}" + "".join(f"{value:17.2f}" for value in row.values()))


if __name__ == "__main__":
    main()
