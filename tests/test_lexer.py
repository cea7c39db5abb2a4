"""Tokens and their places."""

from __future__ import annotations

import pytest

from engine.language.lexer import ExpressionError, tokens


def cut(text):
    return [(token.kind, text[token.start : token.end]) for token in tokens(text)[:-1]]


def test_every_sort_of_token_with_its_place():
    assert cut("""a."b c"[?x == 'it\\'s'] | [-1] && `{"a": 1}`""") == [
        ("name", "a"), (".", "."), ("quoted", '"b c"'), ("[?", "[?"), ("name", "x"), ("==", "=="), ("raw", "'it\\'s'"),
        ("]", "]"), ("|", "|"), ("[", "["), ("number", "-1"), ("]", "]"), ("&&", "&&"), ("literal", '`{"a": 1}`'),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'a\\'b'", "a'b"),
        ("'a\\nb'", "a\\nb"),
        ("'a\nb'", "a\nb"),
        ('"a\\u00e9"', "aé"),
        ("`[1, true]`", [1, True]),
        ("`foo`", "foo"),
        ("`1.5`", 1.5),
        ("-12", -12),
        (r'`"a\`b"`', "a`b"),
    ],
)
def test_values(text, value):
    assert tokens(text)[0].value == value


@pytest.mark.parametrize(
    ("text", "code", "at"),
    [
        ("'abc", "unclosed-quote", "'abc"),
        ('a."b', "unclosed-quote", '"b'),
        ("`1", "unclosed-quote", "`1"),
        ("a = b", "single-equals", "="),
        ("headers.x-team == 'a'", "unquoted-hyphen", "x-team"),
        ("gpt-4o", "unquoted-hyphen", "gpt-4o"),
        ("a - b", "bad-expression", "-"),
        ("a + b", "bad-expression", "+"),
        ("a # b", "bad-expression", "#"),
        ("größe", "bad-expression", "ö"),
        ('"\\q"', "bad-expression", '"\\q"'),
        ('`{"a"`', "bad-expression", '`{"a"`'),
        ("a[" + "9" * 5000 + "]", "bad-expression", "9" * 5000),
        ("`" + "[" * 300 + "]" * 300 + "`", "too-deep", "`" + "[" * 300 + "]" * 300 + "`"),
        ("\u2019a\u2019", "bad-expression", "\u2019"),
    ],
)
def test_refusals(text, code, at):
    with pytest.raises(ExpressionError) as caught:
        tokens(text)
    assert (caught.value.code, text[caught.value.start : caught.value.end]) == (code, at)


@pytest.mark.parametrize("text", ["`NaN`", "`Infinity`", "`1e999`", "`" + "[" * 100_000 + "`", "`" + "9" * 5000 + "`"])
def test_no_number_that_is_none(text):
    try:
        value = tokens(text)[0].value
    except ExpressionError:
        return
    assert isinstance(value, str)
