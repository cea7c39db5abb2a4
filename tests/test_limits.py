"""Limits on real sockets: headers on every answer, slots back in every ending, stores that are down."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import AUDIT, CHAT, LOG, Running, completion, delta, eventually, running, upstream
from scripted import Script, Scripted, raw, scripted, stream, whole

from engine.actions.limit_options import per_time
from engine.ports.limits import windows
from engine.ports.store_memory import MemoryStore
from engine.ports.stores import Claim, StoreError, Stores
from engine.proxy.limit_answers import duration

ANSWER = whole(json.dumps(completion("hello")).encode())
EVENTS = [delta("hel"), delta("lo"), delta(finish="stop")]
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
STREAMED = {**CHAT, "stream": True}
ONE = "\n  - {name: one, match: {request.user: {exists: false}}, actions: [{rate_limit: {concurrent: 1}}]}"


def rules(up: Scripted, written: str = ONE, more: str = "", **options: Any) -> str:
    return upstream(up.url, **options) + AUDIT + more + "rules:" + written + LOG


# --- headers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [CHAT, STREAMED], ids=["whole", "streamed"])
async def test_the_official_client_sees_how_it_stands(body: dict[str, Any], tmp_path: Path) -> None:
    script = stream(EVENTS) if body.get("stream") else ANSWER
    limit = "\n  - {name: few, actions: [{rate_limit: {requests: 2/min, tokens: 1000/min}}]}"
    async with scripted(script) as up, running(rules(up, limit), tmp_path) as run:
        async with openai.AsyncOpenAI(base_url=f"{run.url}/v1", api_key="any", max_retries=0) as sdk:
            got = await sdk.chat.completions.with_raw_response.create(**body)
            await got.http_response.aread()
            assert got.headers["x-ratelimit-limit-requests"] == "2"
            assert got.headers["x-ratelimit-remaining-requests"] == "1"
            assert got.headers["x-ratelimit-limit-tokens"] == "1000"
            await sdk.chat.completions.with_raw_response.create(**CHAT)
            with pytest.raises(openai.RateLimitError) as refused:
                await sdk.chat.completions.create(**CHAT)
        assert refused.value.code == "rate_limit_exceeded"
        assert 29 <= int(refused.value.response.headers["retry-after"]) <= 30
        assert refused.value.response.headers["x-pointsman-rule"] == "few"
        assert len(up.requests) == 2


async def test_the_upstreams_own_limits_are_not_shown_beside_ours(tmp_path: Path) -> None:
    theirs = "content-type: application/json\r\nx-ratelimit-remaining-requests: 999\r\nx-ratelimit-limit-tokens: 7\r\n"
    script = whole(json.dumps(completion("hello")).encode(), headers=theirs)
    limit = "\n  - {name: few, match: {request.model: gpt-4o}, actions: [{rate_limit: {requests: 2/min}}]}"
    async with scripted(script) as up, running(rules(up, limit), tmp_path) as run:
        limited, free = await run.post(), await run.post(body={**CHAT, "model": "other"})
        assert limited.headers.get_list("x-ratelimit-remaining-requests") == ["1"]
        assert limited.headers["x-ratelimit-limit-tokens"] == "7"
        assert free.headers["x-ratelimit-remaining-requests"] == "999"


async def test_a_passed_path_is_limited_too(tmp_path: Path) -> None:
    more = "server: {passthrough: [/files]}\n"
    limit = "\n  - {name: few, actions: [{rate_limit: {requests: 1/min}}]}"
    async with scripted(ANSWER) as up, running(rules(up, limit, more), tmp_path) as run:
        assert (await run.http.get("/v1/files")).status_code == 200
        assert (await run.http.get("/v1/files")).status_code == 429


# --- slots come back --------------------------------------------------------------------------------------------------

Ending = Callable[[Running], Awaitable[None]]


async def asks(run: Running) -> None:
    await run.post()


async def streams(run: Running) -> None:
    with contextlib.suppress(httpx.RemoteProtocolError):
        await run.post(body=STREAMED)


async def leaves(run: Running) -> None:
    with pytest.raises(httpx.ReadTimeout):
        await run.post(timeout=0.2)


async def leaves_the_stream(run: Running) -> None:
    async with run.http.stream("POST", "/v1/chat/completions", json=STREAMED) as answer:
        async for _ in answer.aiter_raw():
            break


HANGS = raw(b"", then="hang")
TORN = raw(HEAD, b"5\r\ndata:\r\n", then="reset")
HALF = raw(HEAD, b"%x\r\ndata: %s\n\n\r\n" % (len(EVENTS[0]) + 8, EVENTS[0].encode()), then="hang")
REFUSES = "\n  - {name: no, phase: response, actions: [{reject: No.}]}"
BREAKS = "\n  - {name: no, phase: response, actions: [{set_var: {a: '{{ upper(response.body.n) }}'}}]}"
GUARDS = "\n  - {name: no, phase: moderation, actions: [{reject: No.}]}"
ENDINGS: dict[str, tuple[Script, Ending, str, dict[str, Any]]] = {
    "an answer": (ANSWER, asks, "", {}),
    "a stream": (stream(EVENTS), streams, "", {}),
    "an error from upstream": (whole(b'{"error": {"message": "no"}}', "500 Error"), asks, "", {}),
    "no JSON": (whole(b"<p>"), asks, "", {}),
    "nobody there": (raw(b"", then="reset"), asks, "", {}),
    "too late": (HANGS, asks, "", {"first_byte": "100ms"}),
    "a torn stream": (TORN, streams, "", {}),
    "a client that leaves": (HANGS, leaves, "", {}),
    "a client that leaves its stream": (HALF, leaves_the_stream, "", {}),
    "a rule that refuses": (ANSWER, asks, REFUSES, {}),
    "a rule that fails": (whole(json.dumps(completion("x", n=1)).encode()), asks, BREAKS, {}),
    "a guard that refuses": (ANSWER, asks, GUARDS, {}),
}


@pytest.mark.parametrize("name", ENDINGS)
async def test_a_slot_comes_back_after(name: str, tmp_path: Path) -> None:
    script, ending, more, options = ENDINGS[name]
    async with scripted(script, ANSWER) as up, running(rules(up, ONE + more, **options), tmp_path) as run:
        await ending(run)
        await eventually((tmp_path / "audit.jsonl").exists)
        await run.gateway.settled()
        assert (await run.post()).status_code != 429
        assert [record["matched"][0] for record in await run.records(2)] == ["one", "one"]


async def test_no_more_at_once_than_there_are_slots(tmp_path: Path) -> None:
    released, at_once, most = asyncio.Event(), 0, 0

    async def slow(talk: Any) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await released.wait()
        at_once -= 1
        await ANSWER(talk)

    five = "\n  - {name: five, actions: [{rate_limit: {concurrent: 5}}]}"
    async with scripted(slow) as up, running(rules(up, five), tmp_path) as run:
        tasks = [asyncio.create_task(run.post()) for _ in range(20)]
        await eventually(lambda: (sum(task.done() for task in tasks), at_once) == (15, 5))
        released.set()
        statuses = [answer.status_code for answer in await asyncio.gather(*tasks)]
        assert (most, statuses.count(200), statuses.count(429)) == (5, 5, 15)
        refused = next(task.result() for task in tasks if task.result().status_code == 429)
        assert refused.headers["retry-after"] == "1"
        await run.gateway.settled()
        assert (await run.post()).status_code == 200


async def test_what_was_counted_stays_counted_over_a_reload(tmp_path: Path) -> None:
    from engine.rules.compile import compile_program
    from engine.rules.load import load

    text = "rules: [{name: few, actions: [{rate_limit: {requests: 2/day}}]}]"
    async with running(text, tmp_path) as run:
        assert (await run.post()).status_code == 200
        (tmp_path / "rules.yaml").write_text(text + "  # another version")
        run.gateway.adopt(compile_program(load(str(tmp_path / "rules.yaml"))))
        assert [(await run.post()).status_code for _ in range(2)] == [200, 429]


# --- stores that are down ---------------------------------------------------------------------------------------------


class Down(MemoryStore):
    """A store that nobody reaches."""

    async def take(self, claims: Any, holder: str) -> Any:
        raise StoreError("nobody there")


class Unsettled(MemoryStore):
    """A store that goes away while an exchange is under way."""

    async def settle(self, uses: Any, holder: str) -> None:
        raise StoreError("gone")


@pytest.mark.parametrize(
    ("limit", "status", "result"),
    [
        ("actions: [{rate_limit: {requests: 1/min}}]", 500, "error"),
        ("on_error: skip, actions: [{rate_limit: {requests: 1/min}}]", 200, "skipped"),
        ("actions: [{rate_limit: {requests: 1/min, on_store_error: allow}}]", 200, "skipped"),
        ("mode: observe, actions: [{rate_limit: {requests: 1/min}}]", 200, "skipped"),
    ],
)
async def test_a_store_that_is_down(limit: str, status: int, result: str, tmp_path: Path) -> None:
    async with scripted(ANSWER) as up, running(rules(up, f"\n  - {{name: few, {limit}}}"), tmp_path) as run:
        run.gateway.stores = Stores(run.gateway.clock, lambda _, clock: Down(clock))
        answer = await run.post()
        assert answer.status_code == status
        if status == 500:
            assert answer.json()["error"]["type"] == "rule_error"
            assert "nobody there" not in answer.text
            assert not up.requests
        outcome = (await run.record())["outcomes"][0]
        assert (outcome["rule"], outcome["result"], outcome["why"]) == (
            "few",
            result,
            "the store is down: nobody there",
        )


async def test_a_store_that_goes_away_harms_no_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with scripted(ANSWER) as up, running(rules(up), tmp_path) as run:
        run.gateway.stores = Stores(run.gateway.clock, lambda _, clock: Unsettled(clock))
        assert (await run.post()).status_code == 200
        assert (await run.record())["status"] == 200
        assert "limits are not settled" in caplog.text


async def test_what_one_store_gave_is_given_back_when_another_refuses(tmp_path: Path) -> None:
    class Full(MemoryStore):
        async def take(self, claims: Any, holder: str) -> Any:
            found = await super().take(claims, holder)
            for standing in found:
                standing.fits = False
            return found

    limits = """
  - name: both
    actions: [{rate_limit: {requests: 1/min}}, {rate_limit: {requests: 1/min, concurrent: 1, store: other}}]"""
    more = "stores: {other: {sqlite: other.db}}\n"
    async with scripted(ANSWER) as up, running(rules(up, limits, more), tmp_path) as run:
        stores = Stores(
            run.gateway.clock, lambda store, clock: (MemoryStore if store.address == "memory" else Full)(clock)
        )
        run.gateway.stores = stores
        assert [(await run.post()).status_code for _ in range(2)] == [429, 429]
        assert not up.requests
        free = await stores(memory_entry()).take([rate_of(run)], "test")
        assert free[0].fits


def memory_entry() -> Any:
    from engine.ports.stores import memory

    return memory()


def rate_of(run: Running) -> Claim:
    """The claim that the rule `both` makes for this test's client on the first store."""
    from engine.ports.stores import Rate

    return Rate("both//requests/60/127.0.0.1", 1, 60.0)


