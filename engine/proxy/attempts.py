"""Asks upstreams until the client has an answer, or there is an error that no failure rule mends.

Must not know how an answer reaches the client.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any

from engine.actions.retry import MENDABLE
from engine.document.answers import Again, Answer, Assistant, Given, Passed, Refusal, type_by_status
from engine.document.dialect import Body
from engine.document.exchange import Exchange
from engine.errors import UpstreamError
from engine.phases import ATTEMPT, FAILURE, MODERATION
from engine.ports.closing import closed_after
from engine.ports.wire import Arrival, Call, Client
from engine.proxy.beside import beside
from engine.proxy.gateway import Gateway
from engine.proxy.health import Health
from engine.proxy.itinerary import first_target, patient, travel
from engine.proxy.relay import relay
from engine.proxy.reply import as_refusal
from engine.proxy.send import call_for, find_target, upstream_root
from engine.proxy.translated import Translation, translation
from engine.rules.models import Target, Upstream
from engine.rules.program import Plan, Step
from engine.runtime.executor import run


async def ask(client: Client, gateway: Gateway, x: Exchange) -> Answer | None:
    """Call the model's upstream, again or elsewhere as failure rules say; None once the client has the answer."""
    target = first_target(x)
    if x.route is None:
        ending = await _attempt(client, gateway, x, target)
    else:
        ending, target = await travel(x, target, gateway.health, lambda to: _attempt(client, gateway, x, to))
    while isinstance(ending, (Refusal, Passed)):
        mended = await _mend(x, ending)
        if not isinstance(mended, Again):
            return mended
        target = _retarget(x, target, mended)
        for number in range(mended.times):
            await _pause(mended.backoff, number)
            ending = await _attempt(client, gateway, x, target)
            if not _mendable(x, ending):
                break
    return ending


def _mendable(x: Exchange, ending: Answer | None) -> bool:
    """Whether asking again may help: never where a rule or a key refused what came of it."""
    return isinstance(ending, (Refusal, Passed)) and x.error is not None and x.error["source"] in MENDABLE


async def failing(x: Exchange, answer: Answer) -> Answer:
    """What the failure phase makes of an answer that is an error and that no upstream can mend."""
    if not isinstance(answer, (Refusal, Passed)):
        return answer
    if isinstance(answer, Refusal):
        x.refused(answer)
    told = x.error
    mended = await _mend(x, answer)
    if isinstance(mended, Again):  # there is nobody to be asked again
        return answer if x.error is told else _rewritten(x, answer)
    return mended


async def _mend(x: Exchange, ending: Refusal | Passed) -> Answer | Again:
    """The failure phase over an error; what the rules that have not run yet make of it."""
    plan = _not_run_yet(x.program.plan(FAILURE, x.call_type), x)
    told = x.error
    answer: Answer | Again | None = await run(plan, x)
    if answer is None:
        return ending if x.error is told else _rewritten(x, ending)
    if isinstance(answer, Refusal):
        x.refused(answer)
    elif isinstance(answer, Assistant) or (isinstance(answer, Given) and answer.status < 400):
        x.error = None  # the client gets an answer
    return answer


def _not_run_yet(plan: Plan | None, x: Exchange) -> Plan | None:
    """One failure rule runs at most once per exchange; one that was kept from acting has not run."""
    done = {
        rule
        for rule, phase, result, *_ in x.outcomes
        if phase == FAILURE.name and result not in ("skipped", "excepted")
    }
    if plan is None or not done:
        return plan
    lookup = plan.lookup

    def rest(exchange: Exchange, after: int = -1) -> list[Step]:
        return [step for step in lookup(exchange, after) if step.rule not in done]

    return replace(plan, lookup=rest)


def _rewritten(x: Exchange, ending: Refusal | Passed) -> Refusal:
    """The error as `set_error` left it, in the client's shape."""
    error = x.error or {}
    headers = ending.headers if isinstance(ending, Refusal) else ()
    type = error["type"] or type_by_status(error["status"])
    return Refusal(
        error["status"],
        str(error["message"]),
        type,
        error["code"],
        error.get("param"),
        headers,
        error["source"],
        ending.rule,
    )


