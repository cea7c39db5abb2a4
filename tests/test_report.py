"""Problems as people and machines read them."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import Problem
from engine.report import FORMS, LINE_WIDTH, as_github, as_json, as_sarif, as_text, excerpt, report, summary
from engine.source import Source, Span

RULES = """\
rules:
  - name: good-bot
    actions:
      - prepend_sytem: Be a good Bot!
"""


def problem(text: str, words: str, **options: Any) -> Problem:
    start = text.index(words)
    span = Span(Source(options.pop("file", "rules.yaml"), text), start, start + len(words))
    return Problem(options.pop("code", "a-code"), options.pop("message", "message"), span, **options)


MISSPELT = problem(
    RULES, "prepend_sytem", code="unknown-action", message="unknown action `prepend_sytem`",
    help="did you mean `prepend_system`?", rule="good-bot",
)  # fmt: skip


def test_text() -> None:
    assert (
        as_text([MISSPELT])
        == """\
rules.yaml:4:9: error[unknown-action]: unknown action `prepend_sytem`
  |
4 |       - prepend_sytem: Be a good Bot!
  |         ^^^^^^^^^^^^^
  = help: did you mean `prepend_system`?
  = rule: good-bot

1 error in 1 file"""
    )


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("{api_key: sk-9/x, oops: 1}", "{api_key: ******, oops: 1}"),
        ('{"api_key": "sk 9", oops: 1}', '{"api_key": ******, oops: 1}'),
        ("{headers: {Authorization: Bearer s3cret}, oops: 1}", "{headers: {Authorization: Bearer ******}, oops: 1}"),
        ("{x-api-key: s3cret, oops: 1} # s3cret?", "{x-api-key: ******, oops: 1} # s3cret?"),
        ("{redis: 'redis://:s3cret@host', oops: 1}", "{redis: 'redis://:******@host', oops: 1}"),
        ("{api_key: os.environ/KEY, oops: 1}", "{api_key: os.environ/KEY, oops: 1}"),
        ("{headers.authorization: {exists: true}, oops: 1}", "{headers.authorization: {exists: true}, oops: 1}"),
        ("{url: 'https://host/a@b', oops: 1}", "{url: 'https://host/a@b', oops: 1}"),
    ],
)
def test_a_secret_beside_a_mistake_is_not_shown(line: str, shown: str) -> None:
    assert excerpt(problem(line, "oops")) == (shown, line.index("oops"), 4)


def test_a_wide_gutter_and_a_help_of_two_lines() -> None:
    text = "\n" * 99 + "a: b"
    assert (
        as_text([problem(text, "b", help="one\ntwo", severity="warning")])
        == """\
rules.yaml:100:4: warning[a-code]: message
    |
100 | a: b
    |    ^
    = help: one
            two

