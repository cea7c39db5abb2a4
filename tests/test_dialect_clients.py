"""The official client libraries read what the dialects write: given answers, errors, and the demo upstream's words."""

from __future__ import annotations

from datetime import UTC, datetime

import anthropic
import openai
import pytest
from aiohttp import web

from engine.document.answers import Refusal
from engine.document.dialects import dialect_at
from engine.document.exchange import Exchange
from engine.ports.wire import Call
from engine.proxy.demo import Demo

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}}


class Noon:
    def now(self):
        return datetime(2026, 11, 21, 12, tzinfo=UTC)

    def monotonic(self):
        return 0.0


async def given(request):
    """What `reject_with_message` sends; the model `refuse` is refused, `break` breaks its stream with an error."""
    body, dialect = await request.json(), dialect_at(request.path)
    x = Exchange(None, Noon())
    x.id, x.request = "abc", body
    answer = dialect.assistant(x, "no, sorry")
    refusal = Refusal(403, "not allowed", code="rule_rejected", source="rule")
    if body["model"] == "refuse":
        return web.json_response(dialect.error(refusal, x.id), status=403)
    if not body.get("stream"):
        return web.json_response(answer)
    asked = (body.get("stream_options") or {}).get("include_usage") is True
    events = list(dialect.replay(answer, include_usage=asked))
    if body["model"] == "break":
        events = [*events[:2], dialect.error_event(refusal, x.id)]
    return web.Response(body=b"".join(events), content_type="text/event-stream")


async def demo(request):
    """The demo upstream behind a socket."""
    upstream = Demo(pause=0.0)
    arrival = await upstream.send(Call(request.method, str(request.url), (), await request.read()))
    return web.Response(body=await arrival.read(), status=arrival.status, headers=dict(arrival.headers))


@pytest.fixture
async def serve():
    runners = []

    async def start(answer):
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app)
        runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
def openai_at():
    return lambda url: openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


@pytest.fixture
def anthropic_at():
    return lambda url: anthropic.AsyncAnthropic(base_url=url, api_key="none", max_retries=0)


async def test_given_chat_answers(serve, openai_at):
    async with openai_at(await serve(given)) as client:
        whole = await client.chat.completions.create(**CHAT)
        assert whole.choices[0].message.content == "no, sorry"
        assert (whole.choices[0].finish_reason, whole.usage.total_tokens, whole.id) == ("stop", 0, "chatcmpl-abc")
        stream = await client.chat.completions.create(**CHAT, stream=True, stream_options={"include_usage": True})
        chunks = [chunk async for chunk in stream]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "no, sorry"
        assert chunks[-1].usage.total_tokens == 0
        assert chunks[-2].choices[0].finish_reason == "stop"
        async with client.chat.completions.stream(**CHAT) as helper:
            final = await helper.get_final_completion()
        assert final.choices[0].message.content == "no, sorry"


async def test_given_text_answers(serve, openai_at):
    async with openai_at(await serve(given)) as client:
        whole = await client.completions.create(model="m", prompt="hello")
        assert (whole.choices[0].text, whole.choices[0].finish_reason) == ("no, sorry", "stop")
        stream = await client.completions.create(model="m", prompt="hello", stream=True)
        assert "".join([chunk.choices[0].text async for chunk in stream]) == "no, sorry"


async def test_given_responses(serve, openai_at):
    async with openai_at(await serve(given)) as client:
        whole = await client.responses.create(model="m", input="hello")
        assert (whole.output_text, whole.status) == ("no, sorry", "completed")
        async with client.responses.stream(model="m", input="hello") as stream:
            kinds = [event.type async for event in stream]
            final = await stream.get_final_response()
        assert final.output_text == "no, sorry"
        assert kinds == [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]


async def test_given_messages(serve, anthropic_at):
    async with anthropic_at(await serve(given)) as client:
        whole = await client.messages.create(**CHAT, max_tokens=9)
        assert (whole.content[0].text, whole.stop_reason) == ("no, sorry", "end_turn")
        async with client.messages.stream(**CHAT, max_tokens=9) as stream:
            assert "".join([text async for text in stream.text_stream]) == "no, sorry"
            final = await stream.get_final_message()
        assert (final.content[0].text, final.stop_reason, final.usage.output_tokens) == ("no, sorry", "end_turn", 0)


