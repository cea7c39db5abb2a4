"""What `expect` means: subset, length, null, numbers by value."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.tools.compare import ABSENT, differences, shown

HOLD: list[tuple[str, Any, Any]] = [
    ("equal texts", "a", "a"),
    ("numbers by value", 1, 1.0),
    ("a subset of a mapping", {"a": 1}, {"a": 1, "b": 2}),
    ("a subset at depth", {"a": [{"b": 1}]}, {"a": [{"b": 1, "c": 2}], "d": 3}),
    ("the empty mapping", {}, {"a": 1}),
    ("null for null", None, None),
    ("null for absent", {"a": None}, {}),
    ("null at depth", {"a": {"b": None}}, {"a": {"c": 1}}),
    ("booleans", {"a": True}, {"a": True}),
    ("empty lists", [], []),
]

DIFFER: list[tuple[str, Any, Any, list[str]]] = [
    ("texts", "a", "b", ['value: expected "a", found "b"']),
    ("true is not 1", {"a": True}, {"a": 1}, ["a: expected true, found 1 (number, expected boolean)"]),
    ("1 is not true", {"a": 1}, {"a": True}, ["a: expected 1, found true (boolean, expected number)"]),
    ("0 is not false", [0], [False], ["[0]: expected 0, found false (boolean, expected number)"]),
    ("text is not number", {"a": "1"}, {"a": 1}, ['a: expected "1", found 1 (number, expected text)']),
    ("something for null", {"a": None}, {"a": ""}, ['a: expected null, found ""']),
    ("absent", {"a": 1}, {}, ["a: expected 1, found nothing"]),
    ("a longer list", {"m": [1]}, {"m": [1, 2]}, ["m: expected [1], found [1, 2] (2 elements, expected 1)"]),
    ("a shorter list", [1, 2], [1], ["value: expected [1, 2], found [1] (1 element, expected 2)"]),
    (
        "an element",
        {"m": [{"role": "user"}]},
        {"m": [{"role": "system"}]},
        ['m[0].role: expected "user", found "system"'],
    ),
    (
        "every difference is told",
        {"a": 1, "b": 2},
        {"a": 2, "b": 3},
        ["a: expected 1, found 2", "b: expected 2, found 3"],
    ),
    ("a mapping for a text", {"a": {"b": 1}}, {"a": "x"}, ['a: expected {"b": 1}, found "x" (text, expected mapping)']),
    ("an odd name", {"a.b": 1}, {"a.b": 2}, ['"a.b": expected 1, found 2']),
    ("a mapping for absent", {"a": {}}, {}, ["a: expected {}, found nothing"]),
]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.parametrize(("expected", "found"), [case[1:] for case in HOLD], ids=[case[0] for case in HOLD])
def test_what_holds(expected, found):
    assert differences(expected, found) == []


@pytest.mark.parametrize(("expected", "found", "lines"), [case[1:] for case in DIFFER], ids=[c[0] for c in DIFFER])
def test_what_differs(expected, found, lines):
    assert [str(difference) for difference in differences(expected, found)] == lines


def test_the_whole_value_may_be_absent():
    assert differences(None, ABSENT) == []
    assert str(differences({"model": "m"}, ABSENT, "sent")[0]) == 'sent: expected {"model": "m"}, found nothing'


def test_long_values_are_cut_in_the_middle():
    text = shown("x" * 1000)
    assert len(text) < 410
    assert text.startswith('"xxx')
    assert text.endswith('xxx"')


@given(JSON)
def test_every_value_equals_itself(value):
    assert differences(value, value) == []


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=3), st.text(max_size=3), JSON)
def test_more_members_make_no_difference(value, name, more):
    assert differences(value, {name: more, **value}) == []


@given(st.lists(JSON, max_size=3), JSON)
def test_one_more_element_is_a_difference(values, more):
    assert len(differences(values, [*values, more])) == 1
