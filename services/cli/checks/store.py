"""The store: each Memcached by itself, as one that is dead or full would hide behind the others."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Iterator

from services.cli.checks.finding import Finding, fail, ok, warn
from shared.errors import StoreUnavailable
from shared.results import open_results
from shared.settings import Settings
from shared.store import open_store
from shared.store.addresses import parse_addresses
from shared.store.memcached import open_memcached
from shared.store.port import MAX_VALUE_BYTES

MIB = 2**20
TTL_S = 60


def store(settings: Settings) -> Iterator[Finding]:
    """Writes, reads back and deletes an item as large as we ever write."""
    if settings.store_url.startswith("memory"):
        yield ok("store", "in the memory of the gateway's own process; it is empty after each start")
        return
    if not settings.store_url.startswith("memcached"):
        yield asyncio.run(_other(settings))
        return
    for host, port in parse_addresses(settings.store_url.partition("://")[2], "store_url"):
        yield asyncio.run(_node(host, port, settings.store_prefix))


def results(settings: Settings) -> Iterator[Finding]:
    """Where the rows of long queries are kept."""
    backend = open_results(settings)
    try:
        yield ok("results", backend.check())
    finally:
        backend.close()


async def _other(settings: Settings) -> Finding:
    store, key, value = open_store(settings, side="renderer"), _key(settings.store_prefix), os.urandom(MAX_VALUE_BYTES)
    try:
        found = await store.check()
        await store.set(key, value, TTL_S)
        same = await store.get(key) == value
        await store.delete(key)
    except StoreUnavailable as error:
        return fail(
            "store", error.message, "Mend the folder's rights and space; the file is a cache, it may be deleted."
        )
    finally:
        await store.close()
    return ok("store", found) if same else fail("store", f"{found}: an item came back changed", "Delete the file.")


async def _node(host: str, port: int, prefix: str) -> Finding:
    node, name = open_memcached([(host, port)]), f"store:{host}:{port}"
    key, value = _key(prefix), os.urandom(MAX_VALUE_BYTES)
    try:
        (stats,) = await node.stats()
        if not stats.up:
            mend = "Start Memcached, or correct VITRINE_STORE_URL; its keys are misses until then."
            return fail(name, f"Memcached does not answer: {stats.reason}", mend)
        await node.set(key, value, TTL_S)
        kept = await node.get(key)
        await node.delete(key)
        gone = await node.get(key) is None
    except StoreUnavailable as error:
        return fail(name, error.message, "Start it with items of 1 MiB or more (-I 1m) and memory for many (-m 256).")
    finally:
        await node.close()
    found = f"{stats.size_bytes // MIB:,} of {stats.limit_bytes // MIB:,} MiB in use, {stats.items:,} items"
    if kept != value or not gone:
        return fail(name, f"{found}: an item of {MAX_VALUE_BYTES:,} bytes did not come back", "Give it more memory: -m")
    if stats.evictions:
        mend = "Pictures go before their time and are rendered again: give it more memory (-m), or add a node."
        return warn(name, f"{found}, {stats.evictions:,} evicted since its start", mend)
    return ok(name, found)


def _key(prefix: str) -> str:
    return f"{prefix}doctor_{uuid.uuid4().hex}"
