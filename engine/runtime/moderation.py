"""The moderation phase: all its rules at once, each on a copy of its own. Must not know the upstream call beside it."""

from __future__ import annotations

import asyncio

from engine.document.answers import Answer
from engine.document.exchange import Exchange
from engine.rules.program import Plan, Step
from engine.runtime.executor import run


async def moderate(plan: Plan, x: Exchange) -> Answer | None:
    """Run every rule that can match beside the others; the refusal of the first in file order that refuses.

    Tags, vars, outcomes and matched names come together in file order, whoever was done first.
    """
    x.asked_phases |= 1 << plan.phase.order
    steps = plan.lookup(x)
    forks = [x.fork() for _ in steps]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(run(_alone(plan, step), fork)) for step, fork in zip(steps, forks, strict=True)]
    before = x.fork()
    for fork in forks:
        _merge(fork, x, before)
    return next((answer for task in tasks if (answer := task.result()) is not None), None)


def _alone(plan: Plan, step: Step) -> Plan:
    def lookup(exchange: Exchange, after: int = -1) -> tuple[Step, ...]:
        return (step,) if step.position > after else ()

    return Plan(plan.phase, (step,), lookup, plan.waits)


def _merge(fork: Exchange, x: Exchange, before: Exchange) -> None:
    """Add what one rule wrote to what those before it in the file wrote; `before` is what all of them began with."""
    x.outcomes += fork.outcomes
    x.matched += [name for name in fork.matched if name not in x.matched]
    x.tags += [tag for tag in fork.tags if tag not in x.tags]
    x.vars.update({name: value for name, value in fork.vars.items() if before.vars.get(name, before) is not value})
    if fork.log_requests is not None:
        x.log_requests = [*(x.log_requests or ()), *fork.log_requests[len(before.log_requests or ()) :]]
