"""Operators: their examples, null-safety on every value, folding, and verdicts against plain definitions."""

from __future__ import annotations

import unicodedata

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from engine.catalogue import BAD, Scope, entries
from engine.language import condition  # noqa: F401  brings all operators
from engine.language.folding import fold
from engine.language.globs import glob
from engine.language.operators import Modifier, Operators, all_of, canonical_value, operator
from engine.language.regex import any_of
from engine.language.values import equal
from engine.rules.yaml_text import compose
from engine.source import Source

ALL = list(entries("operator"))
EXAMPLES = [pytest.param(example, id=f"{entry.name}: {example.title}") for entry in ALL for example in entry.examples]
LISTS = {"vip": ["ann", "BOB", 1]}

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(alphabet=st.characters(), max_size=6)
    | st.sampled_from(["\ud800", "10.0.0.1", "::ffff:10.0.0.1", "gpt-4o", "a", "1", "\u200ba"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)
RULES = [
    "equals: a",
    "equals: 1",
    "equals: true",
    "equals: [1, true]",
    "equals: {a: 1}",
    "not_equals: a",
    "in: [a, 1, true, [1]]",
    "not_in: [a, 1]",
    "in: {list: vip}",
    "contains: a",
    "contains: 1",
    "contains_any: [a, 1, true]",
    "contains_any: [a, b, c, d, e, f, g, h, i]",
    "starts_with: a",
    "ends_with: a",
    "matches: a+",
    "matches: secret.*",
    "matches_any: [a, pii.*]",
    "glob: '*a?'",
    "glob: a*",
    "gt: 1",
    "gte: a",
    "lt: 1.5",
    "lte: 'b'",
    "between: [0, 5]",
    "between: [a, b]",
    "exists: true",
    "exists: false",
    "empty: true",
    "empty: false",
    "length: 1",
    "length: {gt: 1, lt: 3}",
    "type: [string, 'null']",
    "cidr: [10.0.0.0/8, '::1']",
    "some: {equals: a}",
    "every: {type: string}",
    "some: \"@ == 'a'\"",
    "every: {a: 1}",
    "some: {some: {gt: 1}}",
]
MODIFIED = [
    "{equals: Ä, ignore_case: true}",
    "{not_equals: Ä, fold: true}",
    "{in: [Ä, 1], fold: true}",
    "{not_in: [Ä], ignore_case: true}",
    "{contains: Ä, fold: true}",
    "{contains_any: [Ä, b], ignore_case: true}",
    "{starts_with: Ä, fold: true}",
    "{ends_with: Ä, fold: true}",
    "{matches: 'Ä[a-z]', fold: true}",
    "{glob: 'Ä*', fold: true}",
]


def check(rule):
    """The test that a rule's operators mean, given a value; the document is left empty."""
    root, problems = compose(Source("t.yaml", rule + "\n"))
    assert not problems
    scope = Scope({"list": LISTS})
    read = Operators.read(root, scope)
    assert read is not BAD, scope.problems
    holds = all_of(read)
    return (lambda value: holds(value, None)) if any(one.needs_document for one in read) else holds


@pytest.mark.parametrize("example", EXAMPLES)
def test_example(example):
    assert check(example.rule)(example.given) is example.then
    assert example.acts is example.then


def test_every_operator_has_a_doc_and_examples_of_both_kinds():
    for entry in ALL:
        assert entry.doc(), entry.name
        assert {example.then for example in entry.examples} == {True, False}, entry.name
        assert entry.options["value"].doc, entry.name
    tests = (
        "equals not_equals in not_in contains contains_any starts_with ends_with matches matches_any glob gt gte lt lte"
    )
    tests += " between exists empty length type cidr some every"
    assert {entry.name for entry in ALL if not issubclass(entry, Modifier)} == set(tests.split())
    assert {entry.name for entry in ALL if issubclass(entry, Modifier)} == {"ignore_case", "fold"}


@given(st.sampled_from(RULES + MODIFIED), JSON)
def test_no_value_makes_an_operator_raise(rule, value):
    assert check(rule)(value) in (True, False)


@pytest.mark.parametrize("rule", RULES + MODIFIED)
def test_what_is_missing_fails_and_passes_where_negated(rule):
    (name, constant), *_ = yaml.safe_load(rule).items()
    holds = (
        name.startswith("not_") or (name, constant) in [("exists", False), ("empty", True)] or "null" in str(constant)
    )
    assert check(rule)(None) is holds


@given(JSON, JSON)
def test_equality_against_its_definition(constant, value):
    if constant is not None:
        assert operator("equals", constant).compile()(value) is equal(value, constant)
        assert operator("not_equals", constant).compile()(value) is not equal(value, constant)
        assert operator("in", [constant, "a"]).compile()(value) is (equal(value, constant) or value == "a")
        assert operator("not_in", [constant]).compile()(value) is not equal(value, constant)
        assert operator("contains", constant).compile()([value]) is equal(value, constant)


@given(JSON, JSON)
def test_constants_have_one_key_when_equal(one, other):
    assert (canonical_value(one) == canonical_value(other)) is equal(one, other)


@given(st.lists(st.text(max_size=4), min_size=1, max_size=14), st.text(max_size=30))
def test_many_words_are_found_like_one_by_one(words, text):
    assert any_of(words)(text) is any(word in text for word in words)


def test_many_words_with_every_kind_of_character():
    words = ["a.b", "c\\d", "(", "[x]", "ä", "\x00", "\n", "-", "{2}", "日本"]
    search = any_of(words)
    for word in words:
        assert search(f"…{word}…"), word
    assert not search("ab cd x 2")
    assert any_of([*words, "\ud800"])("\ud800")
    assert any_of([str(number) * 50 for number in range(2000, 4000)])("x" + "3999" * 50)


# --- globs -----------------------------------------------------------------------------------------------------------


def fits(pattern, text):
    """The definition, as slow as it is plain."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(fits(pattern[1:], text[at:]) for at in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and fits(pattern[1:], text[1:])


@given(st.text(alphabet="ab?*", max_size=7), st.text(alphabet="ab\n\ud800", max_size=9))
def test_glob_against_its_definition(pattern, text):
    assert glob(pattern)(text) is fits(pattern, text)


def test_globs_do_not_explode():
    assert not glob("*a" * 50 + "b")("a" * 100_000)
    assert glob("*" * 1000 + "?")("x")


# --- folding ---------------------------------------------------------------------------------------------------------


@given(st.text())
def test_folding_twice_is_folding_once(text):
    assert fold(fold(text)) == fold(text)


@given(st.text(), st.sampled_from("\u200b\u200d\u00ad\u2060\ufeff\u202e\ufe0f\U000e0041\x00"), st.integers(0, 20))
def test_invisible_characters_do_not_matter(text, invisible, at):
    assert fold(text[:at]) + fold(text[at:]) == fold(text[:at]) + fold(invisible + text[at:])


@given(st.text(alphabet=st.characters(categories=["Lu", "Ll"]), max_size=8))
def test_case_does_not_matter(text):
    for rule in ("fold", "ignore_case"):
        holds = check(f"{{equals: {'x' + text.lower()!r}, {rule}: true}}".replace("'", '"')) if text.isascii() else None
        assert holds is None or holds("X" + text.upper())
    assert fold(text.casefold()) == fold(text)


def test_everything_that_is_a_format_character_is_removed():
    for code in range(0x110000):
        char = chr(code)
        if unicodedata.category(char) == "Cf":
            assert fold(f"a{char}b") == "ab", hex(code)
        if char.isspace() and code not in (0x1C, 0x1D, 0x1E, 0x1F, 0x85):
            assert fold(f"a{char}b") != "ab", hex(code)


@pytest.mark.parametrize(
    ("rule", "value", "holds"),
    [
        ("{equals: straße, fold: true}", "STRASSE", True),
        ("{equals: straße, ignore_case: true}", "STRASSE", True),
        ("{equals: straße}", "Straße", False),
        ("{contains: kelvin, fold: true}", "\u212aELVIN", True),
        ("{contains: fi, fold: true}", "o\ufb01ce", True),
        ("{contains: fi, ignore_case: true}", "o\ufb01ce", True),
        ("{matches: 'straße\\S+', fold: true}", "STRASSEN", True),
        ("{matches: 'straße\\S+', fold: true}", "STRASSE", False),
        ("{matches: '[Ä]x', fold: true}", "äx", True),
        ("{matches: secret.aws_key, ignore_case: true}", "akiaiosfodnn7example", True),
        ("{contains: a, ignore_case: false}", "A", False),
        ("{contains: admin, ignore_case: true}", ["ADMIN"], True),
        ("{in: {list: vip}, ignore_case: true}", "bob", True),
        ("{in: {list: vip}, ignore_case: true}", 1, True),
        ("{in: {list: vip}}", True, False),
        ("{equals: 1, fold: true}", 1, True),
    ],
)
def test_folded(rule, value, holds):
    assert check(rule)(value) is holds


@pytest.mark.parametrize(
    ("rule", "value", "holds"),
    [
        ("cidr: '::ffff:10.0.0.0/104'", "10.1.2.3", True),
        ("cidr: 10.0.0.1", "10.0.0.1", True),
        ("cidr: 10.0.0.1/8", "10.9.9.9", True),
        ("cidr: '2001:db8::/32'", "2001:db8::1", True),
        ("cidr: '2001:db8::/32'", "10.0.0.1", False),
        ("cidr: 10.0.0.0/8", 10, False),
        ("cidr: 10.0.0.0/8", "10.0.0.1:80", False),
    ],
)
def test_networks(rule, value, holds):
    assert check(rule)(value) is holds
