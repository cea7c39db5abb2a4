"""Takes all limits and budgets of a request in one step, or none, and settles at its end what was taken.

Must not know how rules declared them, nor how stores count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import TYPE_CHECKING

from engine.document.answers import Refusal
from engine.document.exchange import Exchange
from engine.ports.limits import Declared, Limit, Taken
from engine.ports.stores import Claim, Store, StoreError, Used
from engine.proxy.claims import claim_of, fetch_prices, priced, used
from engine.proxy.limit_answers import limit_headers, over_limit, store_down, unpriced
from engine.proxy.send import find_target
from engine.runtime.outcomes import renote
from engine.runtime.seldom import SELDOM, rule_failed

if TYPE_CHECKING:
    from engine.proxy.gateway import Gateway


async def admit(gateway: Gateway, x: Exchange) -> Refusal | None:
    """Take what the rules declared; the refusal of the first limit in file order that does not fit.

    The model is checked before, so that what is refused for it takes nothing. Where limits are kept in several stores,
    each is asked once, and what others gave is given back after a refusal.
    """
    limits = x.limits
    if not limits:
        return None
    if x.request is not None:
        find_target(x, x.program)
    refusal, holder = None, ""
    for limit, _ in limits:
        if limit.unit == "usd":
            refusal = refusal or await _without_price(x)
        elif limit.unit == "concurrent":
            holder = holder or gateway.number()
    for store, some in _by_store(limits):
        refusal = refusal or await _take(gateway, x, store, some, holder)
    if refusal is not None:
        await _give_back(gateway, x, x.taken, [0.0] * len(x.taken))
        return refusal
    x.taken = [one for one in x.taken if one.limit.unit != "requests"]  # those are used up, whatever comes
    for one in x.taken:
        x.counts_usage = x.counts_usage or one.limit.unit != "concurrent"
    return None


async def settle(gateway: Gateway, x: Exchange) -> None:
    """Give slots back, and correct tokens and dollars by what was used; what a store cannot take any more is said."""
    await _give_back(gateway, x, x.taken, [used(one.limit, x) for one in x.taken])


async def _without_price(x: Exchange) -> Refusal | None:
    """The refusal of what has no price under a budget that says nothing else."""
    await fetch_prices(x)
    for limit, _ in x.limits or ():
        if limit.unit == "usd" and not (limit.unpriced or limit.shadow) and priced(x, 1.0, 1.0) is None:
            return unpriced(limit, x)
    return None


def _by_store(limits: Sequence[Declared]) -> Iterable[tuple[Store, Sequence[Declared]]]:
    if len(limits) == 1:
        return ((limits[0][0].store, limits),)
    grouped: dict[str, tuple[Store, list[Declared]]] = {}
    for one in limits:
        store = one[0].store
        grouped.setdefault(store.address, (store, []))[1].append(one)
    return grouped.values()


async def _take(gateway: Gateway, x: Exchange, store: Store, limits: Sequence[Declared], holder: str) -> Refusal | None:
    """Ask one store for its share of the limits."""
    asked: list[Limit] = []
    claims: list[Claim] = []
    for limit, key in limits:
        claim = claim_of(limit, key, x)
        if claim is not None:
            asked.append(limit)
            claims.append(claim)
    try:
        standings = await gateway.stores(store).take(claims, holder)
    except StoreError as down:
        gateway.metrics.store_failed(store.name)
        return _down(x, asked, down)
    told = list(map(Taken, asked, claims, standings, repeat(holder)))
    taken: list[Taken] = []
    over = None
    for one in told:
        if one.standing.fits:
            taken.append(one)
        else:
            _note(x, one.limit)
            gateway.metrics.limited(one.limit.rule, one.limit.unit, fits=False, shadow=one.limit.shadow)
            over = over or (None if one.limit.shadow else one)
    if over is not None:  # and what fits beside it was not taken
        x.limit_headers = limit_headers(told)
        return over_limit(over.limit, over.standing)
    for one in taken:
        gateway.metrics.limited(one.limit.rule, one.limit.unit, fits=True)
    x.taken = [*x.taken, *taken] if x.taken else taken
    x.limit_headers = limit_headers(x.taken)
    return None


async def _give_back(gateway: Gateway, x: Exchange, taken: Sequence[Taken], amounts: Sequence[float]) -> None:
    """Tell each store what was used of what it gave."""
    x.taken = ()
    by_store: dict[str, list[tuple[Taken, float]]] = {}
    for one, amount in zip(taken, amounts, strict=True):
        by_store.setdefault(one.limit.store.address, []).append((one, amount))
    for some in by_store.values():
        first = some[0][0]
        uses = [Used(one.claim, amount, one.standing.window) for one, amount in some]
        try:
            await gateway.stores(first.limit.store).settle(uses, first.holder)
        except StoreError as down:
            gateway.metrics.store_failed(first.limit.store.name)
            told = f"{x.id}: limits are not settled, estimates stand and slots come back by time: {down}"
            SELDOM.warn(("settle", first.limit.store.name), told)


# --- what is recorded -------------------------------------------------------------------------------------------------


def _down(x: Exchange, limits: Sequence[Limit], down: StoreError) -> Refusal | None:
    """A store that cannot be asked: an error of the first rule that needs it, or it is let pass, and recorded."""
    strict = next((limit for limit in limits if not (limit.allows or limit.shadow or _skips(x, limit.rule))), None)
    for limit in limits:
        renote(x, limit.rule, "error" if limit is strict else "skipped", f"the store is down: {down}")
    if strict is None:
        return None
    rule_failed(strict.rule, "request", str(down))
    return store_down(strict)


def _skips(x: Exchange, rule: str) -> bool:
    """Whether a rule says `on_error: skip`."""
    plan = x.program.plans.get(("request", x.call_type or ""))
    return any(step.rule == rule and step.skip_errors for step in (plan.steps if plan is not None else ()))


def _note(x: Exchange, limit: Limit) -> None:
    """That a limit did not fit."""
    if limit.shadow:
        renote(x, limit.rule, "would", f"{limit.unit}: would have been refused")
    else:
        renote(x, limit.rule, "acted", f"{limit.unit}: over the limit")
