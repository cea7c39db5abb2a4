"""Usage and cost of answers that end otherwise: too large to be kept, left by the client, cut, refused, in error."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from running import AUDIT, LOG, Running, completion, running, upstream
from scripted import Script, chunk, raw, scripted, stream, whole
from streamed import composed, exchange, program
from test_usage_clients import ANSWERS, ASKED, BODY, COUNTED, HEAD, PRICES, answering, data, serving

from engine.document.dialect import Piece
from engine.language.functions_added import ApproxTokens
from engine.proxy.kept import Kept, said_tokens, take_passed


@asynccontextmanager
async def served(script: Script, folder: Path, rules: str, *more: Script, **options: Any) -> AsyncIterator[Running]:
    async with scripted(script, *more) as up:
        text = upstream(up.url, **options) + AUDIT + PRICES + "rules:" + rules
        async with running(text, folder) as run:
            yield run


LIGHT = "\n  - {name: audit, phase: log, actions: [{log_to: audit}]}"
PATHS = {"completion": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}
BODIES: dict[str, Any] = {
    "completion": BODY,
    "responses": {"model": "m", "input": "hi", "stream": True},
    "messages": {"model": "m", "max_tokens": 9, "messages": ASKED, "stream": True},
}


@pytest.mark.parametrize("call_type", PATHS)
@pytest.mark.parametrize("width", [1_000_000, 50])
async def test_usage_is_found_in_a_stream_that_is_too_large_to_be_kept(
    call_type: str, width: int, tmp_path: Path
) -> None:
    async with served(answering(call_type, width), tmp_path, LOG + "server: {max_held: 300}\n") as run:
        answer = await run.post(PATHS[call_type], BODIES[call_type])
        record = await run.record()
    assert answer.content.count(b"goodbye") >= 1
    assert COUNTED.items() <= record["usage"].items()
    assert record["cost"] is not None
    assert record["response"]["body"] is None
    assert "max_held" in record["unkept"]


@pytest.mark.parametrize("call_type", PATHS)
async def test_a_record_without_texts_has_usage_and_cost(call_type: str, tmp_path: Path) -> None:
    async with served(answering(call_type), tmp_path, LIGHT) as run:
        await run.post(PATHS[call_type], BODIES[call_type])
        record = await run.record()
    assert COUNTED.items() <= record["usage"].items()
    assert record["cost"] is not None
    assert "unkept" not in record
    assert "response" not in record


NOTED = """
  - {name: n, phase: response, match: {cost: {gt: 0.0004}}, actions: [{tag: dear}, {set_var: {spent: "{{ cost }}"}}]}
  - {name: o, phase: log, match: {vars.spent: {gt: 0.0004}, usage.cached_tokens: 64}, actions: [{tag: noted}]}"""


@pytest.mark.parametrize("call_type", PATHS)
async def test_rules_on_cost_run_when_a_stream_has_passed_and_put_no_answer_together(
    call_type: str, tmp_path: Path
) -> None:
    async with served(answering(call_type), tmp_path, NOTED + LIGHT) as run:
        assert not run.gateway.program.needs[call_type].assembled
        await run.post(PATHS[call_type], BODIES[call_type])
        record = await run.record()
    assert record["tags"] == ["dear", "noted"]


@pytest.mark.parametrize("rules", [LIGHT, LOG], ids=["without texts", "with texts"])
async def test_an_error_within_a_stream_is_in_the_record(rules: str, tmp_path: Path) -> None:
    script = stream([json.dumps({"error": {"message": "overloaded", "type": "server_error", "code": "x"}})])
    async with served(script, tmp_path, rules) as run:
        await run.post(body=BODY)
        record = await run.record()
    assert (record["error"]["message"], record["error"]["source"]) == ("overloaded", "upstream")
    assert (record["usage"], record["cost"]) == (None, None)


@pytest.mark.parametrize("call_type", PATHS)
async def test_what_a_client_left_has_no_usage_and_no_cost(call_type: str, tmp_path: Path) -> None:
    async with served(breaking_off(call_type), tmp_path, LOG) as run:
        async with run.http.stream("POST", PATHS[call_type], json=BODIES[call_type]) as answer:
            async for _ in answer.aiter_raw():
                break
        record = await run.record()
    assert record["error"]["source"] == "client"
    assert (record["usage"], record["cost"]) == (None, None)
    assert record["response"]["body"] is not None


def breaking_off(call_type: str) -> Script:
    """A stream that says its words and then nothing more."""
    events = ANSWERS[call_type][1](True)
    last = next(at for at, event in enumerate(events) if b"goodbye" in event)
    return raw(HEAD, chunk(b"".join(events[: last + 1])), then="hang")


CUT = "\n  - {name: c, phase: stream, match: {completion_text: {contains: goodbye}}, actions: [{%s: no}]}"


@pytest.mark.parametrize("action", ["reject", "reject_with_message"])
async def test_what_a_rule_cut_has_no_usage_and_no_cost(action: str, tmp_path: Path) -> None:
    """The usage of zeros that ends the client's stream is nobody's."""
    async with served(breaking_off("completion"), tmp_path, CUT % action + LOG) as run:
        await run.post(body={**BODY, "stream_options": {"include_usage": True}})
        record = await run.record()
    assert (record["usage"], record["cost"]) == (None, None)


REMOVES = "\n  - {name: x, phase: response, actions: [{remove: [usage]}]}"
REFUSES = "\n  - {name: x, phase: response, match: {completion_text: {contains: Hello}}, actions: [{reject: no}]}"
ANSWERS_ITSELF = "\n  - {name: x, actions: [{reject_with_message: no}]}"


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("rule", [REMOVES, REFUSES], ids=["its usage removed", "refused"])
async def test_what_a_rule_does_to_an_answer_does_not_change_what_it_cost(
    rule: str, streamed: bool, tmp_path: Path
) -> None:
    async with serving("completion", tmp_path, rule) as (run, _):
        answer = await run.post(body={**BODY, "stream": streamed})
        record = await run.record()
    assert b"total_tokens" not in answer.content
    assert (record["usage"]["total_tokens"], record["cost"]) == (130, 0.000404)


async def test_an_answer_of_ours_cost_nothing_that_anybody_knows(tmp_path: Path) -> None:
    async with serving("completion", tmp_path, ANSWERS_ITSELF) as (run, _):
        await run.post(body={**BODY, "stream": False})
        record = await run.record()
    assert (record["usage"]["total_tokens"], record["cost"]) == (0, None)


async def test_an_upstreams_error_has_no_cost(tmp_path: Path) -> None:
    script = whole(json.dumps({"error": {"message": "no"}}).encode(), "500 Broken")
    async with served(script, tmp_path, LOG) as run:
        await run.post(body={**BODY, "stream": False})
        record = await run.record()
    assert (record["usage"], record["cost"]) == (None, None)


async def test_the_answer_that_counts_is_the_last_attempts(tmp_path: Path) -> None:
    """A stream that broke before its first byte told something; what came after is what is counted."""
    first = raw(HEAD, chunk(data({"error": {"message": "no"}})), b"0\r\n\r\n")
    retry = "\n  - {name: h, phase: response, match: {completion_text: {contains: x}}, actions: [{reject: no}]}"
    retry += "\n  - {name: f, phase: failure, actions: [{fallback: {model: m2}}]}"
    async with served(first, tmp_path, retry + LOG, whole(json.dumps(completion("hi")).encode())) as run:
        await run.post(body=BODY)
        record = await run.record()
    assert (record["attempts"], record["usage"]["total_tokens"]) == (2, 3)


# --- estimates --------------------------------------------------------------------------------------------------------


def passed(text: str, limit: int, width: int = 100) -> Any:
    """An exchange whose stream has passed, and told no usage."""
    x = exchange(program("  - {name: r, phase: log, actions: [{tag: t}]}"))
    kept = Kept(limit)
    wire = composed("completion", [Piece(text=word) for word in text.split(" ")])
    for at in range(0, len(wire), width):
        kept.add(wire[at : at + width])
    x.told, x.pending_stream, x.unkept = {}, kept.chunks, kept.times_sample
    return x


def test_tokens_that_passed_are_estimated_from_the_text() -> None:
    text = "some words of an answer, é too"
    x = passed(text, 1_000_000)
    take_passed(x)
    assert x.usage is None
    assert said_tokens(x) == ApproxTokens.call(text.replace(" ", ""))


def test_tokens_of_a_text_that_was_not_kept_are_estimated_from_its_beginning() -> None:
    text = " ".join(["word"] * 5000)
    x = passed(text, 200_000)
    assert sum(map(len, x.pending_stream)) == 64 * 1024
    real = ApproxTokens.call(text.replace(" ", ""))
    assert real * 0.95 < said_tokens(x) < real * 1.05


async def test_a_limit_is_settled_by_what_passed_where_no_usage_comes(tmp_path: Path) -> None:
    rules = "\n  - {name: l, actions: [{rate_limit: {by: client.ip, tokens: 1000/h}}]}"
    async with served(answering("completion"), tmp_path, rules, stream_usage=False) as run:
        await run.post(body=BODY)
        await run.gateway.settled()
        answer = await run.post(body=BODY)
    assert 900 < int(answer.headers["x-ratelimit-remaining-tokens"]) < 1000
