"""RE2: what it refuses and what to write instead, and that it agrees with Python's own engine."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.language.regex import Regex, encoded, folded_source, regex
from engine.language.regex_syntax import RegexError, longest_match, tokens


@pytest.mark.parametrize(
    ("source", "at", "help"),
    [
        (r"a(?=b)", "(?=", "`all:`"),
        (r"a(?!b)", "(?!", "`not:`"),
        (r"(?<=a)b", "(?<=", "`all:`"),
        (r"(?<!a)b", "(?<!", "`not:`"),
        (r"(?>a)", "(?>", "(?:"),
        (r"(a)\1", r"\1", "alternatives"),
        (r"(?P<q>a)(?P=q)", "(?P=", "alternatives"),
        (r"(?<q>a)\k<q>", r"\k<q>", "alternatives"),
        (r"a\Z", r"\Z", r"\z"),
        (r"\h", r"\h", r"[ \t]"),
        (r"\u00e9", r"\u00e9", r"\x{00e9}"),
        (r"[\u00e9]", r"\u00e9", r"\x{00e9}"),
        (r"\C", r"\C", "code point"),
        (r"a*+b", "*+", "`*`"),
        (r"a{2}+", "{2}+", "`{2}`"),
        (r"a**", "**", "group"),
        (r"a{1001}", "{1001}", "1000"),
        (r"a{2,99999999999999999999999}", "{2,99999999999999999999999}", "1000"),
        (r"((a{100}){100}){100}", None, ""),
        (r"a{5,2}", "{5,2}", "{2,5}"),
        (r"(?P<n>x)(?P<n>y)", "(?P<n>", "own name"),
        (r"(?<n>x)(?P<n>y)", "(?P<n>", "own name"),
        (r"(?x)a b", "(?x)", "without spaces"),
        (r"(?z)a", "(?z)", "flags"),
        (r"(?#c)a", "(?#", "YAML comment"),
        (r"(abc", None, r"\("),
        (r"abc)", None, r"\)"),
        (r"[abc", None, r"\["),
        (r"[z-a]", "z-a", "[a-z]"),
        (r"*a", "*", r"\*"),
        (r"(|+)", "+", r"\+"),
        ("\\", "\\", r"\\"),
        (r"\y", r"\y", "backslash"),
        ("a" * 100_001, None, "list"),
    ],
)
def test_refused(source, at, help):
    with pytest.raises(RegexError) as error:
        Regex(source)
    problem = error.value
    assert problem.message
    assert help in problem.help
    assert 0 <= problem.start < problem.end <= len(source)
    if at is not None:
        assert source[problem.start : problem.end] == at


def test_nothing_is_printed_when_re2_refuses(capfd):
    with pytest.raises(RegexError):
        Regex("(abc")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "source", [r"\Qa(?=b)\E", r"\(?=", r"[(?!]", r"\\1", r"(?P<n>x)", r"(?<n>x)", "(?i:a)", r"\x{e9}", "a{,5}", "a{x}"]
)
def test_not_refused(source):
    Regex(source)


@pytest.mark.parametrize(
    ("source", "length"),
    [
        ("", 0),
        ("abc", 3),
        ("a|bcd|e", 3),
        ("(a|bc){3}d?", 7),
        ("a{2,5}", 5),
        ("a{2,}", math.inf),
        ("(?:a+|b)c", math.inf),
        ("(?:)*", 0),
        ("(a*){0}", 0),
        (r"\bword\b$", 4),
        (r"[^]x]{3}[[:alpha:]]\pL\p{Greek}\x{41}\x41\.", 9),
        (r"\Qa+b\E{2}", 4),
        ("(?i)ab(?s).", 3),
        ("(?P<n>ab)?", 2),
        ("a??b*?", math.inf),
    ],
)
def test_longest(source, length):
    assert longest_match(source) == length
    assert Regex(source).longest == length


def test_deep_nesting_is_measured_without_recursion():
    assert longest_match("(" * 50_000 + "a" + ")" * 50_000) == 1


def test_lone_surrogates_are_matched_like_any_character():
    text = "a\ud800b\udfffé"
    assert regex("b").spans(text) == [(2, 3)]
    assert regex("é").spans(text) == [(4, 5)]
    assert regex("a.b").search(text)
    assert regex("\ud800").spans(text) == [(1, 2)]
    assert encoded("é") == b"\xc3\xa9"


def test_empty_matches_are_no_spans():
    assert regex("a*").spans("baab") == [(1, 3)]
    assert regex("a*").matches_empty
    assert not regex("a+").matches_empty
    assert regex("x?").spans("é") == []


def test_folded_sources():
    assert folded_source(r"Straße\S[ß](?P<Ä>x)") == r"Stra(?:ss)e\S[ß](?P<Ä>x)"
    assert Regex(folded_source("ĲÄ+"), ignore_case=True).search("ijäää")


PIECES = st.sampled_from(
    [
        "a",
        "b",
        "é",
        ".",
        "[ab]",
        "[^a]",
        "^",
        "$",
        r"\n",
        "(a|bé)",
        "(?:ab)",
        "a?",
        "b*",
        "é+",
        "a{2}",
        "(ab){1,2}",
        "|",
    ]
)
SOURCES = st.lists(PIECES, min_size=1, max_size=6).map("".join)


@given(SOURCES, st.text(alphabet="abé\n", max_size=12))
def test_agrees_with_python(source, text):
    theirs = re.compile(source.replace("$", r"\Z"))  # RE2's `$` is the end of the text
    assert regex(source).search(text) is (theirs.search(text) is not None)
    assert regex(source).matches_empty is (theirs.fullmatch("") is not None)


@given(SOURCES, st.text(alphabet="abé\n", max_size=30))
def test_no_match_is_longer_than_the_longest(source, text):
    compiled = regex(source)
    for start, end in compiled.spans(text):
        assert 0 < end - start <= compiled.longest
        assert re.search(source.replace("$", r"\Z"), text, re.MULTILINE) is not None


def refusal(source):
    try:
        Regex(source)
    except RegexError as error:
        return error
    return None


@given(st.text(max_size=30))
def test_any_text_is_a_pattern_or_a_problem_with_a_place(source):
    assert "".join(token.text for token in tokens(source)) == source
    refused = refusal(source)
    if refused:
        assert 0 <= refused.start < refused.end <= max(len(source), 1)


@given(st.text(alphabet="(?=!<P>)[]{}0123456789,*+|\\abQEx^$:", max_size=14))
def test_the_scanner_takes_what_re2_takes(source):
    if refusal(source) is None:
        assert Regex(source).longest >= 0