1 warning in 1 file"""
    )


def test_a_file_that_could_not_be_read() -> None:
    nowhere = Problem("missing-file", "cannot be read", Span(Source("none.yaml", ""), 0, 0))
    assert as_text([nowhere]) == "none.yaml:1:1: error[missing-file]: cannot be read\n\n1 error in 1 file"


def test_sorted_and_counted() -> None:
    known = [
        problem("a: b\nc: d", "d", file="two.yaml", severity="note"),
        problem("a: b\nc: d", "d", file="one.yaml", severity="warning"),
        problem("a: b\nc: d", "b", file="one.yaml"),
        problem("a: b\nc: d", "a", file="two.yaml"),
    ]
    heads = re.findall(r"^\S+:\d+:\d+: \w+", as_text(known), re.MULTILINE)
    assert heads == ["one.yaml:1:4: error", "one.yaml:2:4: warning", "two.yaml:1:1: error", "two.yaml:2:4: note"]
    assert summary(known) == "2 errors, 1 warning, 1 note in 2 files"


def test_nothing() -> None:
    assert as_text([]) == ""
    assert json.loads(as_json([])) == {"problems": []}
    assert as_github([]) == ""
    assert json.loads(as_sarif([]))["runs"][0]["results"] == []


def test_color_changes_nothing_but_color() -> None:
    painted = as_text([MISSPELT], color=True)
    assert "\x1b[1;31m^^^^^^^^^^^^^\x1b[0m" in painted
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == as_text([MISSPELT])


@pytest.mark.parametrize(
    ("text", "words", "shown", "before", "width"),
    [
        ("a: b", "b", "a: b", 3, 1),
        ("\ufeffa: b", "b", "a: b", 3, 1),
        ("a: 日本 b", "b", "a: 日本 b", 8, 1),
        ("a: 日本 b", "日本", "a: 日本 b", 3, 4),
        ("a: e\u0301e b", "b", "a: e\u0301e b", 6, 1),
        ("a: e\u0301", "e\u0301", "a: e\u0301", 3, 1),
        ("\ta:\tb", "b", "    a:    b", 10, 1),
        ("a: \x1b[31mb", "b", "a: ␛[31mb", 8, 1),
        ("a: \u202eb", "b", "a: \ufffdb", 4, 1),
        ("a: b\r\nc", "b\r\nc", "a: b", 3, 1),
        ("a: bcd\nefg", "cd\nef", "a: bcd", 4, 2),
        ("a:\n", "\n", "a:", 2, 1),
    ],
)
def test_carets(text: str, words: str, shown: str, before: int, width: int) -> None:
    assert excerpt(problem(text, words)) == (shown, before, width)


def test_an_empty_span_at_the_end() -> None:
    source = Source("rules.yaml", "a: b\n")
    assert excerpt(Problem("a-code", "message", Span(source, 5, 5))) == ("", 0, 1)


@given(st.text("ab日é\u0301\t ", max_size=400), st.integers(0, 400), st.integers(0, 400))
def test_long_lines(line: str, start: int, length: int) -> None:
    """The carets stand under the first character of the span, whatever is cut, and the line stays short."""
    source = Source("rules.yaml", line)
    start = min(start, len(line))
    end = min(start + length, len(line))
    shown, before, width = excerpt(Problem("a-code", "message", Span(source, start, end)))
    cells = [char for char in shown for _ in range(cells_of(char))]
    assert len(cells) <= LINE_WIDTH + 2
    assert width >= 1
    if start < len(line) and cells_of(line[start]):
        assert cells[before] == line[start].replace("\t", " ")
        assert before + width <= len(cells)


def cells_of(char: str) -> int:
    if unicodedata.category(char) == "Mn":
        return 0
    return 2 if unicodedata.east_asian_width(char) == "W" else 1


def test_messages_cannot_disturb_a_terminal() -> None:
    shown = as_text([problem("a: b", "b", message="found `\x1b[2J\n\u202e`", file="e\nvil.yaml")])
    assert shown.splitlines()[0] == "e␊vil.yaml:1:4: error[a-code]: found `␛[2J␊\ufffd`"


def test_json() -> None:
    assert json.loads(as_json([MISSPELT])) == {
        "problems": [
            {
                "file": "rules.yaml", "line": 4, "column": 9, "end_line": 4, "end_column": 22, "severity": "error",
                "code": "unknown-action", "message": "unknown action `prepend_sytem`",
                "help": "did you mean `prepend_system`?", "rule": "good-bot",
            }
        ]
    }  # fmt: skip


def test_github() -> None:
    assert as_github([MISSPELT]) == (
        "::error file=rules.yaml,line=4,endLine=4,col=9,endColumn=22,title=unknown-action"
        "::unknown action `prepend_sytem`%0Adid you mean `prepend_system`?"
    )
    odd = problem("a: b", "b", severity="note", file="a,b:c%.yaml", message="50%\r\n::error::")
    assert as_github([odd]) == (
        "::notice file=a%2Cb%3Ac%25.yaml,line=1,endLine=1,col=4,endColumn=5,title=a-code::50%25%0D%0A::error::"
    )


POSITION = {"type": "integer", "minimum": 1}
REGION = {
    "type": "object",
    "required": ["startLine", "startColumn", "endLine", "endColumn"],
    "additionalProperties": POSITION,
}
SARIF = {  # what SARIF 2.1.0 asks for of the parts that are written
    "required": ["version", "runs"],
    "properties": {
        "version": {"const": "2.1.0"},
        "runs": {"items": {
            "required": ["tool", "results", "columnKind"],
            "properties": {
                "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                "tool": {"required": ["driver"], "properties": {"driver": {
                    "required": ["name"],
                    "properties": {"rules": {"uniqueItems": True, "items": {"required": ["id"]}}},
                }}},
                "results": {"items": {
                    "required": ["message", "ruleId", "level"],
                    "properties": {
                        "level": {"enum": ["none", "note", "warning", "error"]},
                        "message": {"required": ["text"]},
                        "locations": {"items": {"properties": {"physicalLocation": {
                            "required": ["artifactLocation"],
                            "properties": {
                                "region": REGION,
                                "artifactLocation": {"properties": {"uri": {"pattern": "^[!-~]+$"}}},
                            },
                        }}}},
                    },
                }},
            },
        }},
    },
}  # fmt: skip


def test_sarif() -> None:
    known = [MISSPELT, problem("a: b", "b", severity="note", file="/a b/é.yaml"), problem(RULES, "name")]
    document = json.loads(as_sarif(known))
    jsonschema.validate(document, SARIF)
    [run] = document["runs"]
    codes = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert codes == ["a-code", "unknown-action"]
    assert [codes[result["ruleIndex"]] for result in run["results"]] == [result["ruleId"] for result in run["results"]]
    places = [result["locations"][0]["physicalLocation"] for result in run["results"]]
    assert [place["artifactLocation"]["uri"] for place in places] == [
        "file:///a%20b/%C3%A9.yaml", "rules.yaml", "rules.yaml",
    ]  # fmt: skip
    assert places[2]["region"] == {"startLine": 4, "startColumn": 9, "endLine": 4, "endColumn": 22}


def test_columns_count_characters() -> None:
    told = json.loads(as_sarif([problem("\ufeff😀e\u0301: b", "b")]))
    region = told["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]
    assert (region["startColumn"], region["endColumn"]) == (6, 7)


@pytest.mark.parametrize("form", FORMS)
def test_forms(form: str) -> None:
    assert "unknown action" in report([MISSPELT], form)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_no_unicode_can_be_printed(form: str) -> None:
    report([problem("a: \ud800", "\ud800", message="found \ud800", help="no \ud800")], form).encode()
