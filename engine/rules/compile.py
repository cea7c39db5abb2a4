"""From checked sections to a Program: one step per rule and phase, one plan per phase and call type.

Must not know YAML or sockets.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import sys
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

from engine.actions.base import IDLE, NOOP, Apply, Effect
from engine.document.exchange import Exchange
from engine.document.stream_wires import WIRES
from engine.language.functions import percent_of
from engine.options import BAD
from engine.phases import ATTEMPT, CALL_TYPES, LOG, PHASES, REQUEST, RESPONSE, Phase
from engine.ports.prices import Prices
from engine.rules.callback_rules import callback_rules
from engine.rules.holding import decides_at_head, early_match, holding_tests, needs_no_request, only_notes
from engine.rules.index import WORTH_IT, indexed
from engine.rules.loaded import Loaded
from engine.rules.needs import covers, needs_of
from engine.rules.networks import Networks
from engine.rules.prefetch import wanted_prompts
from engine.rules.program import Lookup, Observed, Plan, Program, Step, Test
from engine.rules.routes import compile_ends, compile_keys, compile_models, compile_upstreams
from engine.rules.rule import Rule
from engine.rules.rule_options import Enabled
from engine.rules.sections import Server, is_loopback
from engine.rules.stream_rules import stream_rules
from engine.rules.uncollected import uncollected
from engine.rules.wrap import Act, Wrap

_KEEPS_ALL = Wrap()


def compile_program(loaded: Loaded, wrap: Wrap | None = None, index_from: int = WORTH_IT, **overrides: Any) -> Program:
    """The Program of a loaded file without errors; with `wrap`, the traced twin of the same program.

    Plans of at least `index_from` steps get an index; a traced program has none. `overrides` are options of `server`
    given on the command line.
    """
    server = copy(loaded.single.get("server") or Server.defaults())
    vars(server).update(overrides)
    with uncollected():
        return _compiled(loaded, server, wrap, index_from)


def _compiled(loaded: Loaded, server: Any, wrap: Wrap | None, index_from: int) -> Program:
    upstreams = compile_upstreams(loaded.tables["upstream"])
    callbacks = [one for some in loaded.callbacks.values() for one in some]
    rules = [*loaded.rules, *callback_rules(callbacks)]
    steps = [step for position, rule in enumerate(rules) for step in _steps(position, rule, server, wrap or _KEEPS_ALL)]
    plans = _Plans(rules, steps, index_from if wrap is None else sys.maxsize).all()
    return Program(
        version=digest(loaded),
        server=server,
        models=compile_models(loaded.tables["model"], upstreams),
        upstreams=upstreams,
        keys=compile_keys(loaded.keys),
        key_ends=compile_ends(loaded.keys),
        plans=plans,
        needs={call_type: needs_of(rules, call_type) for call_type in CALL_TYPES},
        sinks={name: sink for name, sink in loaded.tables["sink"].items() if sink is not BAD},
        prices=Prices({name: price for name, price in loaded.tables["price"].items() if price is not BAD}),
        rule_names=tuple(rule.name_ for rule in loaded.rules),
        holding={call_type: tests for call_type in CALL_TYPES if (tests := holding_tests(loaded.rules, call_type))},
        streams={call_type: some for call_type in WIRES if (some := stream_rules(rules, steps, call_type))},
        trusted_proxies=Networks(server.trusted_proxies) if server.trusted_proxies else None,
        exposes_rules=server.expose_rules or is_loopback(server.host),
        rewrites=tuple(one.rewrite for one in callbacks if one.rewrite is not None),
        prompts=wanted_prompts(loaded),
        stores=tuple(store for store in loaded.tables["store"].values() if store is not BAD),
        unheld=tuple(one.name for one in callbacks if RESPONSE in one.hooks),
        writers=frozenset(rule.name_ for rule in rules if _rewrites(rule)),
        traced=any(sink.traces for sink in loaded.tables["sink"].values() if sink is not BAD),
        spool=_spool(loaded, server),
    )


def _spool(loaded: Loaded, server: Any) -> str:
    """A folder for each rules file: two that stand side by side may name their sinks alike."""
    folder, file = os.path.split(loaded.written.sources[0].name)
    return os.path.abspath(os.path.join(folder, server.spool, os.path.splitext(file)[0]))


def digest(loaded: Loaded) -> str:
    """The version of the rules: the same texts give the same twelve characters."""
    total = hashlib.sha256()
    for source in loaded.written.sources:
        total.update(source.text.encode("utf-8", "surrogatepass") + b"\0")
    for name, values in sorted(loaded.tables["list"].items()):
        total.update(f"{name}={values!r}\0".encode("utf-8", "surrogatepass"))
    for name, source in sorted(loaded.tables["prompt_source"].items()):
        total.update(f"{name}={getattr(source, 'digest', '')}\0".encode("utf-8", "surrogatepass"))
    return total.hexdigest()[:12]


# parts of a phase: what can be decided without the request's body, and before and after a stream has passed
_PARTS: dict[Phase, tuple[tuple[str, Callable[[Rule], bool]], ...]] = {
    REQUEST: (("request:head", needs_no_request),),
    RESPONSE: (("response:head", decides_at_head), ("response:after", only_notes)),
}


class _Plans:
    """Makes the plans of all phases and call types; those over the same steps share one index."""

    def __init__(self, rules: list[Rule], steps: list[Step], index_from: int) -> None:
        self.rules = rules
        self.steps = steps
        self.least = index_from
        self._made: dict[tuple[str, ...], Plan] = {}

    def all(self) -> dict[tuple[str, str], Plan]:
        """Every plan that has steps, by the name of its phase and the call type."""
        plans = {}
        for phase in PHASES.values():
            of_phase = [step for step in self.steps if step.phase == phase.name]
            parts = {
                name: {step.position for step in of_phase if wanted(self.rules[step.position])}
                for name, wanted in _PARTS.get(phase, ())
            }
            for call_type in ("", *CALL_TYPES) if of_phase else ():
                mine = [step for step in of_phase if covers(self.rules[step.position], call_type)]
                plans[phase.name, call_type] = self.plan(phase, mine)
                for name, positions in parts.items():
                    plans[name, call_type] = self.plan(phase, [step for step in mine if step.position in positions])
                if phase is RESPONSE:
                    plans["response:body", call_type] = Plan(phase, *self.blind(mine), waits=False)
        return {name: plan for name, plan in plans.items() if plan.steps}

    def blind(self, steps: list[Step]) -> tuple[tuple[Step, ...], Lookup]:
        """The steps that need an answer's body, with the matches that can be asked without it."""
        found = tuple(
            step if early_match(self.rules[step.position]) else replace(step, matches=None)
            for step in steps
            if not decides_at_head(self.rules[step.position])
        )
        return found, every_step(found)

    def plan(self, phase: Phase, steps: list[Step]) -> Plan:
        """The plan over these steps."""
        name = (phase.name, *(step.rule for step in steps))
        if name not in self._made:
            self._made[name] = self._make(phase, tuple(steps))
        return self._made[name]

    def _make(self, phase: Phase, steps: tuple[Step, ...]) -> Plan:
        rules = [self.rules[step.position] for step in steps]
        waits = any(use.action.waits for rule in rules for use in rule.actions)
        if len(steps) < self.least:
            return Plan(phase, steps, every_step(steps), waits)
        trees = [rule.match.tree if rule.match else None for rule in rules]
        writes = [[part for use in rule.actions for part in use.action.writes] for rule in rules]
        known, index = indexed(steps, trees, writes)
        return Plan(phase, known, index, waits)


