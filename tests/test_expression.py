"""Expressions on an exchange, as rules evaluate them, and as option type."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.catalogue import BAD, Scope
from engine.document.dialects import DIALECTS
from engine.document.exchange import Exchange
from engine.language.compile import compile_ast
from engine.language.expression import Expression
from engine.language.lexer import ExpressionError
from engine.language.parser import parse
from engine.language.values import EvaluationError, equal
from engine.source import Scalar, Sequence, Source, Span

RULES = json.loads((Path(__file__).parent / "expressions" / "rules.json").read_text(encoding="utf-8"))
CASES = [pytest.param(suite["given"], case, id=case["expression"]) for suite in RULES for case in suite["cases"]]


class Clock:
    def monotonic(self):
        return 0.0

    def now(self):
        from datetime import UTC, datetime

        return datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def exchange(roots):
    made = Exchange(None, Clock())
    made.dialect = DIALECTS["completion"]
    for name, value in roots.items():
        setattr(made, name, value)
    return made


def outcome(expression, roots):
    try:
        return compile_ast(parse(expression), {"vip": ["alice", 1]})(exchange(roots))
    except EvaluationError as error:
        return error.kind
    except ExpressionError as error:
        return error.code


@pytest.mark.parametrize(("roots", "case"), CASES)
def test_in_rules(roots, case):
    found = outcome(case["expression"], roots)
    wanted = case["error"] if "error" in case else case["result"]
    assert equal(found, wanted), found


def test_huge_numbers_break_the_rule_and_nothing_else():
    assert outcome("avg(request.n)", {"request": {"n": [10**400]}}) == "invalid-value"
    assert outcome("to_string(request.n)", {"request": {"n": 10**5000}}) == "invalid-value"
    assert outcome("ceil(request.n)", {"request": {"n": float("nan")}}) == "invalid-value"
    assert outcome("request.n > `1.5`", {"request": {"n": 10**5000}}) is True


def test_nesting_deeper_than_the_stack():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    other = []
    for _ in range(100_000):
        other = [other]
    assert outcome("request.a == request.b", {"request": {"a": deep, "b": other}}) is True
    assert outcome("to_string(request.a)", {"request": {"a": deep}}) == "invalid-value"
    assert outcome("parse_json(request.t)", {"request": {"t": "[" * 100_000}}) is None
    while deep:  # taken apart by hand, since freeing it recurses too
        deep, other = deep[0], other[0]


def read(text, *, after="", plain=True, scope=None, key=False):
    source = Source("rules.yaml", f"match: {text}{after}")
    scope = scope or Scope()
    node = Scalar(text, Span(source, 7, 7 + len(text)), plain_style=plain)
    found = Expression.from_text(text, scope, node.inner, key=key) if key else Expression.read(node, scope)
    return found, [(problem.code, source.text[problem.span.start : problem.span.end]) for problem in scope.problems]


def test_what_an_expression_tells():
    expression, problems = read("length(request.messages) > `2` && now() > key.name")
    assert problems == []
    assert expression.roots == {"request", "time", "key"}
    assert expression.type == "boolean"
    assert expression.text.startswith("length(")
    assert read("prompt_text")[0].type == "string"
    assert read("request.model")[0].type is None


def test_a_key_of_a_map_may_carry_hyphens():
    expression, problems = read("headers.x-team", key=True)
    assert problems == []
    made = exchange({})
    made.raw_headers = [("x-team", "a")]
    assert expression.evaluate(made) == "a"
    assert read("length(request.x-y)", key=True)[1] == [("unquoted-hyphen", "x-y")]


def test_a_comment_that_cuts():
    assert read("contains(prompt_text, '", after=" #1')") == (BAD, [("cut-by-comment", "#")])
    assert read("contains(prompt_text, '", after="") == (BAD, [("unclosed-quote", "'")])
    assert read("request.model ==", after=" # 'a'")[1] == [("cut-by-comment", "#")]
    assert read("request.model == = 'a'", after=" # equals")[1] == [("single-equals", "=")]
    assert read("request.model == 'a'", after=" # fine")[1] == []


def test_only_text_is_an_expression(monkeypatch):
    source = Source("rules.yaml", "true")
    scope = Scope()
    for node in (Scalar(True, Span(source, 0, 4)), Scalar(None, Span(source, 0, 4)), Sequence([], Span(source, 0, 4))):
        assert Expression.read(node, scope) is BAD
    assert [problem.code for problem in scope.problems] == ["wrong-type"] * 3
    monkeypatch.setenv("CONDITION", "request.model == 5")
    found, problems = read("os.environ/CONDITION")
    assert (found, problems) == (BAD, [("bare-number", "os.environ/CONDITION")])


def test_using_a_list_is_remembered():
    scope = Scope({"list": {"vip": ["a"]}})
    assert read("in_list(key.name, 'vip')", scope=scope)[1] == []
    assert scope.used == {("list", "vip")}


pieces = st.sampled_from([
    "request", ".", "model", "==", "=", "'a'", '"a"', "`1`", "`", "[", "]", "[?", "[]", "(", ")", "{", "}", ":", ",",
    "&&", "||", "|", "&", "!", "@", "$", "*", "5", "-", "x-y", "length(", "sort_by(", "#", " ", "true", "and", "\\",
    "é",
])  # fmt: skip


@given(st.lists(pieces, max_size=12).map("".join) | st.text(max_size=30))
def test_every_text_is_read_or_refused_with_a_place(text):
    scope = Scope({"list": {}})
    source = Source("rules.yaml", text)
    found = Expression.from_text(text, scope, lambda start, end: Span(source, start, end))
    errors = [problem for problem in scope.problems if problem.severity == "error"]
    assert (found is BAD) == bool(errors)
    for problem in scope.problems:
        assert 0 <= problem.span.start <= problem.span.end <= len(text)


@given(st.lists(pieces, max_size=12).map("".join))
def test_what_is_accepted_runs_on_anything(text):
    scope = Scope({"list": {}})
    source = Source("rules.yaml", text)
    found = Expression.from_text(text, scope, lambda start, end: Span(source, start, end))
    if found is BAD:
        return
    for body in (None, {}, {"model": 1, "messages": "no list"}, {"model": {"a": [None]}}):
        made = exchange({"request": body})
        with suppress(EvaluationError):
            found.evaluate(made)
