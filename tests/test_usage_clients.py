"""Usage, cost and text of an answer, streamed or not, as the official clients and the record have them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from running import AUDIT, LOG, Running, running, upstream
from scripted import Script, Scripted, Talk, chunk, raw, scripted, whole

from engine.document.dialects import DIALECTS

PRICES = "prices: {m: {input: 2, output: 10, cached_input: 0.5, cached_write: 2.5}}\n"
ASKED: Any = [{"role": "user", "content": "hi"}]
WORDS = ["Hello ", "there, \u00e9", " and goodbye."]
CHAT_USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 30,
    "total_tokens": 130,
    "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 20},
}
RESPONSES_USAGE = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 0},
    "output_tokens": 30,
    "output_tokens_details": {"reasoning_tokens": 20},
    "total_tokens": 130,
}
BEGUN = {"input_tokens": 6, "cache_creation_input_tokens": 30, "cache_read_input_tokens": 64, "output_tokens": 1}
COUNTED = {"prompt_tokens": 100, "completion_tokens": 30, "total_tokens": 130, "cached_tokens": 64}
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


# --- upstreams that answer as the real ones do ------------------------------------------------------------------------


def chat(*, text: bool) -> tuple[dict[str, Any], Callable[[bool], list[bytes]]]:
    head = {"id": "c-1", "object": "text_completion" if text else "chat.completion", "created": 1, "model": "m-2026"}
    said = {"text": "".join(WORDS)} if text else {"message": {"role": "assistant", "content": "".join(WORDS)}}
    body = {**head, "choices": [{"index": 0, "logprobs": None, "finish_reason": "stop", **said}], "usage": CHAT_USAGE}

    def events(usage: bool) -> list[bytes]:
        every: dict[str, Any] = {"usage": None, "obfuscation": "aB3"} if usage else {}

        def event(word: str | None) -> bytes:
            said = {"text": word or ""} if text else {"delta": {} if word is None else {"content": word}}
            choice = {"index": 0, **said, "logprobs": None, "finish_reason": "stop" if word is None else None}
            return data({**head, "object": head["object"] + ("" if text else ".chunk"), "choices": [choice], **every})

        told = [data({**head, "object": "chat.completion.chunk", "choices": [], "usage": CHAT_USAGE})] if usage else []
        return [*map(event, WORDS), event(None), *told, b"data: [DONE]\n\n"]

    return body, events


def responses() -> tuple[dict[str, Any], Callable[[bool], list[bytes]]]:
    part = {"type": "output_text", "text": "".join(WORDS), "annotations": [], "logprobs": []}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    body = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m-2026", "status": "completed"}
    body |= {"error": None, "output": [item], "usage": RESPONSES_USAGE, "tools": [], "parallel_tool_calls": True}
    begun = {**body, "status": "in_progress", "output": [], "usage": None}
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}

    def events(_: bool) -> list[bytes]:
        told: list[dict[str, Any]] = [
            {"type": "response.created", "response": begun},
            {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
            {"type": "response.content_part.added", **where, "part": {**part, "text": ""}},
            *({"type": "response.output_text.delta", **where, "delta": word, "logprobs": []} for word in WORDS),
            {"type": "response.output_text.done", **where, "text": part["text"], "logprobs": []},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": body},
        ]
        return [data({**each, "sequence_number": at}, each["type"]) for at, each in enumerate(told)]

    return body, events


def messages() -> tuple[dict[str, Any], Callable[[bool], list[bytes]]]:
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m-2026", "stop_sequence": None}
    content = [{"type": "text", "text": "".join(WORDS)}]
    body = {**head, "content": content, "stop_reason": "end_turn", "usage": {**BEGUN, "output_tokens": 30}}

    def events(_: bool) -> list[bytes]:
        told: list[dict[str, Any]] = [
            {"type": "message_start", "message": {**head, "content": [], "stop_reason": None, "usage": BEGUN}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            *(
                {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}
                for word in WORDS
            ),
            {"type": "content_block_stop", "index": 0},
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                "usage": {"output_tokens": 30},
            },
            {"type": "message_stop"},
        ]
        return [data(each, each["type"]) for each in told]

    return body, events


def data(body: dict[str, Any], name: str | None = None) -> bytes:
    told = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    return (f"event: {name}\n".encode() if name else b"") + b"data: " + told + b"\n\n"


ANSWERS = {
    "completion": chat(text=False),
    "text_completion": chat(text=True),
    "responses": responses(),
    "messages": messages(),
}


def answering(call_type: str, width: int = 1_000_000) -> Script:
    """Whole or streamed, with a stream's usage where it is asked for; `width`: bytes that arrive at once."""
    body, events = ANSWERS[call_type]

    async def script(talk: Talk) -> None:
        asked = json.loads(talk.request.body)
        if asked.get("stream") is not True:
            await whole(json.dumps(body).encode())(talk)
            return
        stream = b"".join(events((asked.get("stream_options") or {}).get("include_usage") is True))
        pieces = [chunk(stream[at : at + width]) for at in range(0, len(stream), width)]
        await raw(HEAD, *pieces, b"0\r\n\r\n")(talk)

    return script


