"""Each character of a text is found where it stands in the file, in every style YAML has for writing it."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from engine.rules.yaml_text import compose
from engine.source import Mapping, Scalar, Source

WORDS = st.text("abé😀:#-\"'\\{&", min_size=1, max_size=6)
SPACES = st.sampled_from(["", " ", "   "])
BREAKS = st.sampled_from(["\n", "\r\n"])
Written = tuple[str, str, list[int]]  # what is written, what it means, where each character of the meaning stands


def only(text: str) -> Scalar:
    """The value of a file with one key."""
    root, problems = compose(Source("file.yaml", text))
    assert problems == []
    assert isinstance(root, Mapping)
    [(_, value)] = root.entries
    assert isinstance(value, Scalar)
    return value


def check(before: str, written: Written, after: str = "\n") -> None:
    text, meaning, offsets = written
    scalar = only(before + text + after)
    assert scalar.value == meaning
    found = [scalar.inner(number, number + 1).start for number in range(len(meaning))]
    assert found == [len(before) + offset for offset in offsets]


class Pen:
    """Writes a text while noting where the characters of its meaning go."""

    def __init__(self) -> None:
        self.text, self.meaning, self.offsets = "", "", list[int]()

    def put(self, text: str, meaning: str | None = None) -> None:
        """Text that means itself, or something else: then each character of the meaning stands at its start."""
        for number, char in enumerate(text if meaning is None else meaning):
            self.offsets.append(len(self.text) + (number if meaning is None else 0))
            self.meaning += char
        self.text += text

    def fold(self, line_break: str, blank_lines: int, margin: str) -> None:
        """A line break that folds: to a space, or to as many breaks as there are empty lines."""
        self.put(line_break, "" if blank_lines else " ")
        for _ in range(blank_lines):
            self.put(margin, "")
            self.put(line_break, "\n")
        self.put(margin, "")

    def written(self) -> Written:
        return self.text, self.meaning, self.offsets


@st.composite
def flow(draw: st.DrawFn, quote: str) -> Written:
    """Quoted or unquoted words on several lines, with escapes as the quotes ask for."""
    pen = Pen()
    pen.put(quote, "")
    pen.put("x")
    for _ in range(draw(st.integers(0, 5))):
        if draw(st.booleans()):
            pen.put(" " * draw(st.integers(1, 3)))
        else:
            pen.put(draw(SPACES), "")
            pen.fold(draw(BREAKS), draw(st.integers(0, 2)), draw(st.sampled_from([" ", "   "])))
        for char in draw(WORDS):
            _put_char(pen, quote, char, draw)
    pen.put(quote, "")
    return pen.written()


def _put_char(pen: Pen, quote: str, char: str, draw: st.DrawFn) -> None:
    if quote == "":
        pen.put(char if char.isalnum() else "z")
    elif quote == "'":
        pen.put("''" if char == "'" else char, char)
    elif char in '"\\':
        pen.put("\\" + char, char)
    else:
        escaped = [char, f"\\U{ord(char):08x}", f"\\u{ord(char):04X}"]
        pen.put(draw(st.sampled_from(escaped[: 3 if ord(char) < 65536 else 2])), char)
        if draw(st.booleans()):
            pen.put("\\\n  ", "")  # an escaped line break means nothing
            pen.put("\\t", "\t")


@pytest.mark.parametrize("quote", ["", "'", '"'])
@pytest.mark.parametrize("before", ["key: ", "key:\n  ", "\ufeffkey: "])
def test_flow(quote: str, before: str) -> None:
    @given(flow(quote))
    def run(written: Written) -> None:
        check(before, written)

    run()


@st.composite
def literal(draw: st.DrawFn) -> Written:
    """Lines after `|`, with and without an indentation indicator, for each way of chomping."""
    pen = Pen()
    chomp, line_break = draw(st.sampled_from(["", "-", "+"])), draw(BREAKS)
    margin = draw(st.sampled_from([" ", "  ", "    "]))
    line_texts = st.text("ab é😀:#'\"\\", max_size=6).map(lambda line: line.rstrip(" "))
    lines = draw(st.lists(line_texts, min_size=1, max_size=5))
    explicit = next((line for line in lines if line), "").startswith(" ") or draw(st.booleans())
    pen.put(f"|{len(margin) if explicit else ''}{chomp}{draw(st.sampled_from(['', ' # why']))}{line_break}", "")
    last = max((number for number, line in enumerate(lines) if line), default=-1)
    for number, line in enumerate(lines):
        pen.put(margin if line else draw(st.sampled_from(["", margin])), "")
        pen.put(line)
        stays = number < last or chomp == "+" or (number == last and chomp == "")
        pen.put(line_break, "\n" if stays else "")
    return pen.written()


@given(literal())
def test_literal(written: Written) -> None:
    check("key: ", written, after="")


@st.composite
def folded(draw: st.DrawFn) -> Written:
    """Paragraphs after `>`: lines fold, lines that begin with a space do not."""
    pen = Pen()
    line_break = draw(BREAKS)
    pen.put(f">{draw(st.sampled_from(['', '2']))}-{line_break}", "")
    words = draw(st.lists(WORDS, min_size=1, max_size=6))
    spaced_before = False
    for number, word in enumerate(words):
        spaced = number > 0 and draw(st.booleans())
        if number and not spaced and not spaced_before:
            pen.fold(line_break, draw(st.integers(0, 2)), "")
        elif number:
            for _ in range(draw(st.integers(1, 3))):
                pen.put(line_break, "\n")
        pen.put("  ", "")
        pen.put(" " * spaced + word)
        spaced_before = spaced
    pen.put(line_break, "")
    return pen.written()


@given(folded())
def test_folded(written: Written) -> None:
    check("key: ", written, after="")


@pytest.mark.parametrize("style", ["'", '"', "|", ">", None])
def test_what_a_dumper_writes(style: str | None) -> None:
    """A second writer, that folds where it likes: every character is itself, or what stands for it."""

    @given(st.text("ab é😀:#-\"'\\{\n\t", min_size=1, max_size=60))
    def run(text: str) -> None:
        written = yaml.dump({"key": text}, default_style=style, width=12, allow_unicode=True)
        scalar = only(written)
        value = str(scalar.value)
        assert value == text or style == ">"  # there PyYAML folds lines that begin with a space, and loses them
        offsets = [scalar.inner(number, number + 1).start for number in range(len(value))]
        assert offsets == sorted(set(offsets))
        for char, offset in zip(value, offsets, strict=True):
            assert written[offset] in (char, "\\") or (written[offset] == "\n" and char == " ")

    run()


def test_a_part_and_the_end() -> None:
    scalar = only("key: 'it''s here'\n")
    assert (scalar.inner(0, 4).start, scalar.inner(0, 4).end) == (6, 11)
    assert scalar.inner(9, 9).start == 16  # the closing quote


def test_the_last_line_without_a_break() -> None:
    scalar = only("key: |\n  ab")
    assert scalar.value == "ab"
    assert [scalar.inner(at, at + 1).start for at in (0, 1, 2)] == [9, 10, 11]


def test_a_block_of_spaces() -> None:
    scalar = only("key: |2+\n\n    \n\n")
    assert scalar.value == "\n  \n\n"
    assert [scalar.inner(at, at + 1).start for at in range(5)] == [9, 12, 13, 14, 15]


def test_a_block_after_which_the_file_goes_on() -> None:
    source = Source("file.yaml", "list:\n- >\n  a\n  b\n\n# remark\n- c\n")
    root, _ = compose(source)
    assert isinstance(root, Mapping)
    scalar = next(iter(root.entries[0][1]))  # type: ignore[call-overload]
    assert scalar.value == "a b\n"
    assert [scalar.inner(at, at + 1).start for at in range(4)] == [12, 13, 16, 17]
