"""Slots: at most so many at once, in the whole fleet. Each is an item with a lease, so that a dead holder's comes back.

Memcached may evict one; then one more than the limit runs for a while. It is kindness to a database, not a lock.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from shared.errors import StoreUnavailable
from shared.keys import content_hash
from shared.store.port import KeyValue

log = structlog.get_logger(__name__)
LEASE_S = 15.0
POLL_S = 0.1


class Slots:
    """Raises StoreUnavailable when the store does not answer."""

    def __init__(self, kv: KeyValue, prefix: str) -> None:
        self._kv = kv
        self._prefix = f"{prefix}slot:"

    @asynccontextmanager
    async def hold(self, name: str, limit: int, *, wait_s: float) -> AsyncIterator[bool]:
        """Holds one of `limit` slots of that name within the block; False, and none held, if none was free in time."""
        owner = uuid.uuid4().hex.encode()
        keys = [f"{self._prefix}{content_hash(name)}:{number}" for number in range(limit)]
        mine = await self._take(keys, owner, wait_s)
        if mine is None:
            yield False
            return
        beating = asyncio.create_task(self._beat(mine, owner))
        try:
            yield True
        finally:
            beating.cancel()
            await self._give_back(mine, owner)

    async def _take(self, keys: list[str], owner: bytes, wait_s: float) -> str | None:
        give_up = time.monotonic() + wait_s
        while True:
            for key in keys:
                if await self._kv.add(key, owner, LEASE_S):
                    return key
            if time.monotonic() >= give_up:
                return None
            await asyncio.sleep(POLL_S)

    async def _beat(self, key: str, owner: bytes) -> None:
        while True:
            await asyncio.sleep(LEASE_S / 3)
            try:
                found = await self._kv.gets(key)
                if found is None or found[0] != owner:
                    return  # lapsed or evicted: somebody else may have it by now
                await self._kv.cas(key, owner, found[1], LEASE_S)
            except StoreUnavailable:
                continue

    async def _give_back(self, key: str, owner: bytes) -> None:
        try:
            found = await self._kv.gets(key)
            if found is not None and found[0] == owner:
                await self._kv.delete(key)
        except StoreUnavailable as error:  # it lapses by itself
            log.warning("slot_not_given_back", reason=error.message)
