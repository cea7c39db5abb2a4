"""However rules are indexed or compiled, the result equals running them one by one through the oracle.

The oracle has no index and asks each condition by walking its tree. Random rules write what other rules read.
"""

from __future__ import annotations

import datetime
import os
import sys

import pytest
from hypothesis import given, settings
from random_rules import as_yaml, requests, rules_files

from engine.document.dialects import DIALECTS, call_type_of
from engine.document.exchange import Exchange
from engine.phases import REQUEST
from engine.rules.compile import compile_program
from engine.rules.load import load
from engine.rules.wrap import Wrap
from engine.runtime.executor import run_now

EXAMPLES = 20_000 if os.environ.get("POINTSMAN_LONG") else 150
NOW = datetime.datetime(2026, 11, 21, 12, tzinfo=datetime.UTC)


class FrozenClock:
    def now(self):
        return NOW

    def monotonic(self):
        return 0.0


class Walking(Wrap):
    """The oracle's tests: the tree asked node by node, nothing compiled into one."""

    def test(self, rule, phase, part, test):
        condition = {"match": rule.match, "unless": rule.unless}.get(part)
        return (lambda x: condition.tree.explain(x).holds) if condition is not None else test


def exchange(program, request):
    x = Exchange(program, FrozenClock())
    x.method, x.path, x.peer = "POST", request.get("path", "/v1/chat/completions"), "127.0.0.1"
    x.query_string = "&".join(f"{name}={value}" for name, value in request.get("query", {}).items())
    x.raw_headers = list(request.get("headers", {}).items())
    x.call_type = call_type_of(x.path)
    x.dialect = DIALECTS[x.call_type]
    x.original = x.request = request["body"]
    x.key = next(iter(program.keys.values()), None)
    return x


def outcome(program, request):
    x = exchange(program, request)
    answer = run_now(program.plan(REQUEST, x.call_type), x)
    return {
        "answer": answer,
        "matched": x.matched,
        "outcomes": [entry[:4] for entry in x.outcomes],
        "request": x.request,
        "headers": x.to_upstream,
        "tags": x.tags,
        "vars": x.vars,
    }


def loaded(tmp_path_factory, file):
    path = tmp_path_factory.mktemp("rules") / "rules.yaml"
    path.write_text(as_yaml(file), encoding="utf-8")
    found = load(str(path))
    assert found.fine, [problem.message for problem in found.problems if problem.severity == "error"]
    return found


@settings(max_examples=EXAMPLES)
@given(file=rules_files(least=1, most=12), asked=requests())
def test_every_way_of_running_gives_the_same(tmp_path_factory, file, asked):
    rules = loaded(tmp_path_factory, file)
    oracle = outcome(compile_program(rules, Walking()), asked)
    assert outcome(compile_program(rules, index_from=sys.maxsize), asked) == oracle
    assert outcome(compile_program(rules, index_from=1), asked) == oracle


def test_a_write_makes_the_index_look_again(tmp_path):
    """The first rule changes what the key of the last has read."""
    path = tmp_path / "rules.yaml"
    rules = [f"- {{name: r{n}, match: {{request.model: m{n}}}, actions: [{{set_model: m{n + 1}}}]}}" for n in range(50)]
    path.write_text("rules:\n" + "\n".join(f"  {rule}" for rule in rules), encoding="utf-8")
    program = compile_program(load(str(path)))
    x = exchange(program, {"body": {"model": "m7"}})
    run_now(program.plan(REQUEST, "completion"), x)
    assert x.request == {"model": "m50"}
    assert x.matched == [f"r{n}" for n in range(7, 50)]


@pytest.mark.parametrize("model", [True, 1, 1.0, "1", None, ["1"], {"a": 1}])
def test_dictionary_keys_tell_true_from_one(tmp_path, model):
    path = tmp_path / "rules.yaml"
    path.write_text(
        "rules:\n"
        + "".join(
            f"  - {{name: r{n}, match: {{request.user: {value}}}, actions: [{{tag: hit{n}}}]}}\n"
            for n, value in enumerate(["true", "1", "'1'"] * 4)
        ),
        encoding="utf-8",
    )
    rules = load(str(path))
    request = {"body": {"model": "m", "user": model}}
    fast = outcome(compile_program(rules, index_from=1), request)
    assert fast == outcome(compile_program(rules, Walking()), request)
