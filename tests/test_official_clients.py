"""The official client libraries through the server, on the demo upstream, with a rule of every phase on.

Sync and async, whole and streamed, tools, files; the libraries' own classes read every answer, refusal and error.
"""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from running import AUDIT, LOG, Running, running

RULES = """
rules:
  - {name: hello, match: {last_user_text: {contains: hello}}, actions: [{append_system: Be kind.}, {tag: greeted}]}
  - {name: every, actions: [{set_var: {seen: "{{ call_type }}"}}, {default: {user: nobody}}]}
  - {name: no-go, match: {prompt_text: {contains: forbidden}}, actions: [{reject: {message: Not here, status: 403}}]}
  - {name: instead, match: {prompt_text: {contains: instead}}, actions: [{reject_with_message: Said by a rule}]}
  - {name: sent, phase: attempt, match: {upstream.attempt: 1}, actions: [{set_header: {x-attempt: one}}]}
  - name: beside
    phase: moderation
    match: {prompt_text: {contains: dangerous}}
    actions: [{reject: {message: Judged, status: 451, code: judged}}]
  - {name: clean, phase: [response, stream], actions: [{redact: {patterns: [secret.aws_key]}}]}
  - {name: piece, phase: stream, match: {completion_text: {contains: heard}}, actions: [{set_var: {streamed: true}}]}
  - {name: whole, phase: response, match: {completion_text: {contains: heard}}, actions: [{tag: heard}]}
  - {name: mend, phase: failure, match: {error.code: judged}, actions: [{set_error: {message: Judged and told}}]}
"""
CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
HEARD = "m heard: hello | system: Be kind. | messages: 2 | also: user=nobody"
CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
SOUND = ("a.wav", b"RIFF\r\n\x00\xff", "audio/wav")


@asynccontextmanager
async def openai_on(folder: Path) -> AsyncIterator[tuple[Running, openai.AsyncOpenAI]]:
    async with (
        running(AUDIT + RULES + LOG, folder) as run,
        openai.AsyncOpenAI(base_url=f"{run.url}/v1", api_key="any", max_retries=0) as sdk,
    ):
        yield run, sdk


@asynccontextmanager
async def anthropic_on(folder: Path) -> AsyncIterator[tuple[Running, anthropic.AsyncAnthropic]]:
    async with (
        running(AUDIT + RULES + LOG, folder) as run,
        anthropic.AsyncAnthropic(base_url=run.url, api_key="any", max_retries=0) as sdk,
    ):
        yield run, sdk


async def in_thread(work: Callable[[], Any]) -> Any:
    return await asyncio.to_thread(work)


def words(events: list[Any]) -> str:
    return "".join(event.choices[0].delta.content or "" for event in events if event.choices)


# --- OpenAI's ---------------------------------------------------------------------------------------------------------


async def test_chat(tmp_path: Path) -> None:
    async with openai_on(tmp_path) as (run, sdk):
        answer = await sdk.chat.completions.create(**CHAT, n=2)
        assert [choice.message.content for choice in answer.choices] == [f"{HEARD}".replace("user", "n=2, user")] * 2
        events = [
            event
            async for event in await sdk.chat.completions.create(
                **CHAT, stream=True, stream_options={"include_usage": True}
            )
        ]
        assert words(events) == HEARD
        assert events[-1].usage.completion_tokens > 0
        async with sdk.chat.completions.stream(**CHAT) as stream:
            final = await stream.get_final_completion()
        assert final.choices[0].message.content == HEARD
        for record in await run.records(3):
            assert (record["call_type"], record["status"], record["vars"]["seen"]) == ("completion", 200, "completion")
            assert {"hello", "every", "sent", "whole", "audit"} <= set(record["matched"])
            assert record["tags"] == ["greeted", "heard"]


async def test_chat_calls_tools_and_reads_their_results(tmp_path: Path) -> None:
    tools: list[Any] = [{"type": "function", "function": {"name": "get_weather", "parameters": CITY}}]
    asked: list[Any] = [{"role": "user", "content": "hello, please get_weather"}]
    async with openai_on(tmp_path) as (_, sdk):
        async with sdk.chat.completions.stream(model="m", messages=asked, tools=tools) as stream:
            call = (await stream.get_final_completion()).choices[0].message.tool_calls[0]
        assert (call.function.name, call.function.arguments) == ("get_weather", '{"city":"demo"}')
        asked += [
            {"role": "assistant", "tool_calls": [call.model_dump(include={"id", "type", "function"})]},
            {"role": "tool", "tool_call_id": call.id, "content": "rain"},
        ]
        after = await sdk.chat.completions.create(model="m", messages=asked, tools=tools)
        assert "the tool said: rain" in after.choices[0].message.content


