"""Which node has a key, and what a dead one means, with nodes that die on demand."""

import uuid
from collections.abc import Awaitable, Callable

import pytest
from pymemcache.client.hash import HashClient

from shared.errors import StoreUnavailable
from shared.store.nodes import MAX_RELATIVE_S, Nodes, expire_of
from tests.harness import wait_until_async


class BadNode:
    """A node in memory whose `fault`, when set, meets every command."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.fault: Exception | None = None
        self.items: dict[str, bytes] = {}
        self.asked = 0

    def _ask(self) -> None:
        self.asked += 1
        if self.fault:
            raise self.fault

    async def get(self, key: str) -> bytes | None:
        self._ask()
        return self.items.get(key)

    async def get_many(self, keys: list[str]) -> dict[str, bytes]:
        self._ask()
        return {key: self.items[key] for key in keys if key in self.items}

    async def gets(self, key: str) -> tuple[bytes, int] | None:
        value = await self.get(key)
        return None if value is None else (value, 1)

    async def set(self, key: str, value: bytes, expire: int) -> None:
        self._ask()
        self.items[key] = value

    async def add(self, key: str, value: bytes, expire: int) -> bool:
        self._ask()
        return self.items.setdefault(key, value) is value

    async def cas(self, key: str, value: bytes, unique: int, expire: int) -> bool:
        self._ask()
        self.items[key] = value
        return True

    async def delete(self, key: str) -> None:
        self._ask()

    async def version(self) -> str:
        self._ask()
        return "1.6"

    async def close(self) -> None:
        pass


@pytest.fixture
def pair() -> list[BadNode]:
    return [BadNode("10.0.0.1:11211"), BadNode("10.0.0.2:11211")]


async def filled(pair: list[BadNode], dead_s: float = 60) -> tuple[Nodes, list[str]]:
    nodes, keys = Nodes(pair, dead_s=dead_s), [uuid.uuid4().hex for _ in range(50)]
    for key in keys:
        await nodes.set(key, b"v", 60)
    assert all(node.items for node in pair)
    return nodes, keys


async def test_a_key_is_where_pymemcache_s_hash_client_would_look() -> None:
    names = [f"10.0.0.{number}:11211" for number in range(5)]
    reference = HashClient(names)
    parts = [BadNode(name) for name in names]
    nodes = Nodes(parts)
    for key in (uuid.uuid4().hex for _ in range(1000)):
        await nodes.set(key, b"v", 60)
        host, port = reference._get_client(key).server
        assert [node.name for node in parts if key in node.items] == [f"{host}:{port}"]


async def test_a_dead_node_s_keys_are_misses_and_the_other_s_are_not(pair: list[BadNode]) -> None:
    nodes, keys = await filled(pair)
    pair[0].fault = ConnectionRefusedError("refused")
    for key in keys:
        assert await nodes.get(key) == pair[1].items.get(key)
    assert await nodes.get_many(keys) == pair[1].items


async def test_a_dead_node_is_left_alone_for_a_while(pair: list[BadNode]) -> None:
    nodes, keys = await filled(pair)
    pair[0].fault = TimeoutError("no answer")
    asked = pair[0].asked
    for key in keys * 2:
        await nodes.get(key)
    assert pair[0].asked == asked + 1


async def test_what_is_written_meanwhile_goes_to_the_other_node(pair: list[BadNode]) -> None:
    nodes, keys = await filled(pair)
    pair[0].fault = ConnectionRefusedError("refused")
    for key in keys:
        await nodes.set(key, b"new", 60)
        assert await nodes.get(key) == b"new"


async def test_a_node_that_is_back_is_used_again(pair: list[BadNode]) -> None:
    nodes, keys = await filled(pair, dead_s=0.05)
    pair[0].fault = ConnectionRefusedError("refused")
    await nodes.get_many(keys)
    pair[0].fault = None
    mine = next(iter(pair[0].items))
    await wait_until_async(lambda: nodes.get(mine), 5, "the node's return")


async def test_two_dead_nodes_are_an_unavailable_store(pair: list[BadNode]) -> None:
    nodes, keys = await filled(pair)
    for node in pair:
        node.fault = ConnectionRefusedError("refused")
    for command in (nodes.get, nodes.gets, nodes.delete):
        with pytest.raises(StoreUnavailable, match=r"10\.0\.0\.1:11211"):
            await command(keys[0])
    with pytest.raises(StoreUnavailable):
        await nodes.get_many(keys)


COMMANDS: list[Callable[[Nodes], Awaitable[object]]] = [
    lambda nodes: nodes.get("k"),
    lambda nodes: nodes.gets("k"),
    lambda nodes: nodes.get_many(["k"]),
    lambda nodes: nodes.set("k", b"v", 60),
    lambda nodes: nodes.add("k", b"v", 60),
    lambda nodes: nodes.cas("k", b"v", ("only:1", 1), 60),
    lambda nodes: nodes.delete("k"),
    lambda nodes: nodes.check(),
]


@pytest.mark.parametrize("command", COMMANDS)
async def test_the_only_node_dead_is_an_unavailable_store_until_it_is_back(
    command: Callable[[Nodes], Awaitable[object]],
) -> None:
    node = BadNode("only:1")
    nodes = Nodes([node])
    node.fault = ConnectionRefusedError("refused")
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=r"only:1 \(refused\)"):
            await command(nodes)
    node.fault = None
    await command(nodes)


async def test_a_token_of_one_node_does_not_hold_at_another(pair: list[BadNode]) -> None:
    nodes, _ = await filled(pair)
    key = next(iter(pair[0].items))
    _, token = await nodes.gets(key) or pytest.fail("a miss")
    pair[0].fault = ConnectionRefusedError("refused")
    assert not await nodes.cas(key, b"new", token, 60)


async def test_a_refusal_is_no_death(pair: list[BadNode]) -> None:
    nodes, _ = await filled(pair)
    pair[0].fault = StoreUnavailable("out of memory")
    mine = next(iter(pair[0].items))
    with pytest.raises(StoreUnavailable, match="out of memory"):
        await nodes.set(mine, b"v", 60)
    pair[0].fault = None
    assert await nodes.get(mine) == b"v"


async def test_check_names_the_nodes_that_answer_and_those_that_do_not(pair: list[BadNode]) -> None:
    pair[1].fault = TimeoutError()
    line = await Nodes(pair).check()
    assert line == "Memcached at 10.0.0.1:11211 (1.6); not answering: 10.0.0.2:11211 (TimeoutError)"


@pytest.mark.parametrize(("ttl_s", "expire"), [(0, 1), (-5, 1), (0.2, 1), (59.1, 60), (MAX_RELATIVE_S, MAX_RELATIVE_S)])
def test_a_duration_is_whole_seconds_and_never_for_ever(ttl_s: float, expire: int) -> None:
    assert expire_of(ttl_s) == expire


def test_a_duration_above_thirty_days_is_a_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1_900_000_000.5)
    assert expire_of(MAX_RELATIVE_S + 1) == 1_900_000_000 + MAX_RELATIVE_S + 1
