"""The editor schema: valid itself, true to what the loader takes, hard on what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from engine.tools.editor_schema import one, parsed, whole
from engine.tools.vocabulary import KINDS, things

ROOT = Path(__file__).parent.parent
SCHEMA = whole()
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)

PAGE = """
# yaml-language-server: $schema=./schema/rules.schema.json
version: 1
include: [teams/*.yaml]
server:   {host: 127.0.0.1, port: 4000}
stores:   {shared: {redis: os.environ/REDIS_URL}, local: {sqlite: state.db}}
prompt_sources: {lf: {langfuse: {host: https://cloud.langfuse.com, public_key: os.environ/LANGFUSE_PUBLIC_KEY,
  secret_key: os.environ/LANGFUSE_SECRET_KEY}}, house: {dotprompt: ./prompts}, svc: {http: {url: http://localhost}}}
prices:   {my-model: {input: 0.15, output: 0.60, cached_input: 0.08}}
upstreams:
  openai: {base_url: https://api.openai.com/v1, api_key: os.environ/OPENAI_API_KEY}
models:
  gpt-4o: {upstream: openai}
  fast:   {upstream: openai, model: gpt-4o-mini}
keys:
  - {name: ci, sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08, team: core, models: [fast],
     metadata: {tier: gold}}
lists:      {vip: [alice, bob], blocked: {file: blocked.txt}}
conditions: {from_core: {key.team: core}}
patterns:   {employee_id: 'E-[0-9]{6}'}
prompts:    {"1234": {messages: [{role: system, content: Be a good Bot!}]}}
sinks:      {audit: {file: audit.jsonl}}
callbacks:  [my_hooks.handler]
rules:
  - name: good-bot
    match: request.prompt_id == '1234'
    actions:
      - prepend_system: Be a good Bot!
tests:
  - name: a good bot
    request: {path: /v1/chat/completions, headers: {x-team: core}, body: {model: gpt-4o, prompt_id: "1234"}}
    upstream: {body: {choices: [{index: 0, message: {role: assistant, content: hello}, finish_reason: stop}]}}
    expect:
      matched: [good-bot]
      sent: {messages: [{role: system, content: Be a good Bot!}]}
      response: {status: 200, text: hello}
      records: [{status: 200}]
"""

RULE = "rules: [{{name: r, {}}}]"
GOOD = {
    "every form of a condition": RULE.format(
        "match: {all: [stream, {request.model: {in: [a, b]}}], any: [{is: x}], none: [a], not: {b: true}, c: 1}, "
        "unless: [a, b], actions: [{tag: x}]"
    ),
    "an action with if": RULE.format("actions: [{if: {a: 1}, tag: x}]"),
    "several phases": RULE.format("phase: [response, stream], actions: [{tag: x}]"),
    "operators": RULE.format(
        "match: {a: {gte: 1, lt: 2}, b: {exists: true}, c: {matches: x, ignore_case: true}}, actions: [{tag: x}]"
    ),
    "only callbacks": "callbacks: my_hooks.handler",
    "a sink without options": "sinks: {out: stdout}\nrules: []",
    "steps": "rules: []\ntests: [{name: t, steps: [{request: {body: {}}, after: 30s, expect: {sent: null}}]}]",
    "a stream": "rules: []\ntests: [{name: t, request: {body: {}}, expect: {response: {text: ab}}, "
    "upstream: {stream: [a, {choice: 1, text: b}, {tool: 0, name: f, arguments: '{}'}]}}]",
}
TYPOS = {
    "a section": "rulez: []",
    "an option of server": "server: {prot: 1}",
    "a type": "server: {port: many}",
    "a version": "version: 2\nrules: []",
    "a rule's key": RULE.format("acts: [], actions: [{tag: x}]"),
    "no actions": RULE.format("match: a"),
    "empty actions": RULE.format("actions: []"),
    "an action": RULE.format("actions: [{tagg: x}]"),
    "two actions in one": RULE.format("actions: [{tag: x, set_model: y}]"),
    "only if": RULE.format("actions: [{if: a}]"),
    "an option": RULE.format("actions: [{reject: {mesage: no}}]"),
    "a status": RULE.format("actions: [{reject: {message: no, status: 99}}]"),
    "an operator": RULE.format("match: {a: {eqals: 1}}, actions: [{tag: x}]"),
    "a phase": RULE.format("phase: requst, actions: [{tag: x}]"),
    "a mode": RULE.format("mode: on, actions: [{tag: x}]"),
    "a null condition": RULE.format("match: {a: null}, actions: [{tag: x}]"),
    "an upstream's kind": "upstreams: {a: {base_url: http://x, kind: opnai}}\nrules: []",
    "a test's key": "rules: []\ntests: [{name: t, reqest: {}}]",
    "an expectation": "rules: []\ntests: [{name: t, request: {body: {}}, expect: {machted: []}}]",
}


def errors(text):
    value = parsed(text)
    assert isinstance(value, dict), text
    return [f"{list(error.absolute_path)}: {error.message[:200]}" for error in VALIDATOR.iter_errors(value)]


def test_it_is_a_schema_itself():
    jsonschema.Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("kind", KINDS)
def test_the_schema_of_every_thing_stands_alone(kind):
    for thing in things(kind).values():
        schema = one(thing)
        jsonschema.Draft7Validator.check_schema(schema)
        for reference in references(schema):
            assert reference.startswith("#/definitions/")
            assert reference.removeprefix("#/definitions/") in schema["definitions"]


def references(schema):
    if isinstance(schema, dict):
        yield from [schema["$ref"]] if isinstance(schema.get("$ref"), str) else []
        for value in schema.values():
            yield from references(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from references(item)


def test_references_have_no_siblings():
    """Draft-07 ignores what stands beside `$ref`."""

    def walk(schema):
        if isinstance(schema, dict):
            assert "$ref" not in schema or len(schema) == 1, schema
            for value in schema.values():
                walk(value)
        elif isinstance(schema, list):
            for item in schema:
                walk(item)

    walk(SCHEMA)


def test_the_page_of_the_language_is_accepted():
    assert errors(PAGE) == []


def test_the_example_file_is_accepted():
    assert errors((ROOT / "rules.example.yaml").read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_what_is_right_is_accepted(text):
    assert errors(text) == []


@pytest.mark.parametrize("text", TYPOS.values(), ids=TYPOS)
def test_what_is_wrong_is_refused(text):
    assert errors(text) != []


@pytest.mark.parametrize(
    ("thing", "example"),
    [(thing, example) for thing in things("action").values() for example in thing.examples],
    ids=lambda value: getattr(value, "title", None) or value.name,
)
def test_examples_are_accepted(thing, example):
    rule = {"name": "example", **parsed(example.rule)}
    assert errors(json.dumps({"rules": [rule]})) == []


def test_editors_can_show_every_name():
    entry = SCHEMA["definitions"]["action"]["properties"]
    assert set(entry) == {*things("action"), "if"}
    assert all(entry[name]["description"] for name in entry)
    assert all("```yaml" in entry[name]["markdownDescription"] for name in things("action"))
    assert set(SCHEMA["definitions"]["operators"]["properties"]) == set(things("operator"))
    phase = json.dumps(SCHEMA["definitions"]["rule"]["properties"]["phase"])
    assert "markdownEnumDescriptions" in phase
    assert {snippet["label"] for snippet in SCHEMA["definitions"]["action"]["defaultSnippets"]} == set(things("action"))


def test_every_option_is_described():
    for kind in KINDS:
        for thing in things(kind).values():
            for option in thing.options:
                assert option.schema()["description"], f"{kind} {thing.name}: {option.name}"