async def test_text_completions(tmp_path: Path) -> None:
    async with openai_on(tmp_path) as (_, sdk):
        said = "m heard: Be kind.\n\nhello | also: user=nobody"
        assert (await sdk.completions.create(model="m", prompt="hello")).choices[0].text == said
        stream = await sdk.completions.create(model="m", prompt="hello", stream=True)
        assert "".join([event.choices[0].text async for event in stream]) == said


async def test_responses(tmp_path: Path) -> None:
    tools: list[Any] = [{"type": "function", "name": "get_weather", "parameters": CITY, "strict": False}]
    async with openai_on(tmp_path) as (run, sdk):
        answer = await sdk.responses.create(model="m", input="hello")
        assert answer.output_text == "m heard: hello | system: Be kind. | also: user=nobody"
        async with sdk.responses.stream(model="m", input="hello") as stream:
            kinds = [event.type async for event in stream]
            assert (await stream.get_final_response()).output_text == answer.output_text
        assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
        called = await sdk.responses.create(model="m", input="get_weather", tools=tools)
        assert called.output[0].arguments == '{"city":"demo"}'
        after = await sdk.responses.create(
            model="m",
            tools=tools,
            input=[
                {"role": "user", "content": "get_weather"},
                called.output[0].model_dump(exclude_none=True),
                {"type": "function_call_output", "call_id": called.output[0].call_id, "output": "rain"},
            ],
        )
        assert "the tool said: rain" in after.output_text
        with pytest.raises(openai.BadRequestError, match=r"`server\.responses_state: allow`"):
            await sdk.responses.create(model="m", input="hello", previous_response_id=answer.id)
        assert {record["call_type"] for record in await run.records(5)} == {"responses"}


async def test_embeddings(tmp_path: Path) -> None:
    async with openai_on(tmp_path) as (_, sdk):
        packed = await sdk.embeddings.create(model="m", input=["hello", "b"], dimensions=8)
        plain = await sdk.embeddings.create(model="m", input="hello", dimensions=8, encoding_format="float")
        assert packed.data[0].embedding == pytest.approx(plain.data[0].embedding)
        assert len(packed.data) == 2


async def test_images(tmp_path: Path) -> None:
    picture = ("a.png", b"\x89PNG\r\n\x1a\n\x00", "image/png")
    async with openai_on(tmp_path) as (run, sdk):
        made = await sdk.images.generate(model="m", prompt="hello", n=2, response_format="b64_json")
        assert [base64.b64decode(each.b64_json)[:4] for each in made.data] == [b"\x89PNG"] * 2
        edited = await sdk.images.edit(model="m", image=[picture, picture], mask=picture, prompt="hello", n=1)
        assert edited.data[0].revised_prompt == "m drew: hello"
        with pytest.deprecated_call():
            varied = await sdk.images.create_variation(model="m", image=picture, n=3)
        assert len(varied.data) == 3
        _, second, third = await run.records(3)
        assert [each["size"] for each in second["request"]["image"]] == [9, 9]
        assert (second["request"]["n"], third["input"]["path"]) == (1, "/v1/images/variations")
        with pytest.raises(openai.PermissionDeniedError, match="Not here"):
            await sdk.images.edit(model="m", image=picture, prompt="forbidden")


async def test_audio(tmp_path: Path) -> None:
    async with openai_on(tmp_path) as (run, sdk):
        heard = await sdk.audio.transcriptions.create(
            model="m", file=SOUND, prompt="hello", timestamp_granularities=["word", "segment"]
        )
        assert heard.text == (
            "m heard: a.wav (audio/wav, 8 bytes) | also: prompt=hello, "
            "timestamp_granularities=['word', 'segment'], user=nobody"
        )
        subtitles = await sdk.audio.transcriptions.create(model="m", file=SOUND, response_format="vtt")
        assert subtitles.startswith("WEBVTT\n")
        stream = await sdk.audio.transcriptions.create(model="m", file=SOUND, stream=True)
        assert [event.type async for event in stream][-1] == "transcript.text.done"
        with pytest.deprecated_call():
            translated = await sdk.audio.translations.create(model="m", file=io.BytesIO(b"abc"))
        assert "3 bytes" in translated.text
        records = await run.records(4)
        assert [record["call_type"] for record in records] == ["audio_transcription"] * 4
        assert [each["why"] for each in records[1]["outcomes"] if each["result"] == "skipped"] == [
            "the answer is not JSON"
        ] * 2


