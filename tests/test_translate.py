"""Clients of one API at upstreams that have only the other: real sockets and the official client libraries."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gzip
import json

import anthropic
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import AUDIT, LOG, completion, delta, running, upstream
from scripted import chunk, raw, scripted, stream, whole

from engine.ports.translation import MISSHAPEN, Untranslatable, UpstreamTold, translator

pytest.importorskip("llm_rosetta", reason="the extra `translate` is not installed")

EVENTS = "content-type: text/event-stream\r\n"
CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
ASKED = {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
SCHEMA = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "examples": ["x"]},
        "n": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
    },
    "required": ["title"],
    "additionalProperties": False,
}
CHAT_TOOL = {"type": "function", "function": {"name": "find", "description": "Finds.", "parameters": SCHEMA}}
TOOL = {"name": "find", "description": "Finds.", "input_schema": SCHEMA}


def message(*blocks, reason="end_turn", **usage):
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": list(blocks),
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 5, **usage},
    }


def text(said):
    return {"type": "text", "text": said}


def events(*blocks, reason="end_turn", stop=True):
    """The events of a message, each block's text in two pieces."""
    started = {**message(reason=None), "usage": {"input_tokens": 10, "cache_read_input_tokens": 4, "output_tokens": 1}}
    found = [{"type": "message_start", "message": started}, {"type": "ping"}]
    for index, block in enumerate(blocks):
        if block["type"] == "tool_use":
            empty, kind, name, said = (
                {**block, "input": {}},
                "input_json_delta",
                "partial_json",
                json.dumps(block["input"]),
            )
        elif block["type"] == "thinking":
            empty, kind, name, said = {**block, "thinking": ""}, "thinking_delta", "thinking", block["thinking"]
        else:
            empty, kind, name, said = {**block, "text": ""}, "text_delta", "text", block["text"]
        half = len(said) // 2
        found.append({"type": "content_block_start", "index": index, "content_block": empty})
        found += [
            {"type": "content_block_delta", "index": index, "delta": {"type": kind, name: piece}}
            for piece in (said[:half], said[half:])
        ]
        if block["type"] == "thinking":
            signed = {"type": "signature_delta", "signature": "s"}
            found.append({"type": "content_block_delta", "index": index, "delta": signed})
        found.append({"type": "content_block_stop", "index": index})
    ended = {"stop_reason": reason, "stop_sequence": None}
    found.append({"type": "message_delta", "delta": ended, "usage": {"output_tokens": 7}})
    if stop:
        found.append({"type": "message_stop"})
    return b"".join(b"event: %b\ndata: %b\n\n" % (e["type"].encode(), json.dumps(e).encode()) for e in found)


def deltas(*said, finish="stop", usage=True):
    """The data of the chunks of a chat answer."""

    def made(delta, reason=None, **more):
        choices = [{"index": 0, "delta": delta, "finish_reason": reason}]
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "gpt",
            "choices": choices,
            **more,
        }

    told = {
        "prompt_tokens": 20,
        "completion_tokens": 3,
        "total_tokens": 23,
        "prompt_tokens_details": {"cached_tokens": 8},
    }
    found = [made({"role": "assistant", "content": ""}), *map(made, said), made({}, finish)]
    found += [{**made({}), "choices": [], "usage": told}] if usage else []
    return [json.dumps(each) for each in found]


def calls(index, id=None, name=None, arguments=""):
    function = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    return {"tool_calls": [{"index": index, "function": function, **({"id": id, "type": "function"} if id else {})}]}


def to_claude(there, rules="rules: []\n", **options):
    return upstream(there.url, kind="anthropic", translate=True, **options) + rules


def to_gpt(there, rules="rules: []\n", **options):
    return upstream(there.url, translate=True, **options) + rules


def openai_at(gateway):
    return openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0)


def anthropic_at(gateway):
    return anthropic.AsyncAnthropic(base_url=gateway.url, api_key="none", max_retries=0)


def sent(there, number=-1):
    return json.loads(there.requests[number].body)


def answers(body, **options):
    return whole(json.dumps(body).encode(), **options)


# --- clients of OpenAI at Anthropic's API ----------------------------------------------------------------------------


