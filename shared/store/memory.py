"""The store in this process's memory: for tests, and for one process that needs no more.

It remembers: `calls` holds the last commands, so that a test can tell what was asked of it.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from shared.errors import StoreUnavailable
from shared.store.port import MAX_VALUE_BYTES, NodeStats, check_key

MAX_BYTES = 256 * 2**20
PRUNE_EVERY = 256  # writes


@dataclass(frozen=True, slots=True)
class _Item:
    value: bytes
    token: int
    expires_at: float


class Memory:
    """A KeyValue, safe for any number of threads and event loops. Above `max_bytes` the oldest items go first."""

    def __init__(self, *, max_bytes: int = MAX_BYTES, clock: Callable[[], float] = time.time) -> None:
        self.calls: deque[tuple[str, str]] = deque(maxlen=1000)  # (command, key)
        self._items: dict[str, _Item] = {}
        self._bytes = 0
        self._max_bytes = max_bytes
        self._clock = clock
        self._tokens = itertools.count(1)
        self._lock = threading.Lock()

    async def get(self, key: str) -> bytes | None:
        with self._lock:
            item = self._live("get", key)
        return item.value if item else None

    async def get_many(self, keys: list[str]) -> dict[str, bytes]:
        with self._lock:
            found = {key: self._live("get", key) for key in keys}
        return {key: item.value for key, item in found.items() if item}

    async def gets(self, key: str) -> tuple[bytes, Any] | None:
        with self._lock:
            item = self._live("gets", key)
        return (item.value, item.token) if item else None

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        with self._lock:
            self._live("set", key)
            self._put(key, value, ttl_s)

    async def add(self, key: str, value: bytes, ttl_s: float) -> bool:
        with self._lock:
            absent = self._live("add", key) is None
            if absent:
                self._put(key, value, ttl_s)
        return absent

    async def cas(self, key: str, value: bytes, token: Any, ttl_s: float) -> bool:
        with self._lock:
            item = self._live("cas", key)
            same = item is not None and item.token == token
            if same:
                self._put(key, value, ttl_s)
        return same

    async def delete(self, key: str) -> None:
        with self._lock:
            self._live("delete", key)
            self._drop(key)

    async def check(self) -> str:
        return f"memory: {len(self._items)} items, {self._bytes} bytes"

    async def stats(self) -> list[NodeStats]:
        with self._lock:
            return [NodeStats("memory", True, len(self._items), self._bytes, self._max_bytes)]

    async def close(self) -> None:
        """Nothing to close; what it holds stays for the others who share it."""

    def _live(self, command: str, key: str) -> _Item | None:
        self.calls.append((command, check_key(key)))
        item = self._items.get(key)
        return item if item and item.expires_at > self._clock() else None

    def _put(self, key: str, value: bytes, ttl_s: float) -> None:
        if len(value) > MAX_VALUE_BYTES:
            raise StoreUnavailable(f"A value of {len(value)} bytes is larger than the store takes ({MAX_VALUE_BYTES}).")
        self._drop(key)  # so that the order of the dict is the order of writing
        token = next(self._tokens)
        self._items[key] = _Item(value, token, self._clock() + ttl_s)
        self._bytes += len(value)
        if token % PRUNE_EVERY == 0 or self._bytes > self._max_bytes:
            self._prune()

    def _prune(self) -> None:
        now = self._clock()
        for key in [key for key, item in self._items.items() if item.expires_at <= now]:
            self._drop(key)
        while self._bytes > self._max_bytes:
            self._drop(next(iter(self._items)))

    def _drop(self, key: str) -> None:
        if item := self._items.pop(key, None):
            self._bytes -= len(item.value)
