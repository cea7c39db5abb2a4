"""Routes on real sockets: pauses, time-outs, upstreams that rest and are probed, the budget of retries."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from running import AUDIT, CHAT, LOG, Running, completion, delta, running
from scripted import Script, Scripted, raw, scripted, stream, whole

from engine.proxy.health import IN_A_ROW, LONGEST, SHORTEST, Health

ANSWER = whole(json.dumps(completion("hello")).encode())
BUSY = whole(b'{"error": {"message": "busy"}}', "503 Busy")
MODELS = "models: {gpt-4o: {upstream: near}, small: {upstream: far}}\n"


def rules(near: Scripted, far: Scripted, route: str) -> str:
    upstreams = {name: {"base_url": f"{one.url}/v1"} for name, one in (("near", near), ("far", far))}
    rule = f"\n  - {{name: way, actions: [{{route: {route}}}]}}"
    return f"upstreams: {json.dumps(upstreams)}\n" + MODELS + AUDIT + "rules:" + rule + LOG


class Served(NamedTuple):
    """Two upstreams and the gateway before them."""

    near: Scripted
    far: Scripted
    run: Running


@asynccontextmanager
async def served(first: Sequence[Script], second: Sequence[Script], route: str, folder: Path) -> AsyncIterator[Served]:
    """Two upstreams, and the gateway before them with one rule."""
    async with scripted(*first) as near, scripted(*second) as far, running(rules(near, far, route), folder) as run:
        yield Served(near, far, run)


async def test_an_upstream_that_fails_rests_and_is_probed(tmp_path: Path) -> None:
    async with served([BUSY], [ANSWER], "{fallbacks: [small]}", tmp_path) as on:
        for _ in range(IN_A_ROW + 3):
            assert (await on.run.post()).status_code == 200
        assert len(on.near.requests) == IN_A_ROW
        on.near.scripts = [ANSWER]
        on.run.gateway.health.of("near")._until = 0.0  # the rest is over
        assert (await on.run.post()).status_code == 200
        assert (len(on.near.requests), len(on.far.requests)) == (IN_A_ROW + 1, IN_A_ROW + 3)
        assert (await on.run.post()).status_code == 200
        assert len(on.near.requests) == IN_A_ROW + 2


async def test_who_is_the_only_one_is_asked_although_it_should_rest(tmp_path: Path) -> None:
    async with served([BUSY], [BUSY], "{retries: 0}", tmp_path) as on:
        for _ in range(IN_A_ROW + 2):
            assert (await on.run.post()).status_code == 503
        assert len(on.near.requests) == IN_A_ROW + 2


async def test_a_retry_waits_as_long_as_it_was_asked_to(tmp_path: Path) -> None:
    soon = whole(b'{"error": {"message": "slow"}}', "429 Slow", "retry-after-ms: 200\r\n")
    async with served([soon, ANSWER], [ANSWER], "{retries: 1, backoff: 0ms}", tmp_path) as on:
        before = time.monotonic()
        assert (await on.run.post()).status_code == 200
        assert time.monotonic() - before >= 0.2


async def test_who_asks_to_wait_too_long_is_left_for_another(tmp_path: Path) -> None:
    late = whole(b'{"error": {"message": "slow"}}', "429 Slow", "retry-after: 3600\r\n")
    async with served([late], [ANSWER], "{retries: 3, backoff: 0ms, fallbacks: [small]}", tmp_path) as on:
        assert (await on.run.post()).status_code == 200
        assert (len(on.near.requests), len(on.far.requests)) == (1, 1)


async def test_a_call_that_takes_too_long_is_given_up_for_another(tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n"
    async with served([raw(head, b"{", then="hang")], [ANSWER], "{timeout: 200ms, fallbacks: [small]}", tmp_path) as on:
        assert (await on.run.post()).status_code == 200
        (record,) = await on.run.records()
        assert (record["attempts"], record["upstream"]) == (2, "far")


async def test_a_stream_may_take_longer_once_it_has_begun(tmp_path: Path) -> None:
    slow = stream([delta("hel"), delta("lo"), delta(finish="stop")], pause=0.15)
    async with served([slow], [ANSWER], "{timeout: 200ms, fallbacks: [small]}", tmp_path) as on:
        answer = await on.run.post(body={**CHAT, "stream": True})
        assert answer.text.endswith("data: [DONE]\n\n")
        assert not on.far.requests


async def test_a_stream_that_has_begun_is_not_begun_again(tmp_path: Path) -> None:
    torn = stream([delta("hel")], then="reset", done=False)
    async with served([torn], [ANSWER], "{retries: 2, backoff: 0ms, fallbacks: [small]}", tmp_path) as on:
        answer = await on.run.post(body={**CHAT, "stream": True})
        assert '"error"' in answer.text
        assert (len(on.near.requests), len(on.far.requests)) == (1, 0)


async def test_retries_are_a_share_of_the_calls(tmp_path: Path) -> None:
    async with served([BUSY], [ANSWER], "{retries: 1, backoff: 0ms}", tmp_path) as on:
        for _ in range(40):
            await on.run.post()
        assert 40 + 10 <= len(on.near.requests) <= 40 + 10 + 40 * 0.2 * 1.25


def test_rests_double_while_probes_fail() -> None:
    now = 0.0
    health = Health(lambda: now)
    for _ in range(IN_A_ROW):
        assert not health.resting("a")
        health.note("a", well=False)
    rests = []
    for _ in range(6):
        began = now
        while health.resting("a"):
            now += 0.5
        rests.append(now - began)
        health.note("a", well=False)
    assert rests == [SHORTEST, 10.0, 20.0, 40.0, LONGEST, LONGEST]
    health.note("a", well=True)
    assert not health.resting("a")
    assert not health.resting("never asked")


def test_only_one_probes() -> None:
    now = 0.0
    health = Health(lambda: now)
    for _ in range(IN_A_ROW):
        health.note("a", well=False)
    now = SHORTEST
    assert [health.resting("a") for _ in range(3)] == [False, True, True]


@pytest.mark.parametrize("body", [CHAT, {**CHAT, "stream": True}], ids=["whole", "streamed"])
async def test_chance_splits_about_evenly(body: dict[str, Any], tmp_path: Path) -> None:
    script = stream([delta("a"), delta(finish="stop")]) if body.get("stream") else ANSWER
    async with served([script], [script], "{split: {gpt-4o: 1, small: 1}}", tmp_path) as on:
        for _ in range(60):
            assert (await on.run.post(body=body)).status_code == 200
        assert 10 < len(on.near.requests) < 50  # beyond this once in ten million runs
        assert len(on.near.requests) + len(on.far.requests) == 60