async def test_a_chat_is_answered_by_an_upstream_that_has_only_messages(tmp_path):
    said = message(text("Hel"), text("lo"), cache_read_input_tokens=100, cache_creation_input_tokens=7)
    async with (
        scripted(answers(said)) as there,
        running(to_claude(there, api_key="k", query={"beta": "1"}), tmp_path) as gateway,
        openai_at(gateway) as client,
    ):
        told = [
            {"role": "system", "content": "one"},
            {"role": "user", "content": "hi"},
            {"role": "developer", "content": [{"type": "text", "text": "two"}]},
        ]
        answer = await client.chat.completions.create(
            model="m", messages=told, stop="END", user="u", n=1, extra_headers={"openai-organization": "o"}
        )
        headers = dict(there.requests[0].headers)
        assert there.requests[0].line == "POST /v1/messages?beta=1 HTTP/1.1"
        assert (headers["x-api-key"], headers["anthropic-version"]) == ("k", "2023-06-01")
        assert not {"authorization", "openai-organization"} & headers.keys()
        assert sent(there) == {
            "model": "m",
            "system": [text("one"), text("two")],
            "messages": [{"role": "user", "content": [text("hi")]}],
            "max_tokens": 4096,
            "stop_sequences": ["END"],
            "metadata": {"user_id": "u"},
        }
        assert answer.choices[0].message.content == "Hello"
        assert answer.choices[0].finish_reason == "stop"
        assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (117, 5, 122)
        assert answer.usage.prompt_tokens_details.cached_tokens == 100


async def test_tools_images_and_results_of_a_chat_reach_the_upstream_whole(tmp_path):
    use = {"type": "tool_use", "id": "toolu_1", "name": "find", "input": {"title": "x"}}
    async with (
        scripted(
            answers(message({"type": "thinking", "thinking": "hm", "signature": "s"}, use, reason="tool_use"))
        ) as there,
        running(to_claude(there), tmp_path) as gateway,
        openai_at(gateway) as client,
    ):
        first = await client.chat.completions.create(**CHAT, tools=[CHAT_TOOL], tool_choice="required", max_tokens=9)
        assert sent(there)["tools"] == [TOOL]
        assert (sent(there)["tool_choice"], sent(there)["max_tokens"]) == ({"type": "any"}, 9)
        asked = first.choices[0].message
        assert (first.choices[0].finish_reason, asked.content) == ("tool_calls", None)
        assert asked.reasoning_content == "hm"
        assert json.loads(asked.tool_calls[0].function.arguments) == {"title": "x"}
        pictures = [
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            {"type": "image_url", "image_url": {"url": "https://x.test/y.png", "detail": "high"}},
        ]
        more = [
            {"role": "user", "content": [{"type": "text", "text": "hi"}, *pictures]},
            asked.model_dump(exclude_none=True),
            {"role": "tool", "tool_call_id": "toolu_1", "content": "found"},
            {"role": "user", "content": "and?"},
        ]
        schema = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}
        await client.chat.completions.create(
            model="m",
            messages=more,
            tools=[CHAT_TOOL],
            response_format=schema,
            parallel_tool_calls=False,
            reasoning_effort="high",
        )
        assert sent(there)["messages"] == [
            {
                "role": "user",
                "content": [
                    text("hi"),
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                    {"type": "image", "source": {"type": "url", "url": "https://x.test/y.png"}},
                ],
            },
            {"role": "assistant", "content": [use]},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "found"}, text("and?")],
            },
        ]
        assert sent(there)["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
        assert sent(there)["output_config"] == {"effort": "high", "format": {"type": "json_schema", "schema": SCHEMA}}


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("stop_sequence", "stop"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("model_context_window_exceeded", "length"),
    ],
)
async def test_the_reason_why_a_message_stopped_is_told_to_a_chat(tmp_path, reason, finish):
    async with (
        scripted(answers(message(text("x"), reason=reason)), raw(streamed(events(text("xy"), reason=reason)))) as there,
        running(to_claude(there), tmp_path) as gateway,
    ):
        assert (await gateway.post()).json()["choices"][0]["finish_reason"] == finish
        async with openai_at(gateway) as client:
            chunks = [each async for each in await client.chat.completions.create(**CHAT, stream=True)]
        assert [each.choices[0].finish_reason for each in chunks if each.choices[0].finish_reason] == [finish]


def streamed(body):
    """An answer that is a stream, in one piece."""
    return b"HTTP/1.1 200 OK\r\n%bcontent-length: %d\r\n\r\n%b" % (EVENTS.encode(), len(body), body)


