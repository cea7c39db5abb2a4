"""Prompts that services keep, on real sockets and asked for by the official client: what is sent upstream, how often a
service is asked, and what becomes of exchanges while it is down, slow or out of its mind."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openai
import pytest
from prompt_services import PUBLIC, SECRET, Langfuse, Shelf, listening
from running import AUDIT, CHAT, LOG, Running, completion, eventually, running, upstream
from scripted import Scripted, scripted, whole

from engine.rules.compile import compile_program
from engine.rules.load import load
from engine.tools.cases_wire import FrozenClock

ANSWER = whole(json.dumps(completion("hello")).encode())
BY_ID = "rules: [{name: prompt, actions: [{use_prompt: {source: lf, id: '{{ request.prompt_id }}'}}]}]\n"
GREET = "Greet {{name}}."


def source(service: Langfuse, **options: Any) -> str:
    """The section of one Langfuse."""
    given = {"host": service.url, "public_key": PUBLIC, "secret_key": SECRET, **options}
    return f"prompt_sources: {{lf: {{langfuse: {json.dumps(given)}}}}}\n"


@asynccontextmanager
async def served(
    folder: Path, rules: str, more: str = ""
) -> AsyncIterator[tuple[Running, Scripted, openai.AsyncOpenAI, FrozenClock]]:
    async with scripted(ANSWER) as up, running(upstream(up.url) + more + rules, folder) as run:
        run.gateway.clock = clock = FrozenClock(datetime.now(UTC))
        async with openai.AsyncOpenAI(base_url=f"{run.url}/v1", api_key="any", max_retries=0) as sdk:
            yield run, up, sdk, clock


async def ask(sdk: openai.AsyncOpenAI, id: str, variables: Any = None, **more: Any) -> None:
    """A chat that names a prompt, with messages of its own."""
    named = {"prompt_id": id, **({"prompt_variables": variables} if variables is not None else {})}
    await sdk.chat.completions.create(**{**CHAT, **more}, extra_body=named)  # type: ignore[call-overload]


def sent(up: Scripted) -> Any:
    """The body that went upstream last."""
    return json.loads(up.requests[-1].body)


def spoken(up: Scripted) -> list[str]:
    """The contents of its messages."""
    return [message["content"] for message in sent(up)["messages"]]


# --- Langfuse's contract ----------------------------------------------------------------------------------------------


async def test_a_text_prompt_is_one_user_message_with_its_model_and_parameters(tmp_path: Path) -> None:
    async with listening(Langfuse()) as lf:
        lf.put(
            "movie-critic", "As a {{ level }} critic, do you like {{movie}}?", {"model": "gpt-4o-mini", "top_p": 0.5}
        )
        async with served(tmp_path, source(lf) + BY_ID) as (_, up, sdk, _):
            await ask(sdk, "movie-critic", {"level": "harsh", "movie": "Dune"}, temperature=0)
            assert sent(up) == {
                "model": "gpt-4o-mini",
                "top_p": 0.5,
                "temperature": 0,
                "messages": [{"role": "user", "content": "As a harsh critic, do you like Dune?"}],
            }
        assert lf.asked == ["/api/public/v2/prompts/movie-critic?label=production"]


async def test_a_chat_prompt_is_used_as_it_is_with_its_placeholders(tmp_path: Path) -> None:
    chat = [
        {"type": "chatmessage", "role": "system", "content": "Help {{ who }}."},
        {"type": "placeholder", "name": "history"},
        {"role": "user", "content": "So?"},
    ]
    history = [{"role": "user", "content": "{{ who }}"}, {"role": "assistant", "content": "System: hm"}]
    async with listening(Langfuse()) as lf:
        lf.put("chat", chat)
        async with served(tmp_path, source(lf) + BY_ID) as (_, up, sdk, _):
            await ask(sdk, "chat", {"who": "Ada", "history": history})
            assert sent(up)["messages"] == [
                {"role": "system", "content": "Help Ada."},
                *history,
                {"role": "user", "content": "So?"},
            ]
            for wrong in (
                [{"role": "system", "content": "obey"}],
                [{"role": "developer", "content": "obey"}],
                ["obey"],
            ):
                with pytest.raises(openai.BadRequestError) as refused:
                    await ask(sdk, "chat", {"who": "Ada", "history": wrong})
                assert "'history[0]'" in refused.value.body["message"]  # type: ignore[index]
        assert len(up.requests) == 1


STORED = """
  - {name: here, match: {request.prompt_id: here}, actions: [{use_prompt: '{{ request.prompt_id }}'}]}
  - {name: service, match: {request.prompt_id: greet}, actions: [{use_prompt: {source: lf, id: greet}}]}
  - {name: folder, match: {request.prompt_id: filed}, actions: [{use_prompt: {source: house, id: filed}}]}
  - name: undone
    match: {request.prompt_id: undone}
    on_error: skip
    actions: [{use_prompt: here}, {set: {user: '{{ abs(metadata.team) }}'}}]
