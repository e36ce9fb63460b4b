"""What every adapter of the store promises. One suite, run over each of them on real servers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from shared.errors import InvalidInput, StoreUnavailable
from shared.store.disk import Disk
from shared.store.memcached import open_memcached
from shared.store.memcached_async import open_memcached_async
from shared.store.memory import Memory
from shared.store.port import MAX_VALUE_BYTES, KeyValue
from tests.harness import wait_until_async

DAY_S = 86_400
ADAPTERS = ["memory", "disk", "pymemcache-1", "pymemcache-2", "async-1", "async-2"]


def opener(name: str, request: pytest.FixtureRequest) -> Callable[[], KeyValue]:
    if name == "memory":
        memory = Memory()
        return lambda: memory
    if name == "disk":
        path = request.getfixturevalue("tmp_path") / "store.sqlite"
        return lambda: Disk(path)
    client, nodes = name.split("-")
    servers = [request.getfixturevalue(server) for server in ("memcached", "own_memcached")[: int(nodes)]]
    addresses = [("127.0.0.1", server.port) for server in servers]
    return lambda: open_memcached(addresses) if client == "pymemcache" else open_memcached_async(addresses)


@pytest.fixture(params=ADAPTERS)
async def open_kv(request: pytest.FixtureRequest) -> AsyncIterator[Callable[[], KeyValue]]:
    """Each call opens the same store once more, as another process would."""
    open_one = opener(request.param, request)
    async with AsyncExitStack() as stack:

        def open_and_close() -> KeyValue:
            kv = open_one()
            stack.push_async_callback(kv.close)
            return kv

        yield open_and_close


@pytest.fixture
async def kv(open_kv: Callable[[], KeyValue]) -> KeyValue:
    return open_kv()


async def test_what_is_set_is_read_back(kv: KeyValue) -> None:
    await kv.set("k", b"\r\nEND\r\n\x00\xff", 60)
    assert await kv.get("k") == b"\r\nEND\r\n\x00\xff"


async def test_an_unknown_key_is_a_miss(kv: KeyValue) -> None:
    assert await kv.get("k") is None
    assert await kv.gets("k") is None


async def test_the_empty_value_is_no_miss(kv: KeyValue) -> None:
    await kv.set("k", b"", 60)
    assert await kv.get("k") == b""


async def test_a_value_of_the_largest_size_is_kept(kv: KeyValue) -> None:
    value = bytes(range(256)) * (MAX_VALUE_BYTES // 256)
    await kv.set("k", value, 60)
    assert await kv.get("k") == value


async def test_an_oversize_set_raises_and_the_store_goes_on(kv: KeyValue) -> None:
    with pytest.raises(StoreUnavailable):
        await kv.set("k", bytes(2 * 2**20), 60)
    await kv.set("other", b"v", 60)
    assert await kv.get("other") == b"v"


async def test_get_many_returns_only_what_it_found(kv: KeyValue) -> None:
    for number in range(20):
        await kv.set(f"k{number}", b"%d" % number, 60)
    found = await kv.get_many([f"k{number}" for number in range(25)])
    assert found == {f"k{number}": b"%d" % number for number in range(20)}
    assert await kv.get_many([]) == {}


async def test_add_wins_only_when_the_key_is_absent(kv: KeyValue) -> None:
    assert await kv.add("k", b"first", 60)
    assert not await kv.add("k", b"second", 60)
    assert await kv.get("k") == b"first"


async def test_of_many_adds_at_once_one_wins(open_kv: Callable[[], KeyValue]) -> None:
    clients = [open_kv(), open_kv()]
    won = await asyncio.gather(*(clients[n % 2].add("k", b"%d" % n, 60) for n in range(100)))
    assert sum(won) == 1
    assert await clients[0].get("k") == b"%d" % won.index(True)


async def test_cas_writes_when_nobody_else_did(kv: KeyValue) -> None:
    await kv.set("k", b"1", 60)
    value, token = await kv.gets("k") or pytest.fail("a miss")
    assert value == b"1"
    assert await kv.cas("k", b"2", token, 60)
    assert await kv.get("k") == b"2"


async def test_cas_refuses_after_another_write_even_of_the_same_value(kv: KeyValue) -> None:
    await kv.set("k", b"1", 60)
    _, token = await kv.gets("k") or pytest.fail("a miss")
    await kv.set("k", b"1", 60)
    assert not await kv.cas("k", b"2", token, 60)


async def test_cas_refuses_a_key_that_is_gone(kv: KeyValue) -> None:
    await kv.set("k", b"1", 60)
    _, token = await kv.gets("k") or pytest.fail("a miss")
    await kv.delete("k")
    assert not await kv.cas("k", b"2", token, 60)
    assert await kv.get("k") is None


async def test_deleting_what_is_not_there_is_no_error(kv: KeyValue) -> None:
    await kv.delete("k")


async def test_a_value_lapses_and_its_key_can_be_added_again(kv: KeyValue) -> None:
    await kv.set("k", b"old", 1)
    await wait_until_async(lambda: kv.add("k", b"new", 60), 5, "the key to lapse")
    assert await kv.get("k") == b"new"


@pytest.mark.parametrize("days", [30, 31, 365])
async def test_a_ttl_above_thirty_days_is_kept(kv: KeyValue, days: int) -> None:
    await kv.set("k", b"v", days * DAY_S)
    assert await kv.get("k") == b"v"
    assert await kv.add("other", b"v", days * DAY_S)
    assert await kv.get("other") == b"v"


async def test_another_client_of_the_same_store_sees_the_value(open_kv: Callable[[], KeyValue]) -> None:
    await open_kv().set("k", b"v", 60)
    assert await open_kv().get("k") == b"v"


@pytest.mark.parametrize("key", ["", "a b", "a\r\nflush_all", "k" * 251, "é", "a\n"])
async def test_a_key_that_memcached_would_misread_is_refused(kv: KeyValue, key: str) -> None:
    for call in (kv.get(key), kv.set(key, b"v", 60), kv.add(key, b"v", 60), kv.delete(key), kv.get_many([key])):
        with pytest.raises(InvalidInput):
            await call


async def test_many_commands_at_once_get_their_own_answers(kv: KeyValue) -> None:
    values = {f"k{number}": (b"%d" % number) * number * 10 for number in range(200)}
    await asyncio.gather(*(kv.set(key, value, 60) for key, value in values.items()))
    assert await asyncio.gather(*(kv.get(key) for key in values)) == list(values.values())


async def test_a_cancelled_command_does_not_mix_up_the_answers_of_others(kv: KeyValue) -> None:
    values = {f"k{number}": b"%d" % number for number in range(50)}
    for key, value in values.items():
        await kv.set(key, value, 60)
    doomed = [asyncio.ensure_future(kv.get(key)) for key in values]
    await asyncio.sleep(0)  # one turn of the loop: the commands are on their way
    for command in doomed:
        command.cancel()
    await asyncio.gather(*doomed, return_exceptions=True)
    assert await asyncio.gather(*(kv.get(key) for key in values)) == list(values.values())


async def test_check_says_in_one_line_what_answers(kv: KeyValue) -> None:
    line = await kv.check()
    assert line
    assert "\n" not in line


async def test_stats_count_items_and_bytes_of_every_node(kv: KeyValue) -> None:
    for number in range(40):
        await kv.set(f"k{number}", b"v" * 1000, 60)
    nodes = await kv.stats()
    assert all(node.up and node.limit_bytes > node.size_bytes for node in nodes)
    assert sum(node.items for node in nodes) >= 40
    assert sum(node.size_bytes for node in nodes) >= 40_000