async def test_speech(tmp_path: Path) -> None:
    async with openai_on(tmp_path) as (_, sdk):
        spoken = await sdk.audio.speech.create(model="m", input="hello", voice="alloy")
        assert spoken.content.startswith(b"RIFF")
        async with sdk.audio.speech.with_streaming_response.create(model="m", input="hello", voice="alloy") as answer:
            assert answer.headers["content-type"] == "audio/wav"
            assert b"".join([piece async for piece in answer.iter_bytes()]) == spoken.content
        with pytest.raises(openai.PermissionDeniedError, match="Not here"):
            await sdk.audio.speech.create(model="m", input="forbidden", voice="alloy")
        with pytest.raises(openai.BadRequestError, match="Said by a rule"):
            await sdk.audio.speech.create(model="m", input="instead", voice="alloy")


async def test_moderations_and_models(tmp_path: Path) -> None:
    async with openai_on(tmp_path) as (_, sdk):
        assert (await sdk.moderations.create(input=["hello", "this is unsafe"])).results[1].flagged
        assert [model.id async for model in sdk.models.list()] == ["demo-model"]


async def test_refusals_of_every_phase_raise(tmp_path: Path) -> None:
    async with openai_on(tmp_path) as (run, sdk):
        for streamed in (False, True):
            with pytest.raises(openai.PermissionDeniedError) as refused:
                await sdk.chat.completions.create(
                    model="m", messages=[{"role": "user", "content": "forbidden"}], stream=streamed
                )
            assert (refused.value.code, refused.value.type) == ("rule_rejected", "permission_error")
            assert refused.value.response.headers["x-pointsman-rule"] == "no-go"
            with pytest.raises(openai.APIStatusError, match="Judged and told") as judged:
                await sdk.responses.create(model="m", input="dangerous", stream=streamed)
            assert (judged.value.status_code, judged.value.code) == (451, "judged")
        assert [record["status"] for record in await run.records(4)] == [403, 451, 403, 451]


async def test_answers_of_rules(tmp_path: Path) -> None:
    asked: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "instead"}]}
    async with openai_on(tmp_path) as (_, sdk):
        assert (await sdk.chat.completions.create(**asked)).choices[0].message.content == "Said by a rule"
        async with sdk.chat.completions.stream(**asked, stream_options={"include_usage": True}) as stream:
            final = await stream.get_final_completion()
        assert (final.choices[0].message.content, final.usage.total_tokens) == ("Said by a rule", 0)
        assert (await sdk.completions.create(model="m", prompt="instead")).choices[0].text == "Said by a rule"
        async with sdk.responses.stream(model="m", input="instead") as events:
            assert (await events.get_final_response()).output_text == "Said by a rule"


async def test_secrets_are_taken_out_of_streams_as_out_of_whole_answers(tmp_path: Path) -> None:
    secret, instead = "the key AKIAIOSFODNN7EXAMPLE fits", "heard: the key [secret.aws_key] fits"
    asked: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": secret}]}
    async with openai_on(tmp_path) as (run, sdk):
        whole = await sdk.chat.completions.create(**asked)
        assert instead in whole.choices[0].message.content
        events = [event async for event in await sdk.chat.completions.create(**asked, stream=True)]
        assert words(events) == whole.choices[0].message.content
        texts = await sdk.completions.create(model="m", prompt=secret, stream=True)
        assert instead in "".join([event.choices[0].text async for event in texts])
        async with sdk.responses.stream(model="m", input=secret) as response:
            assert instead in (await response.get_final_response()).output_text
        async with (
            anthropic.AsyncAnthropic(base_url=run.url, api_key="any", max_retries=0) as other,
            other.messages.stream(**asked, max_tokens=90) as message,
        ):
            assert instead in "".join([text async for text in message.text_stream])