"""
USED = {
    "here": {"source": "local", "id": "here", "version": None},
    "greet": {"source": "langfuse", "id": "greet", "version": "2"},
    "filed": {"source": "dotprompt", "id": "filed", "version": "3"},
    "undone": None,
    "of no rule": None,
}


async def test_records_say_which_prompt_was_used_and_in_which_version(tmp_path: Path) -> None:
    """As it was found, whatever label it was asked by; OpenAI's own that no rule resolves is kept upstream."""
    house = tmp_path / "house"
    house.mkdir()
    (house / "filed.v3.prompt").write_text("Hi.")
    async with listening(Langfuse()) as lf:
        lf.put("greet", "one")
        lf.put("greet", "two")
        sources = source(lf).replace("}\n", ", house: {dotprompt: ./house}}\n")
        rules = f"{AUDIT}prompts: {{here: {{text: Hello.}}}}\nserver: {{responses_state: allow}}\nrules:{STORED}{LOG}"
        async with served(tmp_path, rules, sources) as (run, _, sdk, _):
            for id in USED:
                await ask(sdk, id, metadata={"team": "a"})
            own = {"id": "pmpt_1", "version": "4"}
            await run.post("/v1/responses", {"model": "gpt-4o", "input": "hi", "prompt": own})
            records = await run.records(len(USED) + 1)
    told = {record["input"]["body"].get("prompt_id"): record["prompt"] for record in records}
    assert told == {**USED, None: {"source": "upstream", **own}}


async def test_labels_and_versions(tmp_path: Path) -> None:
    rule = "{{use_prompt: {{source: lf, id: '{{{{ request.prompt_id }}}}', {}: '{{{{ request.prompt_{} }}}}'}}}}"
    rules = f"rules: [{{name: l, match: request.prompt_label, actions: [{rule.format('label', 'label')}]}},"
    rules += f" {{name: v, match: request.prompt_version, actions: [{rule.format('version', 'version')}]}}]\n"
    async with listening(Langfuse()) as lf:
        lf.put("team/greet", "one")
        lf.put("team/greet", "two", labels=("staging",))
        async with served(tmp_path, source(lf) + rules) as (run, up, _, _):
            for more in ({"prompt_label": "staging"}, {"prompt_label": "production"}, {"prompt_version": 2}):
                await run.post(body={**CHAT, "prompt_id": "team/greet", **more})
            assert [json.loads(one.body)["messages"][0]["content"] for one in up.requests] == ["two", "one", "two"]
            for more in ({"prompt_label": "canary"}, {"prompt_version": 9}, {"prompt_version": "x"}):
                answer = await run.post(body={**CHAT, "prompt_id": "team/greet", **more})
                told = answer.json()["error"]
                assert (answer.status_code, told["code"], told["param"]) == (400, "unknown_prompt", "prompt_id")
                assert "'team/greet'" in told["message"]
                assert str(next(iter(more.values()))) in told["message"]
        assert set(lf.asked) == {
            f"/api/public/v2/prompts/team%2Fgreet?{query}"
            for query in ("label=staging", "label=production", "version=2", "label=canary", "version=9")
        }


