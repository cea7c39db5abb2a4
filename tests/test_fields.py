"""Expressions and paths against the fields of bodies: mistakes are found, and what is true of a body is never one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import engine.actions
import engine.language
from engine.catalogue import CATALOGUE, Scope, discover
from engine.document import fields
from engine.language.expression import Expression, search
from engine.phases import CALL_TYPES, EVERY_CALL_TYPE, PHASES
from engine.rules.yaml_text import compose
from engine.source import Scalar, Source, Span
from engine.tools.editor_schema import parsed

discover(engine.language)
discover(engine.actions)
CASES = Path(__file__).parent / "fields"
BODIES, PROBLEMS, PATHS = (
    parsed((CASES / f"{name}.yaml").read_text(encoding="utf-8")) for name in ("bodies", "problems", "paths")
)


def scope(case: dict[str, Any], phases: list[str]) -> Scope:
    found = Scope()
    found.phases = frozenset(PHASES[name] for name in phases)
    found.call_types = frozenset(case.get("call_types", EVERY_CALL_TYPE))
    return found


def problems(expression: str, here: Scope) -> list[tuple[str, str, str]]:
    source = Source("rules.yaml", expression)
    Expression.read(Scalar(expression, Span(source, 0, len(expression)), plain_style=False), here)
    return [(one.code, expression[one.span.start : one.span.end], one.help) for one in here.problems]


@pytest.mark.parametrize("case", PROBLEMS, ids=lambda case: case["expression"])
def test_expression(case):
    found = problems(case["expression"], scope(case, case.get("phases", ["request"])))
    assert found == [tuple(problem) for problem in case["problems"]]


@pytest.mark.parametrize("case", PATHS, ids=lambda case: case["action"])
def test_path(case):
    text = f"{case['action']}\n"
    root, wrong = compose(Source("rules.yaml", text))
    assert not wrong
    [(name, value)] = list(root)
    here = scope(case, case.get("phase", "request").strip("[]").split(", "))
    CATALOGUE["action"][name.value].read(value, here)
    found = [[one.severity, one.code, text[one.span.start : one.span.end], one.help] for one in here.problems]
    assert found == case["problems"]


# --- what is true of a body gives no problem --------------------------------------------------------------------------

CALL_TYPES_OF_A_RULE = {"its own": lambda case: frozenset({case["call_type"]}), "all": lambda _: EVERY_CALL_TYPE}


def here_for(case: dict[str, Any], which: str) -> Scope:
    return scope(
        {"call_types": CALL_TYPES_OF_A_RULE[which](case)}, ["response" if case.get("side") == "response" else "request"]
    )


def document(case: dict[str, Any]) -> dict[str, Any]:
    body = case["body"]
    if case.get("side") == "response":
        return {"response": {"status": 200, "headers": {}, "body": body}}
    return {"request": body, "original": body}


TRUE = [(case, expression) for case in BODIES for expression in case["holds"]]


def test_there_are_bodies_of_every_call_type():
    assert {case["call_type"] for case in BODIES if "side" not in case} == set(CALL_TYPES)
    assert {case["call_type"] for case in BODIES if "side" in case} == set(CALL_TYPES) - {"audio_speech"}
    assert len(TRUE) >= 200


@pytest.mark.parametrize(("case", "expression"), TRUE, ids=[expression for _, expression in TRUE])
def test_what_is_true_of_a_body_is_no_problem(case, expression):
    assert search(expression, document(case)) is not None
    assert search(expression, document(case)) not in (False, "", [])
    assert problems(expression, here_for(case, "its own")) == []


FORMS = frozenset({"audio_transcription", "image_generation"})
EVERYWHERE = [(case, expression) for case, expression in TRUE if case["call_type"] not in FORMS or "side" in case]


@pytest.mark.parametrize(("case", "expression"), EVERYWHERE, ids=[expression for _, expression in EVERYWHERE])
def test_nor_in_a_rule_for_every_api(case, expression):
    assert problems(expression, here_for(case, "all")) == []


def quoted(name: str) -> str:
    return name if name.isidentifier() and name.isascii() else json.dumps(name)


def paths(value: Any, way: str) -> Iterator[tuple[str, Any]]:
    """Every path into a value, with what is there."""
    yield way, value
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from paths(inner, f"{way}.{quoted(name)}")
    if isinstance(value, list):
        for place, inner in enumerate(value):
            yield from paths(inner, f"{way}[{place}]")


@pytest.mark.parametrize("which", CALL_TYPES_OF_A_RULE)
@pytest.mark.parametrize("case", BODIES, ids=lambda case: case["title"])
def test_every_value_of_a_body_can_be_named_and_compared(case, which):
    if which == "all" and case["call_type"] in FORMS and "side" not in case:
        pytest.skip("with other call types, what is sent as JSON decides on types")
    start = "response.body" if case.get("side") == "response" else "request"
    for way, value in paths(case["body"], start):
        literal = json.dumps(value).replace("`", "\\`")
        for expression in (way, f"{way} == `{literal}`", f"`{literal}` != {way}"):
            assert problems(expression, here_for(case, which)) == [], expression


# --- the same of everything in the tables -----------------------------------------------------------------------------

SAMPLES = {"string": "'x'", "number": "`1`", "boolean": "`true`", "object": "`{}`"}


def ways(draw: Any, words: Any, way: str, depth: int) -> tuple[str, Any]:
    """A path into what words describe, and the words for what is there."""
    if isinstance(words, tuple):
        return ways(draw, draw(st.sampled_from(words)), way, depth)
    if depth == 0 or not isinstance(words, (dict, list)):
        return way, words
    if isinstance(words, list):
        return ways(draw, words[0], f"{way}[{draw(st.integers(-2, 3))}]", depth - 1)
    names = sorted(name for name in words if name != "*")
    if not names:
        return way, words
    name = draw(st.sampled_from(names))
    return ways(draw, words[name], f"{way}.{quoted(name)}", depth - 1)


@st.composite
def known_paths(draw: Any) -> tuple[frozenset[str], str, str, Any]:
    """Call types, a phase, a path into a body that they know, and the words for what is there."""
    call_types = draw(st.frozensets(st.sampled_from(sorted(CALL_TYPES)), min_size=1))
    side = draw(st.sampled_from(["request", "response", "stream", "log"]))
    words = fields.members(call_types, side)
    start = "request" if side == "request" else "response.body"
    if words is None:
        return call_types, side, f"{start}.anything", None
    return call_types, side, *ways(draw, words, start, draw(st.integers(1, 6)))


@settings(deadline=None)
@given(known_paths())
def test_what_the_tables_know_is_no_problem(known):
    call_types, phase, way, words = known
    kind = "string" if isinstance(words, frozenset) else words if isinstance(words, str) else None
    literal = f"'{min(words)}'" if isinstance(words, frozenset) else SAMPLES.get(kind or "", "`null`")
    for expression in (way, f"{way} == {literal}", f"not_null({way}, {literal})", f"type({way})"):
        assert problems(expression, scope({"call_types": call_types}, [phase])) == [], expression


@settings(deadline=None)
@given(known_paths())
def test_one_unknown_field_is_one_warning(known):
    call_types, phase, way, words = known
    found = problems(f"{way}.qzwxqz", scope({"call_types": call_types}, [phase]))
    assert found in ([], [("unknown-field", "qzwxqz", "")])
    if isinstance(words, (str, frozenset)) and words != "object":
        assert len(found) <= 1


def test_a_body_of_no_known_api_is_open():
    assert fields.members(frozenset(), "request") is None
    assert fields.members(frozenset({"audio_speech"}), "response") is None


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        (["string", "string"], "string"),
        (["string", None], None),
        (["string", ("number", "string")], ("string", "number")),
        ([frozenset({"a"}), frozenset({"b"})], frozenset({"a", "b"})),
        ([frozenset({"a"}), "string"], "string"),
        ([frozenset({"a"}), "number"], ("number", frozenset({"a"}))),
    ],
)
def test_one_of_several(choices, words):
    assert fields.either(choices) == words


def test_objects_together_have_the_members_of_each():
    one, two = {"a": "string", "b": "number"}, {"b": "string", "*": "boolean"}
    assert fields.together([one, two]) == {"a": ("string", "boolean"), "b": ("number", "string"), "*": "boolean"}


def test_types_that_contain_themselves_end():
    words = fields.members(frozenset({"responses"}), "request")
    assert problems("request.tools[].filters.filters[].filters[].filters[].key", scope({}, ["request"])) == []
    assert words is not None


def test_what_a_client_may_send_is_not_relied_on():
    """A body's types are what its API says, not what a client sends: conditions must not be built on them."""
    for expression in ("request.stream", "request.store && request.logprobs", "request.store || request.echo"):
        here = scope({}, ["request"])
        source = Source("rules.yaml", expression)
        assert Expression.read(Scalar(expression, Span(source, 0, len(expression))), here).type is None
