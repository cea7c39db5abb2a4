"""What is measured: every metric with its type, its labels and its meaning; and how figures of processes are added.

The text format and docs/metrics.md follow this table. Must not know who counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Value = float | list[float]
"""A number; of a histogram the counts of its buckets, the one without a bound, and the sum."""

Labels = tuple[str, ...]
Figures = dict[str, dict[Labels, Value]]
"""What a process has counted: by metric, by the values of its labels."""

Type = Literal["counter", "gauge", "histogram", "info"]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. A counter's samples are called `NAME_total`, those of an info `NAME_info`.

    `over`: what many processes have together is the sum of theirs, or the most or the least of them.
    """

    name: str
    type: Type
    help: str
    labels: Labels = ()
    bounds: tuple[float, ...] = ()
    over: Literal["sum", "most", "least"] = "sum"


_LONG = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)
_SHORT = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0)

_TABLE = (
    # exchanges
    Family(
        "pointsman_requests",
        "counter",
        "Exchanges that are over. The upstream is the one asked last, empty where none was.",
        ("call_type", "status", "upstream"),
    ),
    Family("pointsman_request_errors", "counter", "Exchanges that ended with an error, by its source.", ("source",)),
    Family(
        "pointsman_request_duration_seconds",
        "histogram",
        "From a request's head to the end of its answer.",
        ("call_type", "stream"),
        _LONG,
    ),
    Family(
        "pointsman_time_to_first_byte_seconds",
        "histogram",
        "From a request's head to the first byte of an answer that is passed on as it comes.",
        ("call_type",),
        _LONG,
    ),
    Family(
        "pointsman_overhead_seconds",
        "histogram",
        "What of a request's duration was not spent waiting for an upstream.",
        ("call_type",),
        _SHORT,
    ),
    Family("pointsman_requests_in_flight", "gauge", "Requests that are being answered now."),
    Family("pointsman_connections", "gauge", "Open connections of clients."),
    # upstreams
    Family("pointsman_upstream_calls", "counter", "Calls made, those made again included.", ("upstream",)),
    Family(
        "pointsman_upstream_errors",
        "counter",
        "Calls that failed: upstream (it answered with an error), timeout, connection.",
        ("upstream", "source", "status"),
    ),
    Family(
        "pointsman_upstream_duration_seconds",
        "histogram",
        "What an exchange waited for upstreams, all its calls together; the upstream is the one asked last.",
        ("upstream",),
        _LONG,
    ),
    # rules
    Family(
        "pointsman_rules_evaluated",
        "counter",
        "Exchanges for which the rules of a phase were evaluated, each once for every phase.",
        ("phase", "call_type"),
    ),
    Family(
        "pointsman_rule_outcomes",
        "counter",
        "What came of a rule whose match held: acted, noop, would, excepted, skipped, error.",
        ("rule", "phase", "result"),
    ),
    Family("pointsman_rule_seconds", "counter", "Time spent in a rule whose match held.", ("rule", "phase")),
    # limits, caches, usage
    Family(
        "pointsman_limit_checks",
        "counter",
        "Limits and budgets asked for: allowed, refused, or would (refused, had the rule not only observed).",
        ("rule", "unit", "result"),
    ),
    Family(
        "pointsman_cache_lookups",
        "counter",
        "Exchanges under a cache rule: hit, miss, skipped (nothing that could be kept).",
        ("result",),
    ),
    Family("pointsman_store_errors", "counter", "Calls of a store that failed, by its kind.", ("kind",)),
    Family(
        "pointsman_tokens",
        "counter",
        "Tokens told by upstreams, where a record, a rule, a limit or a budget reads them.",
        ("model", "upstream", "type"),
    ),
    Family(
        "pointsman_cost_usd",
        "counter",
        "US dollars, where somebody reads them and the price is known.",
        ("model", "upstream"),
    ),
    # sinks
    Family(
        "pointsman_sink_records",
        "counter",
        "Records: written, failed (refused by their place, or no JSON), lost (no room, or not written at the end).",
        ("sink", "result"),
    ),
    Family("pointsman_sink_waiting", "gauge", "Records that wait to be written.", ("sink",)),
    Family("pointsman_sink_spooled", "gauge", "Records that wait on disk.", ("sink",)),
    # the process
    Family("pointsman_reloads", "counter", "Reloads: good (served now), bad (the last good rules serve).", ("result",)),
    Family("pointsman_last_reload_successful", "gauge", "1 unless the last reload was bad.", over="least"),
    Family("pointsman_rules_loaded_timestamp_seconds", "gauge", "When the rules that serve were loaded.", over="least"),
    Family("pointsman_rules_loaded", "gauge", "Number of rules that serve.", over="most"),
    Family("pointsman_rules", "info", "The version of the rules that serve.", ("version",), over="most"),
    Family("pointsman_build", "info", "What runs.", ("version", "python"), over="most"),
    Family("pointsman_workers", "gauge", "Processes that answer requests."),
    Family("pointsman_worker_restarts", "counter", "Processes that ended unasked and were replaced."),
    Family("process_start_time_seconds", "gauge", "When the process began, in Unix time.", over="least"),
    Family("process_cpu_seconds", "counter", "Processor time, user and system."),
    Family("process_resident_memory_bytes", "gauge", "Resident memory; what workers share counts for each."),
    Family("process_open_fds", "gauge", "Open file descriptors."),
    Family("process_max_fds", "gauge", "Most file descriptors that may be open.", over="least"),
)

FAMILIES: dict[str, Family] = {family.name: family for family in _TABLE}


def add(cells: dict[Labels, Value], labels: Labels, number: float) -> None:
    """Add a number to one that may not be there yet."""
    cells[labels] = cells.get(labels, 0) + number  # type: ignore[operator]


def together(*processes: Figures) -> Figures:
    """The figures of processes as if they were one."""
    total: Figures = {}
    for figures in processes:
        for name, cells in figures.items():
            over = FAMILIES[name].over
            known = total.setdefault(name, {})
            for labels, value in cells.items():
                before = known.get(labels)
                known[labels] = value if before is None else _joined(before, value, over)
    return total


def lasting(figures: Figures) -> Figures:
    """What of a process's figures still counts when it has ended: not what was the case, but what happened."""
    return {name: cells for name, cells in figures.items() if FAMILIES[name].type in ("counter", "histogram")}


def _joined(one: Value, other: Value, over: str) -> Value:
    if isinstance(one, list) or isinstance(other, list):
        assert isinstance(one, list)
        assert isinstance(other, list)
        return [a + b for a, b in zip(one, other, strict=True)]
    if over == "sum":
        return one + other
    return max(one, other) if over == "most" else min(one, other)


def of_known_rules(figures: Figures, known: frozenset[str]) -> Figures:
    """The same, of rules only those that are known: one that is no more takes its figures with it."""
    kept = dict(figures)
    for name, cells in figures.items():
        if FAMILIES[name].labels[:1] == ("rule",):
            kept[name] = {labels: value for labels, value in cells.items() if labels[0] in known}
    return kept
