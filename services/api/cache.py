"""A small in-process cache with expiry, bounded size and single flight, for the one event loop of a worker."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class ExpiringCache(Generic[K, V]):
    """Keeps values for `ttl_s` seconds (0: not at all), the `max_entries` latest ones.

    Many waiters for one missing key share one load. A failed load is not kept: each of its waiters gets the error.
    """

    def __init__(self, ttl_s: float, *, max_entries: int = 10_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._ttl_s = ttl_s
        self._max_entries = max_entries
        self._clock = clock
        self._entries: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self._loading: dict[K, asyncio.Task[V]] = {}

    def get(self, key: K) -> V | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[0] <= self._clock():
            del self._entries[key]
            return None
        return entry[1]

    def left_s(self, key: K) -> float:
        """Seconds until the value expires; 0 when none is kept."""
        entry = self._entries.get(key)
        return max(0.0, entry[0] - self._clock()) if entry else 0.0

    def put(self, key: K, value: V, *, ttl_s: float | None = None) -> None:
        """`ttl_s` shortens the cache's own."""
        ttl_s = self._ttl_s if ttl_s is None else min(ttl_s, self._ttl_s)
        if ttl_s <= 0:
            return
        self._entries[key] = (self._clock() + ttl_s, value)
        self._entries.move_to_end(key)
        while len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)

    async def load(
        self, key: K, loader: Callable[[], Awaitable[V]], *, ttl_of: Callable[[V], float] | None = None
    ) -> V:
        """The kept value, or what `loader` gives; `ttl_of` shortens how long it is kept."""
        kept = self.get(key)
        if kept is not None:
            return kept
        loading = self._loading.get(key)
        if loading is None:
            loading = asyncio.create_task(self._load(key, loader, ttl_of))
            self._loading[key] = loading
            loading.add_done_callback(lambda done: self._loaded(key, done))
        # Shielded: a client that hangs up must not fail the others who wait for the same load.
        return await asyncio.shield(loading)

    async def _load(self, key: K, loader: Callable[[], Awaitable[V]], ttl_of: Callable[[V], float] | None) -> V:
        value = await loader()
        self.put(key, value, ttl_s=ttl_of(value) if ttl_of else None)
        return value

    def _loaded(self, key: K, done: asyncio.Task[V]) -> None:
        self._loading.pop(key, None)
        if not done.cancelled():
            done.exception()  # seen here, in case every waiter hung up