async def test_the_sync_client(tmp_path: Path) -> None:
    def work(url: str) -> list[Any]:
        with openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as sdk:
            events = list(sdk.chat.completions.create(**CHAT, stream=True))
            return [
                sdk.chat.completions.create(**CHAT).choices[0].message.content,
                words(events),
                sdk.responses.create(model="m", input="hello").output_text,
                sdk.audio.transcriptions.create(model="m", file=SOUND, response_format="text"),
            ]

    async with running(AUDIT + RULES + LOG, tmp_path) as run:
        whole, streamed, response, heard = await in_thread(lambda: work(run.url))
        assert whole == streamed == HEARD
        assert response.startswith("m heard: hello | system: Be kind.")
        assert heard.startswith("m heard: a.wav")


# --- Anthropic's ------------------------------------------------------------------------------------------------------


async def test_messages(tmp_path: Path) -> None:
    async with anthropic_on(tmp_path) as (run, sdk):
        answer = await sdk.messages.create(**CHAT, max_tokens=90, system="S.")
        assert answer.content[0].text == (
            "m heard: hello | system: S.\n\nBe kind. | messages: 1 | also: max_tokens=90, user=nobody"
        )
        assert answer._request_id.startswith("req-")
        async with sdk.messages.stream(**CHAT, max_tokens=90, system="S.") as stream:
            assert "".join([text async for text in stream.text_stream]) == answer.content[0].text
            final = await stream.get_final_message()
        assert (final.stop_reason, final.usage.output_tokens > 0) == ("end_turn", True)
        counted = await sdk.messages.count_tokens(**CHAT)
        assert counted.input_tokens > 0
        beta = await sdk.beta.messages.create(**CHAT, max_tokens=9, betas=["some-beta"])
        assert beta.content[0].type == "text"
        records = await run.records(4)
        assert [record["call_type"] for record in records] == ["messages"] * 4
        assert [record["input"]["path"] for record in records[2:]] == ["/v1/messages/count_tokens", "/v1/messages"]
        assert records[3]["input"]["headers"]["anthropic-beta"] == "some-beta"


async def test_messages_call_tools(tmp_path: Path) -> None:
    tools: list[Any] = [{"name": "get_weather", "input_schema": CITY}]
    asked: list[Any] = [{"role": "user", "content": "get_weather"}]
    async with anthropic_on(tmp_path) as (_, sdk):
        async with sdk.messages.stream(model="m", max_tokens=90, messages=asked, tools=tools) as stream:
            final = await stream.get_final_message()
        assert (final.content[0].input, final.stop_reason) == ({"city": "demo"}, "tool_use")
        call = final.content[0].model_dump(include={"type", "id", "name", "input"})
        asked += [
            {"role": "assistant", "content": [call]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call["id"], "content": "rain"}]},
        ]
        after = await sdk.messages.create(model="m", max_tokens=90, messages=asked, tools=tools)
        assert "the tool said: rain" in after.content[0].text


async def test_messages_that_rules_refuse_or_answer(tmp_path: Path) -> None:
    def asked(text: str) -> dict[str, Any]:
        return {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": text}]}

    async with anthropic_on(tmp_path) as (_, sdk):
        for streamed in (False, True):
            with pytest.raises(anthropic.PermissionDeniedError, match="Not here") as refused:
                await sdk.messages.create(**asked("forbidden"), stream=streamed)
            assert refused.value.request_id == refused.value.response.headers["x-request-id"]
            with pytest.raises(anthropic.APIStatusError, match="Judged and told"):
                await sdk.messages.create(**asked("dangerous"), stream=streamed)
        assert (await sdk.messages.create(**asked("instead"))).content[0].text == "Said by a rule"
        async with sdk.messages.stream(**asked("instead")) as stream:
            final = await stream.get_final_message()
        assert (final.content[0].text, final.stop_reason) == ("Said by a rule", "end_turn")
        with pytest.raises(anthropic.BadRequestError, match="Said by a rule"):
            await sdk.messages.count_tokens(model="m", messages=asked("instead")["messages"])


async def test_anthropics_sync_client(tmp_path: Path) -> None:
    def work(url: str) -> tuple[str, str]:
        with anthropic.Anthropic(base_url=url, api_key="any", max_retries=0) as sdk:
            with sdk.messages.stream(**CHAT, max_tokens=90) as stream:
                streamed = "".join(stream.text_stream)
            return sdk.messages.create(**CHAT, max_tokens=90).content[0].text, streamed

    async with running(AUDIT + RULES + LOG, tmp_path) as run:
        whole, streamed = await in_thread(lambda: work(run.url))
        assert whole == streamed
        assert "system: Be kind." in whole