# --- the parts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "most", "seconds"),
    [("60/min", 60, 60), ("1000/day", 1000, 86400), ("5/10s", 5, 10), ("1 / hour", 1, 3600), ("7/500ms", 7, 0.5)],
)
def test_rates(text: str, most: int, seconds: float) -> None:
    assert per_time(text) == (most, seconds)


@pytest.mark.parametrize("text", ["", "60", "60/", "/min", "0/min", "-1/min", "1.5/min", "6/fortnight", "1/0s", "x/s"])
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(ValueError, match="no rate"):
        per_time(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.0004, "1ms"), (0.12, "120ms"), (1, "1s"), (59.2, "1m0s"), (360, "6m0s"), (7200, "2h0m0s")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(
    at=st.datetimes(datetime.datetime.fromisoformat("2020-01-01"), datetime.datetime.fromisoformat("2040-01-01")),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Pacific/Auckland"]),
    per=st.sampled_from(["day", "month"]),
)
def test_the_windows_of_a_budget_follow_each_other(at: datetime.datetime, zone: str, per: str) -> None:
    now = at.replace(tzinfo=ZoneInfo(zone))
    found = windows(per, now)
    ends = [end for _, end in found]
    assert ends == sorted(set(ends))
    label = next(label for label, end in found if end > now.timestamp())
    assert label == now.strftime("%Y-%m-%d" if per == "day" else "%Y-%m")


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 5)), max_size=60))
async def test_a_rate_is_what_a_bucket_of_water_is(steps: list[tuple[int, int]]) -> None:
    """GCRA against the plain picture: a bucket that holds `limit` and drains evenly."""
    from fractions import Fraction

    from engine.ports.stores import Rate
    from engine.tools.cases_wire import FrozenClock

    clock = FrozenClock(datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))
    store, full = MemoryStore(clock), Fraction(0)
    for pause, cost in steps:
        clock.advance(pause)
        full = max(Fraction(0), full - Fraction(pause, 6))  # 10 a minute
        (standing,) = await store.take([Rate("k", 10, 60.0, cost)], "h")
        fits = full + cost <= 10
        assert standing.fits is fits
        assert standing.retry_after == pytest.approx(0 if fits else float((full + cost - 10) * 6), abs=1e-6)
        full += cost if fits else 0
        assert standing.remaining == pytest.approx(float(10 - full), abs=1e-6)
