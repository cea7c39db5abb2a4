"""Marks: every value comes back, and no mark is one that the text had already."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.document.marks import Marks, numbered


@pytest.mark.parametrize(
    ("base", "first"),
    [
        ("[MAIL]", ["[MAIL]", "[MAIL_2]", "[MAIL_3]"]),
        ("MAIL", ["MAIL", "MAIL_2", "MAIL_3"]),
        ("<a 1>", ["<a 1>", "<a 1_2>", "<a 1_3>"]),
        ("***", ["***", "***_2", "***_3"]),
    ],
)
def test_numbers_follow_the_last_letter(base: str, first: list[str]) -> None:
    assert list(islice(numbered(base), 3)) == first


def test_a_value_keeps_its_mark() -> None:
    marks = Marks()
    assert [marks.mark("[M]", value, "") for value in "aba"] == ["[M]", "[M_2]", "[M]"]
    assert marks.free("[M]") == "[M_3]"
    assert marks.free("[N]") == "[N]"


@settings(max_examples=60)
@given(st.lists(st.text(min_size=1), max_size=8), st.sampled_from(["[M]", "M", "*"]), st.text("[M]_2*", max_size=12))
def test_every_value_comes_back(values: list[str], base: str, standing: str) -> None:
    marks = Marks()
    made = [marks.mark(base, value, standing) for value in values]
    assert len(set(made)) == len(set(values))
    assert not any(mark in standing for mark in made)
    assert [marks.restore(mark) for mark in made] == values
