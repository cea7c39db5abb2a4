"""The prices of known models: the tables of `genai-prices`, an extra that is loaded when a price is first looked for.

Loading takes 150 ms and finding a model up to half a millisecond, so both belong off the event loop; what was found is
kept. Must not know exchanges, nor the author's own prices.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from engine.ports.rates import Rates

log = logging.getLogger("pointsman")

_ROOM = 1000  # models that are kept: clients choose their names
_LONGEST = 300  # characters of a name or an address
_WORDS = {  # the catalogue's words for prices, ours for what is priced, and how many prices make one per million
    "input_mtok": ("prompt_tokens", 1),
    "output_mtok": ("completion_tokens", 1),
    "cache_read_mtok": ("cached_tokens", 1),
    "cache_write_mtok": ("cache_write_tokens", 1),
    "cache_write_1h_mtok": ("cache_write_1h_tokens", 1),
    "input_audio_mtok": ("prompt_audio_tokens", 1),
    "input_image_mtok": ("prompt_image_tokens", 1),
    "output_audio_mtok": ("completion_audio_tokens", 1),
    "output_image_mtok": ("completion_image_tokens", 1),
    "output_reasoning_mtok": ("reasoning_tokens", 1),
    "web_searches_kcount": ("web_searches", 1000),
    "requests_kcount": ("requests", 1000),
}
_HOUSES = {"openai": "openai", "anthropic": "anthropic", "azure": "azure"}  # by an upstream's `kind`


class Wanted(NamedTuple):
    """Whose price is wanted: a model as it is named upstream and in the answer, where it is, and how it served."""

    named: str
    answers: str | None = None
    address: str = ""
    kind: str = ""
    tier: str | None = None
    speed: str | None = None

    @property
    def bounded(self) -> bool:
        """Whether no name in it is too long to be one: others are not looked for, and not kept."""
        return all(len(part) <= _LONGEST for part in self if part is not None)


class Found(NamedTuple):
    """What was found for a model. `rates` hold until `minute` is over; None: as long as the process runs."""

    rates: Rates | None
    minute: int | None = None


class Now(Protocol):
    """A clock."""

    def now(self) -> datetime: ...


class Catalog:
    """Rates by model. Safe to be asked from several threads."""

    def __init__(self) -> None:
        self._found: dict[Wanted, Found] = {}
        self._providers: Sequence[Any] | None = None
        self._loading = threading.Lock()

    def at_hand(self, wanted: Wanted, clock: Now) -> Found | None:
        """What `rates` will answer without looking; None when it would have to look."""
        found = self._found.get(wanted)
        if found is not None and found.minute is not None and found.minute != _minute(clock.now()):
            return None
        return found

    def rates(self, wanted: Wanted, clock: Now) -> Rates | None:
        """The rates of a model; None when it is not known, or `genai-prices` is not installed."""
        found = self.at_hand(wanted, clock)
        if found is None:
            if not wanted.bounded:
                return None
            found = self._look(wanted, clock.now())
            if len(self._found) >= _ROOM:
                self._found.clear()
            self._found[wanted] = found
        return found.rates

    def _look(self, wanted: Wanted, now: datetime) -> Found:
        try:
            providers = self._load()
            for name in (wanted.named, wanted.answers):
                known = _model(providers, name.lower(), wanted.address, _HOUSES.get(wanted.kind)) if name else None
                if known is not None:
                    return _found(*known, wanted, now)
        except Exception as cause:  # noqa: BLE001  tables of another version, say: no exchange fails for them
            log.warning("no price is found for %s: %s: %s", wanted.named, type(cause).__name__, cause)
        return Found(None)

    def _load(self) -> Sequence[Any]:
        with self._loading:
            if self._providers is None:
                self._providers = _providers()
            return self._providers


def _providers() -> Sequence[Any]:
    try:
        from genai_prices.data_snapshot import get_snapshot
    except ImportError:
        log.info("genai-prices is not installed: what `prices` does not name has no cost")
        return ()
    providers: Sequence[Any] = get_snapshot().providers
    return providers


def _model(providers: Sequence[Any], name: str, address: str, house: str | None) -> tuple[Any, Any] | None:
    """The provider at an address and its model of a name; where the address says nothing, whose name it is.

    Who is known and does not list the model leaves it without a price: another's would be a guess.
    """
    provider = next((one for one in providers if address and re.match(one.api_pattern, address)), None)
    provider = provider or next((one for one in providers if one.model_match and one.model_match.is_match(name)), None)
    provider = provider or next((one for one in providers if one.id == house), None)
    model = provider.find_model(name, all_providers=list(providers)) if provider is not None else None
    return (provider, model) if model is not None else None


def _found(provider: Any, model: Any, wanted: Wanted, now: datetime) -> Found:
    """Prices that depend on the day, the hour or how a request was served are looked up again each minute."""
    own = any(model is one for one in provider.models)  # only with its provider do the variants hold
    served = {"service_tier": wanted.tier, "speed": wanted.speed} if own and model.price_variants else {}
    context = {name: value for name, value in served.items() if value is not None}
    changes = isinstance(model.prices, list) or bool(context)
    return Found(_rates(model.get_prices(now, context)), _minute(now) if changes else None)


def _rates(prices: Any) -> Rates | None:
    priced = [
        (ours, price, times)
        for name, (ours, times) in _WORDS.items()
        if (price := getattr(prices, name, None)) is not None
    ]
    if not priced:
        return None

    def beyond(start: int) -> dict[str, Decimal]:
        return {ours: _at(price, start) * times for ours, price, times in priced}

    starts = {tier.start for _, price, _ in priced for tier in getattr(price, "tiers", ())}
    return Rates(beyond(-1), [(start, beyond(start)) for start in starts])


def _at(price: Any, start: int) -> Decimal:
    """A price for prompts of more than `start` tokens."""
    if isinstance(price, Decimal):
        return price
    fitting = [tier.price for tier in price.tiers if tier.start <= start]
    longest: Decimal = fitting[-1] if fitting else price.base
    return longest


def _minute(now: datetime) -> int:
    return int(now.timestamp()) // 60


CATALOG = Catalog()
