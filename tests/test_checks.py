"""Each mistake in an expression gives one problem, at its place, with its cure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import engine.language
from engine.catalogue import BAD, Scope, discover
from engine.language.expression import Expression
from engine.phases import EVERY_CALL_TYPE, PHASES
from engine.source import Scalar, Source, Span

discover(engine.language)
CASES = json.loads((Path(__file__).parent / "expressions" / "checks.json").read_text(encoding="utf-8"))
WARNINGS = {"double-quoted-text", "bare-literal", "bare-word-literal", "loose-not", "never-holds", "always-holds",
            "unknown-field", "hidden-header"}  # fmt: skip


def problems(expression, phases=("request",), call_types=EVERY_CALL_TYPE):
    source = Source("rules.yaml", expression)
    scope = Scope({"list": {"vip": ["a"]}, "condition": {"from_core": None}, "pattern": {}})
    scope.phases = frozenset(PHASES[name] for name in phases)
    scope.call_types = frozenset(call_types)
    node = Scalar(expression, Span(source, 0, len(expression)), plain_style=False)
    found = Expression.read(node, scope)
    for problem in scope.problems:
        assert (problem.severity == "warning") == (problem.code in WARNINGS), problem
    assert (found is BAD) == any(problem.severity == "error" for problem in scope.problems)
    return [(p.code, expression[p.span.start : p.span.end], p.help) for p in scope.problems]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["expression"])
def test_expression(case):
    given = {name: case[name] for name in ("phases", "call_types") if name in case}
    found = problems(case["expression"], **given)
    assert [problem[:2] for problem in found] == [tuple(problem[:2]) for problem in case["problems"]]
    for (_, _, help), (_, _, wanted) in zip(found, case["problems"], strict=True):
        assert wanted is None or help == wanted
