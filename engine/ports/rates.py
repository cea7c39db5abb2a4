"""What a model's tokens cost, and the sum for a usage: exact, and decided once.

A token is billed by the finest price that it falls under: a cached one by the price of cached ones, where there is
one. Must not know where prices come from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from engine.document.usage import PARTS, Cost

Prices = Mapping[str, Decimal]
"""US dollars per million, by the words of a usage; `requests` and `web_searches` are counted apart from tokens."""

_APART = ("requests", "web_searches")
_Terms = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Sums:
    """Prices as whole numbers to multiply with: sums of integers are exact, and only the last division rounds.

    `terms` of a part, such as cached tokens, are what it costs more, or less, than what it is part of.
    """

    asked: _Terms
    said: _Terms
    apart: _Terms
    scale: int
    covers: tuple[tuple[str, tuple[str, ...]], ...]  # tokens without a price of their own, and parts that have one

    def cost(self, usage: Mapping[str, Any]) -> Cost | None:
        """US dollars for a usage; None where some of its tokens have no price."""
        for name, parts in self.covers:
            if usage[name] > sum(usage.get(part, 0) for part in parts):
                return None
        get = usage.get
        asked = said = apart = 0
        for name, price in self.asked:
            asked += get(name, 0) * price
        for name, price in self.said:
            said += get(name, 0) * price
        for name, price in self.apart:
            apart += get(name, 1 if name == "requests" else 0) * price
        asked = max(asked, 0)  # parts may overlap more than they can
        scale = self.scale
        return Cost((asked + said + apart) / scale, asked / scale, said / scale, apart / scale)


class Rates:
    """The prices of a model, which may depend on how long the prompt is: `tiers` are prices from a length on."""

    __slots__ = ("_longer", "_shortest")

    def __init__(self, prices: Prices, tiers: Iterable[tuple[int, Prices]] = ()) -> None:
        self._shortest = sums(prices)
        self._longer = [(start, sums(longer)) for start, longer in sorted(tiers, key=lambda tier: -tier[0])]

    def cost(self, usage: Mapping[str, Any]) -> Cost | None:
        """US dollars for a usage; None where some of its tokens have no price."""
        if self._longer:
            for start, longer in self._longer:
                if usage["prompt_tokens"] > start:
                    return longer.cost(usage)
        return self._shortest.cost(usage)


def sums(prices: Prices) -> Sums:
    """Prices, ready to be multiplied with."""
    factor = 10 ** max((0, *(-int(price.as_tuple().exponent) for price in prices.values())))
    whole = {name: int(Fraction(price) * factor) for name, price in prices.items()}
    terms: dict[str, list[tuple[str, int]]] = {"prompt_tokens": [], "completion_tokens": [], "": []}
    for name, price in whole.items():
        more = price - _around(name, whole)
        if more:
            terms[_whole(name)].append((name, more))
    return Sums(
        tuple(terms["prompt_tokens"]),
        tuple(terms["completion_tokens"]),
        tuple(terms[""]),
        factor * 1_000_000,
        tuple((name, _parts(name, whole)) for name in ("prompt_tokens", "completion_tokens") if name not in whole),
    )


def _around(name: str, prices: Mapping[str, int]) -> int:
    """The price of the nearest tokens that these are part of; 0 where nothing around them has one."""
    around = PARTS.get(name)
    while around is not None and around not in prices:
        around = PARTS.get(around)
    return prices[around] if around is not None else 0


def _whole(name: str) -> str:
    """The tokens that these are part of in the end; empty for what is counted apart."""
    while name in PARTS:
        name = PARTS[name]
    return "" if name in _APART else name


def _parts(name: str, prices: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(part for part in prices if PARTS.get(part) == name)
