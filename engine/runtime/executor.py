"""The only loop over rules. Decides what a match, an effect and an error mean; reads no YAML and no option."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Generator, Sequence
from dataclasses import replace
from time import perf_counter_ns as now_ns
from typing import Any

from engine.actions.base import IDLE, NOOP
from engine.document.answers import Answer, Refusal, Refused
from engine.document.exchange import Exchange
from engine.rules.program import Plan, Step
from engine.runtime.record import write_checkpoints
from engine.runtime.seldom import rule_failed

Waiting = tuple[Awaitable[Any], float]  # what a step waits for, and how long at most
Walk = Generator[Waiting, Any, Answer | None]


async def run(plan: Plan | None, x: Exchange) -> Answer | None:
    """Run the rules of one phase in order; the answer, if one of them gave it."""
    if plan is None:
        return None
    x.asked_phases |= 1 << plan.phase.order
    ended = _through(plan.lookup(x), x)
    if not isinstance(ended, list):
        return ended
    walk = _walk(plan, x, ended)
    try:
        waiting = next(walk)
        while True:
            try:
                effect = await awaited(*waiting)
            except Exception as cause:  # noqa: BLE001  of the rule; a client that left is a CancelledError
                waiting = walk.throw(cause)
            else:
                waiting = walk.send(effect)
    except StopIteration as end:
        answer: Answer | None = end.value
        return answer
    finally:
        walk.close()


async def awaited(awaitable: Awaitable[Any], seconds: float) -> Any:
    """What a rule waits for; RuleTimeout when it takes too long, RuntimeError when it was cancelled from within."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await awaitable
    except TimeoutError:
        if limit.expired():
            raise RuleTimeout(f"timed out after {seconds:g} s") from None
        raise
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise RuntimeError("cancelled from within") from None


class RuleTimeout(Exception):
    """A rule's `timeout` ran out."""


def run_now(plan: Plan | None, x: Exchange) -> Answer | None:
    """The same for a plan in which nothing waits."""
    if plan is None:
        return None
    x.asked_phases |= 1 << plan.phase.order
    ended = _through(plan.lookup(x), x)
    if not isinstance(ended, list):
        return ended
    try:
        next(_walk(plan, x, ended))
    except StopIteration as end:
        answer: Answer | None = end.value
        return answer
    raise AssertionError(f"a step of phase {plan.phase} waits although none said so")


def _through(steps: Sequence[Step], x: Exchange) -> Answer | list[Step] | None:
    """Run what is simple, which most rules are; the answer, or the steps from the first one on that is not.

    What `_walk` does, without all that such steps do not need: half the time of a rule that acts.
    """
    matched, outcomes, began = x.matched, x.outcomes, now_ns()
    for at, step in enumerate(steps):
        if not step.simple:
            return list(steps[at:])
        try:
            if step.matches is not None and not step.matches(x):
                continue
            matched.append(step.rule)
            effect: Any = step.act(x)
        except Exception as cause:  # noqa: BLE001  whatever it is, `on_error` answers it
            answer = _failed(step, x, cause, began, None)
            if answer is not None:
                return answer
            continue
        now = now_ns()
        if effect is None:
            outcomes.append((step.rule, step.phase, "acted", "", now - began))
        elif (answer := _ended(step, x, effect, now - began)) is not None:
            return answer
        began = now
    return None


def _walk(plan: Plan, x: Exchange, steps: Sequence[Step]) -> Walk:  # noqa: C901, PLR0912  calls would cost too much
    """Run steps of any kind."""
    matched, outcomes, stopped, began = x.matched, x.outcomes, set[str](), now_ns()
    while steps:
        for step in steps:
            if stopped and step.file in stopped:
                continue
            before = None
            try:
                if step.matches is not None and not step.matches(x):
                    continue
                if not step.plain and not (yield from _admits(step, x)):
                    continue
                if step.plain:
                    matched.append(step.rule)
                if step.simple:
                    effect = step.act(x)
                else:
                    before = _snapshot(x) if step.undo else None
                    effect = (yield from _act_waiting(step, x)) if step.waits else step.act(x)
            except Exception as cause:  # noqa: BLE001  whatever it is, `on_error` answers it
                answer = _failed(step, x, cause, began, before)
                if answer is not None:
                    return answer
                continue
            now = now_ns()
            if effect is None:
                outcomes.append((step.rule, step.phase, "acted", "", now - began))
            elif (answer := _ended(step, x, effect, now - began)) is not None:
                return answer
            began = now
            if not step.simple and _after(step, x, effect, stopped):
                steps = plan.lookup(x, step.position)
                break
        else:
            return None
    return None


