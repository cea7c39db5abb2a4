"""What is counted of exchanges, rules, upstreams and sinks, and how Prometheus reads it."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text
from running import AUDIT, CHAT, LOG, Running, completion, delta, eventually, running, upstream
from scripted import raw, scripted, stream, whole
from test_reload import reload

from engine.document.exchange import Exchange
from engine.phases import LOG as LOG_PHASE
from engine.phases import REQUEST
from engine.proxy.exposition import OPENMETRICS, TEXT, exposition, wanted
from engine.proxy.figures import of_process, of_rules
from engine.runtime.families import FAMILIES, Figures, lasting, of_known_rules, together
from engine.runtime.metrics import Metrics
from engine.runtime.reloads import Reloads

ROOT = Path(__file__).parent.parent
ANSWER = whole(json.dumps(completion("hello")).encode())
DOWN = whole(b'{"error": {"message": "busy"}}', "503 Service Unavailable")


async def counted(run: Running) -> Figures:
    """What the gateway has counted once every exchange is over."""
    await run.gateway.settled()
    return run.gateway.metrics.figures(run.gateway.sinks())


# --- exchanges --------------------------------------------------------------------------------------------------------


async def test_an_exchange_is_counted_by_what_it_was_and_what_became_of_it(tmp_path: Path) -> None:
    rules = "rules:\n  - {name: no, match: {request.user: mallory}, actions: [{reject: {message: No., status: 403}}]}\n"
    async with scripted(ANSWER) as up, running(upstream(up.url) + rules, tmp_path) as run:
        for _ in range(3):
            await run.post()
        await run.post(body={**CHAT, "user": "mallory"})
        await run.post(content=b"no json")
        await run.post("/v1/nowhere")
        figures = await counted(run)
    assert figures["pointsman_requests"] == {
        ("completion", "200", "main"): 3,
        ("completion", "403", ""): 1,
        ("completion", "400", ""): 1,
        ("", "404", ""): 1,
    }
    assert figures["pointsman_request_errors"] == {("rule",): 1, ("client",): 2}
    durations = figures["pointsman_request_duration_seconds"]
    assert {labels: sum(found[:-1]) for labels, found in durations.items()} == {
        ("completion", "false"): 5,
        ("", "false"): 1,
    }
    assert {labels: sum(found[:-1]) for labels, found in figures["pointsman_upstream_duration_seconds"].items()} == {
        ("main",): 3
    }
    assert all(found[-1] > 0 for found in figures["pointsman_overhead_seconds"].values())


async def test_a_stream_has_a_time_to_its_first_byte(tmp_path: Path) -> None:
    async with (
        scripted(stream([delta("a"), delta("b"), delta(finish="stop")])) as up,
        running(upstream(up.url) + "rules: []\n", tmp_path) as run,
    ):
        await run.post(body={**CHAT, "stream": True})
        figures = await counted(run)
    (first,) = figures["pointsman_time_to_first_byte_seconds"].values()
    (whole_,) = figures["pointsman_request_duration_seconds"].values()
    assert figures["pointsman_request_duration_seconds"].keys() == {("completion", "true")}
    assert (sum(first[:-1]), 0 < first[-1] <= whole_[-1]) == (1, True)


async def test_what_is_passed_through_has_a_type_of_its_own(tmp_path: Path) -> None:
    rules = upstream("http://127.0.0.1:9") + "server: {passthrough: [/files/*]}\nrules: []\n"
    async with running(rules, tmp_path) as run:
        await run.http.get("/v1/files/abc")
        figures = await counted(run)
    assert figures["pointsman_requests"] == {("passthrough", "502", "main"): 1}
    assert figures["pointsman_upstream_errors"] == {("main", "connection", "502"): 1}


async def test_a_client_that_leaves_is_counted_and_blames_no_upstream(tmp_path: Path) -> None:
    async with scripted(raw(then="hang")) as up, running(upstream(up.url) + "rules: []\n", tmp_path) as run:
        asking = asyncio.create_task(run.post())
        await eventually(lambda: bool(up.requests))
        asking.cancel()
        await asyncio.wait({asking})
        await eventually(lambda: bool(run.gateway.metrics.figures()["pointsman_requests"]))
        figures = await counted(run)
    assert figures["pointsman_requests"] == {("completion", "499", "main"): 1}
    assert figures["pointsman_upstream_calls"] == {("main",): 1}
    assert "pointsman_upstream_errors" not in figures


# --- upstreams --------------------------------------------------------------------------------------------------------


async def test_every_call_of_an_upstream_counts_and_every_failed_one(tmp_path: Path) -> None:
    rules = """
