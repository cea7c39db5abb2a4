"""rules.example.yaml: loads clean, shows every action and operator, and leaves a plain request alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.catalogue import CATALOGUE
from engine.rules.load import load
from engine.rules.yaml_text import compose
from engine.source import Mapping, Sequence, Source
from engine.tools.cases import run_files

EXAMPLE = Path(__file__).parents[1] / "rules.example.yaml"


def keys(node):
    if isinstance(node, Mapping):
        for key, value in node:
            yield str(key.value)
            yield from keys(value)
    elif isinstance(node, Sequence):
        for item in node:
            yield from keys(item)


ROOT, _ = compose(Source(EXAMPLE.name, EXAMPLE.read_text(encoding="utf-8")))
WRITTEN = set(keys(ROOT.get("rules")))


def test_it_loads_without_a_word(monkeypatch):
    monkeypatch.chdir(EXAMPLE.parent)
    assert load(EXAMPLE.name).problems == []


@pytest.mark.parametrize("kind", ["action", "operator"])
def test_it_shows_every_one(kind):
    load(str(EXAMPLE))  # fills the catalogue
    assert set(CATALOGUE[kind]) - WRITTEN == set()


def test_its_own_tests_pass(monkeypatch):
    monkeypatch.chdir(EXAMPLE.parent)
    assert run_files([EXAMPLE.name]).fine


@pytest.mark.parametrize("name", ["openai-prompts.yaml"])
def test_the_other_examples_load_without_a_word_and_pass_their_tests(name, monkeypatch):
    monkeypatch.chdir(EXAMPLE.parent / "examples")
    assert load(name).problems == []
    assert run_files([name]).fine
