"""The cache on real sockets: who waits for whom, what is never kept, stores that are away, callers kept apart."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from running import AUDIT, CHAT, LOG, Running, completion, delta, eventually, running, upstream
from scripted import Script, Scripted, Talk, chunk, raw, scripted, stream, whole
from valkey_server import Valkey

from engine.rules.compile import compile_program
from engine.rules.load import load

ANSWER = whole(json.dumps(completion("hello")).encode())
OTHER = whole(json.dumps(completion("other")).encode())
EVENTS = [delta("hel"), delta("lo"), delta(finish="stop")]
STREAM = stream(EVENTS)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
FIRST = chunk(f"data: {EVENTS[0]}\n\n".encode())
STREAMED = {**CHAT, "stream": True}
KEPT = "\n  - {name: kept, actions: [{cache: {ttl: 60s%s}}]}"
WAYS = pytest.mark.parametrize("body", [CHAT, STREAMED], ids=["whole", "streamed"])


class Gate:
    """A script that waits until it may go on; `asked` tells how many requests stand before it."""

    def __init__(self, then: Script) -> None:
        self.open, self.asked, self._then = asyncio.Event(), 0, then

    async def __call__(self, talk: Talk) -> None:
        self.asked += 1
        await self.open.wait()
        await self._then(talk)


@asynccontextmanager
async def caching(
    folder: Path, *scripts: Script, rule: str = KEPT % "", more: str = "", sections: str = "", **options: Any
) -> AsyncIterator[tuple[Running, Scripted]]:
    """A gateway with a cache before a scripted upstream."""
    async with scripted(*scripts) as up:
        rules = upstream(up.url, **{"api_key": "sk-ours", **options}) + AUDIT + sections + "rules:" + rule + more + LOG
        async with running(rules, folder) as run:
            yield run, up


def told(answer: httpx.Response) -> tuple[int, str | None]:
    return answer.status_code, answer.headers.get("x-pointsman-cache")


def said(answer: httpx.Response) -> str:
    """The text of a whole answer, or of a stream."""
    if not answer.headers["content-type"].startswith("text/event-stream"):
        return str(answer.json()["choices"][0]["message"]["content"])
    events = [line[6:] for line in answer.text.split("\n") if line.startswith("data: {")]
    deltas = [choice["delta"] for event in events for choice in json.loads(event)["choices"]]
    return "".join(each.get("content") or "" for each in deltas)


# --- equal requests at the same time ----------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [ANSWER, STREAM], ids=["whole", "streamed"])
async def test_equal_requests_ask_the_upstream_once(answer: Script, tmp_path: Path) -> None:
    gate = Gate(answer)
    async with caching(tmp_path, gate) as (run, up):
        asked = [asyncio.create_task(run.post(body=body)) for body in [CHAT, STREAMED] * 10]
        await eventually(lambda: gate.asked == 1)
        await asyncio.sleep(0.05)
        gate.open.set()
        answers = await asyncio.gather(*asked)
        assert sorted(map(told, answers)) == [(200, "hit")] * 19 + [(200, "miss")]
        assert {said(answer) for answer in answers} == {"hello"}
        assert len(up.requests) == 1
        records = await run.records(20)
        assert sum(record["attempts"] for record in records) == 1
        waited = [record["timing"]["upstream_ms"] for record in records if record["cache_hit"]]
        assert all(milliseconds > 10 for milliseconds in waited), "they did wait for an upstream"


@WAYS
async def test_others_are_served_when_one_who_waits_leaves(body: Any, tmp_path: Path) -> None:
    gate = Gate(ANSWER)
    async with caching(tmp_path, gate) as (run, up):
        leader = asyncio.create_task(run.post(body=body))
        await eventually(lambda: gate.asked == 1)
        waiting = asyncio.create_task(run.post(body=body))
        with pytest.raises(httpx.ReadTimeout):
            await run.post(body=body, timeout=0.1)
        gate.open.set()
        assert {told(answer) for answer in await asyncio.gather(leader, waiting)} == {(200, "miss"), (200, "hit")}
        assert len(up.requests) == 1
        left = [record for record in await run.records(3) if record["status"] == 499]
        assert [(record["cache_hit"], record["error"]["source"]) for record in left] == [(False, "client")]


@WAYS
@pytest.mark.parametrize(
    "hangs",
    [
        raw(b"", then="hang"),
        raw(HEAD, FIRST, then="hang"),
        raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", then="hang"),
    ],
    ids=["before the head", "within a stream", "within a body"],
)
async def test_when_the_leader_leaves_one_of_the_others_leads(body: Any, hangs: Script, tmp_path: Path) -> None:
    gate = Gate(ANSWER)
    async with caching(tmp_path, hangs, gate) as (run, up):
        leader = asyncio.create_task(run.post(body=body))
        await eventually(lambda: len(up.requests) == 1)
        others = [asyncio.create_task(run.post(body=body)) for _ in range(5)]
        await asyncio.sleep(0.05)
        assert len(up.requests) == 1
        leader.cancel()
        await eventually(lambda: gate.asked > 0)
        await asyncio.sleep(0.05)
        gate.open.set()
        answers = await asyncio.gather(*others)
        assert sorted(map(told, answers)) == [(200, "hit")] * 4 + [(200, "miss")]
        assert len(up.requests) == 2


@pytest.mark.parametrize(
    "fails",
    [
        raw(b"", then="reset"),
        whole(b'{"error": {"message": "busy"}}', "503 Busy"),
        whole(b'{"error": {"message": "no"}}'),
        raw(HEAD, FIRST, then="reset"),
    ],
    ids=["no answer", "an error", "an error inside", "a torn stream"],
)
async def test_when_the_leader_fails_one_of_the_others_leads(fails: Script, tmp_path: Path) -> None:
    first, second = Gate(fails), Gate(ANSWER)
    async with caching(tmp_path, first, second) as (run, up):
        leader = asyncio.create_task(run.post())
        await eventually(lambda: first.asked == 1)
        others = [asyncio.create_task(run.post()) for _ in range(5)]
        await asyncio.sleep(0.05)
        first.open.set()
        await eventually(lambda: second.asked > 0)
        await asyncio.sleep(0.05)
        second.open.set()
        await leader
        assert sorted(map(told, await asyncio.gather(*others))) == [(200, "hit")] * 4 + [(200, "miss")]
        assert len(up.requests) == 2


async def test_when_upstream_fails_again_everybody_asks_for_himself(tmp_path: Path) -> None:
    busy = whole(b'{"error": {"message": "busy"}}', "503 Busy")
    first = Gate(busy)
    async with caching(tmp_path, first, busy) as (run, up):
        asked = [asyncio.create_task(run.post()) for _ in range(6)]
        await eventually(lambda: first.asked == 1)
        await asyncio.sleep(0.05)
        first.open.set()
        assert {told(answer) for answer in await asyncio.gather(*asked)} == {(503, "miss")}
        assert len(up.requests) == 6


async def test_a_leader_that_is_refused_leaves_the_others_to_one_of_them(tmp_path: Path) -> None:
    guard = """
  - name: guard
    phase: moderation
    actions: [{http_check: {url: '%s/check', send: [headers]}}, {if: vars.verdict.no, reject: No.}]"""
    no, yes = Gate(whole(b'{"no": true}')), whole(b'{"no": false}')
    async with scripted(no, yes) as checks:  # noqa: SIM117  the second needs the first
        async with caching(tmp_path, Gate(ANSWER), ANSWER, more=guard % checks.url) as (run, up):
            leader = asyncio.create_task(run.post())
            await eventually(lambda: len(up.requests) == 1 and no.asked == 1)
            others = [asyncio.create_task(run.post()) for _ in range(3)]
            await eventually(lambda: len(checks.requests) == 4)
            no.open.set()
            assert told(await leader) == (400, "miss")
            assert sorted(map(told, await asyncio.gather(*others))) == [(200, "hit")] * 2 + [(200, "miss")]
            assert len(up.requests) == 2


async def test_nobody_waits_longer_than_for_an_upstream(tmp_path: Path) -> None:
    """The leader's stream goes on and on; who waits for it asks by himself once the time is over."""
    slow = raw(HEAD, FIRST, then="hang")
    async with caching(tmp_path, slow, ANSWER, first_byte="300ms") as (run, up):
        leader = asyncio.create_task(run.post(body=STREAMED))
        await eventually(lambda: len(up.requests) == 1)
        assert told(await run.post()) == (200, "miss")
        assert told(await run.post()) == (200, "hit"), "what it got is kept all the same"
        assert len(up.requests) == 2
        leader.cancel()
        await asyncio.wait({leader})