rules:
  - {name: again, phase: failure, actions: [{retry: {times: 3, backoff: 1ms}}]}
"""
    broken = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{", then="close")
    async with scripted(DOWN, broken, DOWN, ANSWER) as up, running(upstream(up.url) + rules, tmp_path) as run:
        assert (await run.post()).status_code == 200
        figures = await counted(run)
    assert figures["pointsman_upstream_calls"] == {("main",): 4}
    assert figures["pointsman_upstream_errors"] == {("main", "upstream", "503"): 2, ("main", "connection", "502"): 1}
    assert figures["pointsman_requests"] == {("completion", "200", "main"): 1}
    assert figures["pointsman_request_errors"] == {}


async def test_a_stream_that_breaks_is_a_failed_call(tmp_path: Path) -> None:
    torn = stream([delta("a")], done=False, then="close")
    async with scripted(torn) as up, running(upstream(up.url) + "rules: []\n", tmp_path) as run:
        await run.post(body={**CHAT, "stream": True})
        figures = await counted(run)
    assert figures["pointsman_upstream_errors"] == {("main", "connection", "502"): 1}
    assert figures["pointsman_request_errors"] == {("connection",): 1}


# --- rules ------------------------------------------------------------------------------------------------------------

KINDS = """
callbacks: [hooks.Tagging]
rules:
  - {name: acts, actions: [{tag: a}]}
  - {name: changes-nothing, actions: [{default: {model: other}}]}
  - {name: only-looks, mode: observe, actions: [{reject: No.}]}
  - {name: has-exceptions, unless: request.model == 'gpt-4o', actions: [{tag: b}]}
  - {name: for-nobody, enabled: {percent: 0}, actions: [{tag: c}]}
  - {name: breaks, on_error: skip, actions: [{set_header: {x-a: "{{ lower(request.metadata.n) }}"}}]}
  - {name: never, match: request.model == 'gpt-3', actions: [{tag: d}]}
"""
HOOK = """from engine import Callback

class Tagging(Callback):
    def request(self, context):
        context.tag("hook")
"""


async def test_what_came_of_each_rule_is_counted_with_its_time(tmp_path: Path) -> None:
    (tmp_path / "hooks.py").write_text(HOOK)
    async with scripted(ANSWER) as up, running(upstream(up.url) + KINDS, tmp_path) as run:
        for _ in range(2):
            await run.post(body={**CHAT, "metadata": {"n": 1}})
        figures = await counted(run)
    assert figures["pointsman_rule_outcomes"] == {
        ("acts", "request", "acted"): 2,
        ("changes-nothing", "request", "noop"): 2,
        ("only-looks", "request", "would"): 2,
        ("has-exceptions", "request", "excepted"): 2,
        ("for-nobody", "request", "skipped"): 2,
        ("breaks", "request", "error"): 2,
        ("hooks.Tagging", "request", "acted"): 2,
    }
    seconds = figures["pointsman_rule_seconds"]
    assert seconds.keys() == {labels[:2] for labels in figures["pointsman_rule_outcomes"]}
    assert seconds["acts", "request"] > 0


async def test_how_often_the_rules_of_a_phase_were_evaluated(tmp_path: Path) -> None:
    rules = """
