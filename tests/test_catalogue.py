"""Everything an author can name says what it is, and shows it; every example is run."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from engine.tools.cases import run_files
from engine.tools.editor_schema import parsed
from engine.tools.vocabulary import KINDS, things

ACTIONS = Path(__file__).parent.parent / "engine" / "actions"
EVERYTHING = [thing for kind in KINDS for thing in things(kind).values()]
SHOWN = [thing for thing in EVERYTHING if thing.kind in ("action", "operator", "function", "pattern")]
ACTION_EXAMPLES = [(thing, example) for thing in things("action").values() for example in thing.examples]


def named(thing):
    return f"{thing.kind}-{thing.name}"


@pytest.mark.parametrize("thing", EVERYTHING, ids=named)
def test_it_has_a_doc_in_sentences(thing):
    assert thing.summary
    assert thing.summary[0].isupper() or not thing.summary[0].isalpha()
    assert thing.doc.rstrip("`)").endswith((".", ":", "…")), thing.doc


@pytest.mark.parametrize("thing", EVERYTHING, ids=named)
def test_every_option_has_a_doc(thing):
    assert [option.name for option in thing.options if not option.doc.strip()] == []


def own(thing):
    """JMESPath's own functions are shown by its public suite."""
    return thing.facts.get("from") != "JMESPath"


@pytest.mark.parametrize("thing", [thing for thing in SHOWN if own(thing)], ids=named)
def test_it_has_two_examples_with_titles_of_their_own(thing):
    titles = [example.title for example in thing.examples]
    assert len(set(titles)) == len(titles) >= 2


@pytest.mark.parametrize("thing", [thing for thing in SHOWN if thing.kind != "function"], ids=named)
def test_one_example_acts_and_one_does_not(thing):
    assert {example.acts for example in thing.examples} == {True, False}


@pytest.mark.parametrize("name", list(things("action")))
def test_the_file_of_an_action_has_its_name(name):
    importlib.import_module(f"engine.actions.{name}")
    assert f'name="{name}"' in (ACTIONS / f"{name}.py").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("thing", "example"), ACTION_EXAMPLES, ids=[f"{thing.name}: {example.title}" for thing, example in ACTION_EXAMPLES]
)
def test_the_example_of_an_action_holds(thing, example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in (example.given or {}).get("files", {}).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    file = tmp_path / "example.yaml"
    file.write_text(json.dumps(rules_file(example)), encoding="utf-8")
    report = run_files([str(file)])
    told = [f"{problem.code}: {problem.message}" for problem in report.problems]
    for verdict in report.verdicts:
        told += [f"{problem.code}: {problem.message}" for problem in verdict.problems]
        told += [str(failure) for failure in verdict.failures]
    assert told == []
    assert report.fine


def rules_file(example):
    """An example as a whole file: its rule, the sections it needs under `file`, its test. `files` stand beside it."""
    body = parsed(example.rule)
    assert isinstance(body, dict), example.rule
    given = {name: value for name, value in (example.given or {}).items() if name != "files"}
    sections = given.pop("file", {})
    expect = {"matched": ["example"], **(example.then or {})} if example.acts else example.then
    expected = {} if "steps" in given else {"expect": expect}  # several requests: each says what it expects
    return {**sections, "rules": [{"name": "example", **body}], "tests": [{"name": example.title, **given, **expected}]}
