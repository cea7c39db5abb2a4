"""What condition maps compare is held against the document: mistakes are found, and what can hold is never one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import test_fields
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import engine.language
from engine.catalogue import BAD, Scope, discover
from engine.language import condition
from engine.language.condition import AllOf, Condition
from engine.language.values import type_name
from engine.phases import PHASES
from engine.rules.yaml_text import compose
from engine.source import Source

discover(engine.language)
CASES = yaml.safe_load((Path(__file__).parent / "conditions" / "fits.yaml").read_text(encoding="utf-8"))


def read(condition: Any, here: Scope) -> Any:
    """A condition that stands in a file as YAML in flow style."""
    root, wrong = compose(Source("rules.yaml", condition if isinstance(condition, str) else flow(condition)))
    assert not wrong
    return Condition.read(root, here)


def flow(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False, allow_unicode=True)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["condition"])
def test_condition(case):
    here = Scope({"list": {"vip": ["ann"]}})
    here.phases = frozenset(PHASES[name] for name in case.get("phases", ["request"]))
    assert read(case["condition"] + "\n", here) is not BAD
    found = [
        [problem.code, problem.span.source.text[problem.span.start : problem.span.end], problem.help]
        for problem in here.problems
    ]
    assert found == case["problems"]
    assert {problem.severity for problem in here.problems} <= {"warning"}


# --- what is true of a body gives no problem --------------------------------------------------------------------------


OTHER = "like no value of any API"


def fitting(value: Any) -> dict[str, Any]:
    """Operators that hold on a value."""
    found: dict[str, Any] = {"equals": value, "in": [value], "type": type_name(value), "exists": True}
    if isinstance(value, str):
        found |= {"starts_with": value[:3], "ends_with": value[-3:], "contains": value, "contains_any": [value],
                  "glob": "*", "matches": "(?s)^.", "length": len(value), "gte": value, "between": [value, value + "x"],
                  "not_equals": OTHER, "not_in": [OTHER]}  # fmt: skip
    elif isinstance(value, bool):
        found |= {"not_equals": not value, "not_in": [not value]}
    elif isinstance(value, int | float):
        found |= {
            "gte": value,
            "lt": value + 1,
            "between": [value, value],
            "not_equals": value + 1,
            "not_in": [value + 1],
        }
    elif isinstance(value, list):
        found |= {"length": {"gte": len(value)}, "every": {"exists": True}}
        elements = [element for element in value if element is not None]
        if elements:
            found |= {"contains": elements[0], "contains_any": elements, "some": {"equals": elements[-1]}}
            if isinstance(elements[0], dict):
                found["some"] = {f"@.{test_fields.quoted(name)}": {"equals": one} for name, one in elements[0].items()
                                 if one is not None}  # fmt: skip
    else:
        found |= {"length": {"gte": len(value)}, "empty": not value}
    return found


def parts(condition: Condition) -> list[condition.Test]:
    tree = condition.tree
    return list(tree.items) if isinstance(tree, AllOf) else [tree]


@pytest.mark.parametrize("which", test_fields.CALL_TYPES_OF_A_RULE)
@pytest.mark.parametrize("case", test_fields.BODIES, ids=lambda case: case["title"])
def test_every_value_of_a_body_can_be_tested(case, which):
    if which == "all" and case["call_type"] in test_fields.FORMS and "side" not in case:
        pytest.skip("with other call types, what is sent as JSON decides on types")
    start = "response.body" if case.get("side") == "response" else "request"
    for way, value in test_fields.paths(case["body"], start):
        if value is None or value == "":
            continue
        here = test_fields.here_for(case, which)
        condition = read({way: fitting(value)}, here)
        assert [(problem.code, problem.message) for problem in here.problems] == [], way
        for test in parts(condition):
            verdict = test.operator.compile()
            holds = verdict(value, None) if test.operator.needs_document else verdict(value)
            assert holds is True, (way, test.operator.text())


# --- what is said to never hold never holds ---------------------------------------------------------------------------

TEXTS = ["a", "1", "true", "user", "usr"]
CONSTANTS = [*TEXTS, 0, 1, 2.5, True, False, ["a"], [1], {"a": 1}]
OPERATORS = [
    *({name: constant} for name in ("equals", "not_equals", "contains") for constant in CONSTANTS),
    *({name: [constant]} for name in ("in", "not_in", "contains_any") for constant in CONSTANTS),
    *({name: "a"} for name in ("starts_with", "ends_with", "glob", "matches", "gt", "lte")),
    *({name: 0} for name in ("gt", "gte", "lt", "lte", "length")),
    *({"type": name} for name in ("array", "boolean", "null", "number", "object", "string")),
    *({"some": {"equals": constant}} for constant in CONSTANTS),
    *({"some": {"type": name}} for name in ("array", "object", "string")),
    {"between": [0, 9]}, {"between": ["a", "z"]}, {"length": {"gte": 0}}, {"length": {"equals": "1"}},
    {"every": {"exists": True}}, {"cidr": "10.0.0.0/8"}, {"matches_any": ["a", "b"]},
]  # fmt: skip


def values(words: Any, depth: int = 3) -> st.SearchStrategy[Any]:
    """Values that words describe, null among them."""
    if isinstance(words, tuple):
        return st.one_of([values(choice, depth) for choice in words])
    if isinstance(words, frozenset):
        return st.sampled_from(sorted(words))
    if isinstance(words, list):
        return st.lists(values(words[0], depth - 1), max_size=2) if depth else st.just([])
    if isinstance(words, dict):
        names = sorted(name for name in words if name != "*")[:4] if depth else []
        return st.fixed_dictionaries({}, optional={name: values(words[name], depth - 1) for name in names})
    kinds = {"string": st.sampled_from(TEXTS), "number": st.sampled_from([0, 1, 2.5]), "boolean": st.booleans(),
             "object": st.just({"a": 1})}  # fmt: skip
    return kinds[words] if words in kinds else st.sampled_from([None, *CONSTANTS])


@settings(deadline=None)
@given(test_fields.known_paths(), st.sampled_from(OPERATORS), st.data())
def test_what_is_said_to_never_hold_never_holds(known, operator, data):
    call_types, phase, way, words = known
    here = test_fields.scope({"call_types": call_types}, [phase])
    condition = read({way: operator}, here)
    codes = {problem.code for problem in here.problems}
    assert codes <= {"never-holds", "always-holds"}
    value = data.draw(st.one_of(st.none(), values(words)))
    [test] = parts(condition)
    verdict = test.operator.compile()
    holds = verdict(value, None) if test.operator.needs_document else verdict(value)
    assert not (holds and "never-holds" in codes)
    assert holds or "always-holds" not in codes
