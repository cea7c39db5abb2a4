"""The cache that callbacks written for LiteLLM are given: values of this process, bounded in number and in time.

Where it shares a store, its async methods see what other processes wrote. Must not know exchanges.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any, TypeVar

from engine.ports.stores import SharedStore, StoreError

T = TypeVar("T")

log = logging.getLogger("pointsman.callbacks")

MOST = 10_000  # values
KEPT = 600.0  # seconds, unless a call says another `ttl`
_PREFIX = "callbacks:"  # of keys in a shared store
FRESH = 1.0  # seconds for which what the store said is not asked again


class DualCache:
    """Values by key until their time is over; beyond `most` the ones longest unused go. Safe between threads.

    The async methods of one that shares a store read and write through to it: what another process wrote is seen within
    a second, and sums are made in the store. While it is down they do with what this process knows. The other methods
    never leave this process.
    """

    def __init__(self, most: int = MOST, clock: Callable[[], float] = time.monotonic, **_: Any) -> None:
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._values: OrderedDict[str, tuple[Any, float]] = OrderedDict()
        self._fresh: dict[str, float] = {}  # of values that the store knows: until when it need not be asked
        self._shared: tuple[SharedStore, asyncio.AbstractEventLoop] | None = None

    def share(self, store: SharedStore | None) -> None:
        """Read and write through to a store of the running loop from now on, or to none."""
        self._shared = None if store is None else (store, asyncio.get_running_loop())

    def leave(self, store: SharedStore | None) -> None:
        """Share no longer, if it was this store."""
        if self._shared is not None and self._shared[0] is store:
            self._shared = None

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
            self._drop(key)

    def flush_cache(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()
            self._fresh.clear()

    async def async_get_cache(self, key: str, *_: Any, **__: Any) -> Any:
        """The value of a key, whoever wrote it."""
        if self._shared is None or self._is_known(key):
            return self.get_cache(key)
        try:
            found = await self._asked(lambda store: store.get(_PREFIX + key))
            value = None if found is None else json.loads(found)
        except (StoreError, ValueError):  # away, or written by something else
            return self.get_cache(key)
        with self._lock:
            if value is None:
                self._drop(key)
                return None
            self._set(key, value, self._clock() + KEPT, self._clock() + FRESH)
            return value

    async def async_set_cache(self, key: str, value: Any, *_: Any, ttl: float | None = None, **__: Any) -> None:
        """Keep a value for `ttl` seconds, for all to see if it can be written as JSON."""
        self.set_cache(key, value, ttl=ttl)
        if self._shared is None:
            return
        try:
            text = json.dumps(value).encode()
        except (TypeError, ValueError):
            log.warning("a %s in the cache is no JSON: only this process sees it", type(value).__name__)
            return
        with self._lock:
            self._fresh[key] = self._clock() + FRESH
        with suppress(StoreError):
            await self._asked(lambda store: store.put(_PREFIX + key, text, KEPT if ttl is None else float(ttl)))

    async def async_increment_cache(
        self, key: str, value: float = 1, *_: Any, ttl: float | None = None, **__: Any
    ) -> float:
        """Add to a number, 0 to begin with, and give everybody's sum; a `ttl` counts from the first addition."""
        if self._shared is None:
            return self.increment_cache(key, value, ttl=ttl)
        kept = KEPT if ttl is None else float(ttl)
        try:
            total: float = await self._asked(lambda store: store.add(_PREFIX + key, value, kept))
        except StoreError:
            return self.increment_cache(key, value, ttl=ttl)
        total = int(total) if total.is_integer() else total
        with self._lock:
            self._set(key, total, self._clock() + kept, self._clock() + FRESH)
        return total

    async def async_batch_get_cache(self, keys: Iterable[str], *_: Any, **__: Any) -> list[Any]:
        """The values of several keys, None for each that has none."""
        return await asyncio.gather(*[self.async_get_cache(key) for key in keys])

    async def async_batch_set_cache(self, cache_list: Iterable[tuple[str, Any]], *_: Any, **options: Any) -> None:
        """Keep several values."""
        await asyncio.gather(*[self.async_set_cache(key, value, **options) for key, value in cache_list])

    async_set_cache_pipeline = async_batch_set_cache

    async def async_delete_cache(self, key: str) -> None:
        """Forget a key, for all."""
        self.delete_cache(key)
        if self._shared is not None:
            with suppress(StoreError):
                await self._asked(lambda store: store.put(_PREFIX + key, b"", 0.0))

    async def _asked(self, ask: Callable[[SharedStore], Coroutine[Any, Any, T]]) -> T:
        """What the store answers, which lives on the gateway's loop; hooks that log run on another."""
        if self._shared is None:  # it was taken away while others were asked
            raise StoreError("no store is shared any more")
        store, loop = self._shared
        if asyncio.get_running_loop() is loop:
            return await ask(store)
        if loop.is_closed():
            raise StoreError("the store's loop is closed")
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(ask(store), loop))

    def _is_known(self, key: str) -> bool:
        """Whether this process need not ask: it was asked a moment ago, or the value never left this process."""
        with self._lock:
            return self._get(key) is not None and self._fresh.get(key, float("inf")) > self._clock()

    def _get(self, key: str) -> Any:
        found = self._values.get(key)
        if found is None:
            return None
        if found[1] <= self._clock():
            self._drop(key)
            return None
        self._values.move_to_end(key)
        return found[0]

    def _set(self, key: str, value: Any, ends: float, fresh: float | None = None) -> None:
        """Keep a value; `fresh`: the store knows it, too, and need not be asked until then."""
        self._values[key] = value, ends
        self._values.move_to_end(key)
        if fresh is None:
            self._fresh.pop(key, None)
        else:
            self._fresh[key] = fresh
        while len(self._values) > self._most:
            self._drop(next(iter(self._values)))

    def _drop(self, key: str) -> None:
        self._values.pop(key, None)
        self._fresh.pop(key, None)


CACHE = DualCache()
"""The one that hooks are given; it outlives a reload of the rules."""
