"""Results in memory: for one process, and for tests. It remembers what it was asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

MAX_ITEM_BYTES = 8 * 2**20


class MemoryResults:
    """A `port.Backend`; `calls` holds (method, name) in order."""

    max_item_bytes = MAX_ITEM_BYTES

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self._items: dict[str, tuple[bytes, float]] = {}  # name → value, when it ends (monotonic)
        self._lock = threading.Lock()

    def put(self, name: str, value: bytes, ttl_s: float) -> None:
        self._called("put", name)
        with self._lock:
            self._items[name] = value, time.monotonic() + ttl_s

    def get(self, name: str) -> bytes | None:
        self._called("get", name)
        with self._lock:
            value, ends = self._items.get(name, (None, 0.0))
        return value if time.monotonic() < ends else None

    def delete(self, names: Sequence[str]) -> None:
        for name in names:
            self._called("delete", name)
            with self._lock:
                self._items.pop(name, None)

    def sweep(self) -> None:
        now = time.monotonic()
        with self._lock:
            for name in [name for name, (_, ends) in self._items.items() if ends <= now]:
                del self._items[name]

    def names(self) -> list[str]:
        with self._lock:
            return sorted(self._items)

    def check(self) -> str:
        with self._lock:
            return f"memory of this process, {len(self._items)} items"

    def close(self) -> None:
        """Keeps what it has: others in this process have it open too."""

    def _called(self, method: str, name: str) -> None:
        with self._lock:
            self.calls.append((method, name))
            del self.calls[:-10_000]
