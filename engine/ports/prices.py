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
from engine.ports.price_catalog import CATALOG, Catalog, Wanted
from engine.ports.rates import Rates

_LONGEST = 200  # characters of a model's name that is looked for


class Place(Protocol):
    """Where a model is asked: an upstream."""

    @property
    def base_url(self) -> str: ...
    @property
    def kind(self) -> str: ...


class Prices:
    """The prices of one version of the rules."""

    def __init__(self, table: Mapping[str, Any], catalog: Catalog = CATALOG) -> None:
        self._table = {name: _rates(section) for name, section in table.items()}
        self._catalog = catalog

    def cost(self, x: Exchange) -> Cost | None:
        """What an exchange's usage costs; None when the usage, the model or a price is not known."""
        usage = x.usage
        if usage is None:
            return None
        asked, named = _models(x)
        rates = self._table.get(asked) or self._table.get(named)
        if rates is None:
            rates = self._catalog.rates(_wanted(x, named), x.clock.now())
        return rates.cost(usage) if rates is not None else None

    async def prepare(self, x: Exchange) -> None:
        """Fetch, off the event loop, what `cost` would have to fetch on it."""
        if x.usage is None:
            return
        asked, named = _models(x)
        if asked not in self._table and named not in self._table:
            await self._fetch(_wanted(x, named), x.clock.now())

    # --- before anything is asked -------------------------------------------------------------------------------------

    def estimate(
        self,
        models: Sequence[str],
        prompt_tokens: float,
        completion_tokens: float,
        upstream: Place | None = None,
        now: datetime | None = None,
    ) -> float | None:
        """What so many tokens would cost; None without a price. `models`: the one asked for, the one named upstream."""
        rates = next((known for name in models if (known := self._table.get(name))), None)
        if rates is None:
            rates = self._catalog.rates(_expected(models, upstream), now or datetime.now(UTC))
        cost = rates.cost({"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}) if rates else None
        return cost.total if cost is not None else None

    async def expect(self, models: Sequence[str], upstream: Place | None = None, now: datetime | None = None) -> None:
        """Fetch, off the event loop, what `estimate` would have to fetch on it."""
        if not any(name in self._table for name in models):
            await self._fetch(_expected(models, upstream), now or datetime.now(UTC))

    async def _fetch(self, wanted: Wanted, now: datetime) -> None:
        if not self._catalog.at_hand(wanted, now):
            await asyncio.to_thread(self._catalog.rates, wanted, now)


def _rates(section: Any) -> Rates:
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
    return asked if isinstance(asked, str) else "", named if isinstance(named, str) else ""


def _wanted(x: Exchange, named: str) -> Wanted:
    told: Any = x.told if x.told is not None else x.answered
    told = told if isinstance(told, dict) else {}
    usage = told.get("usage")
    speed = usage.get("speed") if isinstance(usage, dict) else None
    served = (("service_tier", told.get("service_tier")), ("speed", speed))
    place = x.program.upstreams.get(x.upstream["name"]) if x.upstream is not None else None
    return Wanted(
        _names(named, told.get("model")),
        place.base_url if place is not None else "",
        place.kind if place is not None else "",
        tuple((name, value) for name, value in served if isinstance(value, str) and len(value) <= _LONGEST),
    )


def _expected(models: Sequence[str], upstream: Place | None) -> Wanted:
    names = _names(*models[-1:])
    return Wanted(names) if upstream is None else Wanted(names, upstream.base_url, upstream.kind)


def _names(*models: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in models if isinstance(name, str) and 0 < len(name) <= _LONGEST))
