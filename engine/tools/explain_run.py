"""One exchange, run twice by the server's own code: on the program that serves, and on its traced twin.

The verdicts are the first one's; where the two disagree, that is told. Nothing is sent anywhere and nothing is written.
Must not know how the result is shown.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

from engine.document.exchange import Exchange
from engine.ports.callbacks import Hook, LoadedCallback, Outcome
from engine.rules.callback_rules import callback_rules
from engine.rules.compile import compile_program
from engine.rules.index import WORTH_IT
from engine.rules.loaded import Loaded
from engine.rules.program import Program
from engine.rules.rule import Rule
from engine.runtime.explain import Trace
from engine.runtime.explain_verdicts import Lookups, Verdict, Verdicts
from engine.tools.cases_form import CannedAnswer, RequestForm, StepForm, TestForm
from engine.tools.cases_judge import Seen
from engine.tools.cases_run import Stage
from engine.tools.compare import shown


@dataclass(slots=True)
class Asked:
    """What is to be explained. Without `answers` the exchange is told up to the upstream's answer.

    `callbacks`: whether authors' Python runs. `load_again`: loads the file once more, for callbacks of its own.
    """

    loaded: Loaded
    request: RequestForm
    answers: list[CannedAnswer] | None = None
    callbacks: bool = False
    load_again: Callable[[], Loaded] | None = None
    now: datetime | None = None
    index_from: int = WORTH_IT


@dataclass(slots=True)
class Explanation:
    """What one request meets. `seen` and `verdicts` are those of the served program.

    `disagreements` are the differences of its traced twin; there are none unless this project, or an author's
    callback that answers differently each time, is at fault. `silent`: rules whose callbacks were not run.
    """

    loaded: Loaded
    request: RequestForm
    seen: Seen
    program: Program
    verdicts: list[Verdict] = field(default_factory=list)
    disagreements: list[str] = field(default_factory=list)
    silent: frozenset[str] = frozenset()
    answered: bool = False

    @property
    def today(self) -> date:
        """The day of the exchange in the server's time zone."""
        return self.seen.exchange.clock.now().date() if self.seen.exchange else datetime.now(UTC).date()

    @property
    def exchange(self) -> Exchange | None:
        """The exchange; None when the request was answered beside the rules."""
        return self.seen.exchange

    @property
    def open_end(self) -> bool:
        """Whether the client's answer depends on an upstream's that was not given."""
        return not self.answered and bool(self.seen.sent)


async def explain(asked: Asked) -> Explanation:
    """Run the exchange twice and judge every rule."""
    loaded, again = asked.loaded, asked.load_again() if asked.load_again else asked.loaded
    if not asked.callbacks:
        loaded = again = silenced(loaded)
    lookups, trace = Lookups(), Trace()
    served, twin = compile_program(loaded, index_from=asked.index_from), compile_program(again, trace)
    now = asked.now or datetime.now(UTC).replace(microsecond=0)
    seen = await _play(lookups.watched(served), asked, now)
    traced = await _play(twin, asked, now)
    told = Explanation(
        loaded,
        asked.request,
        seen,
        served,
        silent=frozenset() if asked.callbacks else _calling(loaded),
        answered=asked.answers is not None,
    )
    if seen.exchange is not None and traced.exchange is not None:
        told.verdicts = Verdicts(rules_of(loaded), seen.exchange, lookups, trace.steps, told.answered).all()
        told.disagreements = [*disagreements(seen, traced), *_unexplained(trace)]
    return told


def rules_of(loaded: Loaded) -> list[Rule]:
    """All rules in their order, callbacks of the file included."""
    return [*loaded.rules, *callback_rules(loaded.callbacks.get("callbacks", ()))]


async def _play(program: Program, asked: Asked, now: datetime) -> Seen:
    test: TestForm = TestForm.defaults()
    test.upstream, test.now = asked.answers, now
    step: StepForm = StepForm.defaults()
    step.request = asked.request
    return await Stage(program, test).play(step)


# --- the two runs compared --------------------------------------------------------------------------------------------


def disagreements(seen: Seen, traced: Seen) -> list[str]:
    """Where the traced run is not the served one: matched, outcomes, what was sent, what the client got."""
    one, other = _facts(seen), _facts(traced)
    return [
        f"{name}: {shown(one[name])} when served, {shown(other[name])} when traced"
        for name in one
        if one[name] != other[name]
    ]


def _facts(seen: Seen) -> dict[str, Any]:
    x = seen.exchange
    assert x is not None
    got = seen.response
    headers = {name: value for name, value in got.headers.items() if name != "content-length"}
    facts = {
        "matched": x.matched,
        "outcomes": [outcome[:4] for outcome in x.outcomes],
        "tags": x.tags,
        "vars": x.vars,
        "sent": [[sent.upstream, sent.headers, sent.body] for sent in seen.sent],
        "answer": [got.status, headers, got.body],
    }
    return {name: json.loads(json.dumps(fact, default=str).replace(x.id, "id")) for name, fact in facts.items()}


def _unexplained(trace: Trace) -> list[str]:
    """Conditions whose parts do not add up to their verdict."""
    return [
        f"{part} of rule {rule} in {phase}: {asked.holds} when run, {asked.finding.holds} when explained"
        for (rule, phase), step in trace.steps.items()
        for part, asked in [*step.tests.items(), *((f"if {n}", one) for n, one in step.ifs.items())]
        if asked.at_odds and asked.finding is not None
    ]


# --- callbacks that do not run ----------------------------------------------------------------------------------------


async def _not_run(_: Exchange) -> Outcome:
    return Outcome(False, None)


def silenced(loaded: Loaded) -> Loaded:
    """The same file with callbacks that do nothing."""
    callbacks = {section: [_inert(one) for one in some] for section, some in loaded.callbacks.items()}
    return replace(loaded, rules=[_without_callbacks(rule) for rule in loaded.rules], callbacks=callbacks)


def _without_callbacks(rule: Rule) -> Rule:
    if not _calls(rule):
        return rule
    inert = copy(rule)
    inert.actions = [replace(use, action=_inert_action(use.action)) for use in rule.actions]
    return inert


def _inert_action(action: Any) -> Any:
    if action.name != "callback":
        return action
    inert = copy(action)
    inert.loaded = _inert(action.loaded)
    return inert


def _inert(callback: LoadedCallback) -> LoadedCallback:
    hooks: dict[Any, Hook] = dict.fromkeys(callback.hooks, _not_run)
    return replace(callback, hooks=hooks, rewrite=None)


def _calls(rule: Rule) -> bool:
    return any(use.action.name == "callback" for use in rule.actions)


def _calling(loaded: Loaded) -> frozenset[str]:
    return frozenset(rule.name_ for rule in rules_of(loaded) if _calls(rule))