def cut(body, size):
    """The same in pieces of a size."""
    head = b"HTTP/1.1 200 OK\r\n%btransfer-encoding: chunked\r\n\r\n" % EVENTS.encode()
    return raw(head, *(chunk(body[at : at + size]) for at in range(0, len(body), size)), b"0\r\n\r\n")


@pytest.mark.parametrize("size", [1, 7, 100_000])
async def test_a_message_streams_to_a_chat_however_it_is_cut(tmp_path, size):
    tools = [{"type": "tool_use", "id": f"toolu_{at}", "name": "find", "input": {"title": f"t{at}"}} for at in (1, 2)]
    thought = {"type": "thinking", "thinking": "hmm", "signature": ""}
    body = events(thought, text("hello"), *tools, reason="tool_use")
    async with (
        scripted(cut(body, size)) as there,
        running(to_claude(there), tmp_path) as gateway,
        openai_at(gateway) as client,
    ):
        options = {"include_usage": True}
        async with client.chat.completions.stream(**CHAT, stream_options=options) as helper:
            chunks = [event.chunk async for event in helper if event.type == "chunk"]
            final = await helper.get_final_completion()
        assert sent(there)["stream"] is True
        assert "stream_options" not in sent(there)
        said = final.choices[0].message
        assert (said.role, said.content, final.choices[0].finish_reason) == ("assistant", "hello", "tool_calls")
        found = [(call.id, json.loads(call.function.arguments)) for call in said.tool_calls]
        assert found == [("toolu_1", {"title": "t1"}), ("toolu_2", {"title": "t2"})]
        assert (
            "".join(
                c.choices[0].delta.reasoning_content or ""
                for c in chunks
                if c.choices and hasattr(c.choices[0].delta, "reasoning_content")
            )
            == "hmm"
        )
        assert (final.usage.prompt_tokens, final.usage.completion_tokens) == (14, 7)
        assert final.usage.prompt_tokens_details.cached_tokens == 4


async def test_a_chat_that_asks_for_no_usage_gets_none_and_the_record_has_it(tmp_path):
    rules = AUDIT + "rules:" + LOG
    async with (
        scripted(raw(streamed(events(text("hello"))))) as there,
        running(to_claude(there, rules), tmp_path) as gateway,
    ):
        answer = await gateway.post(body={**CHAT, "stream": True})
        assert '"usage"' not in answer.text
        assert answer.text.endswith("data: [DONE]\n\n")
        record = await gateway.record()
        assert record["usage"]["prompt_tokens"] == 14
        assert record["response"]["body"]["choices"][0]["message"]["content"] == "hello"


async def test_the_first_word_of_a_message_leaves_before_the_second_came(tmp_path):
    head, _, rest = events(text("hello")).partition(b"event: content_block_stop")
    go = asyncio.Event()

    async def script(talk):
        await talk.send(b"HTTP/1.1 200 OK\r\n%btransfer-encoding: chunked\r\n\r\n" % EVENTS.encode() + chunk(head))
        await go.wait()
        await talk.send(chunk(b"event: content_block_stop" + rest) + b"0\r\n\r\n")

    async with scripted(script) as there, running(to_claude(there), tmp_path) as gateway, openai_at(gateway) as client:
        said = ""
        async for each in await client.chat.completions.create(**CHAT, stream=True):
            said += each.choices[0].delta.content or ""
            if said == "hello":
                go.set()
        assert go.is_set()


async def test_a_stream_rule_redacts_a_translated_stream(tmp_path):
    rules = """
rules:
  - {name: no-mail, phase: stream, actions: [{redact: {patterns: [pii.email]}}]}
"""
    body = events(text("write to ann@example.com now"))
    async with (
        scripted(cut(body, 50)) as there,
        running(to_claude(there, rules), tmp_path) as gateway,
        openai_at(gateway) as client,
    ):
        chunks = [each async for each in await client.chat.completions.create(**CHAT, stream=True)]
        said = "".join(each.choices[0].delta.content or "" for each in chunks)
        assert "ann@" not in said
        assert said.startswith("write to ")
        assert said.endswith(" now")


async def test_an_upstream_that_dies_in_a_message_leaves_a_broken_chat(tmp_path):
    head = b"HTTP/1.1 200 OK\r\n%btransfer-encoding: chunked\r\n\r\n" % EVENTS.encode()
    body = events(text("hello"), stop=False).partition(b"event: message_delta")[0]
    for then in ("reset", "close"):
        async with (
            scripted(raw(head, chunk(body), pause=0.05, then=then)) as there,
            running(to_claude(there), tmp_path) as gateway,
        ):
            answer = await gateway.post(body={**CHAT, "stream": True})
            assert '"content":"he"' in answer.text
            assert "[DONE]" not in answer.text
            assert '"error":{"message":"upstream main:' in answer.text