rules:
  - {name: first, match: {request.user: mallory}, actions: [{reject: No.}]}
  - {name: each-call, phase: attempt, actions: [{tag: a}]}
  - {name: beside, phase: moderation, match: {request.user: oscar}, actions: [{reject: No.}]}
  - {name: whole, phase: response, actions: [{tag: b}]}
  - {name: live, phase: stream, actions: [{redact: {patterns: [pii.email]}}]}
  - {name: late, phase: log, actions: [{tag: c}]}
"""
    streamed = stream([delta("a"), delta(finish="stop")])
    async with scripted(ANSWER, ANSWER, streamed) as up, running(upstream(up.url) + rules, tmp_path) as run:
        await run.post()
        await run.post(body={**CHAT, "user": "oscar"})
        await run.post(body={**CHAT, "stream": True})
        await run.post(body={**CHAT, "user": "mallory"})
        await run.post("/v1/embeddings", {"model": "m", "input": "x", "user": "mallory"})
        await run.post(content=b"no json")
        figures = await counted(run)
    assert figures["pointsman_rules_evaluated"] == {
        ("request", "completion"): 4,
        ("attempt", "completion"): 3,
        ("moderation", "completion"): 3,
        ("response", "completion"): 2,
        ("stream", "completion"): 1,
        ("log", "completion"): 5,
        ("request", "embeddings"): 1,
        ("log", "embeddings"): 1,
    }


async def test_a_rule_that_is_gone_takes_its_figures_with_it(tmp_path: Path) -> None:
    def rules(*names: str) -> str:
        written = "".join(f"  - {{name: {name}, actions: [{{rate_limit: {{requests: 5/min}}}}]}}\n" for name in names)
        return upstream(up.url) + "rules:\n" + written

    async with scripted(ANSWER) as up, running(rules("stays", "goes"), tmp_path) as run:
        await run.post()
        before = await counted(run)
        reload(run, rules("stays", "comes"))
        await run.post()
        after = await counted(run)
    for name, last in (("pointsman_rule_outcomes", "acted"), ("pointsman_limit_checks", "allowed")):
        middle = "request" if "rule" in name else "requests"
        assert before[name] == {("stays", middle, last): 1, ("goes", middle, last): 1}
        assert after[name] == {("stays", middle, last): 2, ("comes", middle, last): 1}
    assert after["pointsman_requests"] == {("completion", "200", "main"): 2}


async def test_a_thousand_rules_are_a_scrape_of_those_that_matched(tmp_path: Path) -> None:
    rules = [
        {"name": f"rule-{number}", "match": {"request.user": f"user-{number % 500}"}, "actions": [{"tag": "t"}]}
        for number in range(1000)
    ]
    async with scripted(ANSWER) as up, running(upstream(up.url) + json.dumps({"rules": rules})[1:-1], tmp_path) as run:
        await run.post(body={**CHAT, "user": "user-7"})
        text = exposition(await counted(run)).decode()
    assert set(re.findall(r'rule="([^"]+)"', text)) == {"rule-7", "rule-507"}


async def test_limits_say_who_was_let_pass(tmp_path: Path) -> None:
    rules = """
rules:
  - {name: few, actions: [{rate_limit: {by: request.user, requests: 1/hour, concurrent: 5}}]}
  - {name: fewer, mode: observe, actions: [{rate_limit: {by: request.user, requests: 1/day}}]}
