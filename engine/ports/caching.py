"""What a rule declared of the cache for one exchange. Must not know rules, keys or when a cache is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from engine.ports.stores import Store


class Caching(NamedTuple):
    """Where answers are kept and for how long.

    `parts` are what takes the body's and the caller's place in the key. `largest` bounds an answer in bytes. `allows`:
    a store that is down means that the upstream is asked; else it is an error of the rule.
    """

    rule: str
    ttl: float
    store: Store
    parts: tuple[Callable[[Any], Any], ...]
    largest: int
    allows: bool
