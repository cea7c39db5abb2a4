"""Many patterns at once find what each finds alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.language.regex import Regex, encoded
from engine.rules import index_text
from engine.rules.index_text import TextSet

SOURCES = ["a", "b+", "^ab", "ab$", r"\d{2,4}", "(?i)SECRET", "x.z", "é", "[^a]", r"\bword\b"]
texts = st.text(alphabet="abxz12 éSECRETsecretword\n\ud800", max_size=30)


def found(patterns, text):
    numbers = []
    patterns.collect(encoded(text), numbers)
    return sorted(numbers)


@given(text=texts)
def test_all_at_once_is_each_alone(text):
    alone = [number for number, source in enumerate(SOURCES) if Regex(source).search(text)]
    assert found(TextSet({source: [number] for number, source in enumerate(SOURCES)}), text) == alone


@given(text=texts)
def test_without_an_automaton_each_is_searched(text):
    patterns = TextSet({source: [number] for number, source in enumerate(SOURCES)})
    patterns._chunks = [(index_text._never, hits, singles) for _, hits, singles in patterns._chunks]
    assert found(patterns, text) == [number for number, source in enumerate(SOURCES) if Regex(source).search(text)]


def test_patterns_that_outgrow_one_automaton_are_spread(monkeypatch):
    """With little memory the sources are halved until they fit; nothing is lost on the way."""
    monkeypatch.setattr(index_text, "MEMORY", 200_000)
    words = {f"(?i)word{number}[a-z]{{1,30}}end": [number] for number in range(300)}
    patterns = TextSet(words)
    assert len(patterns._chunks) > 1
    assert found(patterns, "see WORD123abcEND and word7xend") == [7, 123]
