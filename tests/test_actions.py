"""Every action, applied to exchanges of real dialects: the cases are data in tests/actions/."""

from __future__ import annotations

import datetime
import inspect
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import engine.actions
import engine.ports
from engine.actions.base import NOOP
from engine.catalogue import BAD, CATALOGUE, Scope, discover
from engine.document.answers import Again, Assistant, Given, Refusal
from engine.document.dialects import call_type_of, dialect_at
from engine.document.exchange import Exchange
from engine.language.patterns import read_named
from engine.phases import PHASES
from engine.ports.prompts import Prompt
from engine.rules.yaml_text import compose
from engine.source import Mapping, Source
from engine.tools.cases_form import CannedAnswer
from engine.tools.cases_wire import CannedTransport, Script

discover(engine.ports)
discover(engine.actions)
FOLDER = Path(__file__).parent / "actions"


class Frozen:
    def now(self) -> datetime.datetime:
        return datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)

    def monotonic(self) -> float:
        return 0.0


def cases(name: str) -> list[Any]:
    file = FOLDER / name
    root, problems = compose(Source(name, file.read_text("utf-8")))
    assert not problems
    return [pytest.param(node, id=node.get("title").plain()) for node in root]


def scope_of(case: Mapping) -> Scope:
    given = case.plain()
    named = {sort: dict.fromkeys(given.get(f"{sort}s", ())) for sort in ("upstream", "model")}
    scope = Scope({"list": {}, "pattern": {}, "prompt": {}, "sink": {}, **named})
    if node := case.get("patterns"):
        scope.tables["pattern"] = {key.value: read_named(key, value, scope) for key, value in node}
    if node := case.get("prompts"):
        scope.tables["prompt"] = {key.value: Prompt.read(value, scope) for key, value in node}
    assert not scope.problems
    scope.phases = frozenset(PHASES[name] for name in given.get("phases", [given.get("phase", "request")]))
    return scope


def exchange(given: dict[str, Any]) -> Exchange:
    x = Exchange(None, Frozen())
    x.path = given.get("path", "/v1/chat/completions")
    x.call_type = call_type_of(x.path)
    x.dialect = dialect_at(x.path)
    x.raw_headers = list(given.get("headers", {}).items())
    x.request = x.original = given.get("request", {"model": "m", "messages": [{"role": "user", "content": "hi"}]})
    if "response" in given:
        x.response = {"status": 200, "headers": given.get("response_headers", {}), "body": given["response"]}
    x.peer = "10.0.0.1"
    x.key = given.get("key")
    x.tags = list(given.get("tags", []))
    x.vars = dict(given.get("vars", {}))
    x.error = given.get("error")
    return x


def script_of(case: Mapping) -> Script:
    """What other addresses answer, by URL."""
    scope, node = Scope(), case.get("http")
    answers = {str(key.value): [CannedAnswer.read(value, scope)] for key, value in node} if node is not None else {}
    assert not scope.problems
    return Script(dialect_at, http=answers)


def read_action(case: Mapping, scope: Scope) -> Any:
    ((key, value),) = case.get("action").entries
    action = CATALOGUE["action"][key.value]
    assert all(phase in action.phases for phase in scope.phases)
    return action.read(value, scope)


async def applied(action: Any, phase: str, x: Exchange) -> Any:
    effect = action.compile(PHASES[phase])(x)
    return await effect if inspect.isawaitable(effect) else effect


def told(effect: Any) -> Any:
    """An effect as a case writes it."""
    if effect is None or effect is NOOP:
        return "acted" if effect is None else "noop"
    if isinstance(effect, Assistant):
        return {"says": effect.text}
    if isinstance(effect, Given):
        return {"gives": effect.body, "status": effect.status}
    if isinstance(effect, Again):
        again = {"times": effect.times, "backoff": effect.backoff, "model": effect.model, "upstream": effect.upstream}
        return {"again": {name: value for name, value in again.items() if value is not None}}
    assert isinstance(effect, Refusal)
    assert effect.source == "rule"
    refused = {**effect.as_error(), "headers": dict(effect.headers)}
    return {name: value for name, value in refused.items() if name != "source" and value not in (None, {})}


