"""The only Memcached goes away, hangs, comes back, or refuses."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from shared.errors import StoreUnavailable
from shared.store.memcached import open_memcached
from shared.store.memcached_async import open_memcached_async
from tests.harness import Memcached, free_port, release_port, wait_until
from tests.integration.shared.store.conftest import OPENERS, Open


@contextmanager
def blackhole() -> Iterator[int]:
    """A port whose queue of connections is full: a new one gets no answer, as behind a firewall that drops packets."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


async def test_down_is_unavailable_at_once_and_up_is_well_again(
    client: str, own_memcached: Memcached, open_client: Open
) -> None:
    kv = open_client(client, own_memcached)
    await asyncio.gather(*(kv.set(f"k{number}", b"v", 60) for number in range(20)))
    own_memcached.kill9()
    began = time.monotonic()
    for command in (kv.get("k1"), kv.set("k1", b"v", 60), kv.add("k1", b"v", 60), kv.get_many(["k1"]), kv.check()):
        with pytest.raises(StoreUnavailable, match=own_memcached.address):
            await command
    assert time.monotonic() - began < 1.5
    own_memcached.start()
    assert await kv.get("k1") is None
    assert await kv.add("k1", b"v", 60)


async def test_a_restart_between_two_commands_goes_unnoticed(
    client: str, own_memcached: Memcached, open_client: Open
) -> None:
    kv = open_client(client, own_memcached)
    for _ in range(3):
        await asyncio.gather(*(kv.set(f"k{number}", b"v", 60) for number in range(20)))
        own_memcached.restart()
        found = await asyncio.gather(*(kv.get(f"k{number}") for number in range(20)))
        assert found == [None] * 20


async def test_a_frozen_memcached_is_unavailable_within_the_timeout(
    own_memcached: Memcached, open_client: Open
) -> None:
    kv = open_client("async", own_memcached)
    await kv.set("k", b"v", 60)
    own_memcached.pause()
    began = time.monotonic()
    answers = await asyncio.gather(*(kv.get("k") for _ in range(100)), return_exceptions=True)
    assert time.monotonic() - began < 10  # one time-out, with room for a busy machine; one after the other is 100
    assert all(isinstance(answer, StoreUnavailable) for answer in answers)
    own_memcached.resume()
    assert await kv.get("k") == b"v"


async def test_a_frozen_memcached_frees_the_renderer_s_threads(own_memcached: Memcached, open_client: Open) -> None:
    kv = open_client("pymemcache", own_memcached, timeout_s=0.3)
    await kv.set("k", b"v", 60)
    own_memcached.pause()
    answers = await asyncio.gather(*(kv.get("k") for _ in range(8)), return_exceptions=True)
    assert all(isinstance(answer, StoreUnavailable) for answer in answers)
    own_memcached.resume()
    assert await asyncio.gather(*(kv.get("k") for _ in range(8))) == [b"v"] * 8


async def test_a_port_that_nobody_listens_on_is_named(client: str) -> None:
    port = free_port()
    kv = OPENERS[client]([("127.0.0.1", port)])
    with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{port}.*VITRINE_STORE_URL"):
        await kv.check()
    await kv.close()
    release_port(port)


async def test_an_address_that_never_answers_costs_the_connect_timeout_only(client: str) -> None:
    with blackhole() as port:
        kv = OPENERS[client]([("127.0.0.1", port)])
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await kv.get("k")
        assert time.monotonic() - began < 10  # the kernel's own limit is two minutes
        await kv.close()


async def test_a_name_is_tried_at_all_its_addresses(
    client: str, memcached: Memcached, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(host: str, port: int, *_: object, **__: object) -> list[object]:
        assert host in ("cache.example", "127.0.0.2", "127.0.0.1")
        hosts = ["127.0.0.2", "127.0.0.1"] if host == "cache.example" else [host]  # nobody listens on the first
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port)) for host in hosts]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    kv = OPENERS[client]([("cache.example", memcached.port)])
    await kv.set("k", b"v", 60)
    assert await kv.get("k") == b"v"
    await kv.close()


@pytest.mark.parametrize("client", ["async", "pymemcache"])
async def test_what_an_operator_s_smaller_item_limit_refuses_is_an_error(client: str, open_client: Open) -> None:
    with Memcached(item_size="512k") as server:
        kv = open_client(client, server)
        with pytest.raises(StoreUnavailable, match="too large"):
            await kv.set("k", bytes(600_000), 60)
        with pytest.raises(StoreUnavailable, match="too large"):
            await kv.add("k", bytes(600_000), 60)
        assert await kv.get("k") is None


async def test_cancelled_commands_leave_both_clients_in_step(
    client: str, own_memcached: Memcached, open_client: Open
) -> None:
    kv = open_client(client, own_memcached)
    await kv.set("a", b"A", 60)
    await kv.set("b", b"B", 60)
    own_memcached.pause()
    for _ in range(10):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(kv.get("a"), 0.02)
    own_memcached.resume()
    assert await asyncio.gather(*(kv.get("b") for _ in range(20))) == [b"B"] * 20
    assert not await kv.add("b", b"C", 60)


async def test_nothing_is_left_open_after_close(own_memcached: Memcached) -> None:
    def connections() -> int:
        return int(own_memcached.stats()["curr_connections"])

    before = connections()
    for opener in (open_memcached, open_memcached_async):
        kv = opener([("127.0.0.1", own_memcached.port)])
        await asyncio.gather(*(kv.set(f"k{number}", b"v", 60) for number in range(50)))
        assert connections() > before
        await kv.close()
        wait_until(lambda: connections() <= before, 5, "the connections to close")