async def test_a_message_that_ends_without_its_stop_is_no_whole_chat(tmp_path):
    body = events(text("hello")).partition(b"event: message_delta")[0]
    async with scripted(raw(streamed(body))) as there, running(to_claude(there), tmp_path) as gateway:
        answer = await gateway.post(body={**CHAT, "stream": True})
        assert "before the answer was complete" in answer.text


@pytest.mark.parametrize(
    ("status", "type", "error"),
    [
        ("400 Bad Request", "invalid_request_error", openai.BadRequestError),
        ("401 Unauthorized", "authentication_error", openai.AuthenticationError),
        ("429 Too Many Requests", "rate_limit_error", openai.RateLimitError),
        ("529 Overloaded", "overloaded_error", openai.InternalServerError),
    ],
)
async def test_errors_of_messages_are_errors_of_a_chat(tmp_path, status, type, error):
    body = {"type": "error", "error": {"type": type, "message": "so it is"}, "request_id": "r"}
    headers = "content-type: application/json\r\nretry-after: 3\r\n"
    async with (
        scripted(answers(body, status=status, headers=headers)) as there,
        running(to_claude(there), tmp_path) as gateway,
    ):
        async with openai_at(gateway) as client:
            with pytest.raises(error) as raised:
                await client.chat.completions.create(**CHAT)
        assert raised.value.body["message"] == "so it is"
        assert raised.value.type == type
        assert raised.value.response.headers["retry-after"] == "3"


async def test_an_error_page_and_an_error_in_a_stream_have_the_clients_shape(tmp_path):
    page = whole(b"<html>", status="502 Bad Gateway", headers="content-type: text/html\r\n")
    told = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n'
    begun = events(text("hello")).partition(b"event: content_block_stop")[0]
    async with scripted(page, raw(streamed(begun + told))) as there, running(to_claude(there), tmp_path) as gateway:
        answer = await gateway.post()
        assert (answer.status_code, answer.json()["error"]["message"]) == (502, "the upstream answered with status 502")
        async with openai_at(gateway) as client:
            with pytest.raises(openai.APIError, match="busy"):
                _ = [each async for each in await client.chat.completions.create(**CHAT, stream=True)]


SAYS = [
    ({"seed": 1}, "seed"),
    ({"n": 2}, "n"),
    ({"logit_bias": {"1": 2}}, "logit_bias"),
    ({"temperature": 1.5}, "temperature"),
    ({"response_format": {"type": "json_object"}}, "response_format"),
    ({"web_search_options": {}}, "web_search_options"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"tools": [CHAT_TOOL], "tool_choice": {"type": "allowed_tools"}}, "tool_choice"),
    ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0].custom"),
    ({"messages": [{"role": "user", "content": "x", "name": "ann"}]}, "messages[0].name"),
    ({"messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]}, "messages[0].content[0].type"),
    ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "c"}]}, "messages"),
    ({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}, "messages"),
]


@pytest.mark.parametrize(("more", "field"), SAYS)
async def test_what_a_message_has_no_words_for_is_refused(tmp_path, more, field):
    async with scripted(answers(message(text("x")))) as there, running(to_claude(there), tmp_path) as gateway:
        answer = await gateway.post(body={**CHAT, **more})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "untranslatable")
        assert answer.json()["error"]["param"] == field
        assert not there.requests


# --- clients of Anthropic at OpenAI's API -----------------------------------------------------------------------------


