"""Callbacks in LiteLLM's form on the whole way of an exchange: streams, errors, logging, what the client never sees."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from running import AUDIT, CHAT, LOG, Running, completion, delta, running, upstream
from scripted import Scripted, raw, scripted, stream, whole

HEARD: list[Any] = []  # what the callbacks here were told
HEAD = """
import asyncio, datetime, time
import litellm
from fastapi import HTTPException
from litellm.integrations.custom_logger import CustomLogger

class It(CustomLogger):
    from test_litellm_served import HEARD as told
"""
STREAM = [delta("hel"), delta("lo"), delta(finish="stop")]


@asynccontextmanager
async def served(
    folder: Path,
    methods: str,
    script: Any = None,
    *,
    callbacks: str = "callbacks: hooks.it",
    rules: str = "",
    options: dict[str, Any] | None = None,
) -> AsyncIterator[tuple[Running, Scripted, openai.AsyncOpenAI]]:
    (folder / "hooks.py").write_text(HEAD + methods + "\n\nit = It()\n")
    script = script or whole(json.dumps(completion("hello")).encode())
    async with scripted(script) as up:
        written = upstream(up.url, **(options or {})) + AUDIT + callbacks + "\nrules:" + rules + LOG
        async with (
            running(written, folder) as run,
            openai.AsyncOpenAI(base_url=f"{run.url}/v1", api_key="any", max_retries=0) as sdk,
        ):
            yield run, up, sdk


@pytest.fixture(autouse=True)
def nothing_heard() -> None:
    HEARD.clear()


# --- logging ----------------------------------------------------------------------------------------------------------

TOLD = """
    def log_pre_api_call(self, model, messages, kwargs):
        self.told.append(("pre", model, messages, kwargs))

    def log_post_api_call(self, kwargs, response_obj, start_time, end_time):
        self.told.append(("post", kwargs, response_obj, start_time, end_time))

    def log_success_event(self, kwargs, response_obj, start_time, end_time):
        self.told.append(("success", kwargs, response_obj, start_time, end_time))

    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        self.told.append(("async success", kwargs, response_obj, start_time, end_time))

    def log_failure_event(self, kwargs, response_obj, start_time, end_time):
        self.told.append(("failure", kwargs, response_obj, start_time, end_time))

    async def async_log_failure_event(self, kwargs, response_obj, start_time, end_time):
        self.told.append(("async failure", kwargs, response_obj, start_time, end_time))
