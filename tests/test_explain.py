"""What `explain` says is what the server does, on random rules and requests; and the parts that it is made of."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from random_rules import answers, as_yaml, asked, requests, rules_files

from engine.catalogue import Scope
from engine.document.dialects import DIALECTS
from engine.document.exchange import Exchange
from engine.options import MISSING
from engine.phases import PHASES
from engine.rules.compile import compile_program
from engine.rules.load import load
from engine.rules.yaml_text import compose
from engine.runtime.explain import found
from engine.runtime.explain_changes import Change, changes, state_of
from engine.source import Source
from engine.tools.cases_form import Answers, RequestForm, StepForm, TestForm
from engine.tools.cases_run import Stage
from engine.tools.explain_json import as_json
from engine.tools.explain_run import Asked, explain
from engine.tools.explain_text import as_text

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
EXAMPLES = max(100, settings.default.max_examples)
THERE = {"acted", "noop", "would", "excepted", "skipped", "error"}
NEVER = 1_000_000  # steps from which on there is an index


@pytest.fixture(autouse=True)
def _quiet():
    """Rules that fail are logged, and random rules fail often."""
    logging.getLogger("pointsman.rules").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("pointsman.rules").setLevel(logging.NOTSET)


def form(kind, value):
    node, problems = compose(Source("given", json.dumps(value, ensure_ascii=False)))
    scope = Scope()
    read = kind.read(node, scope)
    assert not problems
    assert not scope.problems
    return read


async def served(loaded, request, answer):
    """The exchange on the program that serves, without anything that explains."""
    test, step = TestForm.defaults(), StepForm.defaults()
    test.upstream, test.now, step.request = answer, NOW, request
    return await Stage(compile_program(loaded, index_from=1), test).play(step)


def judged(loaded, request, answer, index_from):
    told = asyncio.run(explain(Asked(loaded, request, answer, now=NOW, index_from=index_from)))
    return told, as_json(told)


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(rules_files(most=10), requests(), answers())
def test_it_agrees_with_the_server(tmp_path_factory, file, request_, answer):
    """Matched rules, outcomes, what went upstream and what the client got, with every rule told once for each phase."""
    place = tmp_path_factory.getbasetemp() / "random.yaml"
    place.write_text(as_yaml(file), encoding="utf-8")
    loaded = load(str(place))
    assert loaded.fine
    request = form(RequestForm, asked(file, request_))
    canned = form(Answers, answer) if answer is not None else None
    seen = asyncio.run(served(loaded, request, canned))
    told, document = judged(loaded, request, canned, 1)
    assert document["disagreements"] == []
    assert [(one["rule"], one["phase"]) for one in document["rules"]] == [
        (rule.name_, phase) for phase in PHASES for rule in loaded.rules if phase in rule.phase
    ]
    same_as_served(document, seen, told.open_end)
    assert as_text(document)
    _, tried_one_by_one = judged(loaded, request, canned, NEVER)
    assert facts(tried_one_by_one) == facts(document)


def same_as_served(document, seen, open_end):
    """The document's verdicts against the exchange of a run of its own."""
    outcomes = {(rule, phase): (result, why) for rule, phase, result, why, _ in seen.exchange.outcomes}
    hidden = {"response", "log"} if open_end else set()
    expected = {place: outcome for place, outcome in outcomes.items() if place[1] not in hidden}
    assert {
        (one["rule"], one["phase"]): (one["result"], one["why"] or "")
        for one in document["rules"]
        if one["result"] in THERE
    } == expected
    acting = {rule for (rule, _), (result, _) in expected.items() if result in ("acted", "noop", "error")}
    assert document["matched"] == [name for name in seen.exchange.matched if name in acting]
    assert [call["body"] for call in document["upstream"]] == [sent.body for sent in seen.sent]
    if not open_end:
        assert document["client"]["status"] == seen.response.status
        assert document["client"]["text"] == seen.response.text


def facts(document):
    """Everything but times, and what the index has to do with it."""
    if isinstance(document, dict):
        return {name: facts(value) for name, value in document.items() if name not in ("us", "unfound")}
    return [facts(item) for item in document] if isinstance(document, list) else document


# --- parts ------------------------------------------------------------------------------------------------------------

CHANGES = [
    ("nothing", {"a": 1}, {"a": 1}, []),
    ("a member", {"a": {"b": 1}}, {"a": {"b": 2}}, [Change("request.a.b", 1, 2)]),
    ("a new member", {}, {"a-b": 1}, [Change("request.a-b", MISSING, 1)]),
    ("a member that went", {"a b": None}, {}, [Change('request."a b"', None, MISSING)]),
    ("true is not 1", {"a": 1}, {"a": True}, [Change("request.a", 1, True)]),
    ("an element put first", {"a": [1, 2]}, {"a": [0, 1, 2]}, [Change("request.a[0]", MISSING, 0)]),
    ("an element put last", {"a": [1]}, {"a": [1, 1]}, [Change("request.a[1]", MISSING, 1)]),
    ("an element that went", {"a": [1, 2, 3]}, {"a": [1, 3]}, [Change("request.a[1]", 2, MISSING)]),
    ("an element changed inside", {"a": [{"b": 1}, 2]}, {"a": [{"b": 3}, 2]}, [Change("request.a[0].b", 1, 3)]),
    ("another type", {"a": [1]}, {"a": {"b": 1}}, [Change("request.a", [1], {"b": 1})]),
]


class Stopped:
    def monotonic(self):
        return 0.0


def exchange(body=None, **headers):
    x = Exchange(None, Stopped())
    x.dialect, x.call_type, x.request = DIALECTS["completion"], "completion", body
    x.raw_headers = list(headers.items())
    return x


@pytest.mark.parametrize(("before", "after", "expected"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_changes_of_a_body(before, after, expected):
    x = exchange(before)
    state = state_of(x)
    x.request = after
    assert changes(state, state_of(x)) == expected


def test_changes_of_headers_tags_and_vars():
    x = exchange({}, old="1", kept="2")
    x.response = {"status": 200, "headers": {"served-by": "a"}, "body": None}
    state = state_of(x)
    x.to_upstream.update({"old": None, "kept": "2", "new": "3"})
    x.to_client["served-by"] = "b"
    x.tags.append("seen")
    x.vars["note"] = [1]
    assert changes(state, state_of(x)) == [
        Change("header to upstream old", "1", MISSING),
        Change("header to upstream new", MISSING, "3"),
        Change("header to client served-by", "a", "b"),
        Change("tags[0]", MISSING, "seen"),
        Change("vars.note", MISSING, [1]),
    ]


def test_a_condition_that_fails_is_told_up_to_the_part_that_failed(tmp_path):
    place = tmp_path / "rules.yaml"
    place.write_text(
        "rules: [{name: r, match: {all: [request.model, {not: {any: [stream, "
        "lower(metadata.n) == 'x', key]}}, stream]}, actions: [{tag: a}]}]"
    )
    tree = load(str(place)).rules[0].match.tree
    finding = found(tree, exchange({"model": "m", "metadata": {"n": 1}}))
    model, negation, stream = finding.parts
    either = negation.parts[0]
    assert (finding.holds, model.holds, negation.holds, either.holds, stream.holds) == (None, True, None, None, None)
    assert [part.holds for part in either.parts] == [False, None, None]
    assert [part.error is not None for part in either.parts] == [False, True, False]
    assert "must be text" in either.parts[1].error