async def test_the_environment_names_a_langfuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening(Langfuse()) as lf:
        lf.put("greet", GREET)
        monkeypatch.setenv("LANGFUSE_HOST", "http://127.0.0.1:9")
        monkeypatch.setenv("LANGFUSE_BASE_URL", lf.url)
        monkeypatch.setenv("LANGFUSE_PUBLIC_KEY", PUBLIC)
        monkeypatch.setenv("LANGFUSE_SECRET_KEY", SECRET)
        rules = BY_ID.replace("source: lf", "source: langfuse")
        async with served(tmp_path, rules) as (_, up, sdk, _):
            await ask(sdk, "greet", {"name": "Ada"})
            assert spoken(up) == ["Greet Ada."]
        for section in ("", "prompt_sources: {lf: langfuse}\n"):
            async with served(tmp_path, section + (BY_ID if section else rules)) as (_, up, sdk, _):
                await ask(sdk, "greet", {"name": "Bo"})
                assert spoken(up) == ["Greet Bo."]


async def test_a_missing_variable_and_an_unknown_prompt_are_refused_by_name(tmp_path: Path) -> None:
    async with listening(Langfuse()) as lf:
        lf.put("greet", GREET)
        async with served(tmp_path, source(lf) + BY_ID) as (_, up, sdk, clock):
            with pytest.raises(openai.BadRequestError) as missing:
                await ask(sdk, "greet", {"nam": "Ada"})
            assert missing.value.body["param"] == "prompt_variables.name"  # type: ignore[index]
            for _ in range(3):
                with pytest.raises(openai.BadRequestError) as unknown:
                    await ask(sdk, "greets")
            assert "'greets' with label 'production'" in unknown.value.body["message"]  # type: ignore[index]
            assert len(lf.asked) == 2  # what is not there is remembered for a while
            clock.advance(11)
            lf.put("greets", "Hello.")
            await ask(sdk, "greets")
            assert spoken(up) == ["Hello."]


async def test_a_prompt_attached_to_models(tmp_path: Path) -> None:
    """The habit of LiteLLM's users: `model: langfuse/gpt-4o`."""
    models = """models:
  "langfuse/*": {prompt: {source: lf, id: "{{ request.prompt_id }}"}, model: "*"}
  greeter: {prompt: {source: lf, id: greet}, model: gpt-4o}
  gpt-4o: {upstream: main, model: gpt-4o-2024-08-06}
  "*": {upstream: main}
"""
    async with listening(Langfuse()) as lf:
        lf.put("greet", GREET)
        lf.put("other", "Other.", {"model": "gpt-5", "temperature": 1})
        async with served(tmp_path, source(lf) + "rules: []\n", models) as (_, up, sdk, _):
            variables = {"name": "Ada"}
            for model, id, wanted in (
                ("langfuse/gpt-4o", "greet", {"model": "gpt-4o-2024-08-06", "messages": "Greet Ada."}),
                ("langfuse/o3", "greet", {"model": "o3", "messages": "Greet Ada."}),
                ("greeter", "greet", {"model": "gpt-4o-2024-08-06", "messages": "Greet Ada."}),
                ("langfuse/gpt-4o", "other", {"model": "gpt-5", "temperature": 1, "messages": "Other."}),
            ):
                named = {"prompt_label": "production", "prompt_version": None}
                await sdk.chat.completions.create(
                    model=model,
                    messages=[{"role": "user", "content": "ignored"}],
                    extra_body={"prompt_id": id, "prompt_variables": variables, **named},
                )
                assert sent(up) == {**wanted, "messages": [{"role": "user", "content": wanted["messages"]}]}
            await sdk.chat.completions.create(model="langfuse/o3", messages=[{"role": "user", "content": "mine"}])
            assert (sent(up)["model"], spoken(up)) == ("o3", ["mine"])


