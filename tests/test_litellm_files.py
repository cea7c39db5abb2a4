"""Files written for LiteLLM run as they are: through the real server, asked by the official client.

The files are our own ones beside the tests, and the documented ones where they are at hand. With the real package
installed (`make test-litellm`) the same cases run on it.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
from running import AUDIT, CHAT, LOG, Running, completion, delta, running, upstream
from scripted import Scripted, scripted, stream, whole

OWN = Path(__file__).parent / "written_for_litellm"
DOCUMENTED = Path(__file__).parents[2] / "shared" / "conformance" / "litellm"
RULE = "\n  - {{name: hook, phase: {phase}, actions: [{{callback: {path}}}]}}"


@pytest.fixture(params=["own", "documented"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    source = OWN if request.param == "own" else DOCUMENTED
    if not source.is_dir():
        pytest.skip("the documented files are not here")
    for file in source.glob("*.py"):
        shutil.copy(file, tmp_path)
    return tmp_path


@asynccontextmanager
async def served(
    folder: Path, sections: str, *rules: str, script: Any = None
) -> AsyncIterator[tuple[Running, Scripted, openai.AsyncOpenAI]]:
    """The gateway, the upstream behind it and the official client before it."""
    script = script or whole(json.dumps(completion("hello")).encode())
    async with scripted(script) as up:
        written = upstream(up.url) + AUDIT + sections + "\nrules:" + "".join(rules) + LOG
        async with (
            running(written, folder) as run,
            openai.AsyncOpenAI(base_url=f"{run.url}/v1", api_key="any", max_retries=0) as sdk,
        ):
            yield run, up, sdk


def sent(up: Scripted) -> dict[str, Any]:
    (request,) = up.requests
    return dict(json.loads(request.body))


HOOK = "call_hooks.proxy_handler_instance"


@pytest.mark.parametrize(
    ("sections", "rules"),
    [(f"callbacks: {HOOK}", ()), ("", (RULE.format(phase="request", path=HOOK),))],
    ids=["callbacks", "action"],
)
async def test_the_body_is_replaced(files: Path, sections: str, rules: tuple[str, ...]) -> None:
    async with served(files, sections, *rules) as (_, up, sdk):
        await sdk.chat.completions.create(**CHAT)
        assert sent(up) == {**CHAT, "model": "my-new-model"}


async def test_every_phase_of_the_hooks_lets_an_exchange_through(files: Path) -> None:
    script = stream([delta("hel"), delta("lo"), delta(finish="stop")])
    async with served(files, f"callbacks: {HOOK}", script=script) as (run, up, sdk):
        chunks = [chunk async for chunk in await sdk.chat.completions.create(**CHAT, stream=True)]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "hello"
        assert sent(up)["model"] == "my-new-model"
        assert [one for one in (await run.record())["outcomes"] if one["result"] == "error"] == []


async def test_a_failure_passes_a_hook_that_does_nothing(files: Path) -> None:
    script = whole(b'{"error": {"message": "busy", "type": "server_error"}}', "503 Service Unavailable")
    async with served(files, f"callbacks: {HOOK}", script=script) as (_, _, sdk):
        with pytest.raises(openai.APIStatusError) as raised:
            await sdk.chat.completions.create(**CHAT)
        assert (raised.value.status_code, raised.value.body) == (503, {"message": "busy", "type": "server_error"})


SUCCESS = ["Pre-API Call", "Post-API Call", "On Success", "On Async Success", "Value of Cache hit: False"]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_a_logger_is_told_everything_once(files: Path, streamed: bool, capfd: Any) -> None:
    script = stream([delta("hello"), delta(finish="stop")]) if streamed else None
    async with served(files, "callbacks: custom_logger.customHandler", script=script) as (run, _, _):
        await run.post(body={**CHAT, "stream": streamed})
        await run.record()
    said = [line for line in capfd.readouterr().out.splitlines() if line in SUCCESS]
    assert sorted(said) == sorted(SUCCESS)
    assert said[:2] == SUCCESS[:2]


async def test_a_logger_is_told_of_failures(files: Path, capfd: Any) -> None:
    script = whole(b'{"error": {"message": "busy"}}', "500 Internal Server Error")
    async with served(files, "callbacks: custom_logger.customHandler", script=script) as (run, _, _):
        await run.post()
        await run.record()
    said = capfd.readouterr().out.splitlines()
    assert [said.count(line) for line in ("On Failure", "On Async Failure", "On Success")] == [1, 1, 0]


async def test_a_logger_as_an_action(files: Path, capfd: Any) -> None:
    rule = RULE.format(phase="log", path="custom_logger.customHandler")
    async with served(files, "", rule) as (run, _, _):
        await run.post()
        assert (await run.record())["matched"] == ["hook", "audit"]
    said = capfd.readouterr().out.splitlines()
    assert [said.count(line) for line in ("On Success", "On Async Success", "Pre-API Call")] == [1, 1, 0]


PROMPT = "custom_prompt.prompt_management"
BY_RULE = "\n  - {name: prompt, actions: [{use_prompt: {id: '1234', source: callback}}]}"
GOOD = [{"role": "system", "content": "Be a good Bot!"}, *CHAT["messages"]]


@pytest.mark.parametrize(
    ("body", "rules", "messages"),
    [
        ({"prompt_id": "1234"}, (), GOOD),
        ({"prompt_id": "other"}, (), CHAT["messages"]),
        ({}, (), CHAT["messages"]),
        ({}, (BY_RULE,), GOOD),
        ({"prompt_id": "1234"}, (BY_RULE,), GOOD),
        ({"prompt_id": "1234", "prompt_variables": {"a": "b"}, "temperature": 0.5}, (), GOOD),
    ],
)
async def test_prompt_management(files: Path, body: dict[str, Any], rules: tuple[str, ...], messages: Any) -> None:
    async with served(files, f"callbacks: {PROMPT}", *rules) as (_, up, sdk):
        await sdk.chat.completions.create(**CHAT, extra_body=body)
        rest = {name: value for name, value in body.items() if not name.startswith("prompt_")}
        assert sent(up) == {**CHAT, **rest, "messages": messages}


async def test_prompt_management_as_an_action(files: Path) -> None:
    async with served(files, "", RULE.format(phase="request", path=PROMPT)) as (run, up, _):
        await run.post(body={**CHAT, "prompt_id": "1234"})
        assert sent(up) == {**CHAT, "messages": GOOD}


async def test_prompt_management_attached_to_a_model(files: Path) -> None:
    models = f"callbacks: {PROMPT}\nmodels: {{gpt-4o: {{prompt: {{source: callback, id: '1234'}}}}}}"
    async with served(files, models) as (_, up, sdk):
        await sdk.chat.completions.create(**CHAT)
        assert sent(up) == {**CHAT, "messages": GOOD}


async def test_prompt_management_of_responses(files: Path) -> None:
    async with served(files, f"callbacks: {PROMPT}") as (run, up, _):
        await run.post("/v1/responses", {"model": "gpt-4o", "input": "hi", "prompt_id": "1234"})
        assert sent(up)["instructions"] == "Be a good Bot!"
        assert [item["content"] for item in sent(up)["input"]] == ["hi"]


MODERATION = "moderation.proxy_handler_instance"


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("sections", "rules"),
    [(f"callbacks: {MODERATION}", ()), ("", (RULE.format(phase="moderation", path=MODERATION),))],
    ids=["callbacks", "action"],
)
async def test_moderation_refuses(files: Path, sections: str, rules: tuple[str, ...], streamed: bool) -> None:
    bad = {**CHAT, "messages": [{"role": "user", "content": "hello world"}]}
    async with served(files, sections, *rules) as (_, _, sdk):
        with pytest.raises(openai.BadRequestError) as raised:
            await sdk.chat.completions.create(**bad, stream=streamed)
        assert raised.value.body["message"] == "Violated content safety policy"
        assert (await sdk.chat.completions.create(**CHAT)).choices[0].message.content == "hello"


REJECTED = "rejected_message.MyCustomHandler"


@pytest.mark.parametrize(
    ("sections", "rules"),
    [(f"callbacks: {REJECTED}", ()), ("", (RULE.format(phase="request", path=REJECTED),))],
    ids=["callbacks", "action"],
)
async def test_a_text_is_the_answer(files: Path, sections: str, rules: tuple[str, ...]) -> None:
    messages = [{"role": "user", "content": "Hello world"}]
    async with served(files, sections, *rules) as (_, up, sdk):
        told = await sdk.chat.completions.create(model="gpt-4o", messages=messages)
        assert told.choices[0].message.content == "This is an invalid response"
        assert told.choices[0].finish_reason == "stop"
        streamed = await sdk.chat.completions.create(model="gpt-4o", messages=messages, stream=True)
        chunks = [chunk async for chunk in streamed]
        assert "".join(one.choices[0].delta.content or "" for one in chunks) == "This is an invalid response"
        told = await sdk.completions.create(model="gpt-4o", prompt="Hello world")
        assert told.choices[0].text == "This is an invalid response"
        with pytest.raises(openai.BadRequestError) as raised:
            await sdk.images.generate(model="gpt-4o", prompt="Hello world")
        assert raised.value.body["message"] == "This is an invalid response"
        assert up.requests == []


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    "sections",
    [
        "success_callback: callback_functions.custom_callback",
        """