async def test_a_message_is_answered_by_an_upstream_that_has_only_chat_completions(tmp_path):
    told = {
        "prompt_tokens": 20,
        "completion_tokens": 3,
        "total_tokens": 23,
        "prompt_tokens_details": {"cached_tokens": 8},
    }
    async with (
        scripted(answers(completion("Hello", usage=told))) as there,
        running(to_gpt(there, api_key="k"), tmp_path) as gateway,
        anthropic_at(gateway) as client,
    ):
        answer = await client.messages.create(
            **ASKED,
            system=[text("one"), {**text("two"), "cache_control": {"type": "ephemeral"}}],
            stop_sequences=["A", "B"],
            metadata={"user_id": "u"},
            extra_body={"temperature": 0.5},
            extra_query={"beta": "true"},
        )
        headers = dict(there.requests[0].headers)
        assert there.requests[0].line == "POST /v1/chat/completions HTTP/1.1"
        assert headers["authorization"] == "Bearer k"
        assert not {"x-api-key", "anthropic-version"} & headers.keys()
        assert sent(there) == {
            "model": "m",
            "messages": [{"role": "system", "content": "one\n\ntwo"}, {"role": "user", "content": "hi"}],
            "temperature": 0.5,
            "max_completion_tokens": 50,
            "stop": ["A", "B"],
            "user": "u",
        }
        assert (answer.role, answer.content[0].text, answer.stop_reason) == ("assistant", "Hello", "end_turn")
        assert answer.usage.input_tokens == 12
        assert (answer.usage.cache_read_input_tokens, answer.usage.output_tokens) == (8, 3)


async def test_tools_images_and_results_of_a_message_reach_the_upstream_whole(tmp_path):
    call = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"title": "x"}'}}
    body = completion("")
    body["choices"][0] = {
        "index": 0,
        "finish_reason": "tool_calls",
        "message": {"role": "assistant", "content": None, "tool_calls": [call]},
    }
    async with (
        scripted(answers(body)) as there,
        running(to_gpt(there), tmp_path) as gateway,
        anthropic_at(gateway) as client,
    ):
        first = await client.messages.create(
            **ASKED, tools=[TOOL], tool_choice={"type": "any", "disable_parallel_tool_use": True}
        )
        assert sent(there)["tools"] == [CHAT_TOOL]
        assert (sent(there)["tool_choice"], sent(there)["parallel_tool_calls"]) == ("required", False)
        assert first.stop_reason == "tool_use"
        assert (first.content[0].id, first.content[0].name, first.content[0].input) == ("c1", "find", {"title": "x"})
        picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
        linked = {"type": "image", "source": {"type": "url", "url": "https://x.test/y.png"}}
        thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
        result = {"type": "tool_result", "tool_use_id": "c1", "content": [text("none")], "is_error": True}
        more = [
            {"role": "user", "content": [picture, linked, text("hi")]},
            {
                "role": "assistant",
                "content": [thought, text("I "), text("look"), *(b.model_dump() for b in first.content)],
            },
            {"role": "user", "content": [result, text("and?")]},
        ]
        await client.messages.create(
            model="m", max_tokens=9000, messages=more, tools=[TOOL], thinking={"type": "enabled", "budget_tokens": 8000}
        )
        images = [
            {"type": "image_url", "image_url": {"url": url, "detail": "auto"}}
            for url in ("data:image/png;base64,AAAA", "https://x.test/y.png")
        ]
        assert sent(there)["messages"] == [
            {"role": "user", "content": [*images, text("hi")]},
            {"role": "assistant", "content": "I look", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "Error: none"},
            {"role": "user", "content": "and?"},
        ]
        assert sent(there)["reasoning_effort"] == "medium"


@pytest.mark.parametrize(
    ("finish", "reason"),
    [("stop", "end_turn"), ("length", "max_tokens"), ("tool_calls", "tool_use"), ("content_filter", "refusal")],
)
async def test_the_reason_why_a_chat_finished_is_told_to_a_message(tmp_path, finish, reason):
    body = completion("x")
    body["choices"][0]["finish_reason"] = finish
    async with (
        scripted(answers(body), stream(deltas({"content": "x"}, finish=finish))) as there,
        running(to_gpt(there), tmp_path) as gateway,
        anthropic_at(gateway) as client,
    ):
        assert (await client.messages.create(**ASKED)).stop_reason == reason
        async with client.messages.stream(**ASKED) as helper:
            assert (await helper.get_final_message()).stop_reason == reason


