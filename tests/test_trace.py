"""The client's trace is joined, and who is asked next becomes a part of the exchange's span."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import completion, running, upstream
from scripted import scripted, whole

from engine.document.trace import Trace, trace_of

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SENT = f"00-{TRACE}-{PARENT}-01"
SPANS = "sinks: {spans: {otlp: 'http://127.0.0.1:9'}}\nrules: [{name: log, phase: log, actions: [{log_to: spans}]}]\n"
FILE = "sinks: {audit: {file: audit.jsonl}}\nrules: [{name: log, phase: log, actions: [{log_to: audit}]}]\n"


def test_the_span_is_a_part_of_the_clients() -> None:
    trace = trace_of(SENT)
    assert (trace.trace_id, trace.parent_id) == (TRACE, PARENT)
    assert re.fullmatch("[0-9a-f]{16}", trace.span_id)
    assert trace.span_id not in (PARENT, trace_of(SENT).span_id)
    assert trace.traceparent == f"00-{TRACE}-{trace.span_id}-01"


def test_flags_are_passed_on() -> None:
    assert trace_of(f"00-{TRACE}-{PARENT}-00").traceparent.endswith("-00")


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "00",
        SENT.upper(),
        SENT + "-more",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[1:]}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-1",
        f"{SENT}, {SENT}",
        f" {SENT}",
    ],
)
def test_what_is_no_traceparent_begins_a_trace_of_its_own(header: str | None) -> None:
    trace = trace_of(header)
    assert re.fullmatch("[0-9a-f]{32}", trace.trace_id)
    assert (trace.trace_id == TRACE, trace.parent_id) == (False, None)


def test_a_later_version_may_say_more() -> None:
    assert trace_of(f"01-{TRACE}-{PARENT}-01-more")[:3:2] == (TRACE, PARENT)


@given(st.text(max_size=80))
def test_whatever_a_client_sends_what_is_passed_on_is_well_formed(header: str) -> None:
    trace = trace_of(header)
    assert trace_of(trace.traceparent)[:3:2] == (trace.trace_id, trace.span_id)
    assert isinstance(trace, Trace)


async def test_with_a_sink_for_spans_the_upstream_is_told_the_exchanges_own(tmp_path: Path) -> None:
    async with (
        scripted(whole(json.dumps(completion("hi")).encode())) as up,
        running(upstream(up.url) + SPANS, tmp_path) as run,
    ):
        await run.post(headers={"traceparent": SENT, "tracestate": "a=1"})
        await run.post()
    joined, begun = (dict(request.headers) for request in up.requests)
    version, trace, span, flags = joined["traceparent"].split("-")
    assert (version, trace, flags, joined["tracestate"]) == ("00", TRACE, "01", "a=1")
    assert span != PARENT
    assert [name for name, _ in up.requests[0].headers].count("traceparent") == 1
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", begun["traceparent"])


async def test_without_one_the_header_passes_as_it_came(tmp_path: Path) -> None:
    async with (
        scripted(whole(json.dumps(completion("hi")).encode())) as up,
        running(upstream(up.url) + FILE, tmp_path) as run,
    ):
        await run.post(headers={"traceparent": SENT})
        await run.gateway.settled()
        await run.post()
        told, untold = await run.records(2)
    assert [dict(request.headers).get("traceparent") for request in up.requests] == [SENT, None]
    assert (told["trace"]["trace_id"], told["trace"]["parent_id"], untold["trace"]) == (TRACE, PARENT, None)


@pytest.mark.parametrize("value", ["'{{ headers.\"x-mine\" }}'", "fixed"])
async def test_a_rule_has_the_last_word(value: str, tmp_path: Path) -> None:
    rules = SPANS.replace("rules: [", f"rules: [{{name: own, actions: [{{set_header: {{traceparent: {value}}}}}]}}, ")
    async with (
        scripted(whole(json.dumps(completion("hi")).encode())) as up,
        running(upstream(up.url) + rules, tmp_path) as run,
    ):
        await run.post(headers={"traceparent": SENT, "x-mine": "fixed"})
    assert dict(up.requests[0].headers)["traceparent"] == "fixed"


async def test_records_tell_exchanges_apart_that_clients_called_the_same(tmp_path: Path) -> None:
    async with (
        scripted(whole(json.dumps(completion("hi")).encode())) as up,
        running(upstream(up.url) + FILE, tmp_path) as run,
    ):
        for _ in range(2):
            await run.post(headers={"x-request-id": "same"})
        one, other = await run.records(2)
    assert one["id"] == other["id"] == "same"
    assert one["trace"]["span_id"] != other["trace"]["span_id"]
    assert 0 < abs(other["trace"]["began"] - one["trace"]["began"]) < 60
