"""Proofs about conditions: what is proved is never contradicted by evaluating them, on any document."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.catalogue import BAD, Scope
from engine.document.dialects import DIALECTS
from engine.document.exchange import Exchange
from engine.language.condition import Condition
from engine.language.values import EvaluationError
from engine.rules.lint_facts import Facts, types_of
from engine.rules.yaml_text import compose
from engine.source import Source

LONG = bool(os.environ.get("POINTSMAN_LONG"))


class Stopped:
    def monotonic(self) -> float:
        return 0.0


def read(condition: str) -> Condition:
    root, problems = compose(Source("t.yaml", f"match: {condition}\n"))
    here = Scope({"list": {"few": ["a", "ab", 1], "none": []}})
    found = Condition.read(root.get("match"), here)  # type: ignore[union-attr]
    assert found is not BAD, (condition, problems, here.problems)
    return found  # type: ignore[no-any-return]


def exchange(values: dict[str, Any], said: str = "hi", header: str | None = None) -> Exchange:
    x = Exchange(None, Stopped())  # type: ignore[arg-type]
    x.dialect = DIALECTS["completion"]
    x.call_type = "completion"
    x.request = {**values, "messages": [{"role": "user", "content": said}]}
    x.raw_headers = [] if header is None else [("x-team", header)]
    return x


IMPOSSIBLE = [
    "{request.p: {equals: a, not_equals: a}}",
    "[{request.p: a}, {request.p: b}]",
    "{request.p: {in: [a, b]}, all: [{request.p: {not_in: [a, b, c]}}]}",
    "{request.p: {in: []}}",
    "{request.p: {in: {list: none}}}",
    "{request.p: {gt: 5, lt: 5}}",
    "{request.p: {gte: 6, lte: 5}}",
    "{request.p: {gt: 5}, not: {request.p: {gt: 4}}}",
    "{request.p: {between: [1, 2], gt: 2}}",
    "{request.p: {gt: 5, lt: b}}",
    "{request.p: {gt: b, lt: a}}",
    "{request.p: {equals: gpt-4o, starts_with: claude-}}",
    "{request.p: {equals: gpt-4o, glob: 'claude-*'}}",
    "{request.p: {equals: gpt-4o, matches: '^claude'}}",
    "{request.p: {starts_with: gpt-, glob: 'claude-*'}}",
    "{request.p: {ends_with: a, glob: '*b'}}",
    "{request.p: {starts_with: abc, length: {lt: 3}}}",
    "{request.p: {length: {gt: 2, lt: 3}}}",
    "{request.p: {empty: true, length: {gte: 1}}}",
    "{request.p: {empty: true, contains: a}, all: [{request.p: {length: 1}}]}",
    "{request.p: {exists: false, contains: a}}",
    "{request.p: {type: number, length: 1}}",
    "{request.p: {type: string, gt: 1}}",
    "{request.p: {contains: a}, not: {request.p: {contains_any: [a, b]}}}",
    "{request.p: {matches: abc}, not: {request.p: {matches_any: [abc, abd]}}}",
    "{request.p: {equals: A, ignore_case: true}, not: {request.p: {in: [a, b], ignore_case: true}}}",
    "request.p && !(request.p)",
    "request.p == 'a' && !(request.p)",
    "stream && !stream",
    "stream == `true` && stream == `false`",
    "{prompt_text: {exists: false}}",
    "{all: [stream, {any: [{not: stream}, {request.p: {in: []}}]}]}",
    "{any: [{request.p: a}, {request.p: b}], request.p: {starts_with: c}}",
    "{none: [{request.p: a}], request.p: a}",
    "{not: {any: [stream, request.p]}, request.p: {gt: 0}}",
    "{time.weekday: monday}",
    "{request.p: {some: {equals: 1}, type: string}}",
]


@pytest.mark.parametrize("condition", IMPOSSIBLE)
def test_impossible(condition: str) -> None:
    assert Facts().assume(read(condition).tree).impossible


POSSIBLE = [
    "{request.p: {not_equals: a}}",
    "{request.p: {exists: false, not_in: [a]}}",
    "{request.p: {exists: false, empty: true}}",
    "{request.p: {gte: 5, lte: 5}}",
    "{request.p: {starts_with: gpt-, glob: '*o'}}",
    "{request.p: {contains: a, not_equals: a}}",
    "{request.p: {contains: ab}, not: {request.p: {contains: a}}}",  # of a list, as an element
    "{request.p: 1, request.q: true}",
    "{request.p: {equals: A, ignore_case: true}, not: {request.p: A}}",
    "{request.p: {not: {}}}".replace("{not: {}}", "{not_equals: 1, gte: 1}"),
    "{all: [{not: {request.p: {gt: 5}}}, {not: {request.p: {lte: 5}}}]}",  # no number
    "{request.messages: {some: {role: a}}, not: {request.messages: {some: {role: b}}}}",
    "request.p != request.q",
    "{any: [{request.p: a}, {request.q: b}], request.p: c}",
]


@pytest.mark.parametrize("condition", POSSIBLE)
def test_possible(condition: str) -> None:
    assert not Facts().assume(read(condition).tree).impossible


FOLLOWS = [
    ("{request.p: a}", "{request.p: {in: [a, b]}}"),
    ("{request.p: {in: [a, ab]}}", "{request.p: {starts_with: a}}"),
    ("{request.p: a, request.q: b}", "{request.q: b}"),
    ("{request.p: {gt: 5}}", "{request.p: {gte: 5}}"),
    ("{request.p: {between: [2, 3]}}", "{request.p: {gt: 1}}"),
    ("{request.p: {starts_with: gpt-4}}", "{request.p: {starts_with: gpt-}}"),
    ("{request.p: {glob: 'gpt-4*'}}", "{request.p: {starts_with: gpt-}}"),
    ("{request.p: a}", "request.p"),
    ("{request.p: a}", "{request.p: {exists: true}}"),
    ("{request.p: {gt: 1}}", "{not: {request.p: {type: string}}}"),
    ("{request.p: {matches: abc}}", "{request.p: {matches_any: [abc, abd]}}"),
    ("{request.p: {contains: a}}", "{request.p: {contains_any: [b, a]}}"),
    ("{request.p: {length: 4}}", "{request.p: {length: {gt: 3}}}"),
    ("{request.p: {equals: A, fold: true}}", "{request.p: {contains: a, fold: true}}"),
    ("{request.p: {exists: false}}", "{request.p: {not_in: [a]}}"),
    ("{request.p: a}", "{any: [{request.q: b}, {request.p: a}]}"),
    ("{any: [{request.p: a}, {request.p: b}]}", "{request.p: {in: [a, b, c]}}"),
    ("stream", "stream == `true`"),
    ("length(request.p) > `3`", "length(request.p) > `3`"),
]


@pytest.mark.parametrize(("one", "other"), FOLLOWS)
def test_follows(one: str, other: str) -> None:
    assert Facts().assume(read(one).tree).follows(read(other).tree)


NOT_FOLLOWS = [
    ("{request.p: {in: [a, b]}}", "{request.p: a}"),
    ("{request.p: {gte: 5}}", "{request.p: {gt: 5}}"),
    ("{request.p: {contains: ab}}", "{request.p: {contains: a}}"),
    ("{request.p: {equals: A, ignore_case: true}}", "{request.p: A}"),
    ("{request.p: {not_equals: a}}", "request.p"),
    ("{request.p: {length: 4}}", "{request.p: {type: string}}"),
    ("{request.p: a}", "{any: ['length(request.q) > `1`', {request.p: a}]}"),  # the first may raise
    ("{request.p: {gt: 1}}", "{request.p: {lt: 9}}"),
]


@pytest.mark.parametrize(("one", "other"), NOT_FOLLOWS)
def test_does_not_follow(one: str, other: str) -> None:
    assert not Facts().assume(read(one).tree).follows(read(other).tree)


def test_types_are_those_the_gateway_decides() -> None:
    assert types_of(("prompt_text",)) == {"string"}
    assert types_of(("stream",)) == {"boolean"}
    assert types_of(("headers", "x-team")) == {"string", "null"}
    assert types_of(("opaque",)) == {"array"}
    assert len(types_of(("request", "model"))) == 6
    assert len(types_of(("error", "status"))) == 6
    assert len(types_of(("vars",))) == 6


def test_a_proof_over_many_alternatives_is_given_up_in_time() -> None:
    many = "{any: [" + ", ".join(f"{{any: [{{request.p: {n}}}, {{request.q: {n}}}]}}" for n in range(40)) + "]}"
    assert not Facts().assume(read(many).tree).impossible


# --- random conditions on random documents ----------------------------------------------------------------------------

VALUES = [
    None,
    True,
    False,
    0,
    1,
    1.0,
    1.5,
    2,
    -1,
    "",
    "a",
    "A",
    "ab",
    "abc",
    "b",
    "ba",
    "1",
    [],
    ["a"],
    ["ab", 1],
    [[]],
    {},
    {"a": 1},
    "\u00df",
    "SS",
    "a\u200bb",
]
CONSTANTS = ["a", "A", "ab", "b", "1", "''", "1", "1.0", "1.5", "0", "2", "true", "false", "[]", "[a]", "\u00df", "ss"]
SCALARS = ["a", "A", "ab", "b", "'1'", "''", "\u00df", "ss"]
NUMBERS = ["0", "1", "1.5", "2", "-1", "a", "ab", "b"]


def pairs(values: list[str]) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=3).map(lambda some: "[" + ", ".join(some) + "]")


def operator(names: list[str], values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(st.sampled_from(names), values).map(lambda both: f"{both[0]}: {both[1]}")


def changed(test: str, change: str) -> str:
    return f"{test}, {change}: true" if change and test.partition(":")[0] in TEXTUAL else test


TEXTUAL = {
    "equals",
    "not_equals",
    "in",
    "not_in",
    "contains",
    "contains_any",
    "starts_with",
    "ends_with",
    "glob",
    "matches",
    "matches_any",
}
PLAIN = st.one_of(
    operator(["equals", "not_equals", "contains"], st.sampled_from(CONSTANTS)),
    operator(["in", "not_in", "contains_any"], pairs(CONSTANTS)),
    operator(["starts_with", "ends_with"], st.sampled_from(SCALARS)),
    operator(["glob"], st.sampled_from(["a*", "'*b'", "'?'", "'a?'", "'*'", "ab", "'*a*'", "''"])),
    operator(["matches"], st.sampled_from(["'^a'", "b", "'a|b'", "'.'"])),
    operator(["matches_any"], st.sampled_from(["['^a', b]", "[b]", "['.', 'a|b']"])),
    operator(["gt", "gte", "lt", "lte"], st.sampled_from(NUMBERS)),
    operator(["between"], st.sampled_from(["[0, 1]", "[1, 1.5]", "[a, b]", "[ab, ab]"])),
    operator(["exists", "empty"], st.sampled_from(["true", "false"])),
    operator(
        ["length"],
        st.sampled_from(
            [
                "0",
                "1",
                "2",
                "{gt: 1}",
                "{lt: 1}",
                "{gte: 1, lt: 1.5}",
                "{not_equals: 1}",
                "{equals: 1.0}",
                "{in: [1, 2]}",
            ]
        ),
    ),
    operator(["type"], st.sampled_from(["string", "number", "[string, array]", "boolean", "'null'", "object"])),
    operator(["some", "every"], st.sampled_from(["{equals: a}", "{type: string}", '"@ == $.request.q"'])),
)
TESTS = st.tuples(PLAIN, st.sampled_from(["", "", "ignore_case", "fold"])).map(lambda both: changed(*both))
SUBJECTS = st.sampled_from(
    [
        "request.p",
        "request.p",
        "request.p",
        "request.q",
        "prompt_text",
        "stream",
        "headers.x-team",
        "call_type",
        "length(prompt_text)",
        "key",
    ]
)
SAID = ["hi", "", "a", "ab", "b", "A"]
EXPRESSIONS = st.sampled_from(
    [
        "request.p",
        "!(request.p)",
        "request.p == 'a'",
        "request.p != 'a'",
        "request.p == request.q",
        "request.p > `1`",
        "`1` >= request.p",
        "!(request.p > `1`)",
        "stream",
        "!stream",
        "`true`",
        "stream == `true`",
        "contains(`[1, 1.5]`, request.p)",
        "request.p || request.q",
        "request.p && request.q == `1`",
        "starts_with(prompt_text, 'a')",
        "length(request.p) > `1`",
    ]
).map(lambda text: f'"{text}"')
LEAVES = st.one_of(st.tuples(SUBJECTS, TESTS).map(lambda both: f"{{{both[0]}: {{{both[1]}}}}}"), EXPRESSIONS)
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(["all", "any", "none", "all"]), st.lists(inner, min_size=1, max_size=4)).map(
            lambda both: f"{{{both[0]}: [{', '.join(both[1])}]}}"
        ),
        inner.map(lambda one: f"{{not: {one}}}"),
    ),
    max_leaves=6,
)
DOCUMENTS = [
    exchange({name: value for name, value in (("p", p), ("q", q), ("stream", s)) if value is not None}, said, header)
    for number, p in enumerate(VALUES)
    for q, s, said, header in [
        (VALUES[number * 7 % len(VALUES)], True, SAID[number % 6], None),
        ("a", None, SAID[(number + 1) % 6], "a"),
        (1, "yes", SAID[(number + 2) % 6], "ab"),
        (p, False, SAID[(number + 3) % 6], "A"),
    ]
]


def holds(condition: Condition) -> list[bool | None]:
    """The verdict on every document; None where a function refuses a type."""
    test = condition.compile()
    verdicts: list[bool | None] = []
    for x in DOCUMENTS:
        try:
            verdicts.append(test(x))
        except EvaluationError:
            verdicts.append(None)
    return verdicts


@given(CONDITIONS)
@settings(max_examples=20_000 if LONG else 400)
def test_what_never_or_always_holds_does(text: str) -> None:
    condition = read(text)
    if Facts().assume(condition.tree).impossible:
        assert True not in holds(condition)
    if Facts().assume(condition.tree, holds=False).impossible:
        assert False not in holds(condition)


@given(st.lists(CONDITIONS, min_size=2, max_size=4))
@settings(max_examples=20_000 if LONG else 400)
def test_what_follows_holds_wherever_the_other_does(texts: list[str]) -> None:
    read_all = [read(text) for text in texts]
    verdicts = [holds(condition) for condition in read_all]
    for one, of_one in zip(read_all, verdicts, strict=True):
        facts = Facts().assume(one.tree)
        for other, of_other in zip(read_all, verdicts, strict=True):
            known = facts.verdict(other.tree)
            for first, second in zip(of_one, of_other, strict=True):
                if first and known is not None and second is not None:
                    assert second is known
            if facts.follows(other.tree):
                assert all(second for first, second in zip(of_one, of_other, strict=True) if first)


@given(st.lists(st.tuples(st.just("request.p"), TESTS), min_size=2, max_size=5))
@settings(max_examples=20_000 if LONG else 600)
def test_tests_of_one_value(tests: list[tuple[str, str]]) -> None:
    *first, last = [f"{{{subject}: {{{test}}}}}" for subject, test in tests]
    one, other = read(f"[{', '.join(first)}]"), read(last)
    facts = Facts().assume(one.tree)
    impossible, follows = facts.impossible, facts.follows(other.tree)
    contrary = facts.copy().assume(other.tree).impossible
    for first_holds, last_holds in zip(holds(one), holds(other), strict=True):
        assert not (first_holds and impossible)
        assert not (first_holds and follows and not last_holds)
        assert not (first_holds and contrary and last_holds)
