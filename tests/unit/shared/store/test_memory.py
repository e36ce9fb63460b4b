"""What the store in memory does besides the contract."""

import pytest

from shared.store.memory import PRUNE_EVERY, Memory


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_an_item_lapses_at_its_time(clock: Clock) -> None:
    memory = Memory(clock=clock)
    await memory.set("k", b"v", 10)
    clock.now += 9.9
    assert await memory.get("k") == b"v"
    clock.now += 0.1
    assert await memory.get("k") is None


async def test_it_remembers_what_it_was_asked() -> None:
    memory = Memory()
    await memory.set("k", b"v", 10)
    await memory.get("k")
    assert list(memory.calls) == [("set", "k"), ("get", "k")]


async def test_lapsed_items_make_room(clock: Clock) -> None:
    memory = Memory(clock=clock)
    await memory.set("old", b"v" * 1000, 1)
    clock.now += 2
    for number in range(PRUNE_EVERY):
        await memory.set("k", b"%d" % number, 60)
    assert await memory.check() == "memory: 1 items, 3 bytes"


async def test_above_its_bound_the_oldest_items_go(clock: Clock) -> None:
    memory = Memory(max_bytes=100, clock=clock)
    for number in range(20):
        await memory.set(f"k{number}", bytes(10), 60)
    assert await memory.get("k9") is None
    assert await memory.get("k10") == bytes(10)
