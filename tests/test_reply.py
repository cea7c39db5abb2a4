"""Answers that no upstream gave, in the client's dialect, whole and streamed, as the official client reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openai
import pytest
from running import AUDIT, CHAT, LOG, Running, running

RULES = (
    AUDIT
    + """rules:
  - name: hello
    match: {prompt_text: {contains: Hello world}}
    actions: [{reject_with_message: This is an invalid response}]
  - name: "no"
    match: {request.user: refused}
    actions:
      - reject: {message: "No {{ request.user }}.", status: 422, code: c, param: user, headers: {x-why: policy}}
  - name: auth
    match: {request.user: auth}
    actions:
      - require_field: {field: metadata.team, status: 401, type: auth_error, message: Which team?}
  - {name: user, match: {headers.x-user: needed}, actions: [{require_field: user}]}
  - {name: tea, match: {request.user: tea}, actions: [{respond: {status: 418, body: {short: ["and", stout]}}}]}
"""
    + LOG
)
HELLO = [{"role": "user", "content": "Hello world"}]
TEXT = "This is an invalid response"


def sdk(run: Running) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{run.url}/v1", api_key="any")


async def test_an_assistants_message_whole(tmp_path: Path) -> None:
    async with running(RULES, tmp_path) as run, sdk(run) as client:
        answer = await client.chat.completions.create(model="gpt-4o", messages=HELLO)  # type: ignore[arg-type]
        assert (answer.choices[0].message.content, answer.choices[0].message.role) == (TEXT, "assistant")
        assert (answer.object, answer.model, answer.choices[0].finish_reason) == ("chat.completion", "gpt-4o", "stop")
        assert answer.id.startswith("chatcmpl-")
        assert answer.usage is not None
        assert answer.usage.total_tokens == 0
        record = await run.record()
        assert (record["status"], record["matched"], record["error"], record["attempts"]) == (
            200,
            ["hello", "audit"],
            None,
            0,
        )
        assert record["response"]["body"]["choices"][0]["message"]["content"] == TEXT


@pytest.mark.parametrize("usage", [False, True])
async def test_an_assistants_message_streamed(usage: bool, tmp_path: Path) -> None:
    async with running(RULES, tmp_path) as run, sdk(run) as client:
        options: dict[str, Any] = {"stream_options": {"include_usage": True}} if usage else {}
        events = [
            event
            async for event in await client.chat.completions.create(
                model="gpt-4o", messages=HELLO, stream=True, **options
            )
        ]  # type: ignore[call-overload]
        choices = [event.choices[0] for event in events if event.choices]
        assert choices[0].delta.role == "assistant"
        assert "".join(choice.delta.content or "" for choice in choices) == TEXT
        assert choices[-1].finish_reason == "stop"
        assert [event.usage is not None for event in events if not event.choices] == ([True] if usage else [])
        assert (await run.record())["status"] == 200


async def test_text_completions(tmp_path: Path) -> None:
    async with running(RULES, tmp_path) as run, sdk(run) as client:
        answer = await client.completions.create(model="m", prompt="Hello world")
        (choice,) = answer.choices
        assert (answer.object, choice.text, choice.finish_reason) == ("text_completion", TEXT, "stop")
        pieces = await client.completions.create(model="m", prompt="Hello world", stream=True)
        assert "".join([event.choices[0].text async for event in pieces if event.choices]) == TEXT


async def test_an_endpoint_without_an_assistant(tmp_path: Path) -> None:
    async with running(RULES, tmp_path) as run, sdk(run) as client:
        with pytest.raises(openai.BadRequestError) as raised:
            await client.embeddings.create(model="m", input="Hello world")
        assert raised.value.body["message"] == TEXT  # type: ignore[index]
        assert raised.value.response.headers["x-pointsman-rule"] == "hello"
        assert (await run.record())["error"]["status"] == 400


async def test_a_call_without_user(tmp_path: Path) -> None:
    async with running(RULES, tmp_path) as run, sdk(run) as client:
        for user in ({}, {"user": ""}, {"extra_body": {"user": None}}):
            with pytest.raises(openai.BadRequestError) as raised:
                await client.chat.completions.create(  # type: ignore[call-overload]
                    model="m", messages=[], extra_headers={"x-user": "needed"}, **user
                )
            assert raised.value.param == "user"
            assert raised.value.type == "invalid_request_error"
            assert raised.value.body["message"] == "Missing required parameter: 'user'."  # type: ignore[index]
        assert [record["matched"] for record in await run.records(3)] == [["user", "audit"]] * 3


async def test_a_refusal_is_not_tried_again(tmp_path: Path) -> None:
    async with running(RULES, tmp_path) as run, sdk(run) as client:
        with pytest.raises(openai.UnprocessableEntityError) as raised:
            await client.chat.completions.create(model="m", messages=[], user="refused")
        error, headers = raised.value.body, raised.value.response.headers
        assert error == {"message": "No refused.", "type": "invalid_request_error", "param": "user", "code": "c"}
        assert (headers["x-why"], headers["x-pointsman-rule"], headers["x-should-retry"]) == ("policy", "no", "false")
        assert headers["x-pointsman-rules"] == "no"
        assert (await run.record())["error"] == {
            "status": 422,
            "type": "invalid_request_error",
            "code": "c",
            "message": "No refused.",
            "source": "rule",
            "param": "user",
        }


@pytest.mark.parametrize("stream", [False, True])
async def test_statuses_and_bodies_as_written(stream: bool, tmp_path: Path) -> None:
    async with running(RULES, tmp_path) as run:
        tea = await run.post(body={**CHAT, "user": "tea", "stream": stream})
        assert (tea.status_code, tea.content) == (418, b'{"short":["and","stout"]}')
        auth = await run.post(body={**CHAT, "user": "auth", "stream": stream})
        assert (auth.status_code, auth.json()["error"]) == (
            401,
            {"message": "Which team?", "type": "auth_error", "param": None, "code": "401"},
        )
        assert len(await run.records(2)) == 2


async def test_rules_are_named_only_on_loopback_or_when_wanted(tmp_path: Path) -> None:
    for more, named in ("", False), (", expose_rules: true", True):
        async with running(f"server: {{open: true, host: 0.0.0.0{more}}}\n{RULES}", tmp_path) as run:
            answer = await run.post(body={**CHAT, "user": "tea"})
            assert ("x-pointsman-rules" in answer.headers) is named
            assert {"x-request-id", "x-pointsman-version"} <= set(answer.headers)


async def test_a_text_that_is_no_unicode_is_still_an_answer(tmp_path: Path) -> None:
    rule = """rules: [{name: a, actions: [{reject_with_message: "{{ parse_json(request.user) }}"}]}]"""
    async with running(rule, tmp_path) as run:
        answer = await run.post(body={**CHAT, "user": json.dumps("a\ud800b")})
        assert answer.status_code == 200, answer.text
        assert answer.json()["choices"][0]["message"]["content"] == "a\ufffdb"