async def test_refusals_raise_with_their_words(serve, openai_at, anthropic_at):
    url = await serve(given)
    async with openai_at(url) as client:
        with pytest.raises(openai.PermissionDeniedError) as raised:
            await client.chat.completions.create(**{**CHAT, "model": "refuse"})
        assert (raised.value.code, raised.value.type) == ("rule_rejected", "permission_error")
    async with anthropic_at(url) as client:
        with pytest.raises(anthropic.PermissionDeniedError, match="not allowed"):
            await client.messages.create(**{**CHAT, "model": "refuse"}, max_tokens=9)


async def test_errors_inside_streams_raise(serve, openai_at, anthropic_at):
    url = await serve(given)
    async with openai_at(url) as client:
        for create, asked in (
            (client.chat.completions.create, CHAT),
            (client.completions.create, {"prompt": "a"}),
            (client.responses.create, {"input": "a"}),
        ):
            with pytest.raises(openai.APIError, match="not allowed"):
                await drained(await create(**{**asked, "model": "break"}, stream=True))
    async with anthropic_at(url) as client:
        with pytest.raises(anthropic.APIStatusError, match="not allowed"):
            await drained(await client.messages.create(**{**CHAT, "model": "break"}, max_tokens=9, stream=True))


async def drained(stream):
    return [event async for event in stream]


async def test_the_demo_speaks_with_the_openai_client(serve, openai_at):
    async with openai_at(await serve(demo)) as client:
        whole = await client.chat.completions.create(**CHAT, n=2)
        assert [choice.message.content for choice in whole.choices] == ["m heard: hello | messages: 1 | also: n=2"] * 2
        stream = await client.chat.completions.create(**CHAT, stream=True)
        assert (
            "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "m heard: hello | messages: 1"
        )
        assert (await client.completions.create(model="m", prompt="hello")).choices[0].text == "m heard: hello"
        response = await client.responses.create(model="m", input="hello", instructions="be kind")
        assert response.output_text == "m heard: hello | system: be kind"
        vectors = await client.embeddings.create(model="m", input=["a", "b"], dimensions=8)
        plain = await client.embeddings.create(model="m", input="a", dimensions=8, encoding_format="float")
        assert vectors.data[0].embedding == pytest.approx(plain.data[0].embedding)
        assert (await client.moderations.create(input="this is unsafe")).results[0].flagged
        assert [model.id async for model in client.models.list()] == ["demo-model"]


async def test_the_demo_calls_tools(serve, openai_at, anthropic_at):
    url = await serve(demo)
    asked = [{"role": "user", "content": "please get_weather"}]
    async with openai_at(url) as client:
        tools = [{"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}]
        async with client.chat.completions.stream(model="m", messages=asked, tools=tools) as stream:
            call = (await stream.get_final_completion()).choices[0].message.tool_calls[0]
        assert (call.function.name, call.function.arguments) == ("get_weather", '{"city":"demo"}')
        messages = [
            *asked,
            {"role": "assistant", "tool_calls": [call.model_dump(include={"id", "type", "function"})]},
            {"role": "tool", "tool_call_id": call.id, "content": "rain"},
        ]
        after = await client.chat.completions.create(model="m", messages=messages, tools=tools)
        assert "the tool said: rain" in after.choices[0].message.content
        response = await client.responses.create(
            model="m", input="get_weather", tools=[{"type": "function", "name": "get_weather", "parameters": WEATHER}]
        )
        assert response.output[0].arguments == '{"city":"demo"}'
    async with anthropic_at(url) as client:
        tools = [{"name": "get_weather", "input_schema": WEATHER}]
        async with client.messages.stream(model="m", max_tokens=9, messages=asked, tools=tools) as stream:
            final = await stream.get_final_message()
        assert (final.content[0].input, final.stop_reason) == ({"city": "demo"}, "tool_use")


async def test_the_demo_speaks_with_the_anthropic_client(serve, anthropic_at):
    async with anthropic_at(await serve(demo)) as client:
        whole = await client.messages.create(**CHAT, system="be kind", max_tokens=90)
        assert whole.content[0].text == "m heard: hello | system: be kind | messages: 1 | also: max_tokens=90"
        assert whole.stop_reason == "end_turn"
        async with client.messages.stream(**CHAT, max_tokens=2) as stream:
            final = await stream.get_final_message()
        assert (final.content[0].text, final.stop_reason) == ("m heard: ", "max_tokens")
        assert final.usage.output_tokens == 3
        assert (await client.messages.count_tokens(**CHAT)).input_tokens == 2
        with pytest.raises(anthropic.BadRequestError, match="must be a list"):
            await client.messages.create(model="m", max_tokens=9, messages={"role": "user"})
