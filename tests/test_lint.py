"""The lints over whole sets: what each finds and what it leaves alone; that what it calls dead never runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.document.dialects import DIALECTS
from engine.document.exchange import Exchange
from engine.phases import REQUEST
from engine.rules.compile import compile_program
from engine.rules.load import load
from engine.rules.loaded import Loaded
from engine.runtime.executor import run_now

HERE = Path(__file__).parent
CASES = yaml.safe_load((HERE / "lint.yaml").read_text(encoding="utf-8"))
LONG = bool(os.environ.get("POINTSMAN_LONG"))
SECTIONS = ("lists", "conditions", "patterns", "sinks", "prompts", "tests")


def loaded(tmp_path: Path, file: dict[str, Any]) -> Loaded:
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(file, sort_keys=False), encoding="utf-8")
    return load(str(path))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["title"])
def test_found(case: dict[str, Any], tmp_path: Path) -> None:
    rules = [{"actions": [{"tag": "x"}], **rule} for rule in case["rules"]]
    file = {**{name: case[name] for name in SECTIONS if name in case}, "rules": rules}
    found = [[problem.code, problem.rule] for problem in loaded(tmp_path, file).problems]
    assert found == [list(one) for one in case["found"]]


def test_a_lint_names_the_other_rule_and_its_place(tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text("rules: [{name: b, match: {request.user: ann}, actions: [{tag: b}]}]\n")
    file = {"include": ["more.yaml"], "rules": [{"name": "a", "actions": [{"reject": "no"}]}]}
    (problem,) = loaded(tmp_path, file).problems
    assert (problem.code, problem.severity, problem.rule) == ("shadowed", "warning", "b")
    assert f"`a` ({tmp_path / 'rules.yaml'}:4)" in problem.message


def test_stop_ends_the_rules_of_its_own_file_only(tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text("rules: [{name: b, match: {key.name: x}, actions: [{tag: b}]}]\n")
    file = {
        "include": ["more.yaml"],
        "rules": [{"name": "a", "match": {"key.name": "x"}, "stop": True, "actions": [{"tag": "a"}]}],
    }
    assert loaded(tmp_path, file).problems == []


def test_a_lint_is_answered_by_a_comment(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("lists: {vip: [a]}  # pointsman: ignore[unused-list] the next release uses it\nrules: []\n")
    assert load(str(path)).problems == []


def test_a_credential_in_tests_or_from_the_environment_is_none(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(
        "upstreams: {a: {base_url: 'https://a.example/v1', api_key: os.environ/PATH}}\nrules: []\ntests:\n"
        "  - {name: t, request: {path: /v1/embeddings, body: {input: ghp_a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2}},"
        " expect: {matched: []}}\n# ghp_a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2\n"
    )
    (problem,) = load(str(path)).problems
    line, _ = problem.span.source.position(problem.span.start)
    assert (problem.code, line) == ("secret-in-file", 5)


def test_many_rules_are_linted_in_bounded_work(tmp_path: Path) -> None:
    rules = [{"name": f"r{n}", "match": {"request.n": {"gt": n}}, "actions": [{"reject": "no"}]} for n in range(2000)]
    found = [problem.code for problem in loaded(tmp_path, {"rules": rules}).problems]
    assert found == ["shadowed"] * 1999


# --- what is called dead is dead --------------------------------------------------------------------------------------

MODELS, USERS = ["a", "ab", "b"], ["x", "xy", None]
TESTS = st.sampled_from(
    [
        {"request.model": "a"},
        {"request.model": {"in": ["a", "ab"]}},
        {"request.model": {"starts_with": "a"}},
        {"request.model": {"not_equals": "a"}},
        {"request.user": "x"},
        {"request.user": {"exists": False}},
        {"request.user": {"glob": "x*"}},
        {"request.n": {"gt": 1}},
        {"request.n": {"lte": 1}},
        {"request.n": {"gte": 2}},
        {"stream": True},
        "stream",
        {"vars.seen": 1},
        {"vars.seen": {"exists": True}},
        {"tags": {"contains": "t"}},
        {"matched": {"contains": "r0"}},
        {"last_user_text": {"contains": "hi"}},
        {"last_user_text": {"contains_any": ["hi", "ho"]}},
        "length(request.user) > `1`",
    ]
)
CONDITIONS = st.one_of(
    st.lists(TESTS, min_size=1, max_size=3).map(lambda some: {"all": some}),
    st.lists(TESTS, min_size=1, max_size=2).map(lambda some: {"any": some}),
    TESTS.map(lambda one: {"not": one}),
)
ACTIONS = st.sampled_from(
    [
        {"reject": "no"},
        {"reject": "no"},
        {"respond": {"status": 200, "body": {}}},
        {"if": "stream", "reject": "no"},
        {"set_model": "a"},
        {"set_model": "ab"},
        {"set": {"n": 2}},
        {"set": {"user": "x"}},
        {"remove": ["user"]},
        {"set_var": {"seen": 1}},
        {"tag": "t"},
        {"replace_messages": [{"role": "user", "content": "ho"}]},
        {"set": {"n": "{{ upper(vars.seen) }}"}},
    ]
)
RULES = st.lists(
    st.fixed_dictionaries(
        {"actions": st.lists(ACTIONS, min_size=1, max_size=2)},
        optional={
            "match": CONDITIONS,
            "unless": CONDITIONS,
            "stop": st.booleans(),
            "on_error": st.sampled_from(["fail", "skip"]),
            "mode": st.sampled_from(["enforce", "observe"]),
        },
    ),
    min_size=2,
    max_size=6,
)
BODIES = [
    {
        "model": model,
        "n": n,
        "stream": n == 1,
        "messages": [{"role": "user", "content": content}],
        **({} if user is None else {"user": user}),
    }
    for model in MODELS
    for user in USERS
    for n in (1, 2, "2")
    for content in ("hi", "ho", "")
]


class Stopped:
    def monotonic(self) -> float:
        return 0.0


def matched(program: Any, body: dict[str, Any]) -> tuple[set[str], set[str]]:
    """The rules that matched, and those of which anything was noted."""
    x = Exchange(program, Stopped())  # type: ignore[arg-type]
    x.call_type, x.dialect = "completion", DIALECTS["completion"]
    x.request = x.original = body
    run_now(program.plan(REQUEST, "completion"), x)
    return set(x.matched), {outcome[0] for outcome in x.outcomes}


@given(RULES)
@settings(max_examples=5_000 if LONG else 80)
def test_what_is_called_dead_never_runs(tmp_path_factory: pytest.TempPathFactory, rules: list[dict[str, Any]]) -> None:
    named = [{"name": f"r{number}", **rule} for number, rule in enumerate(rules)]
    found = loaded(tmp_path_factory.mktemp("lint"), {"rules": named})
    assert found.fine
    of_rules = {problem.span.source.text[problem.span.start : problem.span.end]: problem for problem in found.problems}
    shadowed = {problem.rule for problem in found.problems if problem.code == "shadowed"}
    never = {problem.rule for word, problem in of_rules.items() if problem.code == "never-matches" and word == "match"}
    if not shadowed and not never:
        return
    program = compile_program(found)
    for body in BODIES:
        ran, noted = matched(program, body)
        assert not (ran | noted) & shadowed
        assert not (ran | noted) & never
