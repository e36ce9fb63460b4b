"""What was read a moment ago, kept for some seconds: a list of cards asks the same things for each of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
MAX_ENTRIES = 5_000


class Kept(Generic[K, V]):
    """`get(key, make)`: the kept value, or what `make` gives. Many threads that ask for the same share one call."""

    def __init__(self, ttl_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._ttl_s = ttl_s
        self._clock = clock
        self._entries: dict[K, tuple[float, V]] = {}
        self._making: dict[K, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: K, make: Callable[[], V]) -> V:
        with self._lock:
            if (entry := self._entries.get(key)) and entry[0] > self._clock():
                return entry[1]
            making = self._making.setdefault(key, threading.Lock())
        try:
            with making:
                with self._lock:
                    if (entry := self._entries.get(key)) and entry[0] > self._clock():
                        return entry[1]
                value = make()
                self._put(key, value)
                return value
        finally:
            with self._lock:
                self._making.pop(key, None)

    def forget(self, key: K) -> None:
        with self._lock:
            self._entries.pop(key, None)

    def _put(self, key: K, value: V) -> None:
        with self._lock:
            self._entries.pop(key, None)
            while len(self._entries) >= MAX_ENTRIES:
                del self._entries[next(iter(self._entries))]
            self._entries[key] = (self._clock() + self._ttl_s, value)
