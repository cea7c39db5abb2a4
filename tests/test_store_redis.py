"""Stores in Redis: what a real Valkey counts, what comes back by itself, and what happens while it is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from valkey_server import Valkey

import engine.ports
from engine.catalogue import BAD, Scope, discover
from engine.ports.redis_client import RedisClient
from engine.ports.store_redis import Redis, RedisStore
from engine.ports.stores import Rate, Slots, Spend, StoreError, StoreSection, Used
from engine.rules.yaml_text import compose
from engine.source import Source

discover(engine.ports)
DAYS = (("2026-10-08", 4e9), ("2026-10-09", 5e9))


def read(text: str) -> tuple[Any, Scope]:
    node, problems = compose(Source("rules.yaml", text))
    assert node is not None
    assert not problems
    scope = Scope()
    return StoreSection.read(node, scope), scope


@pytest.fixture
async def store(valkey: Valkey) -> AsyncIterator[RedisStore]:
    opened = RedisStore(RedisClient(valkey.url), "t")
    yield opened
    await opened.close()


async def test_all_claims_are_taken_or_none(store: RedisStore) -> None:
    claims = [Rate("r", 10, 60), Slots("s", 1), Spend("d", 5.0, DAYS, 2.0)]
    first = await store.take(claims, "a")
    assert [standing.fits for standing in first] == [True, True, True]
    assert [round(standing.remaining, 3) for standing in first] == [9, 0, 3]
    assert first[2].window == "2026-10-08"
    second = await store.take(claims, "b")
    assert [standing.fits for standing in second] == [True, False, True]
    await store.settle([Used(claims[1]), Used(claims[2], 0.5, "2026-10-08")], "a")
    third = await store.take(claims, "b")
    assert [round(standing.remaining, 1) for standing in third] == [8, 0, 2.5]


async def test_a_store_that_is_away_says_so_at_once_and_comes_back(valkey: Valkey) -> None:
    store = RedisStore(RedisClient(valkey.url.replace("//", "//:s3cret@")), "t")
    with pytest.raises(StoreError) as told:
        await store.take([Rate("r", 10, 60)], "a")
    assert "s3cret" not in str(told.value)
    await store.close()


def test_a_store_is_named_by_its_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1/1")
    made, scope = read("{redis: os.environ/REDIS_URL}")
    assert isinstance(made, Redis), scope.problems
    assert (made.url, made.prefix, made.timeout) == ("redis://127.0.0.1/1", "pointsman", 0.5)


async def test_values_end(store: RedisStore) -> None:
    await store.put("k", b"\x00v", 0.05)
    assert await store.get("k") == b"\x00v"
    await asyncio.sleep(0.1)
    assert await store.get("k") is None
    assert BAD is not None
