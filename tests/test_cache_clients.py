"""Kept answers as the official clients read them: a hit is what the miss was, whole and streamed, in every dialect."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from running import AUDIT, CHAT, LOG, Running, running, upstream
from scripted import Script, Scripted, raw, scripted, whole
from valkey_server import Valkey

from engine.document.dialects import DIALECTS

CACHE = "\n  - {name: kept, actions: [{cache: {ttl: 60s%s}}]}"
TOKEN = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": [{"token": "a", "logprob": -0.5, "bytes": [97]}]}
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "prompt_tokens_details": {"cached_tokens": 1}}
COUNTED = {"stream": True, "stream_options": {"include_usage": True}}


@pytest.fixture(params=["memory", "valkey"])
def store(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A section of a rules file, and what names the store in an action."""
    if request.param == "memory":
        return "", ""
    server: Valkey = request.getfixturevalue("valkey")
    return f"stores: {{shared: {{redis: {{url: '{server.url}', timeout: 10s}}}}}}\n", ", store: shared"


@asynccontextmanager
async def caching(folder: Path, store: tuple[str, str], answer: Script) -> AsyncIterator[tuple[Running, Scripted]]:
    """A gateway with a cache before an upstream that gives an answer once; asked again it breaks off."""
    async with scripted(answer, raw(b"", then="reset")) as up:
        rules = upstream(up.url, api_key="sk-ours") + AUDIT + store[0] + "rules:" + CACHE % store[1] + LOG
        async with running(rules, folder) as run:
            yield run, up


def openai_at(run: Running) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{run.url}/v1", api_key="any", max_retries=0)


def anthropic_at(run: Running) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(base_url=run.url, api_key="any", max_retries=0)


def unalike(value: Any) -> Any:
    """Without what is nothing, and the marks that only a client's stream helper leaves."""
    if isinstance(value, dict):
        kept = {name: unalike(item) for name, item in value.items() if name not in ("parsed", "parsed_arguments")}
        kept.pop("index" if "function" in value else "", None)
        return {name: item for name, item in kept.items() if item is not None}
    return [unalike(item) for item in value] if isinstance(value, list) else value


def completion(*choices: dict[str, Any]) -> dict[str, Any]:
    some = [
        {"index": at, "finish_reason": "stop", **each, "message": {"role": "assistant", **each["message"]}}
        for at, each in enumerate(choices)
    ]
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o", "choices": some, "usage": USAGE}


CALLS = [
    {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
    {"id": "2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
]
SPOKEN = {
    "several choices": completion({"message": {"content": "one"}}, {"message": {"content": "two"}}),
    "tool calls": completion({"finish_reason": "tool_calls", "message": {"content": None, "tool_calls": CALLS}}),
    "log probabilities": completion({"message": {"content": "a"}, "logprobs": {"content": [TOKEN], "refusal": None}}),
    "a refusal": completion({"message": {"content": None, "refusal": "no"}}),
    "reasoning": completion({"message": {"content": "a", "reasoning_content": "because"}}),
}


@pytest.mark.parametrize("body", SPOKEN.values(), ids=SPOKEN)
async def test_a_whole_chat_answer_is_streamed(body: dict[str, Any], tmp_path: Path) -> None:
    async with caching(tmp_path, ("", ""), whole(json.dumps(body).encode())) as (run, up), openai_at(run) as client:
        fresh = await client.chat.completions.create(**CHAT)
        kept = await client.chat.completions.create(**CHAT)
        options: Any = COUNTED["stream_options"]
        async with client.chat.completions.stream(**CHAT, stream_options=options) as stream:
            final = await stream.get_final_completion()
        assert kept == fresh
        assert unalike(final.model_dump()) == unalike(fresh.model_dump())
        assert len(up.requests) == 1


@pytest.mark.parametrize("body", SPOKEN.values(), ids=SPOKEN)
async def test_a_streamed_chat_answer_is_given_whole(
    body: dict[str, Any], store: tuple[str, str], tmp_path: Path
) -> None:
    async with caching(tmp_path, store, events("completion", body)) as (run, up), openai_at(run) as client:
        first = [chunk async for chunk in await client.chat.completions.create(**CHAT, **COUNTED)]
        await run.gateway.settled()  # else the next one may wait a moment, and say so
        kept = await client.chat.completions.with_raw_response.create(**CHAT)
        assert (kept.headers["x-pointsman-cache"], kept.headers["content-type"]) == ("hit", "application/json")
        assert unalike(kept.parse().model_dump()) == unalike(body)
        again = [chunk async for chunk in await client.chat.completions.create(**CHAT, **COUNTED)]
        assert again[-1].usage == first[-1].usage
        assert len(up.requests) == 1
        records = sorted(await run.records(3), key=lambda record: bool(record["cache_hit"]))
        assert [record["cache_hit"] for record in records] == [False, True, True]
        assert [record["attempts"] for record in records] == [1, 0, 0]
        assert [record["cost"] for record in records[1:]] == [0, 0]
        assert [record["timing"]["upstream_ms"] for record in records[1:]] == [None, None]
        assert [record["usage"]["total_tokens"] for record in records] == [3, 3, 3]


def events(name: str, body: Any) -> Script:
    """A body as the stream of an upstream."""
    sent = b"".join(DIALECTS[name].replay(body, include_usage=True))
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {len(sent)}\r\n\r\n"
    return raw(head.encode(), *(sent[at : at + 100] for at in range(0, len(sent), 100)))


async def test_text_completions(store: tuple[str, str], tmp_path: Path) -> None:
    body = {
        "id": "c",
        "object": "text_completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "text": "hello", "logprobs": None, "finish_reason": "stop"}],
        "usage": USAGE,
    }
    asked: Any = {"model": "m", "prompt": "hi"}
    async with caching(tmp_path, store, whole(json.dumps(body).encode())) as (run, up), openai_at(run) as client:
        fresh = await client.completions.create(**asked)
        assert await client.completions.create(**asked) == fresh
        chunks = [chunk async for chunk in await client.completions.create(**asked, **COUNTED)]
        assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == "hello"
        assert chunks[-1].usage == fresh.usage
        assert len(up.requests) == 1


async def test_embeddings(store: tuple[str, str], tmp_path: Path) -> None:
    body = {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -0.25]}],
        "model": "m",
        "usage": {"prompt_tokens": 1, "total_tokens": 1},
    }
    async with caching(tmp_path, store, whole(json.dumps(body).encode())) as (run, up), openai_at(run) as client:
        fresh = await client.embeddings.create(model="m", input="hi", encoding_format="float")
        assert await client.embeddings.create(model="m", input="hi", encoding_format="float") == fresh
        assert fresh.data[0].embedding == [0.5, -0.25]
        assert len(up.requests) == 1