def every_step(steps: tuple[Step, ...]) -> Lookup:
    """The lookup without an index: all steps, in order."""

    def lookup(exchange: Exchange, after: int = -1) -> Sequence[Step]:
        return steps if after < 0 else [step for step in steps if step.position > after]

    return lookup


def _steps(position: int, rule: Rule, server: Any, wrap: Wrap) -> list[Step]:
    if rule.mode == "off":
        return []
    return [_step(position, rule, PHASES[name], server, wrap) for name in dict.fromkeys(rule.phase)]


def _step(position: int, rule: Rule, phase: Phase, server: Any, wrap: Wrap) -> Step:
    skips = (rule.on_error or phase.on_error) == "skip" or phase is LOG  # nobody is left to be told
    fallible = any(use.action.fallible for use in rule.actions)
    match = wrap.test(rule, phase, "match", rule.match.compile() if rule.match else None)
    unless = wrap.test(rule, phase, "unless", rule.unless.compile() if rule.unless else None)
    lets_in = wrap.test(rule, phase, "enabled", _lets_in(rule, server))
    acts = [(use.condition.compile() if use.condition else None, use.action.compile(phase)) for use in rule.actions]
    traced = tuple(wrap.act(rule, phase, number, act) for number, act in enumerate(acts))
    waits = any(use.action.waits for use in rule.actions)
    plain = not (unless or lets_in or rule.mode == "observe" or len(rule.phase) > 1)
    plain = plain and phase is not ATTEMPT and rule.written
    records = phase is not LOG and any(use.action.name == "log_to" for use in rule.actions)
    busy = waits or rule.stop or (skips and fallible) or records
    return Step(
        position=position,
        rule=rule.name_,
        file=rule.file,
        phase=phase.name,
        matches=match,
        unless=unless,
        lets_in=lets_in,
        acts=traced,
        act=together(traced),
        observe=rule.mode == "observe",
        skip_errors=skips,
        undo=skips and fallible,
        stop=rule.stop,
        timeout=rule.timeout,
        timeouts=tuple(rule.timeout if use.action.timeout is None else use.action.timeout for use in rule.actions),
        observed=_observed(rule, phase),
        waits=waits,
        named=rule.written,
        plain=plain,
        simple=plain and not busy,
    )


