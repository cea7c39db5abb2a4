"""Conditions: every form, what is wrong with one, and that the tree means what was written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from engine.catalogue import BAD, Scope
from engine.document.dialects import DIALECTS
from engine.document.exchange import Exchange
from engine.language import condition
from engine.language.condition import AllOf, Always, AnyOf, Condition, Negated, Never, Truth
from engine.language.condition_several import all_of, any_of, negated
from engine.language.expression import Expression
from engine.language.patterns import Pattern
from engine.language.regex import regex
from engine.language.values import truthy
from engine.rules.yaml_text import compose
from engine.source import Source

CASES = Path(__file__).parent / "conditions"
HOLDS = yaml.safe_load((CASES / "holds.yaml").read_text(encoding="utf-8"))
PROBLEMS = yaml.safe_load((CASES / "problems.yaml").read_text(encoding="utf-8"))

NAMED = {
    "from_core": {"key.team": "core"},
    "round": {"any": ["stream", {"is": "about"}]},
    "about": {"not": {"is": "round"}},
    "broken": {"request.n": {"gtt": 1}},
}
TICKET = Pattern("ticket", regex("T-[0-9]+"))
REQUEST = {
    "model": "gpt-4o",
    "n": 3,
    "one": 1,
    "zero": 0,
    "stream": True,
    "messages": [{"role": "system", "content": "Be good."}, {"role": "user", "content": "my secret T-123"}],
    "lists": [[1], [2, 3]],
    "object": {"a": [1, True]},
    "tags": ["x", "y"],
}


class Stopped:
    def monotonic(self):
        return 0.0


def shown(value):
    """YAML in flow style on one line, as the cases name places."""
    return yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False).removesuffix("...\n").strip()


def node(value):
    root, problems = compose(Source("t.yaml", value if isinstance(value, str) else shown(value) + "\n"))
    assert not problems
    return root


def scope(**tables):
    conditions = {name: node({"c": value}).get("c") for name, value in NAMED.items()}
    return Scope({"condition": conditions, "list": {"vip": ["ann"]}, "pattern": {"ticket": TICKET}} | tables)


def read(condition, here=None):
    here = here or scope()
    return Condition.read(node({"match": condition}).get("match"), here), here


def exchange(**request):
    x = Exchange(None, Stopped())
    x.dialect = DIALECTS["completion"]
    x.request = REQUEST | request
    x.raw_headers = [("x-team", "core")]
    x.key = {"name": "ann", "team": "core"}
    x.peer = "10.1.2.3"
    x.vars = {"role": "user"}
    return x


@pytest.mark.parametrize("case", HOLDS, ids=lambda case: json.dumps(case["condition"]))
def test_holds(case):
    condition, here = read(case["condition"])
    assert condition is not BAD, here.problems
    told = [problem.code for problem in here.problems if problem.code != "unknown-field"]  # bodies here are made up
    assert told == ([case["warns"]] if "warns" in case else [])
    x = exchange()
    assert condition.compile()(x) is case["holds"]
    assert condition.explain(x).holds is case["holds"]
    if "text" in case:
        assert condition.tree.text() == case["text"]


@pytest.mark.parametrize("case", PROBLEMS, ids=lambda case: json.dumps(case["condition"]))
def test_problem(case):
    condition, here = read(case["condition"])
    assert [problem.code for problem in here.problems][:1] == [case["code"]]
    assert len({problem.span.start for problem in here.problems}) == 1, "one mistake, one problem"
    problem = here.problems[0]
    text = problem.span.source.text[problem.span.start : problem.span.end].strip("'\"")
    assert text == case["at"]
    assert case["help"] in problem.help
    assert problem.severity == case.get("severity", "error")
    assert (condition is BAD) is (problem.severity == "error")


def test_a_problem_in_a_named_condition_is_noted_once_and_in_no_rule():
    here = scope()
    for rule in ("one", "two"):
        here.rule = rule
        condition, _ = read({"is": "broken"}, here)
        assert condition is BAD
    assert [(problem.code, problem.rule) for problem in here.problems] == [("unknown-operator", None)]
    assert here.used == {("condition", "broken")}


def test_named_conditions_that_double_are_refused_in_time():
    here = scope()
    for number in range(14):
        both = [{"is": f"c{number + 1}"}, {"not": {"is": f"c{number + 1}"}}]
        here.tables["condition"][f"c{number}"] = node({"c": both}).get("c")
    here.tables["condition"]["c14"] = node({"c": "stream"}).get("c")
    condition, _ = read({"is": "c0"}, here)
    assert condition is BAD
    assert {problem.code for problem in here.problems} == {"condition-too-large"}


def test_nesting_is_bounded():
    deep = "stream"
    for _ in range(90):
        deep = {"not": deep}
    condition, here = read(deep)
    assert condition is BAD
    assert [problem.code for problem in here.problems] == ["too-deep"]
    assert read("stream", here)[0] is not BAD


def test_equal_conditions_have_equal_keys_whatever_the_form():
    forms = [
        "request.model == 'gpt-4o' && request.n > `1`",
        {"request.model": "gpt-4o", "request.n": {"gt": 1}},
        {"all": ["'gpt-4o' == request.model", {"request.n": {"gt": 1.0}}]},
        [{"request.model": {"equals": "gpt-4o"}}, "`1` < request.n"],
    ]
    keys = {read(form)[0].tree.key() for form in forms}
    assert len(keys) == 1
    hash(next(iter(keys)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"request.n": 1}, {"request.n": True}),
        ({"request.n": 1}, {"request.n": "1"}),
        ({"request.n": {"contains": "a"}}, {"request.n": {"contains": "a", "fold": True}}),
        ({"request.n": {"contains": "a", "ignore_case": True}}, {"request.n": {"contains": "a", "fold": True}}),
        ({"request.n": {"some": {"a": 1}}}, {"request.n": {"every": {"a": 1}}}),
        ({"request.n": {"length": 1}}, {"request.n": {"length": {"gte": 1}}}),
        ({"not": "stream"}, "stream"),
    ],
)
def test_different_conditions_have_different_keys(one, other):
    assert read(one)[0].tree.key() != read(other)[0].tree.key()


def test_roots_are_what_is_read_elements_included():
    condition, _ = read({"request.messages": {"some": "role == $.vars.role"}, "key.team": "core"})
    assert condition.roots == {"request", "vars", "key"}


def test_explain_stops_where_the_verdict_is_clear():
    condition, _ = read([{"request.n": 4}, {"request.model": "gpt-4o"}])
    found = condition.explain(exchange())
    assert found.holds is False
    assert (found.parts[0].text, found.parts[0].holds, found.parts[0].found) == ("request.n equals 4", False, 3)
    assert found.parts[1].holds is None


def test_the_shortest_tree_is_kept():
    leaf = read("stream")[0].tree
    assert isinstance(leaf, Truth)
    assert all_of([Always(), leaf]) is leaf
    assert any_of([Never(), leaf]) is leaf
    assert isinstance(all_of([leaf, Never()]), Never)
    assert isinstance(any_of([leaf, Always()]), Always)
    assert isinstance(all_of([]), Always)
    assert isinstance(any_of([]), Never)
    assert negated(negated(leaf)) is leaf
    assert all_of([all_of([leaf, leaf]), leaf]) == AllOf((leaf, leaf, leaf))
    assert isinstance(read("`true`")[0].tree, Always)
    assert isinstance(read("!`true`")[0].tree, Never)


# --- an expression and the tests it is taken apart into mean the same ------------------------------------------------

VALUES = st.sampled_from([None, True, False, 0, 1, 1.0, 2, "", "a", "ab", "1", [], ["a"], [1, True], {}, {"a": 1}])
ATOMS = st.sampled_from(
    [
        "request.p",
        "request.q",
        "request.p == 'a'",
        "request.q != `1`",
        "request.p > `0`",
        "`1` >= request.q",
        "'a' < request.p",
        "request.p == request.q",
        "request.p == `true`",
        "request.q == `[1, true]`",
        'contains(`["a", 1]`, request.p)',
        "request.p == `null`",
        "last_user_text == 'ab'",
        "starts_with(last_user_text, 'a')",
        "contains(last_user_text, 'b')",
        "ends_with(last_user_text, 'b')",
        "glob(last_user_text, 'a*')",
        "`true`",
        "`0`",
        '`""`',
    ]
)
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda both: f"({both[0]} && {both[1]})"),
        st.tuples(inner, inner).map(lambda both: f"({both[0]} || {both[1]})"),
        inner.map(lambda one: f"!({one})"),
    ),
    max_leaves=6,
)


@given(EXPRESSIONS, VALUES, VALUES, st.sampled_from(["", "a", "ab", "b"]))
def test_taken_apart_means_the_same(text, p, q, said):
    x = exchange(p=p, q=q, messages=[{"role": "user", "content": said}])
    here = scope()
    whole = Expression.from_text(text, here, lambda start, end: node("a: b\n").span)
    condition, _ = read(text)
    assert whole is not BAD
    wanted = truthy(whole.evaluate(x))
    assert condition.compile()(x) is wanted
    assert condition.explain(x).holds is wanted


ENTRIES = st.sampled_from(
    [
        {"request.p": "a"},
        {"request.q": {"in": [1, "a"]}},
        {"request.p": {"exists": False}},
        {"request.q": {"gt": 0}},
        {"request.p": {"length": 1}},
        {"request.q": {"some": {"equals": "a"}}},
        {"request.p": {"empty": True}},
        "request.q",
    ]
)


@given(st.lists(ENTRIES, min_size=1, max_size=4), VALUES, VALUES)
def test_all_any_none_not_agree(parts, p, q):
    x = exchange(p=p, q=q)

    def holds(condition):
        return read(condition)[0].compile()(x)

    single = [holds(part) for part in parts]
    assert holds({"all": parts}) is all(single)
    assert holds(parts) is all(single)
    assert holds({"any": parts}) is any(single)
    assert holds({"none": parts}) is not any(single)
    assert holds({"not": {"any": parts}}) is not any(single)


def test_kinds_of_nodes():
    kinds = {
        "stream": Truth,
        "request.n == `1`": condition.Test,
        "!stream": Negated,
        "stream && request.n": AllOf,
        "stream || path": AnyOf,
    }
    for text, kind in kinds.items():
        assert type(read(text)[0].tree) is kind