@pytest.mark.parametrize("size", [1, 7, 100_000])
async def test_a_chat_streams_to_a_message_however_it_is_cut(tmp_path, size):
    said = [
        {"reasoning_content": "hm"},
        {"content": "hel"},
        {"content": "lo"},
        calls(0, "c1", "find"),
        calls(0, arguments='{"title":'),
        calls(0, arguments='"t1"}'),
        calls(1, "c2", "find", '{"title":"t2"}'),
    ]
    body = "".join(f"data: {data}\n\n" for data in [*deltas(*said, finish="tool_calls"), "[DONE]"]).encode()
    async with (
        scripted(cut(body, size)) as there,
        running(to_gpt(there), tmp_path) as gateway,
        anthropic_at(gateway) as client,
    ):
        async with client.messages.stream(**ASKED) as helper:
            kinds = [(event.type, event.index) async for event in helper if event.type.startswith("content_block_st")]
            final = await helper.get_final_message()
        assert sent(there)["stream_options"] == {"include_usage": True}
        assert [index for kind, index in kinds if kind == "content_block_start"] == [0, 1, 2, 3]
        assert [index for kind, index in kinds if kind == "content_block_stop"] == [0, 1, 2, 3]
        thought, spoken, *tools = final.content
        assert (thought.thinking, spoken.text, final.stop_reason) == ("hm", "hello", "tool_use")
        assert [(tool.id, tool.input) for tool in tools] == [("c1", {"title": "t1"}), ("c2", {"title": "t2"})]
        assert (final.usage.input_tokens, final.usage.cache_read_input_tokens, final.usage.output_tokens) == (12, 8, 3)


@pytest.mark.parametrize("usage", [True, False])
@pytest.mark.parametrize("done", [True, False])
async def test_a_chat_that_ends_its_own_way_still_ends_a_message(tmp_path, usage, done):
    azure = json.dumps({"id": "", "model": "", "choices": [], "prompt_filter_results": []})
    body = "".join(f"data: {data}\n\n" for data in [azure, *deltas({"content": "x"}, usage=usage), *["[DONE]"] * done])
    async with scripted(raw(streamed(body.encode()))) as there, running(to_gpt(there), tmp_path) as gateway:
        answer = await gateway.post("/v1/messages", {**ASKED, "stream": True})
        names = [line[7:] for line in answer.text.splitlines() if line.startswith("event: ")]
        begun = ["message_start", "content_block_start", "content_block_delta", "content_block_stop"]
        assert names == [*begun, "message_delta", "message_stop"]


async def test_an_upstream_that_dies_in_a_chat_leaves_a_broken_message(tmp_path):
    async with (
        scripted(stream([delta("hello")], 0.05, then="reset", done=False)) as there,
        running(to_gpt(there), tmp_path) as gateway,
    ):
        answer = await gateway.post("/v1/messages", {**ASKED, "stream": True})
        assert '"text":"hello"' in answer.text
        assert "message_stop" not in answer.text
        assert "event: error\n" in answer.text


async def test_errors_of_a_chat_are_errors_of_a_message(tmp_path):
    body = {"error": {"message": "too many", "type": "insufficient_quota", "code": "insufficient_quota"}}
    late = json.dumps({"error": {"message": "it broke", "type": "server_error"}})
    async with (
        scripted(
            answers(body, status="429 Too Many Requests"), stream([delta("x"), late], done=False, then="close")
        ) as there,
        running(to_gpt(there), tmp_path) as gateway,
        anthropic_at(gateway) as client,
    ):
        with pytest.raises(anthropic.RateLimitError, match="too many") as raised:
            await client.messages.create(**ASKED)
        assert raised.value.body["error"]["type"] == "rate_limit_error"
        with pytest.raises(anthropic.APIStatusError, match="it broke"):
            async with client.messages.stream(**ASKED) as helper:
                await helper.get_final_message()


async def test_a_chat_whose_calls_share_a_number_is_told_apart_and_a_mixed_one_breaks(tmp_path):
    """Some upstreams give every call the number 0, or tell its id with every piece."""
    same = [calls(0, "c1", "find", "{}"), calls(0, "c2", "find", '{"title":'), calls(0, "c2", None, '"x"}')]
    mixed = [calls(0, "c1", "find", "{"), calls(1, "c2", "find", "{"), calls(0, None, None, "}")]
    async with (
        scripted(stream(deltas(*same, finish="tool_calls")), stream(deltas(*mixed, finish="tool_calls"))) as there,
        running(to_gpt(there), tmp_path) as gateway,
        anthropic_at(gateway) as client,
    ):
        async with client.messages.stream(**ASKED) as helper:
            final = await helper.get_final_message()
        assert [(tool.id, tool.input) for tool in final.content] == [("c1", {}), ("c2", {"title": "x"})]
        answer = await gateway.post("/v1/messages", {**ASKED, "stream": True})
        assert "tool calls come mixed" in answer.text
        assert "message_stop" not in answer.text


