import asyncio

import pytest

from services.api.cache import ExpiringCache


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def _failing(times):
    calls = []

    async def load():
        calls.append(1)
        await asyncio.sleep(0)
        if len(calls) <= times:
            raise ValueError("not yet")
        return "value"

    return calls, load


def test_a_value_expires():
    clock = Clock()
    cache = ExpiringCache[str, str](5, clock=clock)
    cache.put("a", "1")
    cache.put("b", "2", ttl_s=1)
    clock.now += 2
    assert (cache.get("a"), cache.get("b")) == ("1", None)
    clock.now += 3
    assert cache.get("a") is None


def test_a_shorter_life_is_kept_and_a_longer_one_is_not():
    clock = Clock()
    cache = ExpiringCache[str, str](5, clock=clock)
    cache.put("a", "1", ttl_s=1000)
    cache.put("b", "2", ttl_s=-1)
    clock.now += 5
    assert (cache.get("a"), cache.get("b")) == (None, None)


def test_the_oldest_entries_make_room():
    cache = ExpiringCache[int, int](5, max_entries=2)
    for number in range(4):
        cache.put(number, number)
    assert [cache.get(number) for number in range(4)] == [None, None, 2, 3]


@pytest.mark.parametrize("ttl_s", [5, 0])
async def test_waiters_for_one_key_share_one_load(ttl_s):
    cache = ExpiringCache[str, str](ttl_s)
    calls, load = _failing(0)
    assert await asyncio.gather(*(cache.load("a", load) for _ in range(10))) == ["value"] * 10
    assert len(calls) == 1


async def test_a_failed_load_reaches_its_waiters_and_is_not_kept():
    cache = ExpiringCache[str, str](5)
    calls, load = _failing(1)
    results = await asyncio.gather(*(cache.load("a", load) for _ in range(3)), return_exceptions=True)
    assert all(isinstance(result, ValueError) for result in results)
    assert (await cache.load("a", load), len(calls)) == ("value", 2)


async def test_a_waiter_who_hangs_up_does_not_fail_the_others():
    cache = ExpiringCache[str, str](5)
    _, load = _failing(0)
    first = asyncio.create_task(cache.load("a", load))
    second = asyncio.create_task(cache.load("a", load))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "value"
    assert first.cancelled() or await asyncio.wait({first})
