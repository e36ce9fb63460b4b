import asyncio

from shared.store.memory import Memory
from shared.store.slots import Slots


async def test_never_more_at_once_than_the_limit_in_all_processes_together():
    kv = Memory()
    fleet = [Slots(kv, "p_") for _ in range(3)]
    running, most = 0, 0

    async def work(slots):
        nonlocal running, most
        async with slots.hold("native/db", 2, wait_s=10) as held:
            assert held
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.01)
            running -= 1

    await asyncio.gather(*(work(slots) for slots in fleet * 4))
    assert most == 2


async def test_another_database_has_slots_of_its_own():
    slots = Slots(Memory(), "p_")
    async with slots.hold("a", 1, wait_s=0) as one, slots.hold("b", 1, wait_s=0) as other:
        assert (one, other) == (True, True)


async def test_the_slot_of_a_dead_holder_comes_back(monkeypatch):
    monkeypatch.setattr("shared.store.slots.LEASE_S", 0.2)
    kv = Memory()
    holding = Slots(kv, "p_").hold("a", 1, wait_s=0)
    assert await holding.__aenter__()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()  # its heart stops
    async with Slots(kv, "p_").hold("a", 1, wait_s=5) as held:
        assert held


async def test_a_long_holder_keeps_its_slot(monkeypatch):
    monkeypatch.setattr("shared.store.slots.LEASE_S", 0.3)
    slots = Slots(Memory(), "p_")
    async with slots.hold("a", 1, wait_s=0), slots.hold("a", 1, wait_s=1) as second:
        assert not second
