"""What `content: redacted` keeps: exactly what each pattern alone, one after the other, would leave."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.catalogue import entries
from engine.language.findings import findings, replaced
from engine.language.patterns import group
from engine.runtime.redaction import redacted

EXAMPLES = [example for pattern in entries("pattern") for example in pattern.examples]
TEXTS = [example.given for example in EXAMPLES if isinstance(example.given, str)]


def plainly(text: str) -> str:
    return replaced(text, findings(group(""), text), lambda name, _: f"[{name}]")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_every_built_in_pattern_is_taken_out(example: Any) -> None:
    assert redacted(example.given) == plainly(example.given)
    if example.acts:
        assert redacted(example.given) != example.given
        assert redacted({example.given: [example.given, 1]}) == {plainly(example.given): [plainly(example.given), 1]}


@given(
    st.lists(st.one_of(st.sampled_from(TEXTS), st.text(max_size=20)), max_size=4), st.sampled_from(["", " ", "\n", "x"])
)
def test_any_text_is_as_if_each_pattern_had_been_searched(parts: list[str], between: str) -> None:
    text = between.join(parts)
    assert redacted(text) == plainly(text)


def test_what_is_no_text_stays_and_nothing_is_changed_in_place() -> None:
    body = {"n": 1, "none": None, "flag": True, "list": ["ada@example.com", 2.5], "ada@example.com": {}}
    before = json.dumps(body)
    assert redacted(body) == {"n": 1, "none": None, "flag": True, "list": ["[pii.email]", 2.5], "[pii.email]": {}}
    assert json.dumps(body) == before
