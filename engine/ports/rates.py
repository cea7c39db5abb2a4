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

    `terms` of a part, such as cached tokens, are what it costs more, or less, than what it is part of; `by_kind` are
    those for the prompt, for the completion, and the others. `each` is for every request.
    """

    terms: _Terms
    by_kind: tuple[_Terms, _Terms, _Terms]
    each: int
    scale: int
    covers: tuple[tuple[str, tuple[str, ...]], ...]  # tokens without a price of their own, and parts that have one

    def total(self, usage: Mapping[str, Any]) -> float | None:
        """US dollars for a usage; None where some of its tokens have no price."""
        if self.covers and not self._covers(usage):
            return None
        total: Any = self.each  # whole numbers stay whole
        for name, price in self.terms:
            if name in usage:
                total += usage[name] * price
        dollars: float = max(0, total) / self.scale
        return dollars

    def cost(self, usage: Mapping[str, Any]) -> Cost | None:
        """The same, and its parts."""
        total = self.total(usage)
        if total is None:
            return None
        asked, said, apart = (sum(usage.get(name, 0) * price for name, price in terms) for terms in self.by_kind)
        return Cost(total, max(0, asked) / self.scale, said / self.scale, (apart + self.each) / self.scale)

    def _covers(self, usage: Mapping[str, Any]) -> bool:
        return all(usage[name] <= sum(usage.get(part, 0) for part in parts) for name, parts in self.covers)


class Rates:
    """The prices of a model, which may depend on how long the prompt is: `tiers` are prices from a length on."""

    __slots__ = ("_longer", "_shortest")

    def __init__(self, prices: Prices, tiers: Iterable[tuple[int, Prices]] = ()) -> None:
        self._shortest = sums(prices)
        self._longer = [(start, sums(longer)) for start, longer in sorted(tiers, key=lambda tier: -tier[0])]

    def total(self, usage: Mapping[str, Any]) -> float | None:
        """US dollars for a usage; None where some of its tokens have no price."""
        return (self._of(usage) if self._longer else self._shortest).total(usage)

    def cost(self, usage: Mapping[str, Any]) -> Cost | None:
        """The same, and its parts."""
        return self._of(usage).cost(usage)

    def _of(self, usage: Mapping[str, Any]) -> Sums:
        for start, longer in self._longer:
            if usage["prompt_tokens"] > start:
                return longer
        return self._shortest


def sums(prices: Prices) -> Sums:
    """Prices, ready to be multiplied with."""
    decimals = [0, *(-int(price.as_tuple().exponent) for price in prices.values())]
    factor = 10 ** max(decimals)
    whole = {name: int(Fraction(price) * factor) for name, price in prices.items()}
    terms: dict[str, list[tuple[str, int]]] = {"prompt_tokens": [], "completion_tokens": [], "": []}
    for name, price in whole.items():
        more = price - _around(name, whole)
        if more and name != "requests":
            terms[_whole(name)].append((name, more))
    asked, said, apart = map(tuple, terms.values())
    return Sums(
        asked + said + apart,
        (asked, said, apart),
        whole.get("requests", 0),
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
