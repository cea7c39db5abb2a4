"""The log phase of exchanges that are over, off the request path: rules, records, limits, metrics.

Must not know clients or upstreams.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from engine.document.exchange import Exchange
from engine.phases import LOG
from engine.proxy.kept import take_passed
from engine.proxy.ruling import cost_at_hand, prepare_cost
from engine.runtime.executor import run, run_now
from engine.runtime.metrics import Metrics
from engine.runtime.record import write_records

log = logging.getLogger("pointsman")
_AT_ONCE = 16  # exchanges, some 20 us each: then the loop sees to others first


class LogPhase:
    """Logs each exchange once, in the order in which they ended unless one has to wait for something.

    `settle_limits` gives back what limits an exchange had taken.
    """

    def __init__(self, metrics: Metrics, settle_limits: Callable[[Exchange], Awaitable[None]]) -> None:
        self._metrics = metrics
        self._settle_limits = settle_limits
        self._ended: deque[Exchange] = deque()  # while there are any, the loop is to call
        self._waiting: set[asyncio.Task[None]] = set()

    def take(self, x: Exchange) -> None:
        """An exchange is over; what was written to its client leaves first."""
        if not self._ended:
            asyncio.get_running_loop().call_soon(self._log_some)
        self._ended.append(x)

    async def settled(self) -> None:
        """Wait until every exchange that is over has been logged."""
        while self._ended or self._waiting:
            await asyncio.gather(asyncio.sleep(0), *self._waiting, return_exceptions=True)

    def _log_some(self) -> None:
        for _ in range(min(len(self._ended), _AT_ONCE)):
            x = self._ended.popleft()
            if _waits(x):
                task = asyncio.get_running_loop().create_task(self._log_waiting(x))
                self._waiting.add(task)
                task.add_done_callback(self._waiting.discard)
            else:
                self._log(x)
        if self._ended:
            asyncio.get_running_loop().call_soon(self._log_some)

    def _log(self, x: Exchange) -> None:
        """Most exchanges: nothing is waited for."""
        try:
            self._over(x)
            run_now(x.program.plan(LOG, x.call_type), x)
            write_records(x)
        except Exception:
            log.exception("the log phase of exchange %s failed", x.id)
        self._metrics.logged(x)

    async def _log_waiting(self, x: Exchange) -> None:
        try:
            self._over(x)
            if x.keeping is not None:
                await x.keeping
            if x.pending_stream is not None:
                take_passed(x)
            await prepare_cost(x)
            if x.pending_stream is not None and x.unkept is None:
                await run(x.program.plans.get(("response:after", x.call_type or "")), x)
            if x.taken:
                await self._settle_limits(x)
            await run(x.program.plan(LOG, x.call_type), x)
            write_records(x)
        except Exception:
            log.exception("the log phase of exchange %s failed", x.id)
        self._metrics.logged(x)

    def _over(self, x: Exchange) -> None:
        x.timing = timing(x)
        self._metrics.exchange(x)
        if log.isEnabledFor(logging.DEBUG):
            for entry in x.outcomes:
                log.debug("%s: rule %s in %s: %s %s", x.id, *entry[:4])


def _waits(x: Exchange) -> bool:
    """Whether something of the log phase may have to wait."""
    if x.keeping is not None or x.pending_stream is not None or x.taken:
        return True
    plan = x.program.plan(LOG, x.call_type)
    return (plan is not None and plan.waits) or not cost_at_hand(x)


def timing(x: Exchange) -> dict[str, Any]:
    """The `timing` root, in milliseconds; parts that did not happen are null."""
    now = x.clock.monotonic()
    total = now - x.began
    upstream = (x.waited or None) if x.called is None else x.waited + (0.0 if x.arrived is not None else now - x.called)
    first = None if x.first_byte is None else x.first_byte - x.began
    return {
        "total_ms": _ms(total),
        "upstream_ms": _ms(upstream),
        "ttft_ms": _ms(first),
        "overhead_ms": _ms(total - (upstream or 0.0)),
    }


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else (seconds * 1e6 + 0.5) // 1 / 1000