"""
    async with scripted(ANSWER) as up, running(upstream(up.url) + rules, tmp_path) as run:
        statuses = [(await run.post(body={**CHAT, "user": "a"})).status_code for _ in range(2)]
        figures = await counted(run)
    assert statuses == [200, 429]
    assert figures["pointsman_limit_checks"] == {
        ("few", "requests", "allowed"): 1,
        ("few", "requests", "refused"): 1,
        ("few", "concurrent", "allowed"): 1,
        ("fewer", "requests", "allowed"): 1,
        ("fewer", "requests", "would"): 1,
    }


# --- what others count ------------------------------------------------------------------------------------------------


COUNTS_TOKENS = """
models: {fast: {}, "fast-*": {}}
prices: {fast: {input: 1000000, output: 500000}}
"""


async def test_tokens_and_dollars_have_only_models_that_the_file_names(tmp_path: Path) -> None:
    rules = COUNTS_TOKENS + AUDIT + "rules:\n" + LOG
    told = stream([delta("a"), delta(finish="stop"), json.dumps({"choices": [], "usage": completion("")["usage"]})])
    async with scripted(ANSWER, ANSWER, told, DOWN) as up, running(upstream(up.url) + rules, tmp_path) as run:
        for model in ("fast", "fast-made-up-by-a-client"):
            await run.post(body={**CHAT, "model": model})
        await run.post(body={**CHAT, "model": "fast", "stream": True})
        await run.post(body={**CHAT, "model": "fast"})
        figures = await counted(run)
    assert figures["pointsman_tokens"] == {
        ("fast", "main", "prompt"): 2,
        ("fast", "main", "completion"): 4,
        ("other", "main", "prompt"): 1,
        ("other", "main", "completion"): 2,
    }
    assert figures["pointsman_cost_usd"]["fast", "main"] == 2 * (1 + 2 * 0.5)


async def test_tokens_that_nobody_asks_for_are_not_counted(tmp_path: Path) -> None:
    async with scripted(ANSWER) as up, running(upstream(up.url) + COUNTS_TOKENS + "rules: []\n", tmp_path) as run:
        await run.post(body={**CHAT, "model": "fast"})
        figures = await counted(run)
    assert figures["pointsman_tokens"] == {}


async def test_answers_found_in_a_cache_are_counted_and_cost_no_tokens(tmp_path: Path) -> None:
    rules = COUNTS_TOKENS + AUDIT + "rules:\n  - {name: keep, actions: [{cache: {ttl: 60s}}]}\n" + LOG
    async with scripted(ANSWER) as up, running(upstream(up.url) + rules, tmp_path) as run:
        for _ in range(3):
            await run.post(body={**CHAT, "model": "fast"})
            await run.gateway.settled()
        figures = await counted(run)
    assert figures["pointsman_cache_lookups"] == {("hit",): 2, ("miss",): 1}
    assert figures["pointsman_tokens"]["fast", "main", "prompt"] == 1
    assert figures["pointsman_requests"] == {("completion", "200", "main"): 3}


async def test_a_store_that_is_down_is_counted(tmp_path: Path) -> None:
    rules = """
stores: {gone: {redis: "redis://127.0.0.1:9/0"}}
rules:
  - {name: few, actions: [{rate_limit: {requests: 5/min, store: gone, on_store_error: allow}}]}
  - {name: keep, actions: [{cache: {ttl: 60s, store: gone}}]}
