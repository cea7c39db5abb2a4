"""`pointsman explain` as it is typed: what it prints, for people and for machines, and how it ends."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import pytest
import yaml

from engine.tools.cli import main

PLACE = Path(__file__).with_name("explain.yaml")
CASES = yaml.safe_load(PLACE.read_text(encoding="utf-8"))
HOOK = """
from engine import Callback

class Tags(Callback):
    def request(self, context):
        context.tag("of a callback")
"""
CALLBACK = "callbacks: hooks.Tags\nrules: [{name: asks, actions: [{callback: hooks.Tags}]}]"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOUSE_PASSWORD", "open sesame")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    return tmp_path


def given(case):
    """The arguments of a case, whose files now stand in the folder."""
    Path("rules.yaml").write_text(case["rules"], encoding="utf-8")
    arguments = ["explain", "rules.yaml"]
    for name, place in ("request", "R.json"), ("response", "A.json"):
        if name in case:
            content = case[name] if isinstance(case[name], str) else json.dumps(case[name])
            Path(place).write_text(content, encoding="utf-8")
            arguments += [f"--{name}", place]
    return [*arguments, *case.get("with", ())]


def without_times(text):
    """The text without what a clock measured."""
    return re.sub(r"[\d.]+(e-\d+)? µs", "… µs", text)


@pytest.mark.parametrize("case", CASES, ids=[case["title"] for case in CASES])
def test_case(case, capsys):
    """Each case prints exactly its lines and ends as it says."""
    code = main(given(case))
    told = capsys.readouterr()
    assert without_times(told.err + told.out) == case["prints"]
    assert code == case.get("exit", 0)


CASE = {"rules": "rules: [{name: one, match: stream, actions: [{tag: a}]}]", "request": {"model": "m", "messages": []}}
MEMBERS = {"file", "rules_version", "request", "client", "upstream", "matched", "disagreements", "rules"}
OF_A_RULE = {
    "rule",
    "file",
    "line",
    "phase",
    "mode",
    "result",
    "why",
    "us",
    "undone",
    "unfound",
    "match",
    "unless",
    "enabled",
    "actions",
}
OF_AN_ACTION = {"action", "line", "if", "result", "why", "us", "answer", "changes"}


def as_json(capsys, case, *more):
    assert main([*given(case), "--json", *more]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("case", [case for case in CASES if not case.get("exit")], ids=lambda case: case["title"])
def test_json_has_every_member_always(case, capsys):
    told = as_json(capsys, case)
    assert set(told) == MEMBERS
    for rule in told["rules"]:
        assert set(rule) == OF_A_RULE
        assert all(set(action) == OF_AN_ACTION for action in rule["actions"])
    assert "secret-of-the-client" not in json.dumps(told)
    assert "Bearer of the upstream" not in json.dumps(told)
    assert case["title"] != "secrets of the environment" or "open sesame" not in json.dumps(told)


def test_json_of_one_rule(capsys):
    told = as_json(capsys, {**CASE, "request": {"model": "m", "messages": [], "stream": True}})
    assert told["request"] == {
        "method": "POST",
        "path": "/v1/chat/completions",
        "call_type": "completion",
        "model": "m",
        "key": None,
    }
    rule = told["rules"][0]
    del rule["us"], rule["actions"][0]["us"]
    assert rule == {
        "rule": "one",
        "file": "rules.yaml",
        "line": 1,
        "phase": "request",
        "mode": "enforce",
        "result": "acted",
        "why": None,
        "undone": False,
        "unfound": None,
        "unless": None,
        "enabled": None,
        "match": {"text": "stream", "holds": True, "found": True},
        "actions": [
            {
                "action": "tag",
                "line": 1,
                "if": None,
                "result": "acted",
                "why": None,
                "answer": None,
                "changes": [{"path": "tags[0]", "before": None, "after": "a", "was": False, "is": True}],
            }
        ],
    }


def test_long_values_are_cut_in_json_too(capsys):
    told = as_json(
        capsys,
        {
            **CASE,
            "rules": "rules: [{name: one, match: prompt_text, actions: [{tag: a}]}]",
            "request": {"prompt": "x" * 100_000},
        },
    )
    assert len(told["rules"][0]["match"]["found"]) == 2001
    assert len(json.dumps(told)) < 10_000


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"messages": []}, "/v1/chat/completions"),
        ({"prompt": "a"}, "/v1/completions"),
        ({"prompt": "a", "size": "1x1"}, "/v1/images/generations"),
        ({"input": "a"}, "/v1/embeddings"),
        ({"input": "a", "instructions": "b"}, "/v1/responses"),
        ({"input": "a", "voice": "b"}, "/v1/audio/speech"),
        ({"query": "a", "documents": []}, "/v1/rerank"),
        ({"model": "m"}, "/v1/chat/completions"),
        ({}, "/v1/chat/completions"),
        ({"body": {"prompt": "a"}}, "/v1/completions"),
    ],
)
def test_the_endpoint_is_guessed_from_the_body(body, path, capsys):
    assert as_json(capsys, {**CASE, "request": body})["request"]["path"] == path


def test_the_request_comes_from_standard_input(capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"model": "from stdin", "messages": []}')))
    given(CASE)
    assert main(["explain", "rules.yaml", "--request", "-", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["request"]["model"] == "from stdin"


def test_standard_input_is_one_of_the_two(capsys):
    given(CASE)
    assert main(["explain", "rules.yaml", "--request", "-", "--response", "-"]) == 2
    assert "not both" in capsys.readouterr().err


def test_a_request_may_be_yaml(capsys, folder):
    given(CASE)
    (folder / "R.yaml").write_text("path: /v1/completions\nbody: {model: m, prompt: a}\n")
    assert main(["explain", "rules.yaml", "--request", "R.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["request"]["call_type"] == "text_completion"


def test_escaped_pairs_of_json(capsys):
    case = {
        **CASE,
        "rules": "rules: [{name: one, match: last_user_text, actions: [{tag: a}]}]",
        "request": '{"body": {"messages": [{"role": "user", "content": "\\ud83d\\ude00 \\\\ud83d"}]}}',
    }
    assert as_json(capsys, case)["rules"][0]["match"]["found"] == "\N{GRINNING FACE} \\ud83d"


def test_a_key_by_the_command_line(capsys):
    case = {**CASE, "rules": f"keys: [{{name: ci, team: core, sha256: '{'0' * 64}'}}]\nrules: []"}
    assert as_json(capsys, case, "--key", "ci")["client"] is None
    assert main([*given(case), "--key", "cj"]) == 2
    assert "unknown key `cj`; known: ci" in capsys.readouterr().err


def test_callbacks_run_only_when_asked_for(capsys, folder):
    (folder / "hooks.py").write_text(HOOK)
    case = {**CASE, "rules": CALLBACK}
    silent = as_json(capsys, case)["rules"]
    assert [rule["actions"][0]["result"] for rule in silent] == ["not run", "not run"]
    assert [rule["result"] for rule in silent] == ["noop", "noop"]
    loud = as_json(capsys, case, "--callbacks")["rules"]
    assert [rule["actions"][0]["result"] for rule in loud] == ["acted", "noop"]
    assert loud[0]["actions"][0]["changes"][0]["after"] == "of a callback"


def test_nothing_is_written(capsys, folder):
    rules = "sinks: {audit: {file: audit.jsonl}}\nrules: [{name: one, phase: log, actions: [{log_to: audit}]}]"
    told = as_json(capsys, {**CASE, "rules": rules, "response": {"choices": []}})
    assert told["rules"][0]["result"] == "acted"
    assert sorted(file.name for file in folder.iterdir()) == ["A.json", "R.json", "rules.yaml"]


def test_a_run_that_differs_is_an_error(capsys, folder):
    """A callback that remembers beyond its load does something else each time."""
    (folder / "hooks.py").write_text(
        "from pathlib import Path\n"
        + HOOK.replace(
            'context.tag("of a callback")',
            'place = Path("asked")\n        context.tag(str(place.exists()))\n        place.touch()',
        )
    )
    assert main([*given({**CASE, "rules": CALLBACK}), "--callbacks"]) == 3
    told = capsys.readouterr().out
    assert 'error: the traced run disagrees: tags: ["False", "True"] when served, ["True"] when traced' in told


def test_colours_where_they_are_wanted(capsys, monkeypatch):
    case = next(case for case in CASES if case["title"] == "errors inside rules")
    monkeypatch.setenv("FORCE_COLOR", "1")
    main(given(case))
    painted = capsys.readouterr().out
    assert "\x1b[1;31merror\x1b[0m" in painted
    assert without_times(re.sub("\x1b\\[[0-9;]*m", "", painted)) == case["prints"]
    monkeypatch.setenv("NO_COLOR", "1")
    main(given(case))
    assert "\x1b" not in capsys.readouterr().out


def test_a_terminal_without_unicode(monkeypatch):
    shown = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", shown)
    assert main(given(CASE)) == 0
    shown.seek(0)
    assert "? stream: false" in shown.read()
