"""Asks upstreams until the client has an answer, or there is an error that no failure rule mends.

Must not know how an answer reaches the client.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

from engine.document.answers import Again, Answer, Assistant, Given, Passed, Refusal, type_by_status
from engine.document.exchange import Exchange
from engine.errors import UpstreamError
from engine.phases import ATTEMPT, FAILURE, MODERATION
from engine.ports.wire import Arrival, Call, Client
from engine.proxy.gateway import Gateway
from engine.proxy.relay import relay
from engine.proxy.reply import as_refusal
from engine.proxy.send import call_for, find_target, upstream_root
from engine.rules.models import Target
from engine.rules.program import Plan, Step
from engine.runtime.executor import run
from engine.runtime.moderation import moderate


async def ask(client: Client, gateway: Gateway, x: Exchange) -> Answer | None:
    """Call the model's upstream, again or elsewhere as failure rules say; None once the client has the answer."""
    target = find_target(x, x.program)
    ending = await _attempt(client, gateway, x, target)
    while isinstance(ending, (Refusal, Passed)):
        mended = await _mend(x, ending)
        if not isinstance(mended, Again):
            return mended
        target = _retarget(x, target, mended)
        for number in range(mended.times):
            await _pause(mended.backoff, number)
            ending = await _attempt(client, gateway, x, target)
            if not isinstance(ending, (Refusal, Passed)):
                return ending
    return ending


async def failing(x: Exchange, answer: Answer) -> Answer:
    """What the failure phase makes of an answer that is an error and that no upstream can mend."""
    if not isinstance(answer, (Refusal, Passed)):
        return answer
    if isinstance(answer, Refusal):
        x.refused(answer)
    mended = await _mend(x, answer)
    return answer if isinstance(mended, Again) else mended


async def _mend(x: Exchange, ending: Refusal | Passed) -> Answer | Again:
    """The failure phase over an error; what the rules that have not run yet make of it."""
    plan = _not_run_yet(x.program.plan(FAILURE, x.call_type), x)
    told = x.error
    answer: Answer | Again | None = await run(plan, x)
    if answer is None:
        return ending if x.error is told else _rewritten(x, ending)
    if isinstance(answer, Refusal):
        x.refused(answer)
    elif not isinstance(answer, Again):
        x.error = None  # the client gets an answer
    return answer


def _not_run_yet(plan: Plan | None, x: Exchange) -> Plan | None:
    """One failure rule runs at most once per exchange."""
    done = {rule for rule, phase, result, *_ in x.outcomes if phase == FAILURE.name and result != "skipped"}
    if plan is None or not done:
        return plan
    lookup = plan.lookup

    def rest(exchange: Exchange, after: int = -1) -> list[Step]:
        return [step for step in lookup(exchange, after) if step.rule not in done]

    return replace(plan, lookup=rest)


def _rewritten(x: Exchange, ending: Refusal | Passed) -> Refusal:
    """The error as `set_error` left it, in the client's shape."""
    error = x.error or {}
    status = error["status"]
    headers = ending.headers if isinstance(ending, Refusal) else ()
    return Refusal(status, str(error["message"]), error["type"] or type_by_status(status), error["code"],
                   error.get("param"), headers, error["source"], ending.rule)


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
    """One call, with the attempt rules on a copy of its own."""
    x.attempts += 1
    x.upstream, x.error = upstream_root(target, x), None
    before = x.request, dict(x.to_upstream)
    try:
        refusal = await run(x.program.plan(ATTEMPT, x.call_type), x)
        call = call_for(x, target, x.program) if refusal is None else None
    finally:
        x.request, x.to_upstream = before
    if call is None:
        return x.refused(refusal) if isinstance(refusal, Refusal) else refusal
    x.called = x.clock.monotonic()
    try:
        arrival = await _send(gateway, x, target, call)
        if isinstance(arrival, Refusal):
            return x.refused(arrival)
        if isinstance(arrival, (Assistant, Given, Passed)):
            return arrival
        try:
            return await relay(arrival, client, x)
        finally:
            x.arrived = x.clock.monotonic()
            await arrival.close()
    except UpstreamError as failed:
        return as_refusal(x, failed.source, failed.message)


async def _send(gateway: Gateway, x: Exchange, target: Target, call: Call) -> Arrival | Answer:
    """The head of the answer; beside the first call runs the moderation phase, and every verdict comes first."""
    sending = gateway.transports(target.upstream).send(call)
    plan = x.program.plan(MODERATION, x.call_type) if x.attempts == 1 else None
    if plan is None:
        return await sending
    call_task, verdict_task = asyncio.create_task(sending), asyncio.create_task(moderate(plan, x))
    try:
        verdict = await verdict_task
        return await call_task if verdict is None else verdict
    finally:
        await _stop(verdict_task)
        if not call_task.done() or verdict_task.cancelled() or verdict_task.exception() or verdict_task.result():
            await _abandon(call_task)


async def _stop(task: asyncio.Task[Answer | None]) -> None:
    task.cancel()
    await asyncio.wait({task})


async def _abandon(call: asyncio.Task[Arrival]) -> None:
    """Cancel a call whose answer nobody will have, or close what has arrived of it."""
    call.cancel()
    await asyncio.wait({call})
    if not call.cancelled() and call.exception() is None:
        await call.result().close()