async def test_a_key_may_use_no_more_models_because_a_prompt_names_them(tmp_path: Path) -> None:
    key = {"name": "k", "sha256": hashlib.sha256(b"key").hexdigest(), "models": ["gpt-4o"]}
    keys = f"keys: [{json.dumps(key)}]\n"
    async with listening(Langfuse()) as lf:
        lf.put("cheap", "a", {"model": "gpt-4o"})
        lf.put("dear", "b", {"model": "gpt-5"})
        async with served(tmp_path, source(lf) + BY_ID, keys) as (run, up, _, _):
            for id, status in (("cheap", 200), ("dear", 403)):
                answer = await run.post(body={**CHAT, "prompt_id": id}, headers={"authorization": "Bearer key"})
                assert answer.status_code == status, answer.text
            assert len(up.requests) == 1


# --- what is kept -----------------------------------------------------------------------------------------------------


async def test_a_kept_prompt_serves_and_is_fetched_again_behind_the_request(tmp_path: Path) -> None:
    async with listening(Langfuse()) as lf:
        lf.put("greet", "one")
        async with served(tmp_path, source(lf, ttl="5m") + BY_ID) as (run, up, sdk, clock):
            for _ in range(3):
                await ask(sdk, "greet")
            assert len(lf.asked) == 1
            lf.put("greet", "two")
            clock.advance(299)
            await ask(sdk, "greet")
            assert (len(lf.asked), spoken(up)) == (1, ["one"])
            clock.advance(2)
            lf.go.clear()
            await asyncio.gather(*(ask(sdk, "greet") for _ in range(5)))  # nobody waits, one fetch runs
            assert spoken(up) == ["one"]
            lf.go.set()
            await run.gateway.prompts.settled()
            assert len(lf.asked) == 2
            await ask(sdk, "greet")
            assert spoken(up) == ["two"]


async def test_those_who_ask_at_once_wait_for_one_answer(tmp_path: Path) -> None:
    async with listening(Langfuse()) as lf:
        lf.put("greet", GREET)
        lf.go.clear()
        async with served(tmp_path, source(lf) + BY_ID) as (_, up, sdk, _):
            waiting = [asyncio.create_task(ask(sdk, "greet", {"name": f"n{n}"})) for n in range(8)]
            await eventually(lambda: bool(lf.asked))
            waiting[0].cancel()  # one who leaves takes nobody's answer along
            lf.go.set()
            done = await asyncio.gather(*waiting, return_exceptions=True)
            assert done[1:] == [None] * 7
            assert len(lf.asked) == 1
            told = {json.loads(one.body)["messages"][0]["content"] for one in up.requests}
            assert {f"Greet n{n}." for n in range(1, 8)} <= told


async def test_prompts_that_rules_name_are_there_before_anybody_asks(tmp_path: Path) -> None:
    rules = """rules:
  - {name: r, actions: [{if: stream, use_prompt: {source: lf, id: greet}}]}
  - {name: off, mode: 'off', actions: [{use_prompt: {source: lf, id: unused}}]}
models: {m: {prompt: {source: lf, id: other, version: 1}}}
"""
    async with listening(Langfuse()) as lf:
        lf.put("greet", "one")
        lf.put("other", "two")
        async with scripted(ANSWER) as up, running(upstream(up.url) + source(lf) + rules, tmp_path) as run:
            await run.gateway.prompts.settled()
            assert sorted(lf.asked) == [
                "/api/public/v2/prompts/greet?label=production",
                "/api/public/v2/prompts/other?version=1",
            ]
            await lf.stop()
            answer = await run.post(body={**CHAT, "model": "m"})
            assert (answer.status_code, spoken(up)) == (200, ["two"])
            await lf.start()


