"""The cache of hooks written for LiteLLM where it shares a store: what one machine writes, the others see."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import openai
import pytest
from running import CHAT, completion, eventually, running, upstream
from scripted import scripted, whole
from valkey_server import Valkey

from engine.ports.litellm_cache import CACHE, DualCache
from engine.ports.redis_client import RedisClient
from engine.ports.store_redis import RedisStore


class Machine:
    """A cache with a store of its own on a server that it shares."""

    def __init__(self, url: str) -> None:
        self.at = 0.0
        self.cache = DualCache(clock=lambda: self.at)
        self.store = RedisStore(RedisClient(url, 10.0), "t")
        self.cache.share(self.store)


@pytest.fixture
async def machines(valkey: Valkey) -> AsyncIterator[tuple[Machine, Machine]]:
    both = Machine(valkey.url), Machine(valkey.url)
    yield both
    for machine in both:
        await machine.store.close()


async def test_what_one_writes_the_other_sees_within_a_second(machines: tuple[Machine, Machine]) -> None:
    one, two = machines
    assert await two.cache.async_get_cache("k") is None
    await one.cache.async_set_cache("k", {"a": [1, "ä"]}, ttl=60)
    assert await two.cache.async_get_cache(key="k", litellm_parent_otel_span=None) == {"a": [1, "ä"]}
    await one.cache.async_set_cache("k", 2, ttl=60)
    two.at += 0.9
    assert await two.cache.async_get_cache("k") == {"a": [1, "ä"]}
    two.at += 0.2
    assert await two.cache.async_get_cache("k") == 2
    await one.cache.async_delete_cache("k")
    assert await one.cache.async_get_cache("k") is None
    two.at += 1.1
    assert await two.cache.async_get_cache("k") is None


async def test_sums_are_made_where_all_see_them(machines: tuple[Machine, Machine], valkey: Valkey) -> None:
    one, two = machines
    sums = await asyncio.gather(
        *[machine.cache.async_increment_cache("n", 1, ttl=60) for machine in machines for _ in range(50)]
    )
    assert sorted(sums) == list(range(1, 101))
    assert all(type(total) is int for total in sums)
    assert await one.cache.async_increment_cache(key="n", value=0.5) == 100.5
    assert await one.cache.async_get_cache("n") == 100.5
    two.at += 1.1
    assert await two.cache.async_batch_get_cache(["n", "none"]) == [100.5, None]
    assert 0 < int(valkey.command("PTTL", "t:value:callbacks:n")[1:]) <= 60_000


async def test_the_methods_that_do_not_wait_never_leave_the_process(
    machines: tuple[Machine, Machine], valkey: Valkey
) -> None:
    one, two = machines
    one.cache.set_cache("k", 1, ttl=60)
    assert one.cache.increment_cache("n", 2) == 2
    assert valkey.keys() == []
    assert await one.cache.async_get_cache("k") == 1
    assert await two.cache.async_get_cache("k") is None
    await two.cache.async_set_cache("k", 5)
    assert (two.cache.get_cache("k"), one.cache.get_cache("k")) == (5, 1)


async def test_what_is_no_json_stays_here_and_is_told(
    machines: tuple[Machine, Machine], caplog: pytest.LogCaptureFixture
) -> None:
    one, two = machines
    await one.cache.async_set_cache("k", {1, 2})
    await one.cache.async_set_cache_pipeline([("a", 1), ("b", "two")], ttl=9)
    one.at += 5.0
    assert await one.cache.async_get_cache("k") == {1, 2}
    assert await two.cache.async_batch_get_cache(keys=["k", "a", "b"]) == [None, 1, "two"]
    assert "a set in the cache is no JSON: only this process sees it" in caplog.text


async def test_a_server_that_is_away_leaves_what_this_process_knows(
    machines: tuple[Machine, Machine], valkey: Valkey
) -> None:
    one, _ = machines
    await one.cache.async_set_cache("k", "v", ttl=60)
    valkey.kill()
    try:
        one.at += 5.0
        assert await one.cache.async_batch_get_cache(["k", "none"]) == ["v", None]
        await one.cache.async_set_cache("new", 1)
        assert await one.cache.async_increment_cache("new", 2) == 3
        await one.cache.async_delete_cache("k")
        assert await one.cache.async_get_cache("k") is None
    finally:
        valkey.start()


async def test_a_store_that_is_closed_is_left(valkey: Valkey) -> None:
    machine = Machine(valkey.url)
    machine.cache.leave(None)
    await machine.cache.async_set_cache("k", 1)
    assert len(valkey.keys()) == 1
    machine.cache.leave(machine.store)
    await machine.store.close()
    await machine.cache.async_set_cache("other", 2)
    assert await machine.cache.async_get_cache("other") == 2
    assert len(valkey.keys()) == 1


HOOKS = """
from litellm.integrations.custom_logger import CustomLogger

class Counting(CustomLogger):
    async def async_pre_call_hook(self, user_api_key_dict, cache, data, call_type):
        self.cache = cache
        data["user"] = str(await cache.async_increment_cache("calls", 1, ttl=3600))
        return data

    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        await self.cache.async_set_cache("last", response_obj.choices[0].message.content, ttl=3600)

hook = Counting()
"""


async def test_hooks_of_all_machines_share_what_the_rules_define(tmp_path: Path, valkey: Valkey) -> None:
    (tmp_path / "hooks.py").write_text(HOOKS)
    valkey.command("SET", "pointsman:value:callbacks:calls", "41")  # another machine's
    async with scripted(whole(json.dumps(completion("hello")).encode())) as up:
        rules = upstream(up.url) + f"stores: {{shared: {{redis: '{valkey.url}'}}}}\ncallbacks: hooks.hook\nrules: []\n"
        async with (
            running(rules, tmp_path) as run,
            openai.AsyncOpenAI(base_url=f"{run.url}/v1", api_key="any", max_retries=0) as sdk,
        ):
            await sdk.chat.completions.create(**CHAT)
            # the hook that logs runs on a loop of its own
            await eventually(lambda: valkey.command("GET", "pointsman:value:callbacks:last") == b'$7\r\n"hello"\r\n')
        assert json.loads(up.requests[0].body)["user"] == "42"
    assert CACHE._shared is None