def _after(step: Step, x: Exchange, effect: Any, stopped: set[str]) -> bool:
    """What a rule that acted leaves to do; whether the index must be asked again for the steps still to come."""
    if x.checkpoints is not None:
        write_checkpoints(x)
    if step.stop and effect is not IDLE:
        stopped.add(step.file)
    return step.asks_again and effect is None


def _ended(step: Step, x: Exchange, effect: Any, nanoseconds: int) -> Answer | None:
    """Note a rule that changed nothing, or that gave the answer; the answer."""
    nothing = effect is NOOP or effect is IDLE
    if step.named or not nothing:
        x.outcomes.append((step.rule, step.phase, "noop" if nothing else "acted", "", nanoseconds))
    if nothing:
        return None
    if x.checkpoints is not None:
        write_checkpoints(x)
    answer: Answer = replace(effect, rule=step.rule)
    return answer


def _act_waiting(step: Step, x: Exchange) -> Generator[Waiting, Any, Any]:
    """What `step.act` does, for actions of which some wait."""
    effect: Any = IDLE
    for (condition, apply), seconds in zip(step.acts, step.timeouts, strict=True):
        if condition is None or condition(x):
            found: Any = apply(x)
            if inspect.isawaitable(found):
                found = yield found, seconds
            if found is None:
                effect = None
            elif found is not NOOP:
                return found
            elif effect is IDLE:
                effect = NOOP
    return effect


def _admits(step: Step, x: Exchange) -> Generator[Waiting, Any, bool]:
    """Whether a rule whose match held acts on this exchange; notes that it matched, or why it does not act."""
    result, why = "", ""
    if step.unless is not None and step.unless(x):
        result, why = "excepted", "unless holds"
    elif step.lets_in is not None and not step.lets_in(x):
        result, why = "skipped", "not enabled for this caller, or expired"
    elif step.observe:
        would, why = (yield from _observe(step, x)) if step.observed else (_would(step, x), "")
        result, why = ("would", why) if would else ("noop", "no `if` held")
    if result:
        x.outcomes.append((step.rule, step.phase, result, why, 0))
    elif step.named and step.rule not in x.matched:  # in several phases or attempts, and yet named once
        x.matched.append(step.rule)
    return not result


def _would(step: Step, x: Exchange) -> bool:
    """Whether any action of a rule that observes would have run."""
    return any(condition is None or condition(x) for condition, _ in step.acts)


def _observe(step: Step, x: Exchange) -> Generator[Waiting, Any, tuple[bool, str]]:
    """The same where actions ask or count: they do, on a copy that is thrown away, so that an `if` sees the verdict.

    Also the names of the actions that would have run, with what they counted.
    """
    own, would = x.fork(), []
    for (condition, apply), seconds, observed in zip(step.acts, step.timeouts, step.observed, strict=True):
        if condition is None or condition(own):
            number = observed.count(own) if observed.count else None
            if number != 0:
                would.append(observed.name if number is None else f"{observed.name}: {number} found")
            if observed.shadow is not None:
                observed.shadow(x)
            found: Any = apply(own) if observed.runs else None
            if inspect.isawaitable(found):
                yield found, seconds
    return bool(would), ", ".join(would)


def _failed(step: Step, x: Exchange, cause: Exception, began: int, before: tuple[Any, ...] | None) -> Answer | None:
    """An error inside a rule: counted, recorded, and answered by `on_error`."""
    why = str(cause) if isinstance(cause, RuleTimeout) else f"{type(cause).__name__}: {cause}"
    x.outcomes.append((step.rule, step.phase, "error", why, now_ns() - began))
    rule_failed(step.rule, step.phase, why, cause)
    if step.observe:
        return None
    if step.skip_errors:
        if before is not None:
            _restore(x, before)
        return None
    if isinstance(cause, Refused):
        return replace(cause.refusal, rule=step.rule)
    return Refusal(
        500, f"rule {step.rule} failed", type="rule_error", code="rule_failed", source="rule_error", rule=step.rule
    )


def _snapshot(x: Exchange) -> tuple[Any, ...]:
    """What a failing rule must leave as it was. Bodies are values, so keeping the reference keeps the content."""
    marks = x.marks.copy() if x.marks is not None else None
    written = x.request, x.response, x.error, dict(x.to_upstream), dict(x.to_client), list(x.tags), dict(x.vars), marks
    return *written, x.limits, x.caching, x.route, x.prompt


def _restore(x: Exchange, before: tuple[Any, ...]) -> None:
    x.request, x.response, x.error, x.to_upstream, x.to_client, x.tags, x.vars, x.marks, *declared = before
    x.limits, x.caching, x.route, x.prompt = declared