"""
    async with scripted(ANSWER) as up, running(upstream(up.url) + rules, tmp_path) as run:
        assert (await run.post()).status_code == 200
        figures = await counted(run)
    assert figures["pointsman_store_errors"]["redis",] >= 2
    assert figures["pointsman_cache_lookups"] == {("miss",): 1}
    assert "pointsman_limit_checks" not in figures


async def test_a_sink_goes_on_counting_when_another_takes_its_name(tmp_path: Path) -> None:
    rules = f"server: {{drain: 0s}}\n{AUDIT}rules:\n{LOG}"
    async with scripted(ANSWER) as up, running(upstream(up.url) + rules, tmp_path) as run:
        await run.post()
        await run.records()
        reload(run, upstream(up.url) + rules.replace("audit.jsonl", "second.jsonl"))
        await run.post()
        await eventually((tmp_path / "second.jsonl").exists)
        await eventually(lambda: len(run.gateway.sinks()) == 1)
        await eventually(lambda: run.gateway.program.sinks["audit"].written == 1)
        figures = await counted(run)
    assert figures["pointsman_sink_records"] == {("audit", "written"): 2, ("audit", "failed"): 0, ("audit", "lost"): 0}


async def test_nothing_that_a_client_chooses_becomes_a_label(tmp_path: Path) -> None:
    rules = "models: {'*': {}}\nrules: [{name: all, actions: [{tag: '{{ request.user }}'}]}]\n"
    async with scripted(ANSWER) as up, running(upstream(up.url) + rules, tmp_path) as run:
        await run.post("/v1/chat/completions?tell=oddity", {**CHAT, "model": "oddity", "user": "oddity"})
        await run.post("/v1/oddity", headers={"x-oddity": "oddity", "authorization": "Bearer oddity"})
        await run.http.request("ODDITY", "/v1/chat/completions")
        text = exposition(await counted(run)).decode()
    assert "pointsman_requests_total" in text
    assert "oddity" not in text.lower()


# --- as text ----------------------------------------------------------------------------------------------------------


class Frozen:
    """A clock that stands still."""

    @staticmethod
    def now() -> Any:
        import datetime

        return datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)

    @staticmethod
    def monotonic() -> float:
        return 0.0


def everything() -> Figures:
    """A figure of each metric there is."""
    made: Figures = {}
    for family in FAMILIES.values():
        value = [1.0] * (len(family.bounds) + 1) + [2.5] if family.type == "histogram" else 1.0
        made[family.name] = {tuple(f"{label} value" for label in family.labels): value}
    return made


def samples(text: bytes, read: Any) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for family in read(text.decode())
        for one in family.samples
    }


def test_both_formats_say_the_same_to_prometheus_own_parser() -> None:
    plain = samples(exposition(everything(), TEXT), read_text)
    assert samples(exposition(everything(), OPENMETRICS), read_openmetrics) == plain
    names = {name for name, _ in plain}
    assert "pointsman_requests_total" in names
    assert "pointsman_build_info" in names
    bucket = {
        dict(labels)["le"]: value for (name, labels), value in plain.items() if name.endswith("overhead_seconds_bucket")
    }
    assert list(bucket.values()) == list(range(1, len(bucket) + 1))
    assert list(bucket)[-1] == "+Inf"
    kinds = {family.name: family.type for family in read_openmetrics(exposition(everything(), OPENMETRICS).decode())}
    assert kinds == {family.name: family.type for family in FAMILIES.values()}


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\x85\u2028\u2029\x0b\x0c\x1c\x1d\x1e"))
    )
)
def test_any_text_may_be_the_value_of_a_label(values: list[str]) -> None:
    figures: Figures = {"pointsman_sink_waiting": {(value,): 1.0 for value in values}}
    for kind, read in ((TEXT, read_text), (OPENMETRICS, read_openmetrics)):
        told = samples(exposition(figures, kind), read)
        assert {dict(labels)["sink"] for _, labels in told} == set(values)


def test_the_format_is_the_one_that_is_asked_for() -> None:
    scraper = (
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.4,"
        "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
    )
    for accept, kind in (
        ("", TEXT),
        ("*/*", TEXT),
        ("text/html, */*;q=0.8", TEXT),
        ("application/openmetrics-text", OPENMETRICS),
        ("Application/OpenMetrics-Text; Version=1.0.0; Q=0.9, text/plain;q=0.3", OPENMETRICS),
        ("application/openmetrics-text;q=0.2, text/plain;q=0.3", TEXT),
        ("application/openmetrics-text;q=0, text/plain;q=0", TEXT),
        ("application/openmetrics-text;q=much", TEXT),
        (scraper, OPENMETRICS),
    ):
        assert wanted(accept) == kind, accept


def test_a_process_tells_of_itself() -> None:
    reloads = Reloads(Frozen())
    told = samples(exposition({**of_process(), **of_rules("abc", 7, reloads)}), read_text)
    assert told["pointsman_rules_info", (("version", "abc"),)] == 1
    assert told["pointsman_rules_loaded", ()] == 7
    assert told["process_resident_memory_bytes", ()] > 1_000_000
    assert 1_600_000_000 < told["process_start_time_seconds", ()] < 4_000_000_000
    assert 3 < told["process_open_fds", ()] < told["process_max_fds", ()]


# --- of many processes ------------------------------------------------------------------------------------------------


def exchange(status: int, upstream: str | None, rules: list[str], quarters: int) -> Exchange:
    """What is counted of an exchange; times are sums of halves of milliseconds, which add up exactly."""
    ms = quarters / 4
    x = Exchange(None, Frozen())
    x.call_type, x.status, x.upstream = "completion", status, {"name": upstream} if upstream else None
    x.request = {"stream": status == 200}
    x.asked_phases = 1 << REQUEST.order | 1 << LOG_PHASE.order
    x.error = None if status < 400 else {"source": "rule"}
    x.timing = {"total_ms": ms, "overhead_ms": ms / 2, "ttft_ms": None, "upstream_ms": ms / 2 if upstream else None}
    x.outcomes = [(rule, "request", "acted", "", 250_000_000) for rule in rules]
    return x


EXCHANGES = st.builds(
    exchange,
    st.sampled_from([200, 400, 502]),
    st.sampled_from([None, "a", "b"]),
    st.lists(st.sampled_from(["x", "y"]), max_size=3),
    st.integers(0, 1_000_000),
)


def in_milliseconds(figures: Figures) -> Figures:
    """Sums as they were added up, before a division that rounds."""
    return {
        name: {
            labels: [*value[:-1], round(value[-1] * 1000, 6)] if isinstance(value, list) else value
            for labels, value in cells.items()
        }
        for name, cells in figures.items()
    }


@given(st.lists(st.tuples(st.integers(0, 2), EXCHANGES), max_size=30))
def test_the_sum_over_processes_is_what_one_would_have_counted(parted: list[tuple[int, Exchange]]) -> None:
    one, many = Metrics(), [Metrics() for _ in range(3)]
    for which, x in parted:
        for metrics in (one, many[which]):
            metrics.exchange(x)
            metrics.logged(x)
    ended, *living = [metrics.figures() for metrics in many]
    assert in_milliseconds(together(lasting(ended), *living)) == in_milliseconds(together(one.figures()))


def test_what_ends_with_a_process_and_what_does_not() -> None:
    kept = lasting(everything())
    assert {FAMILIES[name].type for name in kept} == {"counter", "histogram"}
    total = together(everything(), everything(), kept)
    assert total["pointsman_requests_in_flight"] == {(): 2.0}
    assert total["process_start_time_seconds"] == {(): 1.0}
    assert total["pointsman_build"] == {("version value", "python value"): 1.0}
    assert total["process_cpu_seconds"] == {(): 3.0}
    known = of_known_rules(total, frozenset({"rule value"}))
    assert known == total
    gone = of_known_rules(total, frozenset())
    assert {name for name, cells in gone.items() if not cells} == {
        "pointsman_rule_outcomes",
        "pointsman_rule_seconds",
        "pointsman_limit_checks",
    }


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_page_tells_of_every_metric_and_its_labels() -> None:
    page = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    suffix = {"counter": "_total", "info": "_info"}
    for family in FAMILIES.values():
        labels = ", ".join(f"`{label}`" for label in family.labels)
        name = family.name + suffix.get(family.type, "")
        assert re.search(rf"^\| `{name}` \| {family.type} \| {re.escape(labels)} \|", page, re.MULTILINE), name
    shown = set(re.findall(r"\b(?:pointsman|process)_[a-z_]+", page))
    sampled = {
        family.name + part
        for family in FAMILIES.values()
        for part in ("", *suffix.values(), "_bucket", "_sum", "_count")
    }
    assert shown <= sampled
