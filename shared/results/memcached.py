"""Results in Memcached, through the store's own client: the same nodes, the same way to choose among them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from shared.errors import ResultsUnavailable, StoreUnavailable
from shared.store.memcached_async import open_memcached_async
from shared.store.nodes import Nodes
from shared.store.port import MAX_VALUE_BYTES

T = TypeVar("T")
TIMEOUT_S = 5.0  # a long query can wait
BATCH = 100  # names deleted at once


class MemcachedResults:
    """A `port.Backend`. The client lives on an event loop in a thread of its own, begun at the first call."""

    max_item_bytes = MAX_VALUE_BYTES

    def __init__(self, addresses: Sequence[tuple[str, int]], prefix: str) -> None:
        self._addresses = addresses
        self._prefix = prefix
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._nodes: Nodes | None = None

    def put(self, name: str, value: bytes, ttl_s: float) -> None:
        self._run(lambda nodes: nodes.set(self._prefix + name, value, ttl_s))

    def get(self, name: str) -> bytes | None:
        return self._run(lambda nodes: nodes.get(self._prefix + name))

    def delete(self, names: Sequence[str]) -> None:
        async def some(nodes: Nodes, part: Sequence[str]) -> None:
            await asyncio.gather(*(nodes.delete(self._prefix + name) for name in part))

        for start in range(0, len(names), BATCH):
            part = names[start : start + BATCH]
            self._run(lambda nodes, part=part: some(nodes, part))  # type: ignore[misc]  # bound at once

    def sweep(self) -> None:
        """Memcached forgets by itself."""

    def check(self) -> str:
        return self._run(lambda nodes: nodes.check())

    def close(self) -> None:
        with self._lock:
            loop, thread, nodes = self._loop, self._thread, self._nodes
            self._loop = self._thread = self._nodes = None
        if loop is None or thread is None or nodes is None:
            return
        asyncio.run_coroutine_threadsafe(nodes.close(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    def _run(self, command: Callable[[Nodes], Coroutine[Any, Any, T]]) -> T:
        loop, nodes = self._open()
        try:
            return asyncio.run_coroutine_threadsafe(command(nodes), loop).result()
        except StoreUnavailable as error:
            raise ResultsUnavailable(error.message.replace("VITRINE_STORE_URL", "VITRINE_RESULTS_URL")) from error

    def _open(self) -> tuple[asyncio.AbstractEventLoop, Nodes]:
        with self._lock:
            if self._loop is None or self._nodes is None:
                self._loop = asyncio.new_event_loop()
                self._nodes = open_memcached_async(self._addresses, timeout_s=TIMEOUT_S)
                self._thread = threading.Thread(target=self._loop.run_forever, name="results-memcached", daemon=True)
                self._thread.start()
            return self._loop, self._nodes