def _observed(rule: Rule, phase: Phase) -> tuple[Observed, ...]:
    """What runs or is counted although the rule only observes; nothing where no action has either."""
    if rule.mode != "observe":
        return ()
    actions = [use.action for use in rule.actions]
    told = tuple(Observed(one.name, one.observes, one.count(phase), one.shadow(phase)) for one in actions)
    return told if any(one.runs or one.count or one.shadow for one in told) else ()


def together(acts: tuple[Act, ...]) -> Apply:
    """A rule's actions as one: None when something changed, NOOP, IDLE when none ran, or the answer of one.

    Only for actions that do not wait. The commonest rule has one action and no `if`: then it is that action.
    """
    if len(acts) == 1 and acts[0][0] is None:
        return acts[0][1]

    def apply(x: Exchange) -> Effect:
        effect: Effect = IDLE
        for condition, act in acts:
            if condition is None or condition(x):
                found: Any = act(x)
                if found is None:
                    effect = None
                elif found is not NOOP:
                    return found  # type: ignore[no-any-return]
                elif effect is IDLE:
                    effect = NOOP
        return effect

    return apply


def _lets_in(rule: Rule, server: Any) -> Test | None:
    expires, enabled = rule.expires, rule.enabled
    still = _before(expires, server.timezone) if expires else None
    share = _share(rule.name_, enabled) if enabled and enabled.percent < 100 else None
    if still and share:
        return lambda x: still(x) and share(x)
    return still or share


def _before(last: datetime.date, zone: datetime.tzinfo | None) -> Test:
    end = datetime.datetime.combine(last + datetime.timedelta(days=1), datetime.time(), zone or datetime.UTC)
    return lambda x: x.clock.now() < end


def _share(rule: str, enabled: Enabled) -> Test:
    by = enabled.by.evaluate if enabled.by else _caller
    percent = enabled.percent
    return lambda x: percent_of(by(x), rule) < percent


def _caller(x: Exchange) -> Any:
    return x.key["name"] if x.key is not None else x.client["ip"]


def _rewrites(rule: Rule) -> bool:
    """Whether a rule may change what upstream or client get to read; notes and variables are no such change."""
    roots = {path.partition(".")[0] for use in rule.actions for path in use.action.writes}
    redacts = any(use.action.name == "redact" for use in rule.actions)  # says of answers nothing that an index reads
    return redacts or bool(roots & {"request", "response", "error"})