async def test_a_coded_answer_is_decoded_before_it_is_translated(tmp_path):
    body = gzip.compress(json.dumps(completion("Hello")).encode())
    headers = "content-type: application/json\r\ncontent-encoding: gzip\r\n"
    async with scripted(whole(body, headers=headers)) as there, running(to_gpt(there), tmp_path) as gateway:
        answer = await gateway.post("/v1/messages", ASKED)
        assert answer.json()["content"][0]["text"] == "Hello"
        assert "content-encoding" not in answer.headers


async def test_arguments_that_are_no_object_are_no_tool_use(tmp_path):
    call = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"title'}}
    body = completion("x")
    body["choices"][0]["message"]["tool_calls"] = [call]
    async with scripted(answers(body)) as there, running(to_gpt(there), tmp_path) as gateway:
        answer = await gateway.post("/v1/messages", ASKED)
        assert (answer.status_code, answer.json()["type"]) == (502, "error")
        assert "no JSON object" in answer.json()["error"]["message"]


ASKS = [
    ({"top_k": 5}, "top_k"),
    ({"mcp_servers": []}, "mcp_servers"),
    ({"tools": [TOOL], "tool_choice": {"type": "new"}}, "tool_choice"),
    ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
    ({"system": [{"type": "image"}]}, "system[0].type"),
    ({"messages": [{"role": "user", "content": [{"type": "document", "source": {}}]}]}, "messages[0].content[0].type"),
    ({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "{"}]}, "messages"),
]


@pytest.mark.parametrize(("more", "field"), ASKS)
async def test_what_a_chat_has_no_words_for_is_refused(tmp_path, more, field):
    async with scripted(answers(completion("x"))) as there, running(to_gpt(there), tmp_path) as gateway:
        answer = await gateway.post("/v1/messages", {**ASKED, **more})
        assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
        assert f"`{field}" in answer.json()["error"]["message"]
        assert not there.requests


@pytest.mark.parametrize(
    ("chat", "messages"),
    [
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ("required", {"type": "any"}),
        ({"type": "function", "function": {"name": "find"}}, {"type": "tool", "name": "find"}),
    ],
)
def test_a_choice_of_tools_is_the_same_in_both(chat, messages):
    there = translator("completion", "anthropic").request({**CHAT, "tools": [CHAT_TOOL], "tool_choice": chat})
    back = translator("messages", "openai").request({**ASKED, "tools": [TOOL], "tool_choice": messages})
    assert (there["tool_choice"], back["tool_choice"]) == (messages, chat)


def test_what_tools_found_goes_with_its_pictures_and_parts():
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    linked = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    called = {"role": "assistant", "content": "", **calls(0, "c", "f", "{}")}
    found = {"role": "tool", "tool_call_id": "c", "content": [text("x"), linked]}
    chat = {**CHAT, "messages": [*CHAT["messages"], called, found, {"role": "user", "content": ""}]}
    (result,) = translator("completion", "anthropic").request(chat)["messages"][2]["content"]
    assert result == {"type": "tool_result", "tool_use_id": "c", "content": [text("x"), picture]}
    uses = [{"type": "tool_use", "id": id, "name": "f", "input": {}} for id in "cd"]
    results = [
        {"type": "tool_result", "tool_use_id": "c", "content": [text("x"), picture]},
        {"type": "tool_result", "tool_use_id": "d", "content": [text("a"), text("b")], "is_error": True},
    ]
    turns = [*ASKED["messages"], {"role": "assistant", "content": uses}, {"role": "user", "content": results}]
    first, second, shown = translator("messages", "openai").request({**ASKED, "messages": turns})["messages"][2:]
    assert (first["tool_call_id"], first["content"]) == ("c", [text("x")])
    assert (second["tool_call_id"], second["content"]) == ("d", [text("Error: a"), text("b")])
    assert {"type": "image_url", "image_url": {**linked["image_url"], "detail": "auto"}} in shown["content"]


def test_a_request_is_not_changed_in_place():
    chat = {**CHAT, "tools": [CHAT_TOOL], "messages": [{"role": "system", "content": "s"}, *CHAT["messages"]]}
    asked = {**ASKED, "tools": [TOOL], "system": [text("s")], "thinking": {"type": "adaptive"}}
    for client, kind, body in (("completion", "anthropic", chat), ("messages", "openai", asked)):
        before = copy.deepcopy(body)
        translator(client, kind).request(body)
        assert body == before


# --- beside it -------------------------------------------------------------------------------------------------------


