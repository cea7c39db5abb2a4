"""The doors of providers as they are documented: which address is asked, with which credential and headers."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from running import CHAT, completion, running
from scripted import scripted, whole

from engine.report import as_text
from engine.rules.load import load

ANSWER = whole(json.dumps(completion("hello")).encode())
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [{"type": "text", "text": "hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 2},
}


@pytest.mark.parametrize(
    ("section", "line", "headers"),
    [
        ({"kind": "azure", "base_url": "", "api_key": "k"}, "/openai/v1/chat/completions", {"api-key": "k"}),
        ({"kind": "azure", "base_url": "/openai", "api_key": "k"}, "/openai/v1/chat/completions", {"api-key": "k"}),
        (
            {"kind": "azure", "base_url": "/openai/v1/", "api_key": "k", "auth": "bearer"},
            "/openai/v1/chat/completions",
            {"authorization": "Bearer k"},
        ),
        (
            {
                "kind": "azure",
                "base_url": "/openai/deployments/{model}",
                "query": {"api-version": "2024-10-21"},
                "api_key": "k",
            },
            "/openai/deployments/my%2Fmodel/chat/completions?api-version=2024-10-21",
            {"api-key": "k"},
        ),
        (
            {"base_url": "/v1beta/openai", "api_key": "k"},
            "/v1beta/openai/chat/completions",
            {"authorization": "Bearer k"},
        ),
        ({"base_url": "/openai/v1", "api_key": "k"}, "/openai/v1/chat/completions", {"authorization": "Bearer k"}),
        ({"base_url": "/v1"}, "/v1/chat/completions", {"authorization": "Bearer theirs"}),
    ],
    ids=["azure", "azure with its path", "azure with a token", "azure's deployments", "gemini", "bedrock", "vllm"],
)
async def test_openai_clients_at(section: dict[str, Any], line: str, headers: dict[str, str], tmp_path: Path) -> None:
    async with scripted(ANSWER) as up:
        section = {**section, "base_url": up.url + section["base_url"]}
        rules = f"upstreams: {{there: {json.dumps(section)}}}\nmodels: {{m: {{model: my/model}}}}\nrules: []\n"
        async with (
            running(rules, tmp_path) as run,
            openai.AsyncOpenAI(base_url=f"{run.url}/v1", api_key="theirs", max_retries=0) as sdk,
        ):
            answer = await sdk.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
            assert answer.choices[0].message.content == "hello"
        (request,) = up.requests
        assert request.line == f"POST {line} HTTP/1.1"
        assert json.loads(request.body)["model"] == "my/model"
        sent = {name.lower(): value for name, value in request.headers}
        assert sent.items() >= headers.items()
        if "authorization" not in headers:
            assert "authorization" not in sent


@pytest.mark.parametrize("base", ["", "/v1", "/v1/"])
async def test_anthropic_clients_at_anthropic(base: str, tmp_path: Path) -> None:
    async with scripted(whole(json.dumps(MESSAGE).encode())) as up:
        section = {"kind": "anthropic", "base_url": up.url + base, "api_key": "k"}
        async with (
            running(f"upstreams: {{there: {json.dumps(section)}}}\nrules: []\n", tmp_path) as run,
            anthropic.AsyncAnthropic(base_url=run.url, api_key="theirs", max_retries=0) as sdk,
        ):
            answer = await sdk.messages.create(
                model="claude", max_tokens=9, messages=[{"role": "user", "content": "hi"}]
            )
            assert answer.content[0].text == "hello"
        (request,) = up.requests
        sent = {name.lower(): value for name, value in request.headers}
        assert request.line == "POST /v1/messages HTTP/1.1"
        assert sent["x-api-key"] == "k"
        assert sent["anthropic-version"]


HEADERS = {"x-team": "{{ key.team }}", "x-model": "{{ upstream.model }}", "x-who": "{{ metadata.who }}", "X-Fixed": "a"}


async def test_headers_are_filled_in_for_each_call(tmp_path: Path) -> None:
    keys = f"keys: [{{name: ci, team: core, sha256: {hashlib.sha256(b'sk').hexdigest()}}}]\n"
    async with scripted(ANSWER) as up:
        section = {"base_url": f"{up.url}/v1", "headers": HEADERS}
        async with running(keys + f"upstreams: {{there: {json.dumps(section)}}}\nrules: []\n", tmp_path) as run:
            body = {**CHAT, "metadata": {"who": "ada"}}
            for sent in (body, CHAT):
                answer = await run.post(body=sent, headers={"authorization": "Bearer sk", "x-team": "mine"})
                assert answer.status_code == 200
            torn = {**CHAT, "metadata": {"who": "a\nx-admin: yes"}}
            answer = await run.post(body=torn, headers={"authorization": "Bearer sk"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (500, "upstream_header")
        first, second = (dict(request.headers) for request in up.requests)
        assert (first["x-team"], first["x-model"], first["x-who"], first["x-fixed"]) == ("core", "gpt-4o", "ada", "a")
        assert "x-who" not in second


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("{{ response.status }}", "the phase attempt has no `response` yet"),
        ("{{ key.taem }}", "did you mean `team`"),
        ("a\nb", "line break"),
        ("{{ key.team }", "ends with `}}`"),
    ],
)
def test_a_header_that_cannot_be_filled_in(value: str, says: str, tmp_path: Path) -> None:
    section = {"base_url": "http://a.test/v1", "headers": {"x-a": value}}
    (tmp_path / "rules.yaml").write_text(f"upstreams: {{a: {json.dumps(section)}}}\nrules: []\n")
    loaded = load(str(tmp_path / "rules.yaml"))
    assert not loaded.fine
    assert says in as_text(loaded.problems)


def test_an_upstream_that_needs_a_translator_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.ports.extras.find_spec", lambda name: None)
    text = "upstreams: {u: {base_url: http://h/v1, translate: true}}\nrules: []\n"
    file = tmp_path / "rules.yaml"
    file.write_text(text)
    (problem,) = load(str(file)).problems
    assert (problem.code, text[problem.span.start : problem.span.end]) == ("missing-package", "true")
    assert "pip install 'pointsman[translate]'" in problem.help