@pytest.mark.parametrize("case", cases("effects.yaml"))
async def test_effect(case: Mapping) -> None:
    given = case.plain()
    scope = scope_of(case)
    action = read_action(case, scope)
    assert action is not BAD, scope.problems
    x = exchange(given)
    x.ways = lambda _: CannedTransport(script_of(case), None)
    before = repr((x.request, x.response))
    request, response = x.request, x.response
    if "raises" in given["then"]:
        with pytest.raises(Exception, match=given["then"]["raises"]):
            await applied(action, given.get("phase", "request"), x)
        return
    effect = await applied(action, given.get("phase", "request"), x)
    found = {
        "effect": told(effect),
        "request": x.request,
        "response": x.response and x.response["body"],
        "tags": x.tags,
        "vars": x.vars,
        "error": x.error,
        "to_upstream": x.to_upstream,
        "to_client": x.to_client,
        "limits": [[limit.unit, limit.most, limit.period, key, limit.shadow] for limit, key in x.limits or ()],
        "route": x.route
        and json.loads(json.dumps({name: value for name, value in asdict(x.route).items() if value is not None})),
        "caching": x.caching and x.caching.ttl,
    }
    assert {name: found[name] for name in given["then"]} == given["then"]
    assert repr((request, response)) == before, "bodies are values"
    if told(effect) == "noop":
        assert x.request is request
        assert x.response is response


@pytest.mark.parametrize("case", cases("problems.yaml"))
def test_problem(case: Mapping) -> None:
    given = case.plain()
    scope = scope_of(case)
    read_action(case, scope)
    problem = scope.problems[0]
    place = problem.span.source.text[problem.span.start : problem.span.end]
    assert (problem.code, place) == (given["code"], given["at"])
    assert given["help"] in problem.help
    assert given.get("says", "") in problem.message
    assert len(scope.problems) == 1


@pytest.mark.parametrize("case", cases("writes.yaml"))
def test_writes(case: Mapping) -> None:
    scope = scope_of(case)
    assert list(read_action(case, scope).writes) == case.plain()["writes"]


REDACT = "{redact: {patterns: ['[a-z]@x'], with: '[MAIL]', restore: true, in: [user_text]}}"


async def redacted(text: str, phase: str = "request", action: str = REDACT, x: Exchange | None = None) -> Exchange:
    root, _ = compose(Source("rules.yaml", f"action: {action}"))
    assert isinstance(root, Mapping)
    scope = scope_of(root)
    scope.phases = frozenset({PHASES[phase]})
    x = x or exchange({"request": {"model": "m", "messages": [{"role": "user", "content": text}]}})
    await applied(read_action(root, scope), phase, x)
    return x


def answered(text: str) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]}


async def test_what_was_taken_out_is_put_back() -> None:
    x = await redacted("a@x b@x [MAIL_3]")
    assert x.restored(answered("[MAIL] [MAIL_2] [MAIL_3] [MAIL")) == answered("a@x b@x [MAIL_3] [MAIL")


async def test_a_mark_of_the_answer_is_never_one_that_stands_for_a_value() -> None:
    x = await redacted("a@x")
    x.response = {"status": 200, "headers": {}, "body": answered("b@x")}
    await redacted("", "response", "{redact: {patterns: ['[a-z]@x'], with: '[MAIL]'}}", x)
    assert x.restored(x.response["body"]) == answered("[MAIL_2]")


async def test_nothing_is_put_back_where_nothing_was_taken_out() -> None:
    x = await redacted("nothing")
    body = answered("[MAIL]")
    assert x.restored(body) is body


async def test_a_rule_that_only_observes_counts_findings() -> None:
    root, _ = compose(Source("rules.yaml", f"action: {REDACT}"))
    assert isinstance(root, Mapping)
    said = [{"role": "user", "content": "a@x, b@x"}, {"role": "system", "content": "c@x"}]
    x = exchange({"request": {"messages": said}})
    before = x.request
    assert read_action(root, scope_of(root)).count(PHASES["request"])(x) == 2
    assert (x.request, x.marks) == (before, None)


def test_every_action_has_cases() -> None:
    used = {str(case.values[0].get("action").entries[0][0].value) for case in cases("effects.yaml")}
    apart = {"callback", "log_to"}  # tests/test_callbacks.py, tests/test_sinks.py
    mine = {name for name, action in CATALOGUE["action"].items() if action.__module__.startswith("engine.actions")}
    assert used | apart >= mine & {Path(file).stem for file in Path(engine.actions.__path__[0]).iterdir()}
