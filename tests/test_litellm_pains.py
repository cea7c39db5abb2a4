"""What drove people away from LiteLLM's hooks: each reported pain that concerns them, shown not to be one here.

The numbers are those of the reports in LiteLLM's issue tracker.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from running import AUDIT, CHAT, LOG, Running, completion, delta, running, upstream
from scripted import scripted, stream, whole

from engine.report import as_text
from engine.rules.load import load

HEAD = """
from fastapi import HTTPException
from litellm.integrations.custom_logger import CustomLogger
from test_litellm_pains import HEARD
class It(CustomLogger):
"""
HEARD: list[Any] = []  # what the callbacks here were told


@pytest.fixture(autouse=True)
def nothing_heard() -> None:
    HEARD.clear()


@asynccontextmanager
async def served(
    folder: Path, methods: str, *, callbacks: str = "callbacks: hooks.It", rules: str = "", before: str = ""
) -> AsyncIterator[tuple[Running, openai.AsyncOpenAI]]:
    """The gateway before the embedded upstream, or the one of `before`."""
    (folder / "hooks.py").write_text(HEAD + methods)
    async with (
        running(before + AUDIT + callbacks + "\nrules:" + rules + LOG, folder) as run,
        openai.AsyncOpenAI(base_url=f"{run.url}/v1", api_key="any", max_retries=0) as sdk,
    ):
        yield run, sdk


PRE = "    async def async_pre_call_hook(self, user_api_key_dict, cache, data, call_type):\n        {}\n"


async def test_35543_a_returned_text_is_the_answer(tmp_path: Path) -> None:
    async with served(tmp_path, PRE.format("return 'not here'")) as (_, sdk):
        whole_chat = await sdk.chat.completions.create(**CHAT)
        assert (whole_chat.choices[0].message.content, whole_chat.model) == ("not here", "gpt-4o")
        pieces = [one async for one in await sdk.chat.completions.create(**CHAT, stream=True)]
        assert "".join(one.choices[0].delta.content or "" for one in pieces) == "not here"
        assert (await sdk.completions.create(model="m", prompt="hi")).choices[0].text == "not here"
        texts = [one async for one in await sdk.completions.create(model="m", prompt="hi", stream=True)]
        assert "".join(one.choices[0].text for one in texts) == "not here"
        assert (await sdk.responses.create(model="m", input="hi")).output_text == "not here"


@pytest.mark.parametrize(
    "body",
    ["return 'not here'", "raise HTTPException(400, 'not here')", "raise HTTPException(400, {'error': 'not here'})"],
)
async def test_35544_no_class_name_leaks_into_the_text(body: str, tmp_path: Path) -> None:
    async with served(tmp_path, PRE.format(body)) as (run, _):
        answer = (await run.post()).json()
        text = answer["error"]["message"] if "error" in answer else answer["choices"][0]["message"]["content"]
        assert text == "not here"


async def test_11366_a_prompt_needs_no_prompt_id(tmp_path: Path) -> None:
    manager = """
    def get_chat_completion_prompt(self, model, messages, non_default_params, prompt_id, prompt_variables,
                                   dynamic_callback_params):
        return model, [{"role": "system", "content": prompt_id}] + messages, non_default_params
"""
    rules = "\n  - {name: always, actions: [{use_prompt: {id: house, source: callback}}]}"
    async with served(tmp_path, manager, rules=rules) as (_, sdk):
        told = await sdk.chat.completions.create(**CHAT)
        assert "system: house" in str(told.choices[0].message.content)


@pytest.mark.parametrize("key", ["pre_call_rules", "post_call_rules", "litellm_settings", "succes_callback"])
def test_2813_a_setting_that_would_do_nothing_is_refused(key: str, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(f"rules: []\n{key}: my_hooks.f\n")
    assert [one.severity for one in load(str(tmp_path / "rules.yaml")).problems] == ["error"]


STREAMING = """
    async def async_post_call_streaming_iterator_hook(self, user_api_key_dict, response, request_data):
        async for item in response:
            HEARD.append(item)
            yield item