async def test_a_response_rule_that_refuses_the_leader_keeps_nothing_from_others(tmp_path: Path) -> None:
    gate = Gate(ANSWER)
    rule = "\n  - {name: picky, phase: response, match: {headers.x-picky: 'yes'}, actions: [{reject: No.}]}"
    async with caching(tmp_path, gate, more=rule) as (run, up):
        leader = asyncio.create_task(run.post(headers={"x-picky": "yes"}))
        await eventually(lambda: gate.asked == 1)
        other = asyncio.create_task(run.post())
        await asyncio.sleep(0.05)
        gate.open.set()
        assert told(await leader) == (400, "miss")
        assert told(await other) == (200, "hit")
        assert told(await run.post(headers={"x-picky": "yes"})) == (400, "hit")
        assert len(up.requests) == 1


# --- what is never kept -----------------------------------------------------------------------------------------------

TORN: dict[str, Script] = {
    "a stream that is reset": raw(HEAD, FIRST, then="reset"),
    "a stream that is closed": raw(HEAD, FIRST, then="close"),
    "a stream that ends before its end": raw(HEAD, FIRST, b"0\r\n\r\n"),
    "a body that is cut": raw(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{}", then="close"
    ),
    "a body that is no JSON": whole(b"<p>"),
}


@pytest.mark.parametrize("torn", TORN.values(), ids=TORN)
async def test_what_is_not_whole_is_not_kept(torn: Script, tmp_path: Path) -> None:
    async with caching(tmp_path, torn, ANSWER) as (run, up):
        with contextlib.suppress(httpx.RemoteProtocolError):  # the client sees that it is not whole
            await run.post(body=STREAMED)
        assert told(await run.post()) == (200, "miss")
        assert len(up.requests) == 2


