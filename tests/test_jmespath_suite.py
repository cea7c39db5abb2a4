"""The public suite of JMESPath, and the public library as the oracle for expressions and documents nobody wrote."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jmespath.exceptions import JMESPathError, JMESPathTypeError

from engine.document.exchange import Exchange
from engine.language.ast import canonical, roots
from engine.language.compile import compile_ast
from engine.language.expression import search
from engine.language.lexer import ExpressionError
from engine.language.parser import parse
from engine.language.values import EvaluationError, equal

SUITE = Path(__file__).parents[2] / "shared" / "conformance" / "jmespath" / "tests"
needs_suite = pytest.mark.skipif(not SUITE.is_dir(), reason="the public suite is not beside the checkout")
KINDS = {
    "unknown-function": "unknown-function",
    "wrong-arity": "invalid-arity",
    "zero-step": "invalid-value",
    "wrong-argument": "invalid-type",
}
CASES = [
    pytest.param(suite["given"], case, id=f"{file.stem}-{place}-{number}")
    for file in sorted(SUITE.glob("*.json"))
    for place, suite in enumerate(json.loads(file.read_text(encoding="utf-8")))
    for number, case in enumerate(suite["cases"])
]


class Clock:
    def monotonic(self):
        return 0.0


def outcome(expression, data):
    try:
        return search(expression, data)
    except ExpressionError as error:
        return KINDS.get(error.code, "syntax")
    except EvaluationError as error:
        return error.kind


@needs_suite
def test_the_suite_is_whole():
    sorts = [next(sort for sort in ("result", "error", "bench") if sort in case.values[1]) for case in CASES]
    assert (sorts.count("result"), sorts.count("error"), sorts.count("bench")) == (742, 150, 16)


@needs_suite
@pytest.mark.parametrize(("data", "case"), CASES)
def test_public_case(data, case):
    if "error" in case:
        assert outcome(case["expression"], data) == case["error"]
        return
    found = search(case["expression"], data)
    if "result" in case:
        assert equal(found, case["result"]), found
        assert equal(found, jmespath.search(case["expression"], data))


def test_nothing_runs_in_the_interpreter():
    code = "import sys, engine.language.expression as e; e.search('a[?b].c', {}); assert 'jmespath' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])


# Without 0 and 1: the library takes them for false and true inside lists and objects.
scalars = st.none() | st.booleans() | st.integers(-9, -2) | st.integers(2, 9) | st.sampled_from(["", "a", "b", "xyz"])
names = st.sampled_from(["a", "b", "c"])
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=3), max_leaves=20
)
literals = documents.map(lambda value: f"`{json.dumps(value)}`") | st.sampled_from(["'a'", "''", "'xyz'"])
positions = st.sampled_from(["[0]", "[-1]", "[7]", "[1:]", "[::-1]", "[*]", "[]", ".*"])
comparisons = st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "&&", "||", "|"])
of_one = st.sampled_from(
    [
        "abs",
        "avg",
        "ceil",
        "floor",
        "keys",
        "length",
        "max",
        "min",
        "not_null",
        "reverse",
        "sort",
        "sum",
        "to_array",
        "to_string",
        "type",
        "values",
    ]
)
of_two = st.sampled_from(["contains", "ends_with", "starts_with", "join", "not_null"])
over = st.sampled_from(["map(&{0}, {1})", "sort_by({1}, &{0})", "max_by({1}, &{0})", "min_by({1}, &{0})"])


def grown(inner):
    return st.one_of(
        st.tuples(inner, positions).map("".join),
        st.tuples(inner, names).map(".".join),
        st.tuples(inner, inner).map(lambda parts: f"{parts[0]}[?{parts[1]}]"),
        st.tuples(inner, inner, names).map(lambda parts: f"{parts[0]}[?{parts[1]}].{parts[2]}"),
        st.tuples(inner, comparisons, inner).map(" ".join),
        inner.map("({})".format),
        inner.map("!{}".format),
        st.tuples(inner, inner).map(lambda parts: f"[{parts[0]}, {parts[1]}]"),
        st.tuples(inner, inner).map(lambda parts: f"{{a: {parts[0]}, b: {parts[1]}}}"),
        st.tuples(of_one, inner).map(lambda parts: f"{parts[0]}({parts[1]})"),
        st.tuples(of_two, inner, inner).map(lambda parts: f"{parts[0]}({parts[1]}, {parts[2]})"),
        st.tuples(over, inner, inner).map(lambda parts: parts[0].format(parts[1], parts[2])),
    )


expressions = st.recursive(names | literals | st.just("@"), grown, max_leaves=8)
BEYOND = object()  # the library raised what its own hierarchy does not have


def oracle(expression, data):
    try:
        return jmespath.search(expression, data)
    except JMESPathTypeError:
        return "invalid-type"
    except JMESPathError:
        return "syntax"
    except TypeError:
        return BEYOND


@given(expressions, documents)
def test_it_agrees_with_the_library(expression, data):
    expected = oracle(expression, data)
    found = outcome(expression, data)
    assert expected is BEYOND or equal(found, expected), (found, expected)


@given(expressions, documents)
def test_on_an_exchange_it_means_the_same(expression, data):
    """The fused shapes at the top and the plain ones inside, with and without `$`."""
    try:
        expected = search(expression, data)
    except (EvaluationError, ExpressionError):
        return
    exchange = Exchange(None, Clock())
    exchange.request = {"a": data}
    for way in ("request.a | ({})", "$.request.a | ({})", "`[2]`[*].{{a: $.request.a | ({})}} | [0].a"):
        assert equal(compile_ast(parse(way.format(expression)))(exchange), expected), way


@given(expressions)
def test_one_spelling_for_what_means_the_same(expression):
    try:
        tree = parse(expression)
    except ExpressionError:
        return
    again = parse(f" ( {expression} ) ")
    assert canonical(tree) == canonical(again)
    assert roots(tree) == roots(again)
    assert roots(tree) <= {"a", "b", "c", "*"}