"""


async def test_35257_hooks_see_chunks_of_messages_and_never_bytes(tmp_path: Path) -> None:
    async with (
        served(tmp_path, STREAMING) as (run, _),
        anthropic.AsyncAnthropic(base_url=run.url, api_key="any", max_retries=0) as sdk,
        sdk.messages.stream(model="claude", max_tokens=9, messages=CHAT["messages"]) as told,
    ):
        text = await told.get_final_text()
    assert "".join(item.choices[0].delta.content for item in HEARD) == text


async def test_35257_a_hook_that_missed_a_stream_is_not_called_a_success(tmp_path: Path) -> None:
    method = "    async def async_post_call_success_hook(self, data, user_api_key_dict, response): ...\n"
    async with served(tmp_path, method) as (run, _):
        await run.post("/v1/messages", {**CHAT, "max_tokens": 9, "stream": True})
        outcomes = (await run.record())["outcomes"]
        assert [(one["rule"], one["result"]) for one in outcomes if one["phase"] == "response"] == [
            ("hooks.It", "skipped")
        ]


async def test_39098_every_moderation_hook_runs(tmp_path: Path) -> None:
    methods = """
    def __init__(self, name="one"):
        self.name = name

    async def async_moderation_hook(self, data, user_api_key_dict, call_type):
        HEARD.append(self.name)
        if self.name == "two":
            raise HTTPException(400, "two refuses")

one, two, three = It("one"), It("two"), It("three")
"""
    async with served(tmp_path, methods, callbacks="callbacks: [hooks.one, hooks.two, hooks.three]") as (run, _):
        answer = await run.post()
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "two refuses")
    assert sorted(HEARD) == ["one", "three", "two"]


async def test_41611_no_chunk_loses_its_text(tmp_path: Path) -> None:
    words = [f"{number} " for number in range(23)]
    script = stream([*map(delta, words), delta(finish="stop")])
    async with scripted(script) as up, served(tmp_path, STREAMING, before=upstream(up.url)) as (_, sdk):
        pieces = [one async for one in await sdk.chat.completions.create(**CHAT, stream=True)]
    assert [one.choices[0].delta.content for one in pieces[:-1]] == words
    assert [item.choices[0].delta.content for item in HEARD[:-1]] == words


async def test_31503_a_hook_does_not_collect_the_stream(tmp_path: Path) -> None:
    script = stream([delta("first"), delta("second"), delta(finish="stop")], pause=0.2)
    async with scripted(script) as up, served(tmp_path, STREAMING, before=upstream(up.url)) as (_, sdk):
        told = await sdk.chat.completions.create(**CHAT, stream=True)
        seen = [(one.choices[0].delta.content, len(up.sent)) async for one in told]
    assert [text for text, _ in seen] == ["first", "second", None]
    assert seen[0][1] < len(up.sent)


@pytest.mark.parametrize(
    "method",
    [
        STREAMING,
        """
    async def async_post_call_streaming_hook(self, user_api_key_dict, response):
        HEARD.append(response)
""",
    ],
)
async def test_9639_documented_streaming_hooks_are_executed(method: str, tmp_path: Path) -> None:
    async with served(tmp_path, method) as (_, sdk):
        async for _one in await sdk.chat.completions.create(**CHAT, stream=True):
            pass
    assert HEARD


LOGS = """
    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        HEARD.append((kwargs["call_type"], kwargs["stream"]))
