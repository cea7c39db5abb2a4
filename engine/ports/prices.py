"""What an exchange cost, in US dollars: by the author's prices, else by the catalogue's.

The author's go by the model asked for after the rules, then by the one named upstream; the catalogue's by the one
named upstream, then by the one that the answer names, for an alias is no model anybody has a price for. Must not know
rules.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Protocol

from engine.document.exchange import Exchange
from engine.document.usage import Cost
from engine.ports.price_catalog import CATALOG, Catalog, Now, Wanted
from engine.ports.rates import Rates


class Place(Protocol):
    """Where a model is asked: an upstream."""

    @property
    def base_url(self) -> str: ...
    @property
    def kind(self) -> str: ...


class _UtcClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


UTC_CLOCK = _UtcClock()


class Prices:
    """The prices of one version of the rules."""

    def __init__(self, table: Mapping[str, Any], catalog: Catalog = CATALOG) -> None:
        self._table = {name: _written(section) for name, section in table.items()}
        self._catalog = catalog

    def total(self, x: Exchange, usage: Mapping[str, Any]) -> float | None:
        """What a usage of an exchange costs; None when the model or a price is not known."""
        rates = self._rates(x)
        return rates.total(usage) if rates is not None else None

    def cost(self, x: Exchange, usage: Mapping[str, Any]) -> Cost | None:
        """The same, and its parts."""
        rates = self._rates(x)
        return rates.cost(usage) if rates is not None else None

    def at_hand(self, x: Exchange) -> bool:
        """Whether a cost can be told without fetching anything."""
        if x.usage is None:
            return True
        asked, named = _models(x)
        if asked in self._table or named in self._table:
            return True
        found = self._catalog.at_hand(_wanted(x, named), x.clock)
        if found is None:
            return False
        x.rates = x.answered, x.upstream, found.rates
        return True

    async def prepare(self, x: Exchange) -> None:
        """Fetch, off the event loop, what a cost would have to be fetched for on it."""
        if not self.at_hand(x):
            await self._fetch(_wanted(x, _models(x)[1]), x.clock)

    def _rates(self, x: Exchange) -> Rates | None:
        """The rates of an exchange, found once for each answer: a rule, a record and metrics may all ask."""
        if x.answered is None:  # a stream under way, which may yet tell another model or tier
            return self._found(x)
        known = x.rates
        if known is None or known[0] is not x.answered or known[1] is not x.upstream:
            x.rates = known = x.answered, x.upstream, self._found(x)
        rates: Rates | None = known[2]
        return rates

    def _found(self, x: Exchange) -> Rates | None:
        asked, named = _models(x)
        table = self._table
        if table:
            rates = table.get(asked) or table.get(named)
            if rates is not None:
                return rates
        return self._catalog.rates(_wanted(x, named), x.clock)

    # --- before anything is asked -------------------------------------------------------------------------------------

    def estimate(
        self,
        models: Sequence[str],
        prompt_tokens: float,
        completion_tokens: float,
        upstream: Place | None = None,
        clock: Now = UTC_CLOCK,
    ) -> float | None:
        """What so many tokens would cost; None without a price. `models`: the one asked for, the one named upstream."""
        rates = next((known for name in models if (known := self._table.get(name))), None)
        if rates is None:
            rates = self._catalog.rates(_expected(models, upstream), clock)
        usage = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}
        return rates.total(usage) if rates is not None else None

    async def expect(self, models: Sequence[str], upstream: Place | None = None, clock: Now = UTC_CLOCK) -> None:
        """Fetch, off the event loop, what `estimate` would have to fetch on it."""
        if not any(name in self._table for name in models):
            await self._fetch(_expected(models, upstream), clock)

    async def _fetch(self, wanted: Wanted, clock: Now) -> None:
        if self._catalog.at_hand(wanted, clock) is None and wanted.bounded:
            await asyncio.to_thread(self._catalog.rates, wanted, clock)


def _written(section: Any) -> Rates:
    """The author's prices of a model; what is left out costs what it is part of."""
    written = {
        "prompt_tokens": section.input,
        "completion_tokens": section.output,
        "cached_tokens": section.cached_input,
        "cache_write_tokens": section.cached_write,
        "prompt_audio_tokens": section.audio_input,
        "completion_audio_tokens": section.audio_output,
    }
    return Rates({name: Decimal(repr(price)) for name, price in written.items() if price is not None})


def _models(x: Exchange) -> tuple[str, str]:
    """The model asked for after the rules and the one named upstream; empty where there is none."""
    asked = x.request.get("model") if x.request is not None else None
    named = x.upstream["model"] if x.upstream is not None else None
    return asked if type(asked) is str else "", named if type(named) is str else ""


def _wanted(x: Exchange, named: str) -> Wanted:
    told: Any = x.told if x.told is not None else x.answered
    if not isinstance(told, dict):
        told = {}
    usage = told.get("usage")
    speed = usage.get("speed") if isinstance(usage, dict) else None
    place = x.program.upstreams.get(x.upstream["name"]) if x.upstream is not None else None
    model, tier = told.get("model"), told.get("service_tier")
    return Wanted(
        named,
        model if type(model) is str else None,
        place.base_url if place is not None else "",
        place.kind if place is not None else "",
        tier if type(tier) is str else None,
        speed if type(speed) is str else None,
    )


def _expected(models: Sequence[str], upstream: Place | None) -> Wanted:
    named = models[-1] if models else ""
    return Wanted(named) if upstream is None else Wanted(named, None, upstream.base_url, upstream.kind)
