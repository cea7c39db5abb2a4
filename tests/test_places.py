"""`upstreams.*.concurrent`: how many calls an upstream gets at once, and who waits how long for which place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from engine.errors import UpstreamError
from engine.ports.wire import Call, Headers, Patience
from engine.proxy.demo import Demo
from engine.proxy.lean import LeanTransport
from engine.proxy.places import Places
from engine.proxy.ways import Ways
from engine.rules.models import Upstream
from tests.running import AUDIT, CHAT, completion, eventually, running, upstream
from tests.scripted import Talk, scripted, whole


class Scene:
    """A transport whose calls go on for as long as the test likes; its answers are their names."""

    def __init__(self) -> None:
        self.under_way: dict[str, asyncio.Future[None]] = {}
        self.closed: list[str] = []

    async def send(self, call: Call) -> Answer:
        going = self.under_way[call.method] = asyncio.get_running_loop().create_future()
        try:
            await going
        finally:
            del self.under_way[call.method]
        return Answer(self, call.method)

    async def close(self) -> None:
        raise AssertionError("it is not a line's to close")


class Answer:
    status = 200
    headers: Headers = (("x", "y"),)

    def __init__(self, scene: Scene, name: str) -> None:
        self.scene, self.name = scene, name

    async def read(self) -> bytes:
        return self.name.encode()

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self.name.encode()
        yield b"!"

    async def close(self) -> None:
        self.scene.closed.append(self.name)


def call(name: str, **patience: float | None) -> Call:
    return Call(name, "http://up.test/v1?secret=1", (), b"", Patience(**patience))


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_calls_over_the_bound_wait_in_the_order_they_came(scene: Scene) -> None:
    line = Places(scene, 2)
    tasks = [asyncio.create_task(line.send(call(name))) for name in "abcd"]
    await settled()
    assert [*scene.under_way] == ["a", "b"]
    scene.under_way["b"].set_result(None)
    arrival = await tasks[1]
    await settled()
    assert [*scene.under_way] == ["a"], "a call goes on until its answer is whole"
    assert (arrival.status, arrival.headers) == (200, (("x", "y"),))
    assert await arrival.read() == b"b"
    await settled()
    assert [*scene.under_way] == ["a", "c"]
    late = asyncio.create_task(line.send(call("e")))
    await arrival.close()
    await settled()
    assert [*scene.under_way] == ["a", "c"], "one place is given back once"
    for task in [*tasks, late]:
        task.cancel()
    await asyncio.gather(*tasks, late, return_exceptions=True)
    assert (await asyncio.wait_for(_answered(line, scene), 10)) == b"z"


async def _answered(line: Places, scene: Scene) -> bytes:
    """One more call, which would wait for ever if a place had been lost."""
    task = asyncio.create_task(line.send(call("z")))
    await settled()
    scene.under_way["z"].set_result(None)
    return await (await task).read()


@pytest.mark.parametrize("ending", ["read", "stream", "part of a stream", "close", "failure", "cancelled"])
async def test_every_ending_gives_the_place_back(scene: Scene, ending: str) -> None:
    line = Places(scene, 1)
    first = asyncio.create_task(line.send(call("a")))
    second = asyncio.create_task(line.send(call("b")))
    await settled()
    if ending == "cancelled":
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
    elif ending == "failure":
        scene.under_way["a"].set_exception(UpstreamError("connection", "no"))
        with pytest.raises(UpstreamError):
            await first
    else:
        scene.under_way["a"].set_result(None)
        arrival = await first
        if ending == "read":
            await arrival.read()
        elif ending == "stream":
            assert [piece async for piece in arrival.chunks()] == [b"a", b"!"]
        elif ending == "part of a stream":
            pieces = arrival.chunks()
            assert await anext(pieces) == b"a"
            await arrival.close()
        else:
            await arrival.close()
            assert scene.closed == ["a"]
    await settled()
    assert [*scene.under_way] == ["b"]
    scene.under_way["b"].set_result(None)
    await (await second).close()


async def test_who_leaves_the_line_is_passed_over(scene: Scene) -> None:
    line = Places(scene, 1)
    tasks = [asyncio.create_task(line.send(call(name))) for name in "abc"]
    await settled()
    tasks[1].cancel()
    await settled()
    scene.under_way["a"].set_result(None)
    await (await tasks[0]).read()
    await settled()
    assert [*scene.under_way] == ["c"]
    tasks[2].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_who_leaves_as_it_is_called_up_calls_up_the_next(scene: Scene) -> None:
    line = Places(scene, 1)
    tasks = [asyncio.create_task(line.send(call(name))) for name in "abc"]
    await settled()
    scene.under_way["a"].set_result(None)
    arrival = await tasks[0]
    await arrival.read()  # b has the place, and has not heard of it yet
    tasks[1].cancel()
    await settled()
    assert [*scene.under_way] == ["c"]
    tasks[2].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize(
    "patience", [{"first_byte": 0.05}, {"first_byte": 9.0, "total": 0.05}, {"first_byte": None, "total": 0.05}]
)
async def test_nobody_waits_longer_than_for_an_answer(scene: Scene, patience: dict[str, float | None]) -> None:
    line = Places(scene, 1)
    first = asyncio.create_task(line.send(call("a")))
    await settled()
    with pytest.raises(UpstreamError) as caught:
        await line.send(call("b", **patience))
    assert caught.value.source == "timeout"
    assert caught.value.message == "none of the 1 calls at once to http://up.test ended within 0.05 s"
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert await _answered(line, scene) == b"z"


async def test_another_bound_holds_from_then_on(scene: Scene) -> None:
    line = Places(scene, 1)
    tasks = [asyncio.create_task(line.send(call(name))) for name in "abcd"]
    await settled()
    line.most = 3
    await settled()
    assert [*scene.under_way] == ["a", "b", "c"]
    line.most = 1
    for name in "ab":
        scene.under_way[name].set_result(None)
    await (await tasks[0]).close()
    await (await tasks[1]).close()
    await settled()
    assert [*scene.under_way] == ["c"], "three went on; two had to end before one may begin"
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _upstream(name: str, kind: str = "openai", concurrent: int | None = None) -> Upstream:
    return Upstream(name, kind, "http://up.test/v1", (), "", Patience(), has_key=False, concurrent=concurrent)


async def test_an_upstream_keeps_its_line_over_a_reload() -> None:
    ways = Ways()
    line = ways(_upstream("a", concurrent=2))
    assert isinstance(line, Places)
    assert ways(_upstream("a", concurrent=5)) is line
    assert line.most == 5
    assert ways(_upstream("b", concurrent=2)) is not line
    assert ways(_upstream("a", kind="demo", concurrent=2)) is not line
    assert isinstance(ways(_upstream("a")), LeanTransport)
    assert ways(None) is ways(_upstream("b"))
    assert isinstance(ways(_upstream("a", kind="demo")), Demo)
    await ways.close()


async def test_a_gateway_asks_no_more_at_once_than_it_may(tmp_path: Path) -> None:
    at_once, most, go_on = 0, 0, asyncio.Event()

    async def counted(talk: Talk) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await go_on.wait()
        at_once -= 1
        await whole(httpx.Response(200, json=completion("hi")).content)(talk)

    async with (
        scripted(counted) as up,
        running(upstream(up.url, concurrent=2, first_byte="5s") + AUDIT + "rules: []\n", tmp_path) as run,
    ):
        asking = [asyncio.create_task(run.post()) for _ in range(6)]
        await eventually(lambda: at_once == 2)
        left = asyncio.create_task(run.post(body={**CHAT, "user": "left"}))
        await asyncio.sleep(0.05)
        left.cancel()
        go_on.set()
        answers = await asyncio.gather(*asking)
        assert [answer.status_code for answer in answers] == [200] * 6
        assert most == 2
    assert len(up.requests) == 6, "who left while waiting was never asked for"