success_callback:
  - callback_functions.custom_callback
  - callback_functions.track_cost_callback
  - callback_functions.async_test_logging_fn
input_callback: callback_functions.get_transformed_inputs
""",
    ],
    ids=["registered by the file", "named"],
)
async def test_functions(files: Path, sections: str, streamed: bool, capfd: Any) -> None:
    script = stream([delta("hel"), delta("lo"), delta(finish="stop")]) if streamed else None
    async with served(files, sections, script=script) as (run, _, _):
        await run.post(body={**CHAT, "stream": streamed, "metadata": {"mine": "kept"}})
        assert [one for one in (await run.record())["outcomes"] if one["result"] == "error"] == []
    said = capfd.readouterr().out
    for line in (
        "LITELLM: in custom callback function",
        "regular response_cost",
        "params to model",
        "On Async Success!",
        "'mine': 'kept'",
    ):
        assert line in said
    assert said.count("in custom callback function") == 1
    assert ("Complete Streaming Response:" in said) is streamed


def test_the_table_of_modules_is_left_as_it_was(files: Path) -> None:
    from engine.rules.load import load

    rules = files / "rules.yaml"
    rules.write_text("rules: []\ncallbacks: [moderation.proxy_handler_instance, custom_logger.customHandler]\n")
    before = {name: id(module) for name, module in sys.modules.items() if name.startswith(("litellm", "fastapi"))}
    loaded = load(str(rules))
    assert loaded.fine
    after = {name: id(module) for name, module in sys.modules.items() if name.startswith(("litellm", "fastapi"))}
    if "litellm" not in before and after:
        pytest.skip("the real package was imported")
    assert after == before