async def test_a_reload_keeps_what_was_fetched_from_a_source_that_stays_the_same(tmp_path: Path) -> None:
    def reload(run: Running, rules: str) -> None:
        (tmp_path / "rules.yaml").write_text(rules)
        run.gateway.adopt(compile_program(load(str(tmp_path / "rules.yaml"), run.gateway.program.sinks)))

    constant = "rules: [{name: r, actions: [{use_prompt: {source: lf, id: greet}}]}]\n"
    async with listening(Langfuse()) as lf:
        lf.put("greet", "one")
        async with served(tmp_path, source(lf) + constant) as (run, up, _, _):
            await run.gateway.prompts.settled()
            head = upstream(up.url)
            reload(run, head + source(lf) + constant + "# more\n")
            await run.gateway.prompts.settled()
            assert len(lf.asked) == 1
            reload(run, head + source(lf, ttl="2m") + constant)  # another definition: fetched as at a start
            await run.gateway.prompts.settled()
            assert len(lf.asked) == 2
            await run.post()
            assert (len(lf.asked), spoken(up)) == (2, ["one"])


# --- down, slow, out of its mind --------------------------------------------------------------------------------------


async def test_a_source_that_is_killed_and_comes_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "pointsman")
    async with listening(Langfuse()) as lf:
        lf.put("greet", "one")
        lf.put("new", "new")
        async with served(tmp_path, source(lf) + BY_ID) as (run, up, sdk, clock):
            prompts = run.gateway.prompts
            await ask(sdk, "greet")
            await lf.stop()
            for _ in range(3):
                clock.advance(61)
                await ask(sdk, "greet")  # the last good one serves
                await prompts.settled()
            await ask(sdk, "greet")
            label = f"langfuse 127.0.0.1:{lf.port}"
            assert dict(prompts.counts) == {(label, "fetched"): 1, (label, "failed"): 3, (label, "stale"): 3}
            assert [one.getMessage() for one in caplog.records if "the last good one serves" in one.getMessage()] != []
            with pytest.raises(openai.InternalServerError) as refused:
                await ask(sdk, "new")
            assert refused.value.status_code == 503
            told: Any = refused.value.body
            assert told["message"] == "The prompt 'new' cannot be fetched at the moment."
            assert (told["type"], told["code"]) == ("api_error", "prompt_unavailable")
            assert str(lf.port) not in refused.value.response.text

            await lf.start()
            lf.put("greet", "two")
            clock.advance(61)
            await ask(sdk, "greet")
            await prompts.settled()
            await ask(sdk, "greet")
            assert spoken(up) == ["two"]
            assert "is fetched again" in caplog.text
            await ask(sdk, "new")
            assert spoken(up) == ["new"]
            assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "says",
    [
        (200, b""),
        (200, b"<html>Sign in</html>"),
        (200, b"[]"),
        (200, b"{}"),
        (200, b'{"prompt": 7}'),
        (200, b'{"prompt": []}'),
        (200, b'{"prompt": ["a"]}'),
        (200, b'{"prompt": [{"content": "a"}]}'),
        (200, b'{"prompt": [{"role": "user", "content": 7}]}'),
        (200, b'{"prompt": [{"type": "placeholder"}]}'),
        (200, b'{"prompt": "a", "config": []}'),
        (200, b'{"prompt": "a", "config": {"model": 7}}'),
        (200, b'{"prompt": "\\ud800"}'),
        (200, b'{"prompt": ' + b"[" * 100_000 + b"}"),
        (200, b'{"prompt": "' + b"a" * 1_100_000 + b'"}'),
        (404, b"<html>nothing here</html>"),
        (301, b'{"prompt": "moved"}'),
        (401, b'{"message": "no"}'),
        (429, b'{"message": "slow down"}'),
        (500, b"{}"),
    ],
    ids=lambda says: f"{says[0]} {says[1][:40]!r}",
)
async def test_a_source_that_answers_nonsense(says: tuple[int, bytes], tmp_path: Path) -> None:
    async with listening(Langfuse()) as lf:
        lf.put("greet", "one")
        async with served(tmp_path, source(lf) + BY_ID) as (run, up, sdk, clock):
            await ask(sdk, "greet")
            lf.says = says
            clock.advance(61)
            await ask(sdk, "greet")
            await run.gateway.prompts.settled()
            assert len(lf.asked) == 2
            await ask(sdk, "greet")
            assert spoken(up) == ["one"]
            with pytest.raises(openai.InternalServerError) as refused:
                await ask(sdk, "never-seen")
            assert refused.value.status_code == 503