def _retarget(x: Exchange, target: Target, again: Again) -> Target:
    if again.upstream is not None:
        return replace(target, upstream=x.program.upstreams[again.upstream])
    if again.model is not None:
        x.request = {**(x.request or {}), "model": again.model}
        return find_target(x, x.program)
    return target


async def _pause(backoff: float, number: int) -> None:
    if backoff:
        await asyncio.sleep(backoff * 2**number * random.uniform(0.75, 1.25))  # noqa: S311  spreads load, hides nothing


async def _attempt(client: Client, gateway: Gateway, x: Exchange, target: Target) -> Answer | None:
    """One call, noted as the exchange's error when it fails; None once the client has the answer."""
    x.attempts += 1
    x.upstream, x.error, x.response, x.answered, x.told = upstream_root(target, x), None, None, None, None
    health = gateway.health
    if x.attempts == 1:
        health.of(target.upstream.name).called()
    x.cache_hit, x.when_called = False, None
    plan = x.program.plan(ATTEMPT, x.call_type)
    try:
        call = _prepared(x, target) if plan is None else await _ruled(plan, x, target)
        ending = await _called(client, gateway, x, call) if isinstance(call, Prepared) else call
    except UpstreamError as failed:
        if not x.cache_hit:
            health.note(target.upstream.name, well=False)
        return as_refusal(x, failed.source, failed.message)
    _note_health(health, target, x, ending)
    return x.refused(ending) if isinstance(ending, Refusal) else ending


def _note_health(health: Health, target: Target, x: Exchange, ending: Answer | None) -> None:
    """An upstream that answered is well, unless the answer is that it is not; one that was not asked tells nothing."""
    if x.response is not None and not x.cache_hit:
        health.note(target.upstream.name, well=not isinstance(ending, Passed) or ending.status < 500)


@dataclass(slots=True)
class Prepared:
    """A call that is ready to be made, and where to."""

    call: Call
    upstream: Upstream
    translation: Translation | None = None


async def _ruled(plan: Plan, x: Exchange, target: Target) -> Prepared | Answer:
    """The call after the attempt rules, which work on a copy of their own; or the answer of one of them."""
    before = x.request, dict(x.to_upstream)
    try:
        answer = await run(plan, x)
        if answer is not None:
            return answer
        if _model(x.request) != _model(before[0]):  # a rule cannot widen what a key may use
            target = find_target(x, x.program)
            x.upstream = upstream_root(target, x)
        return _prepared(x, target)
    finally:
        x.request, x.to_upstream = before


def _prepared(x: Exchange, target: Target) -> Prepared:
    call = call_for(x, target, x.program)
    if x.route is not None:
        call = patient(call, x)
    return Prepared(call, target.upstream, translation(x, target.upstream, call) if target.upstream.translate else None)


def _model(body: Body | None) -> Any:
    return body.get("model") if body is not None else None


async def _called(client: Client, gateway: Gateway, x: Exchange, prepared: Prepared) -> Answer | None:
    """Make a call and bring its answer to the client."""
    x.called, x.arrived = x.clock.monotonic(), None
    plan = x.program.plan(MODERATION, x.call_type) if x.attempts == 1 else None
    try:
        sending = _sending(gateway, x, prepared)
        arrival = await sending if plan is None else await beside(sending, plan, x)
        if isinstance(arrival, (Refusal, Assistant, Given, Passed)):
            return arrival
        return await closed_after(relay(arrival, client, x), arrival)
    except UpstreamError as failed:
        return as_refusal(x, failed.source, failed.message)
    finally:
        x.heard()
        gateway.metrics.called(x)


def _sending(gateway: Gateway, x: Exchange, prepared: Prepared) -> Coroutine[Any, Any, Arrival]:
    """What gives the head of the answer."""
    transport, call = gateway.transports(prepared.upstream), prepared.call
    if prepared.translation is not None:
        transport = prepared.translation.over(transport)
    return transport.send(call) if x.caching is None else gateway.answers.fetch(x, call, transport)