WORDS = [
    "type",
    "text",
    "role",
    "content",
    "choices",
    "delta",
    "message",
    "usage",
    "error",
    "tool_calls",
    "function",
    "arguments",
    "index",
    "id",
    "name",
]
EVENTS_OF = {
    "messages": [
        line[6:]
        for line in events(text("x"), {"type": "tool_use", "id": "t", "name": "f", "input": {}}).decode().splitlines()
        if line.startswith("data")
    ],
    "completion": deltas({"content": "x"}, calls(0, "c", "f", "{}")),
}
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "text", "user", "tool_use", "stop", "{}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=8,
)


@given(data=st.data())
def test_bodies_of_any_shape_are_translated_or_refused(data):
    called = {"role": "assistant", "content": None, **calls(0, "c", "f", "{}")}
    turns = [*CHAT["messages"], called, {"role": "tool", "tool_call_id": "c", "content": "x"}]
    chat = {**CHAT, "tools": [CHAT_TOOL], "messages": turns}
    asked = {**ASKED, "tools": [TOOL], "messages": [{"role": "user", "content": [text("x")]}], "system": [text("s")]}
    bodies = {"completion": [chat, completion("x")], "messages": [asked, message(text("x"))]}
    client, kind, other = data.draw(
        st.sampled_from([("completion", "anthropic", "messages"), ("messages", "openai", "completion")])
    )
    by = translator(client, kind)
    request, answer = bodies[client][0], bodies[other][1]
    events_ = [json.dumps(spoilt(json.loads(each), data)) for each in EVENTS_OF[other]]
    stream_ = by.events(request)
    for work in (
        lambda: by.request(spoilt(request, data)),
        lambda: by.answer(spoilt(answer, data)),
        lambda: [stream_.take(each) for each in events_],
    ):
        with contextlib.suppress(Untranslatable, UpstreamTold, *MISSHAPEN):
            work()


def spoilt(value, data):
    """A body in which one place holds something else."""
    if not isinstance(value, (dict, list)) or not value or data.draw(st.integers(0, 3)) == 0:
        return data.draw(JUNK)
    names = list(value) if isinstance(value, dict) else list(range(len(value)))
    at = data.draw(st.sampled_from(names))
    changed = value.copy()
    changed[at] = spoilt(value[at], data)
    return changed


async def test_a_callers_own_credential_goes_as_the_other_api_has_it(tmp_path):
    """Where the gateway has none; what the upstream's section says goes as it was written."""
    mine = {"authorization": "Bearer mine"}
    said = answers(message(text("x")))
    async with scripted(said) as there:
        async with running(to_claude(there), tmp_path) as gateway:
            await gateway.post(headers={**mine, "openai-project": "p"})
        options = {"api_key": "k", "auth": "bearer", "headers": {"anthropic-version": "v", "openai-project": "q"}}
        async with running(to_claude(there, **options), tmp_path) as gateway:
            await gateway.post(headers=mine)
        first, second = (dict(request.headers) for request in there.requests)
        assert (first["x-api-key"], first.keys() & {"authorization", "openai-project"}) == ("mine", set())
        wanted = {"authorization": "Bearer k", "anthropic-version": "v", "openai-project": "q"}
        assert {name: second.get(name) for name in wanted} == wanted
        assert "x-api-key" not in second
    async with scripted(answers(completion("x"))) as there, running(to_gpt(there), tmp_path) as gateway:
        await gateway.post("/v1/messages", ASKED, headers={"x-api-key": "mine", "anthropic-beta": "b"})
        headers = dict(there.requests[0].headers)
        assert (headers["authorization"], headers.keys() & {"x-api-key", "anthropic-beta"}) == ("Bearer mine", set())


async def test_clients_of_the_upstreams_own_api_are_not_translated(tmp_path):
    body = message(text("x"))
    async with scripted(answers(body)) as there, running(to_claude(there), tmp_path) as gateway:
        assert (await gateway.post("/v1/messages", {**ASKED, "seed": 1})).json() == body
        assert sent(there) == {**ASKED, "seed": 1}


async def test_the_cache_keeps_the_clients_answer(tmp_path):
    rules = "rules:\n  - {name: keep, actions: [{cache: {ttl: 1m}}]}\n"
    async with (
        scripted(answers(message(text("Hello")))) as there,
        running(to_claude(there, rules), tmp_path) as gateway,
        openai_at(gateway) as client,
    ):
        first = await client.chat.completions.create(**CHAT)
        await gateway.gateway.settled()
        second = await client.chat.completions.create(**CHAT)
        assert first == second
        assert len(there.requests) == 1
