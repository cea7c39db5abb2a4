"""Trees and refusals of the grammar; what expressions mean is tested by the public suite."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.language.ast import Ast, canonical, plain_path, roots
from engine.language.lexer import ExpressionError
from engine.language.parser import parse, parse_key


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("request.model", ("request", "model")),
        ('headers."x-team"', ("headers", "x-team")),
        ("request.messages[0].content", ("request", "messages", 0, "content")),
        ("$.request.model", ("request", "model")),
        ("stream", ("stream",)),
        ("@", None),
        ("$", None),
        ("a[*]", None),
        ("a.b || c", None),
        ("[0]", None),
    ],
)
def test_plain_paths(text, path):
    assert plain_path(parse(text)) == path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("request.model == 'a' && stream", {"request", "stream"}),
        ("request.messages[?role == $.vars.role].content", {"request", "vars"}),
        ("map(&$.path, request.messages)", {"path", "request"}),
        ("sort_by(tags, &a.b)", {"tags"}),
        ("{a: key.name, b: [query]}", {"key", "query"}),
        ("keys(@)", {"*"}),
        ("$", {"*"}),
        ("*", {"*"}),
        ("@ | request", {"request"}),
        ("request | @", {"request"}),
        ("now()", {"time"}),
        ("`1`", set()),
    ],
)
def test_roots(text, expected):
    assert roots(parse(text)) == expected


def test_one_spelling():
    same = ["request.model=='a'", "request . model == 'a'", '(request.model) == `"a"`', "'a' == request.model"]
    assert len({canonical(parse(text)) for text in same}) == 1
    assert canonical(parse("a > `1`")) == canonical(parse("`1` < a"))
    assert len({canonical(parse(text)) for text in ("a == `1`", "a == `true`", "a == '1'", "a == `1.5`")}) == 4


def test_places_cover_what_was_written():
    text = "a && (b == 'c') && f(d)"
    tree = parse(text)
    assert [text[part.start : part.end] for part in tree.parts] == ["a", "(b == 'c')", "f(d)"]


def test_keys_of_condition_maps():
    assert plain_path(parse_key("headers.x-team-2")) == ("headers", "x-team-2")
    assert plain_path(parse_key("request.model")) == ("request", "model")
    assert canonical(parse_key("length(a)")) == canonical(parse("length(a)"))
    with pytest.raises(ExpressionError):
        parse_key("a[?b-c]")


@pytest.mark.parametrize(
    ("text", "code", "at"),
    [
        ("a == 5", "bare-number", "5"),
        ("a > -0.5", "bare-number", "-0.5"),
        ("f(a, 1.5e3)", "bare-number", "1.5e3"),
        ("a and b", "word-operator", "and"),
        ("a OR b", "word-operator", "OR"),
        ("not a", "word-operator", "not"),
        ("a && not b", "word-operator", "not"),
        ("not contains(a, 'b')", "word-operator", "not"),
        ("a & b", "word-operator", "&"),
        ("a in b", "word-operator", "in"),
        ("a contains 'b'", "word-operator", "contains"),
        ("a === 'b'", "single-equals", "="),
        ("a[?b", "unfinished-expression", "b"),
        ("a ==", "unfinished-expression", "="),
        ("(a", "unfinished-expression", "a"),
        ("a)", "bad-expression", ")"),
        ("a b", "bad-expression", "b"),
        ("f(a b)", "bad-expression", "b"),
        ("{a: b c: d}", "bad-expression", "c"),
        ("a..b", "bad-expression", "."),
        ('"f"(a)', "bad-expression", '"f"'),
        ("@(a)", "bad-expression", "("),
        ("a[0:1:2:3]", "bad-expression", ":"),
        ("a[1 2:]", "bad-expression", "2"),
        ("a[::0]", "zero-step", "[::0]"),
        ("&a", "bad-expression", "&"),
        ("", "bad-expression", ""),
        ("  ", "bad-expression", "  "),
    ],
)
def test_refusals(text, code, at):
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert (caught.value.code, text[caught.value.start : caught.value.end]) == (code, at)


@pytest.mark.parametrize("text", [
    "(" * 5000 + "a" + ")" * 5000, "!" * 5000 + "a", "[" * 5000, "a" + "[]" * 500, "a" + "[?b" * 5000, "f(" * 5000,
    "a == " * 500 + "a", "{a:" * 5000, "a" + "[*].b" * 5000, "*" + ".*" * 5000,
])  # fmt: skip
def test_too_deep(text):
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert caught.value.code == "too-deep"


@pytest.mark.parametrize("text", [
    ".".join("a" * 5000), " && ".join("a" * 5000), " || ".join("a" * 5000), "a" + "[0]" * 5000, " | ".join("a" * 5000),
    "[" + ", ".join("a" * 5000) + "]",
])  # fmt: skip
def test_long_is_not_deep(text):
    assert roots(parse(text)) == {"a"}
    assert canonical(parse(text))


@given(st.text(alphabet="ab.[]?*'\"`(){}:,&|!@$=<> 01-#\\", max_size=25))
def test_any_text_is_a_tree_or_a_refusal(text):
    for read in (parse, parse_key):
        try:
            tree, refusal = read(text), None
        except ExpressionError as error:
            tree, refusal = None, error
        if refusal is None:
            assert isinstance(tree, Ast)
        else:
            assert 0 <= refusal.start <= refusal.end <= len(text)
            assert refusal.message
