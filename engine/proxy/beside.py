"""The moderation phase beside the call of an upstream. Must not know how an upstream is called."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from engine.document.answers import Answer
from engine.document.exchange import Exchange
from engine.ports.wire import Arrival
from engine.rules.program import Plan
from engine.runtime.moderation import moderate


async def beside(sending: Coroutine[Any, Any, Arrival], plan: Plan, x: Exchange) -> Arrival | Answer:
    """The head of the answer; beside the call runs the moderation phase, and every verdict comes first."""
    asking, verdict = asyncio.create_task(sending), asyncio.create_task(moderate(plan, x))
    arrival: Arrival | None = None
    try:
        answer = await verdict
        if answer is not None:
            return answer
        arrival = await asking
        return arrival
    finally:
        if arrival is None:  # refused, failed, or the client left
            await _stop(verdict)
            await _abandon(asking)


async def _stop(task: asyncio.Task[Answer | None]) -> None:
    task.cancel()
    await asyncio.wait({task})


async def _abandon(call: asyncio.Task[Arrival]) -> None:
    """Cancel a call whose answer nobody will have, or close what has arrived of it."""
    call.cancel()
    await asyncio.wait({call})
    if not call.cancelled() and call.exception() is None:
        await call.result().close()