"""
DOCUMENTED = {
    "model",
    "messages",
    "optional_params",
    "litellm_params",
    "input",
    "api_key",
    "additional_args",
    "original_response",
    "response_cost",
    "cache_hit",
    "start_time",
    "end_time",
    "exception",
    "traceback_exception",
    "log_event_type",
    "standard_logging_object",
}
STANDARD = {
    "id",
    "trace_id",
    "session_id",
    "litellm_call_id",
    "call_type",
    "stream",
    "response_cost",
    "cost_breakdown",
    "status",
    "status_fields",
    "custom_llm_provider",
    "total_tokens",
    "prompt_tokens",
    "completion_tokens",
    "startTime",
    "endTime",
    "completionStartTime",
    "response_time",
    "model",
    "model_id",
    "model_group",
    "api_base",
    "metadata",
    "cache_hit",
    "cache_key",
    "saved_cache_cost",
    "request_tags",
    "end_user",
    "requester_ip_address",
    "user_agent",
    "messages",
    "response",
    "error_str",
    "error_information",
    "model_parameters",
    "hidden_params",
    "guardrail_information",
}


async def test_a_success_is_told_with_everything(tmp_path: Path) -> None:
    async with served(tmp_path, TOLD, options={"api_key": "sk-secret"}) as (run, up, sdk):
        await sdk.chat.completions.create(**CHAT, temperature=0.5, user="u", metadata={"a": "b"})
        await run.record()
        (request,) = up.requests
        pre, post, success, aside = HEARD
    assert [one[0] for one in HEARD] == ["pre", "post", "success", "async success"]
    assert pre[1:3] == ("gpt-4o", CHAT["messages"])
    assert pre[3]["additional_args"]["complete_input_dict"] == json.loads(request.body)
    assert [one["log_event_type"] for one in (pre[3], post[1], success[1])] == [
        "pre_api_call",
        "post_api_call",
        "successful_api_call",
    ]
    _, kwargs, response, start, end = success
    assert set(kwargs) >= DOCUMENTED
    assert "complete_streaming_response" not in kwargs
    assert kwargs["optional_params"] == {"temperature": 0.5, "user": "u"}
    assert kwargs["litellm_params"]["metadata"]["a"] == "b"
    assert (kwargs["response_cost"], kwargs["cache_hit"], kwargs["exception"]) == (2.25e-05, False, None)  # gpt-4o
    assert json.loads(kwargs["original_response"]) == completion("hello")
    assert response.choices[0].message.content == "hello"
    assert end >= start
    assert end - start == kwargs["end_time"] - kwargs["start_time"]
    assert set(kwargs["standard_logging_object"]) == STANDARD
    assert kwargs["standard_logging_object"]["total_tokens"] == 3
    assert kwargs["standard_logging_object"]["cost_breakdown"] == {
        "input_cost": 2.5e-06,
        "output_cost": 2e-05,
        "tool_usage_cost": 0.0,
        "total_cost": 2.25e-05,
    }
    assert "sk-secret" not in repr(HEARD)
    assert kwargs["api_key"] == "********"
    assert aside[2] == response


async def test_a_stream_is_told_once_and_whole(tmp_path: Path) -> None:
    async with served(tmp_path, TOLD, stream(STREAM)) as (run, _, sdk):
        chunks = [one async for one in await sdk.chat.completions.create(**CHAT, stream=True)]
        assert "".join(one.choices[0].delta.content or "" for one in chunks) == "hello"
        await run.record()
    assert [one[0] for one in HEARD] == ["pre", "post", "success", "async success"]
    _, kwargs, response, _, _ = HEARD[2]
    for whole_answer in (response, kwargs["complete_streaming_response"], kwargs["async_complete_streaming_response"]):
        assert whole_answer.choices[0].message.content == "hello"


@pytest.mark.parametrize(
    ("script", "path", "body", "events", "status"),
    [
        (
            whole(b'{"error": {"message": "busy"}}', "503 Service Unavailable"),
            "/v1/chat/completions",
            CHAT,
            ["pre", "post", "failure", "async failure"],
            503,
        ),
        (raw(b"", then="reset"), "/v1/chat/completions", CHAT, ["pre", "failure", "async failure"], 502),
        (None, "/v1/chat/completions", {"model": 5}, ["failure", "async failure"], 400),
        (None, "/v1/nothing", {}, ["failure", "async failure"], 404),
    ],
)
async def test_a_failure_is_told(
    script: Any, path: str, body: Any, events: list[str], status: int, tmp_path: Path
) -> None:
    async with served(tmp_path, TOLD, script) as (run, _, _):
        answer = await run.post(path, body)
        assert answer.status_code == status
        await run.gateway.settled()
    assert [one[0] for one in HEARD] == events
    _, kwargs, response, _, _ = HEARD[-1]
    assert response is None
    assert kwargs["exception"].status_code == status
    assert str(kwargs["exception"]) in kwargs["traceback_exception"]
    assert kwargs["standard_logging_object"]["status"] == "failure"
    assert kwargs["standard_logging_object"]["error_information"]["error_code"] == str(status)


async def test_a_refusal_by_a_rule_is_a_failure_that_called_nobody(tmp_path: Path) -> None:
    rules = "\n  - {name: no, actions: [{reject: no}]}"
    async with served(tmp_path, TOLD, rules=rules) as (run, _, _):
        await run.post()
        await run.record()
    assert [one[0] for one in HEARD] == ["failure", "async failure"]


BAD = """
    {kind} {method}(self, {taken}):
        {body}
"""
ENDED = "kwargs, response_obj, start_time, end_time"


@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize(
    "body",
    [
        "raise ValueError('mine')",
        "time.sleep(0.3); raise ValueError('mine')",
        "kwargs.clear(); raise ValueError('mine')",
        "exit(1)",
    ],
)
@pytest.mark.parametrize(
    ("method", "taken"),
    [
        ("log_success_event", ENDED),
        ("async_log_success_event", ENDED),
        ("log_pre_api_call", "model, messages, kwargs"),
        ("log_post_api_call", ENDED),
    ],
)
async def test_what_logging_does_never_reaches_the_client(
    kind: str, body: str, method: str, taken: str, tmp_path: Path
) -> None:
    async with served(tmp_path, BAD.format(kind=kind, method=method, taken=taken, body=body)) as (run, _, sdk):
        assert (await sdk.chat.completions.create(**CHAT)).choices[0].message.content == "hello"
        record = await run.record()
        (error,) = [one for one in record["outcomes"] if one["result"] == "error"]
        assert error["rule"] == "hooks.it"
        assert ("mine" if "mine" in body else "exit") in error["why"].lower() or "SystemExit" in error["why"]
        assert record["status"] == 200


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_others_go_on_while_logging_blocks(kind: str, tmp_path: Path) -> None:
    method = BAD.format(kind=kind, method="log_success_event", taken=ENDED, body="self.told[0].wait(5)")
    HEARD.append(release := threading.Event())
    async with served(tmp_path, method) as (run, _, sdk):
        async with asyncio.timeout(4):
            for _ in range(20):
                await sdk.chat.completions.create(**CHAT)
        assert not release.is_set()
        release.set()
        assert len(await run.records(20)) == 20


# --- streaming --------------------------------------------------------------------------------------------------------

UPPER = """
    async def async_post_call_streaming_iterator_hook(self, user_api_key_dict, response, request_data):
        async for item in response:
            for choice in item.choices:
                if choice.delta.content:
                    choice.delta.content = choice.delta.content.upper()
            yield item