async def test_a_stream_whose_client_leaves_is_not_kept(tmp_path: Path) -> None:
    async with caching(tmp_path, raw(HEAD, FIRST, then="hang"), ANSWER) as (run, up):
        async with run.http.stream("POST", "/v1/chat/completions", json=STREAMED) as answer:
            async for _ in answer.aiter_raw():
                break
        await eventually(lambda: up.gone == 1)
        assert told(await run.post()) == (200, "miss")


async def test_an_answer_in_a_coding_is_kept_without_it(tmp_path: Path) -> None:
    packed = gzip.compress(json.dumps(completion("hello")).encode())
    script = whole(packed, headers="content-type: application/json\r\ncontent-encoding: gzip\r\n")
    async with caching(tmp_path, script, raw(b"", then="reset")) as (run, _):
        answers = [await run.post(), await run.post(), await run.post(body=STREAMED)]
        assert [told(answer)[1] for answer in answers] == ["miss", "hit", "hit"]
        assert [said(answer) for answer in answers] == ["hello"] * 3


async def test_a_coding_that_unfolds_beyond_the_bound_is_not_kept(tmp_path: Path) -> None:
    packed = gzip.compress(json.dumps(completion("a" * 100_000)).encode())
    script = whole(packed, headers="content-type: application/json\r\ncontent-encoding: gzip\r\n")
    async with caching(tmp_path, script, rule=KEPT % ", max_size: 50KiB") as (run, _):
        assert [told(await run.post())[1] for _ in range(2)] == ["miss", "miss"]


async def test_a_hit_is_held_for_the_rules_that_hold(tmp_path: Path) -> None:
    louder = "{set: {'choices[0].message.content': '{{ upper(completion_text) }}'}}"
    rule = f"\n  - {{name: shout, phase: response, actions: [{louder}]}}"
    async with caching(tmp_path, STREAM, raw(b"", then="reset"), more=rule) as (run, _):
        answers = [await run.post(body=STREAMED), await run.post(body=STREAMED), await run.post()]
        assert [(told(answer)[1], said(answer)) for answer in answers] == [
            ("miss", "HELLO"),
            ("hit", "HELLO"),
            ("hit", "HELLO"),
        ]