RESPONSE = {
    "id": "resp",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "m",
    "output": [
        {"id": "r", "type": "reasoning", "summary": [{"type": "summary_text", "text": "because"}]},
        {
            "id": "m",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [
                {
                    "type": "output_text",
                    "text": "hello",
                    "annotations": [
                        {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}
                    ],
                    "logprobs": [TOKEN],
                }
            ],
        },
        {"id": "f", "type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "status": "completed"},
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 1,
        "output_tokens": 2,
        "total_tokens": 3,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 1},
    },
}


async def test_responses(store: tuple[str, str], tmp_path: Path) -> None:
    async with caching(tmp_path, store, whole(json.dumps(RESPONSE).encode())) as (run, up), openai_at(run) as client:
        fresh = await client.responses.create(model="m", input="hi")
        assert await client.responses.create(model="m", input="hi") == fresh
        async with client.responses.stream(model="m", input="hi") as stream:
            told = [event async for event in stream]
            final = await stream.get_final_response()
        assert (final.output_text, final.usage) == (fresh.output_text, fresh.usage) == ("hello", fresh.usage)
        assert [item.type for item in final.output] == ["reasoning", "message", "function_call"]
        kinds = [event.type for event in told]
        assert "response.output_text.annotation.added" in kinds
        assert kinds[-1] == "response.completed"
        delta = next(event for event in told if event.type == "response.output_text.delta")
        assert (delta.delta, delta.logprobs[0].token) == ("hello", "a")
        assert len(up.requests) == 1


async def test_a_streamed_response_is_given_whole(tmp_path: Path) -> None:
    async with caching(tmp_path, ("", ""), events("responses", RESPONSE)) as (run, up), openai_at(run) as client:
        async with client.responses.stream(model="m", input="hi") as stream:
            fresh = await stream.get_final_response()
        kept = await client.responses.create(model="m", input="hi")
        assert (kept.output_text, kept.usage) == (fresh.output_text, fresh.usage)
        assert len(up.requests) == 1


MESSAGE = {
    "id": "msg",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "text", "text": "hello"},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"a": [1, {"b": None}]}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": 3},
}
ASKED: Any = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_messages(streamed: bool, store: tuple[str, str], tmp_path: Path) -> None:
    script = events("messages", MESSAGE) if streamed else whole(json.dumps(MESSAGE).encode())
    async with caching(tmp_path, store, script) as (run, up), anthropic_at(run) as client:
        if streamed:
            async with client.messages.stream(**ASKED) as stream:
                await stream.get_final_message()
        kept = await client.messages.create(**ASKED)
        async with client.messages.stream(**ASKED) as stream:
            final = await stream.get_final_message()
        assert unalike(kept.model_dump()) == unalike(MESSAGE)
        assert unalike(final.model_dump()) == unalike(kept.model_dump())
        assert len(up.requests) == 1
