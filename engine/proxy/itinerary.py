"""The models and upstreams that a request may go to, in order, and how often each is asked.

Must not know how a call is made or what becomes of its answer.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import NamedTuple

from engine.document.answers import Answer, Passed, Refusal
from engine.document.exchange import Exchange
from engine.document.route import Route
from engine.ports.wire import Call
from engine.proxy.health import Health
from engine.proxy.send import allows, find_target
from engine.rules.models import Target
from engine.runtime.outcomes import renote

Attempt = Callable[[Target], Awaitable[Answer | None]]
BACKOFF = 0.2  # seconds
LONGEST_PAUSE = 30.0  # seconds that an upstream may ask us to wait before a retry
_BUSY = frozenset({408, 409, 429})
_ITS_OWN = frozenset({401, 403, 404})  # of the upstream: our key there, a model it does not have
_FAILURES = frozenset({"timeout", "connection"})


class Stop(NamedTuple):
    """Somebody to be asked; `model` is put into the request for it, None: as it stands there."""

    target: Target
    model: str | None = None


def split(x: Exchange) -> None:
    """Put the model that this request's share of `split` means into it."""
    route: Route | None = x.route
    if route is None or route.split is None or x.request is None:
        return
    place = random.random() if route.place is None else route.place  # noqa: S311  shares of traffic, no secret
    model = next((name for name, end in route.split if place < end), route.split[-1][0])
    if x.request.get("model") != model:
        x.request = {**x.request, "model": model}


def first_target(x: Exchange) -> Target:
    """Where the request goes first; Refused for a model that is unknown or not the key's."""
    target, route = find_target(x, x.program), x.route
    if route is not None and route.upstream is not None:
        return replace(target, upstream=x.program.upstreams[route.upstream])
    return target


async def travel(x: Exchange, first: Target, health: Health, attempt: Attempt) -> tuple[Answer | None, Target]:
    """Ask one after the other until an answer is no failure that another could mend; it, and who gave it."""
    stops = [Stop(first), *_fallbacks(x)]
    ending: Answer | None = None
    target, asked = first, False
    for at, stop in enumerate(stops):
        last = at == len(stops) - 1
        if health.resting(stop.target.upstream.name) and not (last and not asked):
            continue
        asked, target = True, stop.target
        if stop.model is not None:
            x.request = {**(x.request or {}), "model": stop.model}
        ending = await _tries(x, stop, health, attempt)
        if not _another_may(x, ending):
            break
    return ending, target


def patient(call: Call, x: Exchange) -> Call:
    """A call with the time that `route` gives it: until it is answered, of a stream until it begins."""
    timeout = x.route.timeout if x.route is not None else None
    if timeout is None:
        return call
    total = call.patience.total if x.stream else timeout
    return replace(call, patience=replace(call.patience, first_byte=timeout, total=total))


async def _tries(x: Exchange, stop: Stop, health: Health, attempt: Attempt) -> Answer | None:
    retries = x.route.retries or 0
    backoff = BACKOFF if x.route.backoff is None else x.route.backoff
    ending = await attempt(stop.target)
    for number in range(retries):
        pause = max(backoff * 2**number * random.uniform(0.5, 1.0), _asked_to_wait(ending))  # noqa: S311  spreads load
        if not _again_may(x, ending) or pause > LONGEST_PAUSE or not health.of(stop.target.upstream.name).may_retry():
            break
        if pause:
            await asyncio.sleep(pause)
        ending = await attempt(stop.target)
    return ending


def _fallbacks(x: Exchange) -> list[Stop]:
    """The models after the first; one that the key may not use, or that nobody has, is left out and said."""
    stops, without = [], []
    for model in x.route.fallbacks or ():
        target = x.program.models.find(model)
        if target is not None and allows(x, model):
            stops.append(Stop(target, model))
        else:
            without.append(f"{model} ({'nobody has it' if target is None else 'the key may not use it'})")
    if without:
        renote(x, x.route.rule, None, "fallbacks left out: " + ", ".join(without))
    return stops


def _again_may(x: Exchange, ending: Answer | None) -> bool:
    """Whether the same upstream may do better when it is asked again."""
    if not isinstance(ending, (Refusal, Passed)) or x.error is None:
        return False
    if x.error["source"] in _FAILURES:
        return True
    return x.error["source"] == "upstream" and (x.error["status"] in _BUSY or x.error["status"] >= 500)


def _another_may(x: Exchange, ending: Answer | None) -> bool:
    """Whether another model may do better."""
    if _again_may(x, ending):
        return True
    return isinstance(ending, Passed) and x.error is not None and x.error["status"] in _ITS_OWN


def _asked_to_wait(ending: Answer | None) -> float:
    """Seconds that the upstream asked for by `retry-after-ms` or `retry-after`."""
    if not isinstance(ending, Passed):
        return 0.0
    told = {name.lower(): value for name, value in ending.headers}
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = told.get(name, "")
        if value.replace(".", "", 1).isascii() and value.replace(".", "", 1).isdigit():
            return float(value) * unit
    return 0.0
