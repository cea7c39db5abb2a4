"""Prompts kept by name: what is filled in, what is refused, and that values stay data."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.catalogue import BAD, Scope
from engine.ports.dotprompt_file import read_prompt
from engine.ports.prompt_fetching import FetchedPrompts
from engine.ports.prompt_http import Http
from engine.ports.prompt_langfuse import Langfuse
from engine.ports.prompt_sources import LocalPrompts, PromptSourceRef
from engine.ports.prompt_text import MissingVariable, PromptTemplate
from engine.ports.prompts import Prompt
from engine.rules import yaml_text
from engine.rules.yaml_text import compose
from engine.source import Source


def read(text: str) -> tuple[Any, Scope]:
    node, problems = compose(Source("rules.yaml", text))
    assert node is not None
    assert not problems
    scope = Scope()
    return Prompt.read(node, scope), scope


@pytest.mark.parametrize(
    ("text", "variables", "messages"),
    [
        ("{text: Hi}", {}, [{"role": "user", "content": "Hi"}]),
        ('{text: "Hi {{ name }}, {{name}}!"}', {"name": "Ada"}, [{"role": "user", "content": "Hi Ada, Ada!"}]),
        (
            '{text: "{{ n }} {{ b }} {{ o }} {{ l }}"}',
            {"n": 1.5, "b": True, "o": {"ä": 1}, "l": [1, "x"]},
            [{"role": "user", "content": '1.5 true {"ä":1} [1,"x"]'}],
        ),
        ('{text: "{{ user.name }}"}', {"user": {"name": "Ada"}}, [{"role": "user", "content": "Ada"}]),
        (
            '{text: "{{ user.name }}"}',
            {"user.name": "Eve", "user": {"name": "Ada"}},
            [{"role": "user", "content": "Eve"}],
        ),
        ("""{text: "{{ '{{' }} name }}"}""", {}, [{"role": "user", "content": "{{ name }}"}]),
        ('{text: "{{ e }}."}', {"e": ""}, [{"role": "user", "content": "."}]),
        (
            "{messages: [{role: system, content: a}, {role: '{{ r }}', content: '{{ r }}', name: '{{ r }}'}]}",
            {"r": "x"},
            [{"role": "system", "content": "a"}, {"role": "{{ r }}", "content": "x", "name": "{{ r }}"}],
        ),
        (
            "{messages: [{role: user, content: [{type: text, text: 'a {{ r }}'}, {type: file, file: {id: '{{ r }}'}}]}]}",  # noqa: E501  a value of YAML is one line
            {"r": "x"},
            [{"role": "user", "content": [{"type": "text", "text": "a x"}, {"type": "file", "file": {"id": "x"}}]}],
        ),
        (
            "{messages: [{role: assistant, content: null, tool_calls: [{id: a}]}]}",
            {},
            [{"role": "assistant", "content": None, "tool_calls": [{"id": "a"}]}],
        ),
    ],
)
def test_rendering(text: str, variables: dict[str, Any], messages: list[Any]) -> None:
    prompt, scope = read(text)
    assert not scope.problems
    assert prompt.render(variables) == (messages, {})


def test_the_config_comes_with_the_messages() -> None:
    prompt, _ = read("{text: a, config: {model: m, temperature: 0, stop: [x]}}")
    assert prompt.render({})[1] == {"model": "m", "temperature": 0, "stop": ["x"]}


@pytest.mark.parametrize(
    ("variables", "missing"),
    [({}, "a"), ({"a": None}, "a"), ({"a": 1}, "b.c"), ({"a": 1, "b": 2}, "b.c"), ({"a": 1, "b": {"c": None}}, "b.c")],
)
def test_a_missing_variable_is_named(variables: dict[str, Any], missing: str) -> None:
    prompt, _ = read('{text: "{{ a }} {{ b.c }}"}')
    with pytest.raises(MissingVariable) as raised:
        prompt.render(variables)
    assert raised.value.name == missing


# --- values are data --------------------------------------------------------------------------------------------------

CHAT = [{"role": "system", "content": "s {{a}} e"}, {"role": "user", "content": "{{b}}"}]
DOTPROMPT = """---
input: {schema: {a: string, b: string}}
---
"""


def fetched(kind: type[FetchedPrompts], answer: Any) -> PromptTemplate:
    written = "{host: 'http://h', public_key: a, secret_key: b}" if kind is Langfuse else "http://h"
    source = kind.read(compose(Source("r", written))[0], Scope())  # type: ignore[arg-type]
    template: PromptTemplate = source.template(answer)
    return template


def in_file(text: str) -> PromptTemplate:
    template = read_prompt(Source("a.prompt", text), Scope(reader=yaml_text))
    assert template is not None
    return template


EVERY_SOURCE = {
    "local": read("{messages: [{role: system, content: 's {{ a }} e'}, {role: user, content: '{{ b }}'}]}")[0],
    "dotprompt": in_file(DOTPROMPT + '{{role "system"}}\ns {{a}} e\n{{role "user"}}\n{{b}}\n'),
    "dotprompt's lines": in_file(DOTPROMPT + "System: s {{a}} e\nUser: {{b}}"),
    "langfuse": fetched(Langfuse, {"type": "chat", "prompt": CHAT}),
    "http": fetched(Http, {"messages": CHAT}),
    "http like Humanloop": fetched(Http, {"template": CHAT}),
}
HOSTILE = st.text() | st.lists(
    st.sampled_from(
        [
            "{{",
            "}}",
            "{{ b }}",
            "{{b}}",
            "\n",
            "System:",
            "User: ",
            '{{role "system"}}',
            "---\n",
            "{%",
            '"}]',
            "<",
            "\\",
            "'",
        ]
    )
).map("".join)


@pytest.mark.parametrize("source", EVERY_SOURCE)
@settings(max_examples=50)
@given(a=HOSTILE, b=HOSTILE)
def test_a_value_stays_data(source: str, a: str, b: str) -> None:
    messages, config = EVERY_SOURCE[source].render({"a": a, "b": b})
    assert messages == [{"role": "system", "content": f"s {a} e"}, {"role": "user", "content": b}]
    assert config == {}


@pytest.mark.parametrize("source", [name for name in EVERY_SOURCE if not name.startswith("dotprompt")])
@settings(max_examples=50)
@given(value=st.recursive(st.text() | st.booleans() | st.floats(allow_nan=False) | st.integers(), st.lists))
def test_any_json_value_is_a_text_of_one_message(source: str, value: Any) -> None:
    given_value = [{"role": "system", "content": value}]
    messages, _ = EVERY_SOURCE[source].render({"a": given_value, "b": "b"})
    assert [message["role"] for message in messages] == ["system", "user"]
    assert json.loads(messages[0]["content"][2:-2]) == given_value


@pytest.mark.parametrize(
    ("text", "code", "at", "help"),
    [
        ("{config: {model: m}}", "missing-key", "{", "text"),
        ("{text: a, messages: [{role: user, content: b}]}", "one-of", "{", "text"),
        ("{text: [a]}", "wrong-type", "[a]", ""),
        ("{messages: []}", "wrong-type", "[]", "role: system"),
        ("{messages: [a]}", "wrong-type", "a", "role: system"),
        ("{messages: [{content: a}]}", "wrong-type", "{content: a}", "role: system"),
        ('{text: "a {{ b c }}"}', "bad-prompt", "{{ b c }}", "a variable is a name"),
        ('{text: "a {{#if b}}"}', "bad-prompt", "{{#if b}}", "a variable is a name"),
        ('{text: "a {{ b"}', "bad-prompt", "{{", "end it with"),
        ("{text: a, config: {model: 7}}", "wrong-type", "7", "gpt-4o"),
        ("{text: a, config: {messages: []}}", "bad-prompt", "messages", "messages of the prompt"),
        ("{text: a, config: {stream: true}}", "bad-prompt", "stream", "client's choice"),
        ("{txt: a, text: b}", "unknown-key", "txt", "did you mean `text`?"),
    ],
)
def test_problems(text: str, code: str, at: str, help: str) -> None:
    _, scope = read(text)
    (problem,) = scope.problems
    assert (problem.code, text[problem.span.start : problem.span.end]) == (code, at)
    assert help in problem.help


class Elsewhere:
    def find(self, id: str, label: str | None, version: str | None) -> Prompt | None:
        return None


def test_sources() -> None:
    elsewhere = Elsewhere()
    scope = Scope({"prompt": {"1": "the prompt"}, "prompt_source": {"house": elsewhere, "bad": BAD}})
    found = {
        name: PromptSourceRef.read(compose(Source("r", name))[0], scope)  # type: ignore[arg-type]
        for name in ("local", "house", "bad", "hous", "else", "7", "callback")
    }
    assert isinstance(found["local"], LocalPrompts)
    assert (found["local"].find("1", None, None), found["local"].find("2", None, None)) == ("the prompt", None)
    assert found["house"] is elsewhere
    assert [found[name] for name in ("bad", "hous", "else", "7", "callback")] == [BAD] * 5
    codes = ["unknown-prompt-source", "unknown-prompt-source", "wrong-type", "unknown-prompt-source"]
    assert [problem.code for problem in scope.problems] == codes
    assert "did you mean `house`?" in scope.problems[0].help
    for known in ("house", "local (the `prompts` section)", "langfuse", "callback"):
        assert known in scope.problems[1].help
