"""Patterns in text that comes in pieces: the findings of the whole text, for every split.

And never more is held back than allowed.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.language.findings import findings, replaced
from engine.language.patterns import Pattern, group
from engine.language.regex import encoded, options, regex
from engine.language.regex_prefix import beginnings
from engine.language.windows import Window, compiled
from engine.language.windows_several import Reading, Windows

LONG = bool(os.environ.get("POINTSMAN_LONG"))
often = settings(max_examples=20_000 if LONG else 250, deadline=None)
SOURCES = [
    "foo",
    "fo+",
    r"\bab?a\b",
    "a.*b",
    "(?:ab|abc)",
    "abc|bcd",
    "x(?:.*y|a)",
    "^a+",
    "b$",
    "(?m)^a|b$",
    "(?i)aB+?c?",
    "[ab]{2,3}c",
    "é.?o",
    "(?s)a.b",
    r"\Bo+\B",
    "a|",
    "a*",
    "(?:|a)b",
    r"\Qa.b\E",
    r"o{2}\z",
    "ab(?i:C)d?",
    r"a\b.",
    "x[a-c]*",
    r"x[a-c]{0,9}\b",
    "(?P<n>a(?:b(c)?)?)x",
]
MADE = [Pattern(f"p{number}", regex(source)) for number, source in enumerate(SOURCES)]
BUILT_IN = [*group("pii."), *group("secret.")]
SECRETS = [
    "ada@example.com",
    "4111 1111 1111 1111",
    "4111 1111 1111 1112",
    "DE89 3704 0044 0532 0130 00",
    "GB82WEST12345698765432",
    "123-45-6789",
    "10.0.0.1",
    "2001:db8::1",
    "sk-proj-abcdefghijklmnop1234",
    "AKIAIOSFODNN7EXAMPLE",
    "+49 30 123456",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
    "-----BEGIN PRIVATE KEY-----",
    "-----END PRIVATE KEY-----",
    "ghp_" + "a1B2" * 9,
    "xoxb-1234567890",
    ".",
    "1",
    " ",
    "-",
    "é",
    "😀",
    "x",
]


def pieces_of(text: str, cuts: list[int]) -> list[str]:
    places = sorted({cut % (len(text) + 1) for cut in cuts})
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


def read(windows: Windows, pieces: list[str]) -> tuple[str, str, int]:
    """What is left of a text, why it ended early, and how much was held at most."""
    reading, text, most = Reading(windows), "".join(pieces), 0
    out: list[str] = []
    for piece in [*pieces, None]:
        edits = reading.finish() if piece is None else reading.read(piece)
        out += [text[start:end] if name is None else f"<{name}>" for start, end, name in edits]
        most = max(most, reading.held)
    return "".join(out), str(reading.failed), most


cuts = st.lists(st.integers(0, 99), max_size=12)


@often
@given(
    st.lists(st.sampled_from(MADE), min_size=1, max_size=3), st.text("abcofxyé\n. A", max_size=24), cuts, st.booleans()
)
def test_as_the_whole_text(patterns: list[Pattern], text: str, cuts: list[int], stepwise: bool) -> None:
    left, failed, _ = read(Windows(patterns, stepwise=stepwise), pieces_of(text, cuts))
    assert failed == "None"
    assert left == replaced(text, findings(patterns, text), lambda name, _: f"<{name}>")


ALL_BUILT_IN = Windows(BUILT_IN)


@often
@given(st.lists(st.sampled_from(SECRETS), max_size=8).map("".join), cuts)
def test_built_in_patterns_as_the_whole_text(text: str, cuts: list[int]) -> None:
    left, failed, _ = read(ALL_BUILT_IN, pieces_of(text, cuts))
    assert failed == "None"
    assert left == replaced(text, findings(BUILT_IN, text), lambda name, _: f"<{name}>")


@often
@given(
    st.lists(st.sampled_from(MADE), min_size=1, max_size=3),
    st.integers(1, 4),
    st.text("abcofxyé\n. A", max_size=20),
    cuts,
)
def test_a_small_window_gives_the_same_for_all_splits(
    patterns: list[Pattern], span: int, text: str, cuts: list[int]
) -> None:
    windows = Windows(patterns, span)
    left, failed, most = read(windows, pieces_of(text, cuts))
    assert (left, failed) == read(windows, list(text))[:2]
    assert most <= span


@often
@given(st.lists(st.sampled_from(MADE), min_size=1, max_size=2), st.text("abcofxy ", max_size=20), cuts)
def test_patterns_too_large_for_beginnings_wait_for_their_span(
    patterns: list[Pattern], text: str, cuts: list[int]
) -> None:
    windows = Windows(patterns, 20)
    windows.quick = None
    for window in windows.windows:
        window.opening = None
    left, failed, most = read(windows, pieces_of(text, cuts))
    assert (left, failed) == (replaced(text, findings(patterns, text), lambda name, _: f"<{name}>"), "None")
    assert most <= 20


@pytest.mark.parametrize("source", SOURCES)
def test_every_beginning_of_a_match_is_one(source: str) -> None:
    """A text is undecided exactly where some text can follow that makes, or changes, a match."""
    expression, opening = regex(source), compiled(beginnings(source))
    texts = [""]
    for _ in range(4):
        texts += [text + char for text in texts for char in "abcofxy\n" if len(text) < 4][:400]
    for text in dict.fromkeys(texts):
        match = opening.search(encoded(text))
        undecided = len(encoded(text)) if match is None else match.start()
        for more in ("a", "b", "c", "ab", "oo", "y", "bc", "x", "."):
            before = [span for span in expression.spans(text + more + "|") if span[0] < undecided]
            assert before == [span for span in expression.spans(text + "|") if span[0] < undecided], (text, more)


@pytest.mark.parametrize(
    ("source", "text", "waits"),
    [
        ("foo", "a f", "f"),
        ("foo", "fox", ""),
        ("fo+", "fo", "fo"),
        (r"\bab", "xa", ""),
        (r"\bab", " a", "a"),
        (r"ab\b", "ab", "ab"),
        (r"ab\b", "ab ", ""),
        ("^ab", "xa", ""),
        ("(?i)AB", "xa", "a"),
        ("a.*b", "xa12", "a12"),
        ("a.*b", "xa12\n", ""),
        (r"\Q{2\E", "{", "{"),
        ("(?:ab){2,3}c", "xabab", "abab"),
        ("a{0}b", "a", ""),
    ],
)
def test_what_waits(source: str, text: str, waits: str) -> None:
    reading = Reading(Windows([Pattern("p", regex(source))]))
    reading.read(text)
    assert reading.held == len(waits)


def test_the_beginnings_of_a_pattern_that_is_too_large_are_none() -> None:
    assert compiled("(?:[a-z]{1000}){900}") is None
    assert compiled("a") is not None


def test_spans() -> None:
    assert Window(Pattern("p", regex("a+"))).span == 256
    assert Window(Pattern("p", regex("[0-9]{4}"))).span == 4
    assert Window(Pattern("p", regex("[0-9]{4}")), 9).span == 9
    assert max(window.span for window in ALL_BUILT_IN.windows) == ALL_BUILT_IN.span == 16_384
    assert options().case_sensitive