@asynccontextmanager
async def serving(
    call_type: str, folder: Path, rules: str = "", width: int = 1_000_000, **options: Any
) -> AsyncIterator[tuple[Running, Scripted]]:
    async with scripted(answering(call_type, width)) as up:
        text = upstream(up.url, **options) + AUDIT + PRICES + "rules:" + rules + LOG
        async with running(text, folder) as run:
            yield run, up


# --- clients ----------------------------------------------------------------------------------------------------------


async def asked(run: Running, call_type: str, *, stream: bool, **more: Any) -> tuple[str, list[Any]]:
    """What the official client makes of an answer: its text, and of a stream every event."""
    if call_type == "messages":
        async with anthropic.AsyncAnthropic(base_url=run.url, api_key="any", max_retries=0) as claude:
            if not stream:
                message = await claude.messages.create(model="m", max_tokens=99, messages=ASKED)
                return message.content[0].text, []  # type: ignore[union-attr]
            async with claude.messages.stream(model="m", max_tokens=99, messages=ASKED) as told:
                events = [event async for event in told]
                return await told.get_final_text(), events
    async with openai.AsyncOpenAI(base_url=f"{run.url}/v1", api_key="any", max_retries=0) as sdk:
        if call_type == "responses":
            if not stream:
                return (await sdk.responses.create(model="m", input="hi")).output_text, []
            events = [event async for event in await sdk.responses.create(model="m", input="hi", stream=True)]
            return "".join(one.delta for one in events if one.type == "response.output_text.delta"), events
        door: Any = sdk.chat.completions if call_type == "completion" else sdk.completions
        given = {"messages": ASKED} if call_type == "completion" else {"prompt": "hi"}
        answer = await door.create(model="m", stream=stream, **given, **more)
        if not stream:
            return _text(answer.choices[0], "message"), []
        events = [event async for event in answer]
        return "".join(_text(choice, "delta") for one in events for choice in one.choices), events


def _text(choice: Any, holder: str) -> str:
    return (getattr(choice, holder).content if hasattr(choice, holder) else choice.text) or ""


@pytest.mark.parametrize("width", [1_000_000, 13])
@pytest.mark.parametrize("call_type", ANSWERS)
async def test_a_streamed_call_shows_the_same_usage_cost_and_complete_text_in_its_record_as_the_same_call_not_streamed(
    call_type: str, width: int, tmp_path: Path
) -> None:
    async with serving(call_type, tmp_path, width=width) as (run, _):
        text, _ = await asked(run, call_type, stream=False)
        streamed, events = await asked(run, call_type, stream=True)
        one, other = await run.records(2)
    assert text == streamed == "".join(WORDS)
    assert (one["stream"], other["stream"]) == (False, True)
    assert one["usage"] == other["usage"]
    assert COUNTED.items() <= one["usage"].items()
    assert one["cost"] == other["cost"] == (0.000419 if call_type == "messages" else 0.000404)
    said = DIALECTS[call_type].said
    assert said(one["response"]["body"]) == said(other["response"]["body"])
    assert said(one["response"]["body"]).completion == "".join(WORDS)
    assert one["response"]["body"]["usage"] == other["response"]["body"]["usage"]
    if call_type in ("completion", "text_completion"):
        assert all(event.choices and "usage" not in event.model_fields_set for event in events)


# --- what is asked upstream, and what the client gets -----------------------------------------------------------------

BODY = {"model": "m", "stream": True, "messages": ASKED}
PLAIN = b"".join(ANSWERS["completion"][1](False)).replace(b"}]}", b'}],"obfuscation":"aB3"}')
REDACT = "\n  - {name: r, phase: stream, actions: [{redact: {patterns: [secret.*]}}]}"
HELD = "\n  - {name: h, phase: response, match: {completion_text: {contains: forbidden}}, actions: [{reject: no}]}"
RESTORE = "\n  - {name: m, actions: [{redact: {patterns: [pii.email], with: MAIL, restore: true}}]}"
HOOKED = """
class Hooked:
    async def async_post_call_streaming_iterator_hook(self, user_api_key_dict, response, request_data):
        async for item in response:
            assert item.choices
            yield item
"""


