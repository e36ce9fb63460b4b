"""Two real Memcacheds: both clients look in the same place, and one of them may die."""

import time
import uuid

import pytest
from pymemcache.client.hash import HashClient

from shared.errors import StoreUnavailable
from tests.harness import Memcached, wait_until_async
from tests.integration.shared.store.conftest import Open

KEYS = [uuid.uuid4().hex for _ in range(1000)]
OTHER = {"pymemcache": "async", "async": "pymemcache"}


async def test_the_clients_find_each_other_s_keys(
    client: str, memcached: Memcached, own_memcached: Memcached, open_client: Open
) -> None:
    writer, reader = (open_client(name, memcached, own_memcached) for name in (client, OTHER[client]))
    for key in KEYS:
        await writer.set(key, key.encode(), 60)
    assert await reader.get_many(KEYS) == {key: key.encode() for key in KEYS}
    assert [await reader.get(key) for key in KEYS] == [key.encode() for key in KEYS]
    counts = [len(await open_client(client, server).get_many(KEYS)) for server in (memcached, own_memcached)]
    assert sum(counts) == len(KEYS)
    assert min(counts) > 300


async def test_pymemcache_s_own_hash_client_finds_them_too(
    client: str, memcached: Memcached, own_memcached: Memcached, open_client: Open
) -> None:
    nodes = open_client(client, own_memcached, memcached)
    for key in KEYS:
        await nodes.set(key, b"v", 60)
    reference = HashClient([memcached.address, own_memcached.address])
    assert set(reference.get_many(KEYS)) == set(KEYS)
    reference.close()


@pytest.mark.parametrize("how", ["kill9", "pause"])
async def test_when_one_node_goes_its_keys_are_misses_then_it_comes_back(
    client: str, how: str, memcached: Memcached, own_memcached: Memcached, open_client: Open
) -> None:
    nodes = open_client(client, memcached, own_memcached, timeout_s=0.5, dead_s=1)
    for key in KEYS:
        await nodes.set(key, b"old", 60)
    mine = set(await open_client(client, memcached).get_many(KEYS))
    getattr(own_memcached, how)()
    began = time.monotonic()
    assert {key for key in KEYS[:100] if await nodes.get(key)} == mine & set(KEYS[:100])
    for key in KEYS[:100]:
        await nodes.set(key, b"new", 60)
        assert await nodes.get(key) == b"new"
    assert time.monotonic() - began < 5
    own_memcached.resume() if how == "pause" else own_memcached.start()
    theirs = next(key for key in KEYS if key not in mine)

    async def is_back() -> bool:
        await nodes.set(theirs, b"back", 60)
        return await open_client(client, own_memcached).get(theirs) == b"back"

    await wait_until_async(is_back, 10, "writes to reach the node that is back")


async def test_both_nodes_down_are_an_unavailable_store(
    client: str, own_memcached: Memcached, open_client: Open
) -> None:
    with Memcached() as second:
        nodes = open_client(client, own_memcached, second, dead_s=0.2)
        await nodes.set("k", b"v", 60)
        own_memcached.kill9()
        second.kill9()
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match=second.address):
                await nodes.get("k")
        second.start()
        own_memcached.start()
        await wait_until_async(lambda: nodes.add("k", b"v", 60), 5, "the store", ignoring=(StoreUnavailable,))