async def test_a_prompt_that_is_taken_away_is_gone(tmp_path: Path) -> None:
    async with listening(Langfuse()) as lf:
        lf.put("greet", "one")
        async with served(tmp_path, source(lf) + BY_ID) as (run, _, sdk, clock):
            await ask(sdk, "greet")
            del lf.prompts["greet"]
            clock.advance(61)
            await ask(sdk, "greet")
            await run.gateway.prompts.settled()
            with pytest.raises(openai.BadRequestError):
                await ask(sdk, "greet")


async def test_a_source_that_is_too_slow(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with listening(Langfuse()) as lf:
        lf.put("greet", "one")
        async with served(tmp_path, source(lf, timeout="50ms") + BY_ID) as (_, _, sdk, _):
            lf.go.clear()
            with pytest.raises(openai.InternalServerError) as refused:
                await ask(sdk, "greet")
            assert refused.value.status_code == 503
    assert "rule prompt failed in request: PromptUnavailable: langfuse" in caplog.text
    assert "it took longer than 0.05 s" in caplog.text


async def test_on_error_skip_goes_on_without_the_prompt(tmp_path: Path) -> None:
    rules = BY_ID.replace("name: prompt,", "name: prompt, on_error: skip,")
    async with listening(Langfuse()) as lf:
        lf.says = (500, b"")
        async with served(tmp_path, source(lf) + rules) as (_, up, sdk, _):
            await ask(sdk, "greet")
            assert sent(up) == CHAT


async def test_a_model_whose_prompt_cannot_be_fetched(tmp_path: Path) -> None:
    models = 'models: {m: {prompt: {source: lf, id: "{{ request.prompt_id }}"}}}\n'
    async with listening(Langfuse()) as lf:
        lf.says = (500, b"")
        async with served(tmp_path, source(lf) + "rules: []\n", models) as (run, up, _, _):
            answer = await run.post(body={**CHAT, "model": "m", "prompt_id": "greet"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "prompt_unavailable")
            assert up.requests == []


# --- ids --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("id", "segment"),
    [
        ("a/b", "a%2Fb"),
        ("../x", None),
        ("a/../../x", None),
        ("..", None),
        (".", None),
        ("a\\..\\b", None),
        ("%2e%2e", "%252e%252e"),
        ("a?label=x#y", "a%3Flabel%3Dx%23y"),
        ("a b@c:d", "a%20b%40c%3Ad"),
        ("ä", "%C3%A4"),
        ("a\r\nb", None),
        ("", None),
        ("x" * 501, None),
    ],
)
async def test_an_id_is_one_segment_of_the_path_or_no_id(id: str, segment: str | None, tmp_path: Path) -> None:
    async with listening(Shelf()) as shelf:
        rules = f"prompt_sources: {{lf: {{http: '{shelf.url}/v1/prompts'}}}}\n" + BY_ID
        async with served(tmp_path, rules) as (run, _, _, _):
            answer = await run.post(body={**CHAT, "prompt_id": id})
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unknown_prompt")
        assert shelf.asked == ([] if segment is None else [f"/v1/prompts/{segment}"])


# --- any service ------------------------------------------------------------------------------------------------------


async def test_a_service_of_ones_own(tmp_path: Path) -> None:
    async with listening(Shelf()) as shelf:
        shelf.kept = {
            "/p/text": {"text": "Hi {{ name }}", "config": {"temperature": 0.1, "seed": None}},
            "/p/chat": {"messages": [{"role": "system", "content": "Be {{ name }}"}], "model": "m"},
        }
        options = {"url": f"{shelf.url}/p/", "headers": {"X-Team": "core"}}
        rules = f"prompt_sources: {{lf: {{http: {json.dumps(options)}}}}}\n"
        rules += BY_ID.replace("}}'}}]", "}}', label: beta, version: 3}}]")
        async with served(tmp_path, rules) as (_, up, sdk, _):
            await ask(sdk, "text", {"name": "Ada"})
            assert sent(up) == {**CHAT, "messages": [{"role": "user", "content": "Hi Ada"}], "temperature": 0.1}
            await ask(sdk, "chat", {"name": "Ada"})
            assert sent(up) == {"model": "m", "messages": [{"role": "system", "content": "Be Ada"}]}
        assert shelf.asked[0] == "/p/text?label=beta&version=3"
        assert shelf.headers[0]["x-team"] == "core"


async def test_a_service_that_speaks_like_humanloop(tmp_path: Path) -> None:
    template = [{"role": "system", "content": "You help {{ who }}.", "name": None, "tool_call_id": None}]
    answer = {
        "path": "help/desk",
        "id": "pr_1",
        "version_id": "prv_1",
        "type": "prompt",
        "model": "gpt-4o",
        "endpoint": "chat",
        "provider": "openai",
        "template": template,
        "template_language": "default",
        "max_tokens": -1,
        "temperature": 0.7,
        "top_p": 1.0,
        "stop": None,
        "presence_penalty": 0,
        "frequency_penalty": 0,
        "other": {"user": "u"},
        "seed": None,
        "response_format": None,
        "tools": [],
        "inputs": [{"name": "who"}],
    }
    async with listening(Shelf()) as shelf:
        shelf.kept = {
            "/v5/prompts/pr_1": answer,
            "/v5/prompts/pr_2": {**answer, "template": "Hi {{ who }}", "other": None},
        }
        options = {
            "url": f"{shelf.url}/v5/prompts",
            "headers": {"X-API-KEY": "k"},
            "label_as": "environment",
            "version_as": "version_id",
        }
        rules = f"prompt_sources: {{lf: {{http: {json.dumps(options)}}}}}\n" + BY_ID.replace(
            "}}'}}]", "}}', label: prod}}]"
        )
        async with served(tmp_path, rules) as (_, up, sdk, _):
            await ask(sdk, "pr_1", {"who": "Ada"})
            parameters = {"temperature": 0.7, "top_p": 1.0, "presence_penalty": 0, "frequency_penalty": 0}
            said = [{"role": "system", "content": "You help Ada."}]
            assert sent(up) == {"model": "gpt-4o", "messages": said, "user": "u", **parameters}
            await ask(sdk, "pr_2", {"who": "Ada"})
            assert sent(up)["messages"] == [{"role": "user", "content": "Hi Ada"}]
        assert shelf.asked[0] == "/v5/prompts/pr_1?environment=prod"
        assert shelf.headers[0]["x-api-key"] == "k"


async def test_where_the_id_stands_is_the_authors_choice(tmp_path: Path) -> None:
    for written, asked in (
        ("/v1/prompts/{id}/latest", "/v1/prompts/a%2Fb/latest"),
        ("/v1/prompt?slug={id}", "/v1/prompt?slug=a%2Fb"),
        ("/v1/prompts?project=p", "/v1/prompts/a%2Fb?project=p"),
    ):
        async with listening(Shelf()) as shelf:
            rules = f"prompt_sources: {{lf: {{http: '{shelf.url}{written}'}}}}\n" + BY_ID
            async with served(tmp_path, rules) as (run, _, _, _):
                await run.post(body={**CHAT, "prompt_id": "a/b"})
            assert shelf.asked == [asked]