@pytest.mark.parametrize("width", [1_000_000, 7])
@pytest.mark.parametrize("rules", ["", REDACT, HELD, RESTORE], ids=["passing", "stream rule", "held", "restore"])
async def test_usage_that_the_client_did_not_ask_for_is_taken_out(rules: str, width: int, tmp_path: Path) -> None:
    body = {**BODY, "messages": [{"role": "user", "content": "I am ada@example.com"}]}
    async with serving("completion", tmp_path, rules, width) as (run, up):
        answer = await run.post(body={**body, "stream_options": {"include_obfuscation": True}})
        record = await run.record()
        (sent,) = up.requests
    assert answer.content == PLAIN
    assert json.loads(sent.body)["stream_options"] == {"include_obfuscation": True, "include_usage": True}
    assert (record["usage"]["total_tokens"], record["cost"]) == (130, 0.000404)


async def test_callbacks_see_no_event_that_the_client_did_not_ask_for(tmp_path: Path) -> None:
    (tmp_path / "hooks.py").write_text(HOOKED)
    async with scripted(answering("completion", 7)) as up:
        text = upstream(up.url) + AUDIT + PRICES + "callbacks: [hooks.Hooked]\nrules:" + LOG
        async with running(text, tmp_path) as run:
            said, _ = await asked(run, "completion", stream=True)
            record = await run.record()
    assert said == "".join(WORDS)
    assert (record["error"], record["cost"]) == (None, 0.000404)


@pytest.mark.parametrize("rules", ["", REDACT, HELD], ids=["passing", "stream rule", "held"])
async def test_usage_that_the_client_asked_for_stays(rules: str, tmp_path: Path) -> None:
    async with serving("completion", tmp_path, rules, width=7) as (run, _):
        answer = await run.post(body={**BODY, "stream_options": {"include_usage": True}})
        record = await run.record()
    assert answer.content == b"".join(ANSWERS["completion"][1](True))
    assert (record["usage"]["total_tokens"], record["cost"]) == (130, 0.000404)


NOTHING = "\n  - {name: t, phase: log, actions: [{tag: seen}]}"
READS = "\n  - {name: t, phase: log, match: {usage.total_tokens: {gt: 1}}, actions: [{tag: seen}]}"
COSTS = "\n  - {name: t, phase: response, match: {cost: {gt: 1}}, actions: [{tag: dear}]}"
LIMIT = "\n  - {name: t, actions: [{rate_limit: {by: client.ip, tokens: 1000/min}}]}"
REQUESTS = "\n  - {name: t, actions: [{rate_limit: {by: client.ip, requests: 1000/min}}]}"


@pytest.mark.parametrize(
    ("rules", "needs"),
    [(NOTHING, False), (READS, True), (COSTS, True), (LIMIT, True), (REQUESTS, False)],
    ids=["tag", "usage in a log rule", "cost in a response rule", "tokens of a limit", "requests of a limit"],
)
async def test_usage_is_asked_for_only_where_something_needs_it(rules: str, needs: bool, tmp_path: Path) -> None:
    async with scripted(answering("completion")) as up:
        async with running(upstream(up.url) + PRICES + "rules:" + rules, tmp_path) as run:
            answer = await run.post(body=BODY)
            await run.gateway.settled()
        (sent,) = up.requests
    assert json.loads(sent.body).get("stream_options") == ({"include_usage": True} if needs else None)
    assert b"usage" not in answer.content


async def test_an_upstream_that_refuses_the_field_is_not_asked(tmp_path: Path) -> None:
    async with serving("completion", tmp_path, stream_usage=False) as (run, up):
        text, _ = await asked(run, "completion", stream=True)
        record = await run.record()
        (sent,) = up.requests
    assert "stream_options" not in json.loads(sent.body)
    assert text == "".join(WORDS)
    assert (record["usage"], record["cost"]) == (None, None)


@pytest.mark.parametrize("options", ["yes", ["x"]])
async def test_options_that_are_no_object_are_left_to_the_upstream(options: Any, tmp_path: Path) -> None:
    async with serving("completion", tmp_path) as (run, up):
        await run.post(body={**BODY, "stream_options": options})
        await run.record()
        (sent,) = up.requests
    assert json.loads(sent.body).get("stream_options") == options