"""


async def test_streams_of_every_dialect_go_through_the_hooks(tmp_path: Path) -> None:
    (tmp_path / "hooks.py").write_text(HEAD + UPPER)
    async with running(AUDIT + "callbacks: hooks.It\nrules:" + LOG, tmp_path) as run:
        async with openai.AsyncOpenAI(base_url=f"{run.url}/v1", api_key="any", max_retries=0) as sdk:
            chunks = [one async for one in await sdk.chat.completions.create(**CHAT, stream=True)]
            chat = "".join(one.choices[0].delta.content or "" for one in chunks if one.choices)
            async with sdk.responses.stream(model="gpt-4o", input="hi") as told:
                response = (await told.get_final_response()).output_text
        async with (
            anthropic.AsyncAnthropic(base_url=run.url, api_key="any", max_retries=0) as claude,
            claude.messages.stream(model="claude", max_tokens=9, messages=CHAT["messages"]) as said,
        ):
            message = await said.get_final_text()
    for text in (chat, response, message):
        assert "HEARD: HI" in text
        assert text == text.upper()


REFUSES = """
    async def async_post_call_streaming_iterator_hook(self, user_api_key_dict, response, request_data):
        number = 0
        async for item in response:
            number += 1
            if number == {number}:
                raise HTTPException(403, {{"error": "enough"}})
            yield item
"""


async def test_a_refusal_before_the_first_piece_keeps_its_status(tmp_path: Path) -> None:
    async with served(tmp_path, REFUSES.format(number=1), stream(STREAM)) as (run, _, sdk):
        with pytest.raises(openai.PermissionDeniedError) as raised:
            await sdk.chat.completions.create(**CHAT, stream=True)
        assert raised.value.body["message"] == "enough"
        assert (await run.record())["status"] == 403


async def test_a_refusal_later_is_an_error_event_and_the_end(tmp_path: Path) -> None:
    async with served(tmp_path, REFUSES.format(number=2), stream(STREAM)) as (run, _, _):
        answer = await run.post(body={**CHAT, "stream": True})
        events = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
        assert json.loads(events[0])["choices"][0]["delta"]["content"] == "hel"
        assert json.loads(events[1])["error"]["message"] == "enough"
        assert len(events) == 2
        assert (await run.record())["error"]["message"] == "enough"


async def test_hooks_see_what_stream_rules_let_pass(tmp_path: Path) -> None:
    rules = "\n  - {name: r, phase: stream, actions: [{redact: {patterns: [ell], with: '-'}}]}"
    async with served(tmp_path, UPPER, stream([delta("he"), delta("llo"), delta(finish="stop")]), rules=rules) as (
        _,
        _,
        sdk,
    ):
        chunks = [one async for one in await sdk.chat.completions.create(**CHAT, stream=True)]
        assert "".join(one.choices[0].delta.content or "" for one in chunks) == "H-O"


async def test_held_streams_go_through_the_hooks_as_well(tmp_path: Path) -> None:
    rules = "\n  - {name: r, phase: response, match: {completion_text: HELLO}, actions: [{set: {id: seen}}]}"
    async with served(tmp_path, UPPER, stream(STREAM), rules=rules) as (_, _, sdk):
        chunks = [one async for one in await sdk.chat.completions.create(**CHAT, stream=True)]
        assert {one.id for one in chunks} == {"seen"}


async def test_a_broken_upstream_under_a_hook_is_no_clean_end(tmp_path: Path) -> None:
    script = stream(STREAM[:1], then="reset", done=False)
    async with served(tmp_path, UPPER, script) as (run, _, _):
        answer = await run.post(body={**CHAT, "stream": True})
        assert "[DONE]" not in answer.text
        assert '"error"' in answer.text


async def test_success_hooks_miss_streams_and_the_record_says_so(tmp_path: Path) -> None:
    method = """
    async def async_post_call_success_hook(self, data, user_api_key_dict, response):
        response.choices[0].message.content = "changed"