async def test_marks_are_kept_and_each_client_gets_its_own_values_back(tmp_path: Path) -> None:
    rule = "\n  - {name: hide, actions: [{redact: {patterns: [pii.email], with: '[MAIL]', restore: true}}]}"
    answer = whole(json.dumps(completion("I wrote to [MAIL].")).encode())
    async with caching(tmp_path, answer, raw(b"", then="reset"), more=rule) as (run, _):
        answers = [
            await run.post(body={**CHAT, "messages": [{"role": "user", "content": f"write to {name}@example.com"}]})
            for name in ("ann", "bob")
        ]
        assert [(told(answer)[1], said(answer)) for answer in answers] == [
            ("miss", "I wrote to ann@example.com."),
            ("hit", "I wrote to bob@example.com."),
        ]


# --- callers ----------------------------------------------------------------------------------------------------------


def key(name: str, team: str | None = None) -> str:
    digest = hashlib.sha256(name.encode()).hexdigest()
    return f"{{name: {name}, sha256: {digest}" + (f", team: {team}}}" if team else "}")


async def test_answers_stay_within_a_team(tmp_path: Path) -> None:
    keys = f"keys: [{key('a', 'core')}, {key('b', 'core')}, {key('c', 'ops')}, {key('d')}, {key('core')}]\n"
    async with caching(tmp_path, ANSWER, sections=keys) as (run, _):
        found = {
            name: told(await run.post(headers={"authorization": f"Bearer {name}"}))[1]
            for name in ("a", "b", "c", "d", "core")
        }
        assert found == {"a": "miss", "b": "hit", "c": "miss", "d": "miss", "core": "miss"}


async def test_a_credential_that_is_passed_on_tells_callers_apart(tmp_path: Path) -> None:
    own = KEPT % ", key: [last_user_text]"
    for rule in (KEPT % "", own):
        async with scripted(ANSWER) as up, running(upstream(up.url) + "rules:" + rule, tmp_path) as run:
            found = [told(await run.post(headers={"authorization": f"Bearer {name}"}))[1] for name in ("a", "b", "a")]
            assert found == ["miss", "miss", "hit"]


# --- stores -----------------------------------------------------------------------------------------------------------


def shared(server: Valkey, timeout: str = "10s") -> str:
    return f"stores: {{shared: {{redis: {{url: '{server.url}', timeout: {timeout}}}}}}}\n"


