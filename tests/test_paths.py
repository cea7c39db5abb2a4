"""Paths: how they are written, and that writing is copying."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.catalogue import BAD, MISSING, Scope
from engine.document.paths import Path, PathError, same
from engine.source import Scalar, Sequence, Source, Span

BODY = {
    "model": "m",
    "metadata": {"team": "core", "a.b": 1},
    "messages": [{"role": "system"}, {"role": "user"}],
    "none": None,
}


@pytest.mark.parametrize(
    ("text", "keys", "value"),
    [
        ("model", ("model",), "m"),
        ("metadata.team", ("metadata", "team"), "core"),
        ('metadata."a.b"', ("metadata", "a.b"), 1),
        ("messages[0].role", ("messages", 0, "role"), "system"),
        ("messages[-1].role", ("messages", -1, "role"), "user"),
        ("messages[2].role", ("messages", 2, "role"), MISSING),
        ("messages[-3]", ("messages", -3), MISSING),
        ("messages.role", ("messages", "role"), MISSING),
        ("metadata[0]", ("metadata", 0), MISSING),
        ("model.x.y", ("model", "x", "y"), MISSING),
        ("none", ("none",), None),
        ("x-y.größe", ("x-y", "größe"), MISSING),
        ('"request".model', ("request", "model"), MISSING),
    ],
)
def test_reads(text, keys, value):
    path = Path.parse(text)
    assert path.keys == keys
    assert path.get(BODY) is value or path.get(BODY) == value
    assert path.get([BODY]) is MISSING
    assert path.get(None) is MISSING


@pytest.mark.parametrize(
    ("text", "at", "help"),
    [
        ("", "", "metadata.team"),
        (".a", ".", "metadata.team"),
        ("a.", ".", "metadata.team"),
        ("a..b", ".", "double quotes"),
        ("a b", " ", "double quotes"),
        ("a.0", "0", "[0]"),
        ("[0].a", "[0]", "metadata.team"),
        ("a[", "[", "names one place"),
        ("a[*].b", "[*]", "names one place"),
        ("a[0:2]", "[0:2]", "names one place"),
        ("a[x]", "[x]", "whole number"),
        ("a['b c']", "['b c']", '."b c"'),
        ("a.'b'", "'", "double quotes"),
        ('a."b', '"', "double quotes"),
        (r'a."\x"', r'"\x"', "metadata.team"),
        ("request.model", "request.", "`model`"),
        ("response.body.model", "response.body.", "`model`"),
    ],
)
def test_mistakes_have_a_place_and_a_cure(text, at, help):
    source = Source("t.yaml", f"'{text}'")
    scope = Scope()
    assert Path.read(Scalar(text, Span(source, 1, 1 + len(text))), scope) is BAD
    (problem,) = scope.problems
    assert problem.code == ("path-prefix" if text.startswith("re") else "bad-path")
    assert source.text[problem.span.start : problem.span.end].startswith(at)
    assert help in problem.help


def test_what_is_no_text_is_no_path():
    scope = Scope()
    span = Span(Source("t.yaml", "[a]"), 0, 3)
    assert Path.read(Sequence([], span), scope) is BAD
    assert Path.read(Scalar(5, span), scope) is BAD
    assert [problem.code for problem in scope.problems] == ["wrong-type", "wrong-type"]


@pytest.mark.parametrize(
    ("text", "body", "after"),
    [
        ("a", {}, {"a": 7}),
        ("a.b.c", {"x": 1}, {"x": 1, "a": {"b": {"c": 7}}}),
        ("a.b", {"a": None}, {"a": {"b": 7}}),
        ("a[0]", {"a": [1, 2]}, {"a": [7, 2]}),
        ("a[-1].b", {"a": [1, {}]}, {"a": [1, {"b": 7}]}),
    ],
)
def test_put(text, body, after):
    before = copy.deepcopy(body)
    assert Path.parse(text).put(body, 7) == after
    assert body == before


@pytest.mark.parametrize(
    ("text", "body", "why"),
    [
        ("a.b", {"a": 1}, "`a` is a number, not an object"),
        ("a.b", {"a": "t"}, "`a` is text, not an object"),
        ("a.b", {"a": True}, "`a` is a boolean, not an object"),
        ("a.b", {"a": []}, "`a` is a list, not an object"),
        ("a[0]", {"a": {}}, "`a` is an object, not a list"),
        ("a[0]", {}, "`a` is missing, not a list"),
        ("a[0]", {"a": []}, "`a` has 0 elements"),
        ("a[1].b", {"a": [1]}, "`a` has 1 elements"),
        ("a.b[0].c", {"a": {"b": ["t"]}}, "`a.b[0]` is text, not an object"),
        ("a", [], "the body is a list, not an object"),
    ],
)
def test_places_that_cannot_be_written(text, body, why):
    with pytest.raises(PathError) as error:
        Path.parse(text).put(body, 7)
    assert error.value.message == f"cannot write `{text}`: {why}"


def test_an_equal_value_changes_nothing_but_true_is_not_1():
    body = {"a": {"b": [1, {"c": True}]}}
    assert Path.parse("a.b").put(body, [1.0, {"c": True}]) is body
    assert Path.parse("a.b").put(body, [1, {"c": 1}]) == {"a": {"b": [1, {"c": 1}]}}
    assert Path.parse("a.b").put(body, [1, {"c": 1}]) is not body
    assert Path.parse("a.none").put({"a": {}}, None) == {"a": {"none": None}}


def test_drop():
    assert Path.parse("metadata.team").drop(BODY)["metadata"] == {"a.b": 1}
    assert Path.parse("messages[0]").drop(BODY)["messages"] == [{"role": "user"}]
    for absent in ("nothing", "metadata.nothing", "messages[5]", "model.x", "messages.role", "none.x"):
        assert Path.parse(absent).drop(BODY) is BODY


def test_equal_paths_are_one_key():
    assert {Path.parse("a.b"): 1} == {Path.parse('a."b"'): 1}
    assert Path.parse("a") != "a"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False, width=16) | st.sampled_from(["", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), JSON, max_size=3)
PATHS = st.lists(st.sampled_from("abc") | st.integers(-2, 2), max_size=3).map(
    lambda rest: Path.parse("a" + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in rest))
)


@given(PATHS, OBJECTS, JSON)
def test_what_was_put_is_there_and_nothing_was_mutated(path, body, value):
    before = copy.deepcopy(body)
    try:
        after = path.put(body, value)
    except PathError:
        after = body
    else:
        assert same(path.get(after), value)
        assert path.put(after, value) is after
        assert all(after[name] is body[name] for name in body if name != "a")
    assert same(body, before)


@given(PATHS, OBJECTS)
def test_what_was_dropped_is_gone_and_putting_back_what_is_there_changes_nothing(path, body):
    before = copy.deepcopy(body)
    after = path.drop(body)
    found = path.get(body)
    assert (after is body) is (found is MISSING)
    if found is not MISSING:
        assert path.put(body, found) is body
        if isinstance(path.keys[-1], str):
            assert path.get(after) is MISSING
            assert path.put(after, found) == body
    assert same(body, before)


@given(JSON, JSON)
def test_same_is_equality_of_json(one, other):
    assert same(one, copy.deepcopy(one))
    assert same(one, other) is same(other, one)


def test_same_takes_any_depth():
    one, other = [], []
    for _ in range(100_000):
        one, other = [one], [other]
    assert same(one, other)
    assert not same(one, [other])
