"""Text in pieces as rules read it: the same for every split, and spelled as it came."""

from __future__ import annotations

import json

from hypothesis import example, given
from hypothesis import strategies as st

from engine.document.stream_spelling import Reader, joined

ATOMS = [
    "a",
    "\\n",
    "\\\\",
    '\\"',
    "\\u0073",
    "\\ud83d\\ude00",
    "\\ud83d",
    "\\ude00",
    "é",
    "😀",
    "\ud83d",
    "\ude00",
    "{",
    "\\/",
    "\\u00",
    "\\",
]


@example("\\\\ud83d\\ude00", [8], True)  # an escaped backslash, then half a pair, torn behind its backslash
@example("a\\\ud83daa", [3], True)  # a backslash before half a pair
@given(
    st.lists(st.sampled_from(ATOMS), max_size=8).map("".join), st.lists(st.integers(0, 99), max_size=8), st.booleans()
)
def test_the_same_for_every_split(text: str, cuts: list[int], spelled: bool) -> None:
    def read(places: list[int]) -> tuple[str, str]:
        reader = Reader(spelled)
        runs = [reader.read(text[start:end]) for start, end in zip([0, *places], [*places, len(text)], strict=True)]
        run = joined([*runs, reader.read("", last=True)], spelled)
        return run.text, run.spelled

    whole = read([])
    assert whole == read(sorted({cut % (len(text) + 1) for cut in cuts}))
    assert not any("\ud800" <= char < "\ue000" for char in whole[0])


@given(st.text())
def test_json_text_is_read_as_what_it_says(text: str) -> None:
    for ascii_only in (True, False):
        spelled = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        run = Reader(spelled=True).read(spelled, last=True)
        assert run.text == text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        assert json.loads(f'"{run.spelled}"') == run.text


def test_a_mark_is_spelled_like_its_text() -> None:
    assert Reader(spelled=True).read("a").mark('"\n').spelled == '\\"\\n'
    assert Reader(spelled=False).read("a").mark('"\n').spelled == '"\n'