async def test_two_gateways_share_a_store(valkey: Valkey, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    rule = KEPT % ", store: shared"
    async with scripted(ANSWER) as up:
        rules = upstream(up.url, api_key="sk-ours") + shared(valkey) + "rules:" + rule
        async with running(rules, tmp_path) as one, running(rules, tmp_path / "other") as two:
            assert told(await one.post()) == (200, "miss")
            await one.gateway.settled()
            assert told(await two.post(body=STREAMED)) == (200, "hit")
            assert len(up.requests) == 1
        (name,) = valkey.keys()
        assert name.startswith("pointsman:value:answer/")
        assert 50_000 < int(valkey.command("PTTL", name)[1:]) <= 60_000


async def test_a_store_that_is_away_and_comes_back(tmp_path: Path) -> None:
    server = Valkey()
    rule = KEPT % ", store: shared"
    async with caching(tmp_path, ANSWER, OTHER, rule=rule, sections=shared(server, "500ms")) as (run, _):
        try:
            assert [told(await run.post()) for _ in range(2)] == [(200, "miss"), (200, "miss")]
            (first, _) = await run.records(2)
            (outcome,) = first["outcomes"][:1]
            assert (outcome["rule"], outcome["result"]) == ("kept", "skipped")
            assert "is down" in outcome["why"]
            server.start()
            async with asyncio.timeout(10):
                while told(await run.post()) != (200, "hit"):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            server.kill()
            assert told(await run.post()) == (200, "miss")
        finally:
            server.close()


async def test_equal_requests_ask_once_while_the_store_is_away(tmp_path: Path) -> None:
    server = Valkey()
    gate = Gate(ANSWER)
    async with caching(tmp_path, gate, rule=KEPT % ", store: shared", sections=shared(server)) as (run, up):
        asked = [asyncio.create_task(run.post()) for _ in range(5)]
        await eventually(lambda: gate.asked > 0)
        await asyncio.sleep(0.05)
        gate.open.set()
        assert sorted(map(told, await asyncio.gather(*asked))) == [(200, "hit")] * 4 + [(200, "miss")]
        assert len(up.requests) == 1
    server.close()


@pytest.mark.parametrize(("on_error", "status"), [("fail", 500), ("skip", 200)])
async def test_a_store_that_is_away_is_an_error_of_the_rule_where_that_is_said(
    on_error: str, status: int, tmp_path: Path
) -> None:
    server = Valkey()
    cache = "{cache: {ttl: 60s, store: shared, on_store_error: fail}}"
    rule = f"\n  - {{name: kept, on_error: {on_error}, actions: [{cache}]}}"
    async with caching(tmp_path, ANSWER, rule=rule, sections=shared(server)) as (run, up):
        answer = await run.post()
        assert answer.status_code == status
        assert len(up.requests) == (status == 200)
        if status == 500:
            assert answer.json()["error"]["message"] == "rule kept failed"
            assert answer.headers["x-pointsman-rule"] == "kept"
        outcome = (await run.record())["outcomes"][0]
        assert (outcome["rule"], outcome["result"]) == ("kept", "error")
    server.close()


async def test_what_somebody_else_wrote_is_no_answer(valkey: Valkey, tmp_path: Path) -> None:
    async with caching(tmp_path, ANSWER, OTHER, rule=KEPT % ", store: shared", sections=shared(valkey)) as (run, _):
        await run.post()
        await run.gateway.settled()
        (name,) = valkey.keys()
        for foreign in ("", "{}", "[1]\n", "[]\n{}", '["now", []]\n{}', "null\n{}", "\xff"):
            valkey.command("SET", name, foreign)
            assert told(await run.post()) == (200, "miss"), foreign
            await run.gateway.settled()
        assert told(await run.post()) == (200, "hit")


async def test_a_changed_rules_file_keeps_what_is_kept(tmp_path: Path) -> None:
    async with caching(tmp_path, ANSWER, OTHER) as (run, _):
        assert told(await run.post()) == (200, "miss")
        file = tmp_path / "rules.yaml"
        file.write_text(file.read_text().replace("60s", "90s"))
        run.gateway.adopt(compile_program(load(str(file))))
        assert told(await run.post()) == (200, "hit")
        file.write_text(
            file.read_text().replace("rules:", "rules:\n  - {name: cool, actions: [{set: {temperature: 0}}]}")
        )
        run.gateway.adopt(compile_program(load(str(file))))
        answer = await run.post()
        assert (told(answer), said(answer)) == ((200, "miss"), "other")


# --- callbacks --------------------------------------------------------------------------------------------------------

HOOKS = """
import json
from pathlib import Path

FILE = Path(__file__).parent / "called.jsonl"


def note(name, kwargs):
    with FILE.open("a") as file:
        file.write(json.dumps([name, kwargs.get("cache_hit"), kwargs.get("response_cost")]) + "\\n")


class Noting:
    def log_pre_api_call(self, model, messages, kwargs):
        note("pre", kwargs)

    def log_post_api_call(self, kwargs, response_obj, start_time, end_time):
        note("post", kwargs)

    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        note("success", kwargs)

    async def async_log_failure_event(self, kwargs, response_obj, start_time, end_time):
        note("failure", kwargs)
"""


@WAYS
async def test_on_a_hit_only_the_success_event_of_litellm_runs(body: Any, tmp_path: Path) -> None:
    (tmp_path / "cache_hooks.py").write_text(HOOKS)
    script = STREAM if body.get("stream") else ANSWER
    async with caching(tmp_path, script, sections="callbacks: [cache_hooks.Noting]\n") as (run, _):
        for _ in range(2):
            await run.post(body=body)
            await run.gateway.settled()
        called = [json.loads(line) for line in (tmp_path / "called.jsonl").read_text().splitlines()]
        assert [name for name, *_ in called] == ["pre", "post", "success", "success"]
        assert [hit for _, hit, _ in called] == [False, False, False, True]
        assert called[-1][2] == 0


async def test_a_hit_says_nothing_of_how_the_upstream_does(tmp_path: Path) -> None:
    down = whole(b'{"error": {"message": "busy"}}', "503 Busy")
    async with caching(tmp_path, ANSWER, down) as (run, _):
        await run.post()
        for number in range(5):
            assert told(await run.post()) == (200, "hit")
            assert told(await run.post(body={**CHAT, "seed": number})) == (503, "miss")
        assert run.gateway.health.resting("main"), "five calls in a row have failed, whatever was hit meanwhile"
