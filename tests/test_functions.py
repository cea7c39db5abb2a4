"""Every function by its own examples; what arguments do, one by one."""

from __future__ import annotations

import hashlib

import pytest
from test_expression import exchange

from engine.language.compile import compile_ast
from engine.language.functions import Function, functions, parameters
from engine.language.parser import parse
from engine.language.values import EvaluationError, equal, percent_of

EXAMPLES = [
    pytest.param(example, id=f"{name}: {example.title}")
    for name, function in sorted(functions().items())
    for example in function.examples
]
JMESPATH = {
    "abs", "avg", "ceil", "contains", "ends_with", "floor", "join", "keys", "length", "map", "max", "max_by", "merge",
    "min", "min_by", "not_null", "reverse", "sort", "sort_by", "starts_with", "sum", "to_array", "to_number",
    "to_string", "type", "values",
}  # fmt: skip
ADDED = {"lower", "upper", "trim", "split", "replace", "matches", "glob", "parse_json", "sha256", "in_list", "text_of",
         "approx_tokens", "percent_of", "now"}  # fmt: skip


def test_the_functions_are_those_of_the_language():
    standard = {name for name, function in functions().items() if function.standard}
    assert standard == JMESPATH
    assert set(functions()) - standard == ADDED


@pytest.mark.parametrize("example", EXAMPLES)
def test_example(example):
    evaluate = compile_ast(parse(f"vars | ({example.rule})"), {"vip": ["alice"]})
    assert equal(evaluate(exchange({"vars": example.given or {}})), example.then)


@pytest.mark.parametrize("function", functions().values(), ids=list(functions()))
def test_each_shows_an_ordinary_case_and_an_edge(function):
    assert len(function.examples) >= 2
    assert function.doc().endswith(".")
    assert function.signature().startswith(f"{function.name}(")


@pytest.mark.parametrize("function", [f for f in functions().values() if f.parameters and f.parameters[0].types],
                         ids=lambda function: function.name)  # fmt: skip
def test_a_wrong_type_names_the_function_and_the_parameter(function):
    wrong = {"a": 1} if "object" not in function.parameters[0].types else 1
    rest = ["&a" if "expref" in p.types else "`[]`" if "array" in p.types else "'a'" for p in function.parameters]
    if "expref" in function.parameters[0].types:
        rest[1] = "x"
    else:
        rest[0] = "x"
    evaluate = compile_ast(parse(f"vars | {function.name}({', '.join(rest)})"))
    with pytest.raises(
        EvaluationError, match=f"{function.name}.*`{function.parameters[rest.index('x')].name}` must be"
    ):
        evaluate(exchange({"vars": {"x": wrong}}))


def test_signatures_are_read():
    one, many = parameters("values: array-number|array-string, ...more: any")
    assert (one.types, one.elements, many.types, many.variadic) == ({"array"}, {"number", "string"}, frozenset(), True)
    assert one.described() == "a list of numbers or of texts"
    assert not Function.parameters


def test_percentages_are_the_documented_hash():
    for value, name in (("alice", ""), ("bob", "rule"), ("", "")):
        digest = hashlib.sha256(f"{name}\0{value}".encode()).digest()
        assert percent_of(value, name) == pytest.approx(int.from_bytes(digest[:8], "big") / 2**64 * 100, abs=1e-12)
    assert percent_of(None) == percent_of("")
    assert all(0 <= percent_of(str(number)) < 100 for number in range(2000))
    assert sum(percent_of(str(number)) < 10 for number in range(20_000)) == pytest.approx(2000, rel=0.1)