"""


async def test_34953_every_route_is_logged_exactly_once(tmp_path: Path) -> None:
    asked = {
        "/v1/chat/completions": CHAT,
        "/v1/completions": {"model": "m", "prompt": "hi"},
        "/v1/responses": {"model": "m", "input": "hi"},
        "/v1/messages": {**CHAT, "max_tokens": 9},
    }
    async with served(tmp_path, LOGS) as (run, _):
        for path, body in asked.items():
            for streamed in (False, True):
                assert (await run.post(path, {**body, "stream": streamed})).status_code == 200
        await run.gateway.settled()
    names = ["completion", "text_completion", "responses", "anthropic_messages"]
    assert sorted(HEARD) == sorted((name, streamed) for name in names for streamed in (False, True))


@pytest.mark.parametrize(("on_error", "status"), [("fail", 500), ("skip", 200)])
@pytest.mark.parametrize(
    "body", ["raise ConnectionError('the guard is down')", "await __import__('asyncio').sleep(60)"]
)
async def test_19779_an_outage_of_a_guard_is_answered_as_the_rule_says(
    body: str, on_error: str, status: int, tmp_path: Path
) -> None:
    rules = f"""
  - {{name: guard, on_error: {on_error}, timeout: 100ms, actions: [{{callback: hooks.It}}]}}"""
    async with served(tmp_path, PRE.format(body), callbacks="", rules=rules) as (run, _):
        assert (await run.post()).status_code == status
        (error,) = [one for one in (await run.record())["outcomes"] if one["result"] == "error"]
        assert error["rule"] == "guard"


async def test_14167_data_goes_from_hook_to_hook(tmp_path: Path) -> None:
    methods = (
        PRE.format('data["metadata"]["seen"] = "before"')
        + """
    async def async_post_call_success_hook(self, data, user_api_key_dict, response):
        response.choices[0].message.content = data["metadata"]["seen"]

    def log_success_event(self, kwargs, response_obj, start_time, end_time):
        HEARD.append(kwargs["litellm_params"]["metadata"]["seen"])
"""
    )
    async with served(tmp_path, methods) as (run, sdk):
        assert (await sdk.chat.completions.create(**CHAT)).choices[0].message.content == "before"
        await run.gateway.settled()
    assert HEARD == ["before"]


def test_34877_a_misspelt_hook_is_found_before_it_is_missed(tmp_path: Path) -> None:
    (tmp_path / "hooks.py").write_text(HEAD + "    async def async_pre_cal_hook(self, data): ...\n")
    (tmp_path / "rules.yaml").write_text("rules: []\ncallbacks: hooks.It\n")
    said = as_text(load(str(tmp_path / "rules.yaml")).problems)
    assert "rules.yaml:2:12: error[bad-callback]" in said
    assert "did you mean `async_pre_call_hook`?" in said


async def test_inherited_hooks_and_classes_are_not_ignored(tmp_path: Path) -> None:
    methods = PRE.format("data['model'] = 'mine'") + "\nclass Own(It):\n    pass\n"
    async with served(tmp_path, methods, callbacks="callbacks: hooks.Own") as (_, sdk):
        assert (await sdk.chat.completions.create(**CHAT)).model == "mine"


async def test_7680_plain_functions_are_called_as_well(tmp_path: Path) -> None:
    functions = (
        PRE.format("return None")
        + """
def plain(kwargs, completion_response, start_time, end_time):
    HEARD.append("plain")

async def waiting(kwargs, completion_response, start_time, end_time):
    HEARD.append("async")
"""
    )
    async with served(tmp_path, functions, callbacks="success_callback: [hooks.plain, hooks.waiting]") as (run, _):
        await run.post()
        await run.gateway.settled()
    assert HEARD == ["plain", "async"]


async def test_12685_logging_that_lags_behind_is_bounded_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.ports import litellm_log
    from engine.ports.workers import Workers

    monkeypatch.setattr(litellm_log, "WORKERS", Workers(threads=1, most=2))
    method = "    def log_success_event(self, kwargs, response_obj, start_time, end_time):\n        HEARD[0].wait(4)\n"
    import threading

    HEARD.append(release := threading.Event())
    script = whole(json.dumps(completion("hello")).encode())
    async with scripted(script) as up, served(tmp_path, method, before=upstream(up.url)) as (run, _):
        for answer in await asyncio.gather(*(run.post() for _ in range(6))):
            assert answer.status_code == 200
        release.set()
        records = await run.records(6)
    errors = [one["why"] for record in records for one in record["outcomes"] if one["result"] == "error"]
    assert len(errors) >= 3
    assert all("waiting already" in why for why in errors)
