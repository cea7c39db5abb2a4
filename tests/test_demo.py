"""The embedded demo upstream: it shows what it received, whole as streamed, and says what it cannot read."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.document.dialects import ENDPOINTS, dialect_at
from engine.document.sse import Parser
from engine.ports.wire import Call
from engine.proxy.demo import Demo

ASKED = {
    "/v1/chat/completions": {
        "messages": [{"role": "system", "content": "be kind"}, {"role": "user", "content": "größer"}]
    },
    "/v1/completions": {"prompt": "größer"},
    "/v1/responses": {"instructions": "be kind", "input": "größer"},
    "/v1/messages": {"system": "be kind", "messages": [{"role": "user", "content": "größer"}], "max_tokens": 100},
}


async def ask(path, body, method="POST", upstream=None):
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    arrival = await (upstream or Demo(pause=0.0, now=lambda: 7)).send(
        Call(method, f"http://demo.invalid{path}", (), raw)
    )
    return arrival.status, dict(arrival.headers), [chunk async for chunk in arrival.chunks()]


async def body_of(path, body, method="POST"):
    status, _, chunks = await ask(path, body, method)
    return status, msgspec.json.decode(b"".join(chunks))


def assembled(path, chunks):
    assembler, parser = dialect_at(path).assembler(), Parser()
    for chunk in chunks:
        for event in parser.feed(chunk):
            assembler.feed(event)
    return assembler


@pytest.mark.parametrize("path", ASKED)
async def test_a_stream_assembles_to_the_whole_answer(path):
    status, whole = await body_of(path, {"model": "m", **ASKED[path]})
    streamed = {"model": "m", **ASKED[path], "stream": True, "stream_options": {"include_usage": True}}
    _, headers, chunks = await ask(path, streamed)
    stream = assembled(path, chunks)
    assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert len(chunks) > 4, "streaming is visible"
    assert stream.complete
    said = dialect_at(path).said(stream.body).completion
    assert said.startswith("m heard: größer")
    assert ("system: be kind" in said) == (path != "/v1/completions")
    assert stream.body == whole


async def test_what_rules_wrote_is_shown():
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "temperature": 0.5,
        "user": "ci",
        "metadata": {"a": 1},
        "logit_bias": None,
        "seed": True,
        "stop": "x" * 99,
    }
    _, whole = await body_of("/v1/chat/completions", body)
    assert whole["choices"][0]["message"]["content"] == (
        "m heard: hi | messages: 1 | also: temperature=0.5, user=ci, metadata={…}, logit_bias=null, seed=true, "
        "stop=" + "x" * 39 + "…"
    )


async def test_usage_of_a_stream_only_when_asked_for():
    body = {"messages": [{"role": "user", "content": "hi"}], "stream": True}
    _, _, chunks = await ask("/chat/completions", body)
    assert b"usage" not in b"".join(chunks)
    assert chunks[-1] == b"data: [DONE]\n\n"


async def test_an_empty_chat_is_answered():
    _, whole = await body_of("/v1/chat/completions", {"model": "m", "messages": []})
    assert whole["choices"][0]["message"]["content"] == "m heard: (nothing from a user) | messages: 0"


async def test_an_output_limit_cuts():
    _, whole = await body_of("/v1/completions", {"prompt": "hi", "max_tokens": 2, "n": 2})
    assert [(choice["text"], choice["finish_reason"]) for choice in whole["choices"]] == [
        ("demo-model heard: ", "length")
    ] * 2


async def test_prompts_of_text_completions_each_have_a_choice():
    _, whole = await body_of("/v1/completions", {"model": "m", "prompt": ["a", "b"]})
    assert [choice["text"] for choice in whole["choices"]] == ["m heard: a", "m heard: b"]


async def test_documents_are_ranked_by_shared_words():
    _, ranked = await body_of("/v1/rerank", {"query": "red cat", "documents": ["a dog", {"text": "red cat"}, "cat"]})
    assert [(each["index"], each["relevance_score"]) for each in ranked["results"]] == [(1, 1.0), (2, 0.5), (0, 0.0)]
    _, first = await body_of("/v1/rerank", {"query": "dog", "documents": ["a cat", "a dog"], "top_n": 1})
    assert [each["index"] for each in first["results"]] == [1]


async def test_the_number_of_pictures_has_bounds():
    for asked, count in ((None, 1), (0, 1), (2, 2), (999, 10), ("3", 3), ("many", 1)):
        _, drawn = await body_of("/v1/images/generations", {"prompt": "a", "n": asked})
        assert len(drawn["data"]) == count


async def test_the_same_text_has_the_same_vector_of_length_one():
    _, found = await body_of("/v1/embeddings", {"input": ["a", "b", "a"]})
    vectors = [each["embedding"] for each in found["data"]]
    assert vectors[0] == vectors[2] != vectors[1]
    assert sum(value * value for value in vectors[0]) == pytest.approx(1)
    _, ids = await body_of("/v1/embeddings", {"input": [[1, 2], [3]], "dimensions": 5})
    assert [len(each["embedding"]) for each in ids["data"]] == [5, 5]


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("/v1/chat/completions", b"{", 400, "no JSON"),
        ("/v1/chat/completions", b"[]", 400, "JSON object"),
        ("/v1/chat/completions", {"model": "m"}, 400, "got no `messages`; it got `model`"),
        ("/v1/chat/completions", {"messages": "hi"}, 400, "must be a list"),
        ("/v1/messages", {}, 400, "got no `messages`"),
        ("/v1/embeddings", {"input": []}, 400, "list of texts"),
        ("/v1/embeddings", {"input": [None]}, 400, "list of texts"),
        ("/v1/nothing", {}, 404, "no /v1/nothing; it answers POST /v1/chat/completions"),
        ("/v1/rerank", {}, 400, "got no `documents`"),
        ("/v1/images/variations", {"prompt": "a"}, 400, "got no `image`; it got `prompt`"),
        ("/", {}, 404, "no /;"),
    ],
)
async def test_what_it_cannot_read_it_says(path, body, status, says):
    found, error = await body_of(path, body)
    assert found == status
    assert says in error["error"]["message"]
    assert ("request_id" in error) == (path == "/v1/messages")


async def test_methods():
    assert (await body_of("/v1/models", b"", "GET"))[1]["data"][0]["id"] == "demo-model"
    assert (await body_of("/v1/models/gpt-4o", b"", "GET"))[1]["id"] == "gpt-4o"
    assert (await body_of("/v1/models", b"", "POST"))[0] == 405
    assert (await body_of("/v1/chat/completions", b"", "GET"))[0] == 405


async def test_a_pause_lets_others_run():
    upstream, ticks = Demo(pause=0.001), []

    async def tick():
        while True:
            ticks.append(1)
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    await ask("/v1/completions", {"prompt": "a b c", "stream": True}, upstream=upstream)
    ticking.cancel()
    assert ticks


async def test_a_closed_answer_says_no_more():
    arrival = await Demo(pause=0.0).send(Call("POST", "http://x/v1/completions", (), b'{"prompt":"a b","stream":true}'))
    chunks = arrival.chunks()
    await anext(chunks)
    await arrival.close()
    assert [chunk async for chunk in chunks] == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**6) | st.sampled_from(["user", "f", "x y", "base64"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "type", "function", "name", "parameters", "properties", "enum"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)
BODY = st.dictionaries(
    st.sampled_from(
        [
            "model",
            "messages",
            "prompt",
            "input",
            "system",
            "tools",
            "stream",
            "n",
            "max_tokens",
            "stream_options",
            "tool_choice",
            "dimensions",
            "encoding_format",
            "suffix",
        ]
    ),
    JSON,
    max_size=6,
)


@given(st.sampled_from(sorted(ENDPOINTS)), BODY)
def test_any_object_is_answered(path, body):
    status, _, chunks = asyncio.run(ask(path, body))
    assert status in (200, 400, 404)
    assert all(chunks)
