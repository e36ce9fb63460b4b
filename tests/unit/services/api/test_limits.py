import asyncio

import pytest

from services.api.limits import LoginLimits
from shared.errors import StoreUnavailable, TooManyRequests
from shared.store.memory import Memory


class BadStore(Memory):
    async def gets(self, key):
        raise StoreUnavailable("down")


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def _limits(store=None, clock=None):
    return LoginLimits(store or Memory(), "p_", 3, clock=clock or Clock())


@pytest.mark.parametrize("store", [Memory, BadStore])
async def test_the_attempt_above_the_limit_is_refused_until_the_minute_is_over(store):
    clock = Clock()
    limits = _limits(store(), clock)
    for _ in range(3):
        await limits.take("ben", "1.2.3.4")
    clock.now += 20
    with pytest.raises(TooManyRequests) as refused:
        await limits.take("ben", "5.6.7.8")
    assert refused.value.retry_after_s == 40
    clock.now += 41
    await limits.take("ben", "1.2.3.4")


async def test_workers_that_share_a_store_count_together():
    store = Memory()
    for _ in range(3):
        await _limits(store).take("ben", "1.2.3.4")
    with pytest.raises(TooManyRequests):
        await _limits(store).take("ben", "1.2.3.4")


async def test_attempts_at_once_do_not_slip_through():
    limits = _limits()
    attempts = [limits.take("ben", f"10.0.0.{number}") for number in range(20)]
    results = await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(result is None for result in results) == 3


async def test_what_is_given_back_is_not_counted():
    limits = _limits()
    for _ in range(10):
        await limits.take("ben", "1.2.3.4")
        await limits.give_back("ben", "1.2.3.4")


async def test_an_address_that_is_shut_out_does_not_lock_users_out():
    limits = _limits()
    for number in range(3):
        await limits.take(f"user{number}", "6.6.6.6")
    for _ in range(10):
        with pytest.raises(TooManyRequests):
            await limits.take("ben", "6.6.6.6")
    await limits.take("ben", "1.2.3.4")


async def test_the_spelling_of_a_user_name_is_no_way_around():
    limits = _limits()
    for name in ("ben", "Ben", "BEN"):
        await limits.take(name, name)
    with pytest.raises(TooManyRequests):
        await limits.take("bEn", "9.9.9.9")


async def test_keys_hold_no_names():
    store = Memory()
    await _limits(store).take("ben smith\n", "1.2.3.4")
    assert all("ben" not in key and "1.2.3" not in key for _, key in store.calls)
