"""Counts what becomes of exchanges: when each is answered, and after its log phase, from what it holds anyway.

Everything is added to numbers in lists that were found by one look-up; names and texts are made when somebody asks.
Labels come from the rules file alone, never from a client. Must not know how figures are shown.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from engine.document.exchange import Exchange
from engine.phases import PHASES
from engine.ports.sinks import Sink
from engine.rules.program import Program
from engine.runtime.families import FAMILIES, Figures, Labels, Value, add

MENDABLE = frozenset({"upstream", "timeout", "connection"})  # sources of errors that are an upstream's

_Histogram = list[Any]  # a count for each bucket, one for what is beyond all, and the sum
_PASSED = "passthrough"


def _bounds(name: str) -> tuple[float, ...]:
    """In milliseconds, as exchanges measure."""
    return tuple(round(bound * 1000, 3) for bound in FAMILIES[name].bounds)


_LONG = _bounds("pointsman_request_duration_seconds")
_SHORT = _bounds("pointsman_overhead_seconds")


def _long() -> _Histogram:
    return [0] * (len(_LONG) + 1) + [0.0]


def _short() -> _Histogram:
    return [0] * (len(_SHORT) + 1) + [0.0]


def _cell() -> list[Any]:
    return [0, 0.0]


def _cells() -> defaultdict[str, list[Any]]:
    return defaultdict(_cell)


class _Sort:
    """Exchanges that have all labels in common: how many, and the histograms that they go into."""

    __slots__ = ("count", "durations", "first_bytes", "overheads", "waits")

    def __init__(self, durations: _Histogram, overheads: _Histogram, firsts: _Histogram, waits: _Histogram) -> None:
        self.count = 0
        self.durations = durations
        self.overheads = overheads
        self.first_bytes = firsts
        self.waits = waits


class Metrics:
    """The counts of a process. All methods are for the thread of its event loop."""

    def __init__(self) -> None:
        self.changes = 0  # grows with everything that exchanges do: whether there is anything new
        self._sorts: dict[tuple[Any, ...], _Sort] = {}
        self._durations: dict[Labels, _Histogram] = defaultdict(_long)
        self._first_bytes: dict[Labels, _Histogram] = defaultdict(_long)
        self._waits: dict[Labels, _Histogram] = defaultdict(_long)
        self._overheads: dict[Labels, _Histogram] = defaultdict(_short)
        self._asked: dict[tuple[Any, ...], int] = defaultdict(int)  # by call type and the phases that were asked
        self._errors: dict[str, int] = defaultdict(int)
        self._outcomes: dict[tuple[str, str], defaultdict[str, list[Any]]] = defaultdict(_cells)
        self._calls: dict[str, int] = defaultdict(int)
        self._usage: dict[Labels, list[Any]] = defaultdict(lambda: [0, 0, 0.0])
        self._counts: dict[str, dict[Labels, float]] = defaultdict(lambda: defaultdict(float))

    # --- counting -----------------------------------------------------------------------------------------------------

    def exchange(self, x: Exchange) -> None:
        """Count an exchange whose client has everything."""
        self.changes += 1
        upstream = x.upstream
        kind: tuple[Any, ...] = (x.call_type, x.status, upstream and upstream["name"], x.stream, x.passed_by)
        sort = self._sorts.get(kind)
        if sort is None:
            sort = self._sorts[kind] = self._sort(*kind)
        sort.count += 1
        timing = x.timing
        if timing is not None:
            _observe(sort.durations, _LONG, timing["total_ms"])
            _observe(sort.overheads, _SHORT, timing["overhead_ms"])
            if timing["ttft_ms"] is not None:
                _observe(sort.first_bytes, _LONG, timing["ttft_ms"])
            if timing["upstream_ms"] is not None:
                _observe(sort.waits, _LONG, timing["upstream_ms"])

    def logged(self, x: Exchange) -> None:
        """Count what is known once the log phase of an exchange is over: it may wait for prices, stores, callbacks."""
        self.changes += 1
        self._asked[x.call_type, x.passed_by, x.asked_phases] += 1
        if x.error is not None:
            self._errors[x.error["source"] or ""] += 1
        if x.outcomes:
            self._rules(x.outcomes)
        if x.caching is not None:
            result = "hit" if x.cache_hit else "miss" if x.cache_headers else "skipped"
            self._counts["pointsman_cache_lookups"][result,] += 1
        if x.answered is not None and not x.cache_hit:
            needs = x.program.needs.get(x.call_type)
            if x.counts_usage or (needs is not None and needs.usage):
                self._spent(x, costs=needs is not None and needs.cost)

    def _sort(self, call_type: str | None, _: Any, upstream: str | None, stream: bool, *rest: Any) -> _Sort:
        kind = _call_type(call_type, rest[-1])
        return _Sort(
            self._durations[kind, "true" if stream else "false"],
            self._overheads[kind,],
            self._first_bytes[kind,],
            self._waits[upstream or "",],
        )

    def _rules(self, outcomes: list[tuple[str, str, str, str, int]]) -> None:
        last = before = None
        cells = self._outcomes["", ""]
        for rule, phase, result, _, nanoseconds in outcomes:
            if result is not last or phase is not before:  # mostly one phase, mostly one result
                cells = self._outcomes[phase, result]
                last, before = result, phase
            cell = cells[rule]
            cell[0] += 1
            cell[1] += nanoseconds

    def _spent(self, x: Exchange, *, costs: bool) -> None:
        """What the upstream told; where nobody else wants to know it, it would have to be found out for this alone."""
        usage = x.usage
        if usage is None:
            return
        model = x.request.get("model") if x.request is not None else None
        if not isinstance(model, str) or model not in (x.program.models.entries or ()):
            model = "other"  # else a client could make as many labels as it likes
        cell = self._usage[model, x.upstream["name"] if x.upstream is not None else ""]
        cell[0] += usage.get("prompt_tokens") or 0
        cell[1] += usage.get("completion_tokens") or 0
        if costs:
            cell[2] += x.program.prices.total(x, usage) or 0.0

    def called(self, x: Exchange) -> None:
        """Count a call of an upstream that is over; its error, if it failed, is the exchange's."""
        assert x.upstream is not None
        name, error = x.upstream["name"], x.error
        self._calls[name] += 1
        if error is not None and error["source"] in MENDABLE:
            self._counts["pointsman_upstream_errors"][name, error["source"], str(error["status"])] += 1

    def limited(self, rule: str, unit: str, *, fits: bool, shadow: bool = False) -> None:
        """Count a limit or a budget that was asked for."""
        result = "allowed" if fits else "would" if shadow else "refused"
        self._counts["pointsman_limit_checks"][rule, unit, result] += 1

    def store_failed(self, kind: str) -> None:
        """Count a call of a store that failed; `kind` is a name such as `redis`."""
        self._counts["pointsman_store_errors"][kind,] += 1

    def sink_ended(self, name: str, sink: Sink) -> None:
        """Keep the counts of a sink that is no more."""
        _add_sink(name, sink, self._counts["pointsman_sink_records"])

    # --- what was counted ---------------------------------------------------------------------------------------------

    def figures(self, sinks: Iterable[tuple[str, Sink]] = ()) -> Figures:
        """All counts so far, those of sinks at work included, as values that nobody changes any more."""
        found: Figures = {name: dict(cells) for name, cells in self._counts.items()}
        for name, sink in sinks:
            _add_sink(name, sink, found.setdefault("pointsman_sink_records", {}))
        requests: dict[Labels, Value] = {}
        for (call_type, status, upstream, _, passed), sort in self._sorts.items():
            add(requests, (_call_type(call_type, passed), str(status), upstream or ""), sort.count)
        asked: dict[Labels, Value] = {}
        for (call_type, passed, phases), count in self._asked.items():
            for phase in PHASES.values():
                if phases >> phase.order & 1:
                    add(asked, (phase.name, _call_type(call_type, passed)), count)
        found["pointsman_requests"] = requests
        found["pointsman_rules_evaluated"] = asked
        found["pointsman_request_errors"] = {(source,): number for source, number in self._errors.items()}
        found["pointsman_upstream_calls"] = {(name,): number for name, number in self._calls.items()}
        for name, histograms in (
            ("pointsman_request_duration_seconds", self._durations),
            ("pointsman_time_to_first_byte_seconds", self._first_bytes),
            ("pointsman_upstream_duration_seconds", self._waits),
            ("pointsman_overhead_seconds", self._overheads),
        ):
            found[name] = {labels: _in_seconds(one) for labels, one in histograms.items() if any(one[:-1])}
        return found | self._of_rules() | self._of_usage()

    def _of_rules(self) -> Figures:
        outcomes: dict[Labels, Value] = {}
        seconds: dict[Labels, Value] = {}
        for (phase, result), cells in self._outcomes.items():
            for rule, (count, spent) in cells.items():
                outcomes[rule, phase, result] = count
                add(seconds, (rule, phase), spent / 1e9)
        return {"pointsman_rule_outcomes": outcomes, "pointsman_rule_seconds": seconds}

    def _of_usage(self) -> Figures:
        tokens: dict[Labels, Value] = {}
        dollars: dict[Labels, Value] = {}
        for labels, (prompt, completion, cost) in self._usage.items():
            tokens[(*labels, "prompt")] = prompt
            tokens[(*labels, "completion")] = completion
            dollars[labels] = cost
        return {"pointsman_tokens": tokens, "pointsman_cost_usd": dollars}

    def forget_all_but(self, rules: frozenset[str]) -> None:
        """Drop what was counted of rules that are no more: a rule that is gone takes its figures with it."""
        for cells in self._outcomes.values():
            for rule in cells.keys() - rules:
                del cells[rule]
        for labels in [one for one in self._counts["pointsman_limit_checks"] if one[0] not in rules]:
            del self._counts["pointsman_limit_checks"][labels]


def rules_of(program: Program) -> frozenset[str]:
    """Every name that outcomes may bear: rules, and entries of `callbacks`."""
    plans = {id(plan): plan for plan in program.plans.values()}.values()
    streams = (rule.step.rule for rules in program.streams.values() for rule in rules)
    return frozenset((*program.rule_names, *program.unheld, *streams, *(s.rule for plan in plans for s in plan.steps)))


def _observe(histogram: _Histogram, bounds: tuple[float, ...], value: float) -> None:
    histogram[bisect_left(bounds, value)] += 1
    histogram[-1] += value


def _call_type(call_type: str | None, passed_by: str | None) -> str:
    return call_type or (_PASSED if passed_by is not None else "")


def _add_sink(name: str, sink: Sink, cells: dict[Labels, Any]) -> None:
    for result, number in (("written", sink.written), ("failed", sink.failed), ("lost", sink.lost)):
        add(cells, (name, result), number)


def _in_seconds(histogram: _Histogram) -> Value:
    return [*histogram[:-1], histogram[-1] / 1000]