"""
    async with served(tmp_path, method, stream(STREAM)) as (run, _, sdk):
        chunks = [one async for one in await sdk.chat.completions.create(**CHAT, stream=True)]
        assert "".join(one.choices[0].delta.content or "" for one in chunks) == "hello"
        (skipped,) = [one for one in (await run.record())["outcomes"] if one["result"] == "skipped"]
        assert skipped["rule"] == "hooks.it"


async def test_a_success_hook_as_an_action_holds_the_stream(tmp_path: Path) -> None:
    method = """
    async def async_post_call_success_hook(self, data, user_api_key_dict, response):
        response.choices[0].message.content = "changed"
"""
    rules = "\n  - {name: r, phase: response, actions: [{callback: hooks.it}]}"
    async with served(tmp_path, method, stream(STREAM), callbacks="", rules=rules) as (_, _, sdk):
        chunks = [one async for one in await sdk.chat.completions.create(**CHAT, stream=True)]
        assert "".join(one.choices[0].delta.content or "" for one in chunks) == "changed"


# --- errors -----------------------------------------------------------------------------------------------------------


async def test_the_first_failure_hook_wins(tmp_path: Path) -> None:
    methods = """
    def __init__(self, message="first"):
        self.message = message

    async def async_post_call_failure_hook(self, request_data, original_exception, user_api_key_dict):
        return HTTPException(status_code=429, detail=f"{self.message}: {original_exception.message}")

other = It("second")
"""
    script = whole(b'{"error": {"message": "busy"}}', "503 Service Unavailable")
    async with served(tmp_path, methods, script, callbacks="callbacks: [hooks.it, hooks.other]") as (_, _, sdk):
        with pytest.raises(openai.RateLimitError) as raised:
            await sdk.chat.completions.create(**CHAT)
        assert raised.value.body["message"] == "first: busy"


# --- prompts ----------------------------------------------------------------------------------------------------------

MANAGER = """
    def get_chat_completion_prompt(self, model, messages, non_default_params, prompt_id, prompt_variables,
                                   dynamic_callback_params, prompt_spec=None, prompt_label=None):
        text = f"{prompt_id} {prompt_variables} {prompt_label}"
        return "other", [{"role": "system", "content": text}] + messages, {**non_default_params, "temperature": 1}
"""


@pytest.mark.parametrize(
    ("options", "model", "temperature"),
    [("", "other", 1), (", ignore_model: true", "gpt-4o", 1), (", ignore_params: true", "other", 0)],
)
async def test_a_manager_is_asked_once_and_as_the_rule_says(
    options: str, model: str, temperature: int, tmp_path: Path
) -> None:
    use = f"{{id: house, source: callback, label: production, variables: {{a: b}}{options}}}"
    rules = f"\n  - {{name: r, actions: [{{use_prompt: {use}}}]}}"
    async with served(tmp_path, MANAGER, rules=rules) as (_, up, sdk):
        await sdk.chat.completions.create(**CHAT, temperature=0)
        sent = json.loads(up.requests[0].body)
    told = {"role": "system", "content": "house {'a': 'b'} production"}
    assert sent == {"model": model, "temperature": temperature, "messages": [told, *CHAT["messages"]]}


@pytest.mark.parametrize(
    ("method", "last"),
    [
        ("async def get_chat_completion_prompt", "dynamic_callback_params"),
        (
            "async def async_get_chat_completion_prompt",
            "dynamic_callback_params, litellm_logging_obj, prompt_spec=None, tools=None, **more",
        ),
    ],
)
async def test_a_manager_may_wait_and_is_asked_once(method: str, last: str, tmp_path: Path) -> None:
    body = f"""
    {method}(self, model, messages, non_default_params, prompt_id, prompt_variables, {last}):
        await asyncio.sleep(0)
        self.told.append(prompt_id)
        return model, [{{"role": "system", "content": prompt_id}}] + messages, {{}}
"""
    with_twin = body + (MANAGER if method.startswith("async def async_") else "")
    async with served(tmp_path, with_twin) as (run, up, _):
        await run.post(body={**CHAT, "prompt_id": "p"})
        sent = json.loads(up.requests[0].body)
    assert sent["messages"] == [{"role": "system", "content": "p"}, *CHAT["messages"]]
    assert HEARD == ["p"]


async def test_managers_run_in_order(tmp_path: Path) -> None:
    callbacks = "callbacks: [hooks.it, hooks.other]"
    async with served(tmp_path, MANAGER + "\nother = It()\n", callbacks=callbacks) as (run, up, _):
        await run.post(body={**CHAT, "prompt_id": "p"})
        sent = json.loads(up.requests[0].body)
    assert [message["role"] for message in sent["messages"]] == ["system", "system", "user"]
    assert "prompt_id" not in sent
