"""Microseconds per exchange at any number of rules, beside a loop over jmespath.py and, if installed, zen-engine.

    taskset -c 1 python bench/rules.py            the table
    python bench/rules.py --json --sizes 10,1000  for machines

One process, one core, no sockets: a decoded body goes through the request phase of the compiled Program. Figures are
medians of rounds. Ten rules match, whatever the number of rules. `matched` runs the ten rules' actions too (`tag`).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import tracemalloc
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from engine.document.dialects import DIALECTS  # noqa: E402  the path comes first
from engine.document.exchange import Exchange  # noqa: E402
from engine.phases import REQUEST  # noqa: E402
from engine.proxy.gateway import SystemClock  # noqa: E402
from engine.rules.compile import compile_program  # noqa: E402
from engine.rules.load import load  # noqa: E402
from engine.runtime.executor import run_now  # noqa: E402

MATCHING = 10
SIZES = (10, 100, 1_000, 10_000)
KINDS = ("equality", "regex", "mixed", "unindexable")
SHORT = "Please summarise ticket 4711 for the customer, in two sentences."
LONG = (SHORT + " The quick brown fox jumps over the lazy dog. ") * 92


def condition(kind: str, number: int, total: int) -> str:
    """The match of one rule; the last ten hold."""
    hit = number >= total - MATCHING
    sorts = {"equality": 0, "regex": 1, "unindexable": 3}
    sort = sorts.get(kind, number % 3)
    if sort == 0:
        header = "x-team" if number % 2 else "x-tier"
        return f"{{headers.{header}: {'core' if hit else f'team-{number}'}, stream: false}}"
    if sort == 1:
        pattern = "ticket [0-9]+" if hit else f"case-{number}-[a-f]+"
        return f"{{prompt_text: {{matches: '{pattern}'}}, request.model: {{starts_with: gpt}}}}"
    if sort == 2:
        value = "gpt-4o" if hit else f"model-{number}"
        return f"request.model == '{value}' && !stream"
    return f"length(request.messages) == `{1 if hit else number + 2}`"


def rules_file(kind: str, total: int) -> str:
    """A rules file of `total` rules, of which ten match."""
    lines = ["rules:"]
    for number in range(total):
        lines += [
            f"  - name: rule-{number}",
            f"    match: {condition(kind, number, total)}",
            "    actions:",
            f"      - tag: t{number % 7}",
        ]
    return "\n".join(lines) + "\n"


def body(prompt: str) -> dict[str, Any]:
    """A chat request."""
    return {
        "model": "gpt-4o",
        "temperature": 0.2,
        "stream": False,
        "user": "alice",
        "max_tokens": 256,
        "messages": [{"role": "user", "content": prompt}],
    }


def timed(work: Callable[[], Any], seconds: float = 0.2, rounds: int = 5) -> float:
    """Microseconds of one call: the median of rounds, each long enough to be trusted."""
    work()
    began = perf_counter()
    work()
    times = max(3, int(seconds / max(perf_counter() - began, 1e-7)))
    figures = []
    for _ in range(rounds):
        began = perf_counter()
        for _ in range(times):
            work()
        figures.append((perf_counter() - began) / times * 1e6)
    return median(figures)


def exchange_of(program: Any, request: dict[str, Any]) -> Exchange:
    """An exchange as it stands when the request phase begins."""
    x = Exchange(program, CLOCK)
    x.raw_headers = [("X-Team", "core"), ("X-Tier", "core"), ("User-Agent", "bench")]
    x.dialect, x.call_type = DIALECTS["completion"], "completion"
    x.original = x.request = request
    return x


CLOCK = SystemClock()


def measure(kind: str, total: int) -> dict[str, Any]:
    """All figures of one set of rules."""
    text = rules_file(kind, total)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "rules.yaml")
        with open(path, "w") as file:
            file.write(text)
        loads, compiles = [], []
        for _ in range(3 if total <= 1_000 else 1):
            began = perf_counter()
            loaded = load(path)
            loads.append(perf_counter() - began)
            assert loaded.fine, [problem.message for problem in loaded.problems][:3]
            began = perf_counter()
            program = compile_program(loaded)
            compiles.append(perf_counter() - began)
    figures: dict[str, Any] = {
        "kind": kind,
        "rules": total,
        "load_ms": median(loads) * 1e3,
        "compile_ms": median(compiles) * 1e3,
        "bytes_per_rule": memory(text, total),
    }
    plan = program.plan(REQUEST, "completion")
    assert plan is not None
    rest = len(getattr(plan.lookup, "rest", plan.steps))
    figures["indexed"] = 1 - rest / total
    for name, prompt in (("short", SHORT), ("long", LONG)):
        request = body(prompt)
        x = exchange_of(program, request)
        run_now(plan, x)
        assert len(x.matched) == MATCHING, (kind, total, x.matched[:20])
        whole = timed(lambda request=request: run_now(plan, exchange_of(program, request)))
        bare = timed(lambda request=request: exchange_of(program, request))
        figures[f"{name}_us"] = whole - bare
    return figures


def memory(text: str, total: int) -> float | None:
    """Bytes a rule takes once compiled; only measured up to a thousand, for the tracing is slow."""
    if total > 1_000:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "rules.yaml")
        with open(path, "w") as file:
            file.write(text)
        tracemalloc.start()
        program = compile_program(load(path))
        taken = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    return taken / len(program.rule_names)


# --- the peers --------------------------------------------------------------------------------------------------------


def document(prompt: str) -> dict[str, Any]:
    """What the peers look at: everything made beforehand, which they are not charged for."""
    return {
        "request": body(prompt),
        "headers": {"x-team": "core", "x-tier": "core"},
        "stream": False,
        "prompt_text": prompt,
    }


def peer_jmespath(total: int) -> float:
    """A loop over compiled jmespath.py expressions, one comparison and one conjunction each."""
    import jmespath

    expressions = [jmespath.compile(f"headers.\"x-team\" == 'team-{number}' && !stream") for number in range(total)]
    seen = document(SHORT)
    return timed(lambda: [one.search(seen) for one in expressions])


def peer_zen(total: int) -> float | None:
    """The same expressions in zen-engine, compiled if its Python package can."""
    try:
        import zen
    except ImportError:
        return None
    expressions = [zen.compile_expression(f"team == 'team-{number}' and not stream") for number in range(total)]
    seen = {"team": "core", "stream": False}
    return timed(lambda: [one.evaluate(seen) for one in expressions])


def single_predicates() -> dict[str, float]:
    """One condition alone, in microseconds."""
    from engine.catalogue import Scope
    from engine.language.condition import Condition
    from engine.source import Scalar, Source, Span

    found = {}
    for text in (
        "request.model == 'gpt-4o'",
        "request.model == 'gpt-4o' && !stream",
        "length(request.messages) > `3`",
        "contains(prompt_text, 'ticket')",
        "request.messages[?role == 'user'] | [0].content",
    ):
        scope = Scope({})
        test = Condition.read(Scalar(text, Span(Source("bench", text), 0, len(text))), scope).compile()
        x = exchange_of(None, body(SHORT))
        found[text] = timed(lambda test=test, x=x: test(x), 0.05)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    sizes = [int(size) for size in given.sizes.split(",")]
    rows = [measure(kind, size) for kind in given.kinds.split(",") for size in sizes]
    peers = {
        "jmespath.py": {size: peer_jmespath(size) for size in sizes if size <= 1_000},
        "zen-engine": {size: peer_zen(size) for size in sizes if size <= 1_000},
    }
    singles = single_predicates()
    if given.json:
        print(json.dumps({"rules": rows, "peers_us": peers, "single_us": singles}, indent=1))
        return
    heads = ("short µs", "10 kB µs", "indexed", "load ms", "compile ms", "B/rule")
    print(f"{'kind':12} {'rules':>6} " + " ".join(f"{head:>10}" for head in heads))
    for row in rows:
        per_rule = "" if row["bytes_per_rule"] is None else f"{row['bytes_per_rule']:.0f}"
        print(
            f"{row['kind']:12} {row['rules']:6} {row['short_us']:10.1f} {row['long_us']:10.1f} {row['indexed']:10.0%} "
            f"{row['load_ms']:10.0f} {row['compile_ms']:10.0f} {per_rule:>10}"
        )
    for name, figures in peers.items():
        for size, figure in figures.items():
            print(f"{name:12} {size:6} {'not installed' if figure is None else f'{figure:9.1f}'}")
    for text, figure in singles.items():
        print(f"{figure:6.2f} µs  {text}")


if __name__ == "__main__":
    main()
