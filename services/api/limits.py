"""How often somebody may try to log in: per user name and address, counted in the store for all workers together."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable

import structlog

from services.api.cache import ExpiringCache
from shared.errors import StoreUnavailable, TooManyRequests
from shared.store.port import KeyValue

WINDOW_S = 60
ATTEMPTS = 20  # compare-and-swap rounds

log = structlog.get_logger(__name__)


class LoginLimits:
    """A window of one minute from the first attempt. A log-in that succeeds gives its attempt back: failures count.

    Attempts are taken before the password is checked, so that a hundred at once do not slip through. With the store
    down, each worker counts by itself.
    """

    def __init__(
        self, kv: KeyValue, prefix: str, attempts_per_minute: int, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._kv = kv
        self._prefix = prefix
        self._limit = attempts_per_minute
        self._clock = clock
        self._own: ExpiringCache[str, list[float]] = ExpiringCache(WINDOW_S, clock=clock)

    async def take(self, username: str, address: str) -> None:
        """Raises TooManyRequests with the seconds to wait."""
        for key in self._keys(username, address):
            wait_s = await self._count(key, 1)
            if wait_s > 0:
                raise TooManyRequests(
                    "Too many attempts to log in; wait a little and try again.", retry_after_s=max(1, math.ceil(wait_s))
                )

    async def give_back(self, username: str, address: str) -> None:
        for key in self._keys(username, address):
            await self._count(key, -1)

    def _keys(self, username: str, address: str) -> list[str]:
        """Hashed, as a user name may hold anything. The address first: once shut out, it locks no user out."""
        parts = (f"address {address}", f"user {username.lower()}")
        hashes = [hashlib.sha256(part.encode(errors="replace")).hexdigest()[:32] for part in parts]
        return [f"{self._prefix}login_{digest}" for digest in hashes]

    async def _count(self, key: str, change: int) -> float:
        """Adds to the count; seconds to wait if it is then above the limit, else 0."""
        try:
            return await self._count_shared(key, change)
        except StoreUnavailable as error:
            log.warning("login_limits_local", reason=error.message)
            return self._count_own(key, change)

    async def _count_shared(self, key: str, change: int) -> float:
        for _ in range(ATTEMPTS):
            found = await self._kv.gets(key)
            count, until = self._changed(json.loads(found[0]) if found else None, change)
            value, ttl_s = json.dumps([count, until]).encode(), max(1.0, until - self._clock())
            if await (self._kv.cas(key, value, found[1], ttl_s) if found else self._kv.add(key, value, ttl_s)):
                return self._wait(count, until)
        return 1.0  # so many at once that none gets through: that is too many

    def _count_own(self, key: str, change: int) -> float:
        count, until = self._changed(self._own.get(key), change)
        self._own.put(key, [count, until], ttl_s=until - self._clock())
        return self._wait(count, until)

    def _changed(self, stored: list[float] | None, change: int) -> tuple[float, float]:
        count, until = stored or (0, 0.0)
        if until <= self._clock():
            count, until = 0, self._clock() + WINDOW_S
        return max(0, min(count + change, self._limit + 1)), until

    def _wait(self, count: float, until: float) -> float:
        return until - self._clock() if count > self._limit else 0.0
