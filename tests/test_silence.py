"""Comments answer warnings and notes, with a reason, on their line."""

from __future__ import annotations

import pytest

from engine.errors import Problem, Severity
from engine.rules.silence import silenced
from engine.source import Source, Span


def left(text: str, *problems: tuple[str, Severity, str]) -> list[tuple[str, int]]:
    """The codes and lines that remain of problems at the first place of some words."""
    source = Source("file.yaml", text)
    known = []
    for code, severity, words in problems:
        start = text.index(words)
        known.append(Problem(code, "message", Span(source, start, start + len(words)), severity=severity))
    return [(problem.code, source.position(problem.span.start)[0]) for problem in silenced(known, [source])]


WARNING: tuple[str, Severity, str] = ("trap", "warning", "b")


@pytest.mark.parametrize(
    "comment",
    ["# pointsman: ignore[trap] on purpose", "#pointsman:ignore[trap] why", "# pointsman: ignore[ other , trap ] why",
     "# more # pointsman: ignore[trap] why"],
)  # fmt: skip
def test_answered(comment: str) -> None:
    assert WARNING[0] not in dict(left(f"a: b {comment}\n", WARNING))


def test_only_its_line_and_its_code() -> None:
    text = "x: y # pointsman: ignore[trap] why\na: b # pointsman: ignore[other] why\n"
    assert left(text, WARNING) == [("unused-ignore", 1), ("trap", 2), ("unused-ignore", 2)]


def test_a_note_is_answered_and_one_comment_answers_many() -> None:
    text = "a: b # pointsman: ignore[trap, remark] why\n"
    assert left(text, WARNING, WARNING, ("remark", "note", "a")) == []


def test_errors_stay() -> None:
    text = "a: b # pointsman: ignore[bad] why\n"
    assert left(text, ("bad", "error", "b")) == [("bad", 1), ("unused-ignore", 1)]


def test_a_reason_is_needed() -> None:
    assert left("a: b # pointsman: ignore[trap]\n", WARNING) == [("trap", 1), ("ignore-without-reason", 1)]


@pytest.mark.parametrize("comment", ["# pointsman: ignore because", "# pointsman: ignore[] because"])
def test_a_code_is_needed(comment: str) -> None:
    assert left(f"a: b {comment}\n", WARNING) == [("trap", 1), ("ignore-without-code", 1)]


def test_text_is_no_comment() -> None:
    text = "a: |\n  b # pointsman: ignore[trap] why\nc: 'd # pointsman: ignore[trap] why'\n"
    assert left(text, WARNING) == [("trap", 2)]


@pytest.mark.parametrize(
    "text",
    ["a: > # pointsman: ignore[trap] why\n  x\n  b\n", "a: 'x\n  b' # pointsman: ignore[trap] why\n",
     "a: x\n  b # pointsman: ignore[trap] why\n"],
)  # fmt: skip
def test_a_text_of_several_lines(text: str) -> None:
    assert left(text, WARNING) == []


def test_other_files_stay() -> None:
    one, two = Source("one.yaml", "a: b\n"), Source("two.yaml", "a: b # pointsman: ignore[trap] why\n")
    problem = Problem("trap", "message", Span(one, 3, 4), severity="warning")
    assert [(known.code, known.span.source) for known in silenced([problem], [two])] == [
        ("trap", one), ("unused-ignore", two),
    ]  # fmt: skip


def test_sorted() -> None:
    assert left("a: b\nc: d\n", ("z", "error", "d"), ("y", "error", "b")) == [("y", 1), ("z", 2)]
