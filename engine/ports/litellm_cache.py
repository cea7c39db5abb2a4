"""The cache that callbacks written for LiteLLM are given: values of this process, bounded in number and in time.

Must not know exchanges.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

MOST = 10_000  # values
KEPT = 600.0  # seconds, unless a call says another `ttl`


class DualCache:
    """Values by key until their time is over; beyond `most` the ones longest unused go. Safe between threads."""

    def __init__(self, most: int = MOST, clock: Callable[[], float] = time.monotonic, **_: Any) -> None:
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._values: OrderedDict[str, tuple[Any, float]] = OrderedDict()

    def get_cache(self, key: str, *_: Any, **__: Any) -> Any:
        """The value of a key; None when there is none any more."""
        with self._lock:
            return self._get(key)

    def set_cache(self, key: str, value: Any, *_: Any, ttl: float | None = None, **__: Any) -> None:
        """Keep a value for `ttl` seconds."""
        with self._lock:
            self._set(key, value, self._clock() + (KEPT if ttl is None else float(ttl)))

    def increment_cache(self, key: str, value: float = 1, *_: Any, ttl: float | None = None, **__: Any) -> float:
        """Add to a number, 0 to begin with, and give the sum; a `ttl` counts from the first addition."""
        with self._lock:
            before = self._get(key)
            ends = self._clock() + (KEPT if ttl is None else float(ttl)) if before is None else self._values[key][1]
            total: float = (before or 0) + value
            self._set(key, total, ends)
            return total

    def batch_get_cache(self, keys: Iterable[str], *_: Any, **__: Any) -> list[Any]:
        """The values of several keys, None for each that has none."""
        with self._lock:
            return [self._get(key) for key in keys]

    def batch_set_cache(self, cache_list: Iterable[tuple[str, Any]], *_: Any, **options: Any) -> None:
        """Keep several values."""
        for key, value in cache_list:
            self.set_cache(key, value, **options)

    def delete_cache(self, key: str) -> None:
        """Forget a key."""
        with self._lock:
            self._values.pop(key, None)

    def flush_cache(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()

    async def async_get_cache(self, *args: Any, **options: Any) -> Any:
        return self.get_cache(*args, **options)

    async def async_set_cache(self, *args: Any, **options: Any) -> None:
        self.set_cache(*args, **options)

    async def async_increment_cache(self, *args: Any, **options: Any) -> float:
        return self.increment_cache(*args, **options)

    async def async_batch_get_cache(self, *args: Any, **options: Any) -> list[Any]:
        return self.batch_get_cache(*args, **options)

    async def async_set_cache_pipeline(self, *args: Any, **options: Any) -> None:
        self.batch_set_cache(*args, **options)

    async def async_delete_cache(self, key: str) -> None:
        self.delete_cache(key)

    def _get(self, key: str) -> Any:
        found = self._values.get(key)
        if found is None:
            return None
        if found[1] <= self._clock():
            del self._values[key]
            return None
        self._values.move_to_end(key)
        return found[0]

    def _set(self, key: str, value: Any, ends: float) -> None:
        self._values[key] = value, ends
        self._values.move_to_end(key)
        while len(self._values) > self._most:
            self._values.popitem(last=False)


CACHE = DualCache()
"""The one that hooks are given; it outlives a reload of the rules."""
