"""What the gateway looks at, though nobody asks it."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from services.api.dependencies import Dependencies
from shared.errors import StoreUnavailable
from tests.harness.polling import wait_until_async


class Store:
    def __init__(self) -> None:
        self.down = False

    async def check(self) -> str:
        if self.down:
            raise StoreUnavailable("gone")
        return "answers"


def up() -> float | None:
    return REGISTRY.get_sample_value("vitrine_dependency_up", {"dependency": "store"})


@pytest.fixture
async def looking() -> AsyncIterator[Callable[[Store], Awaitable[None]]]:
    opened = []

    async def start(store: Store) -> None:
        opened.append(Dependencies({"store": store.check}, every_s=0.01))
        await opened[-1].start()

    yield start
    for one in opened:
        await one.close()


async def test_metrics_tell_of_a_dependency_that_goes_and_comes_though_nobody_asks(looking: Any) -> None:
    store = Store()
    await looking(store)
    await wait_until_async(lambda: up() == 1, 5, "a first look")
    store.down = True
    await wait_until_async(lambda: up() == 0, 5, "a look at what is down")
    store.down = False
    await wait_until_async(lambda: up() == 1, 5, "a look at what is back")


async def test_a_change_is_logged_once(looking: Any) -> None:
    store = Store()
    store.down = True
    with capture_logs() as logged:
        await looking(store)
        assert len(logged) == 1
        store.down = False
        await wait_until_async(lambda: len(logged) == 2, 5, "another line")
    assert [(line["event"], line["ready"]) for line in logged] == [
        ("readiness_changed", False),
        ("readiness_changed", True),
    ]


async def test_a_look_that_is_given_up_before_its_checks_began_leaves_none_of_them_behind() -> None:
    # A coroutine that nobody awaits is reported when it is collected: far away, in whatever runs then.
    dependencies = Dependencies({"store": Store().check})
    look = asyncio.create_task(dependencies.look())
    with warnings.catch_warnings(record=True) as left_behind:
        warnings.simplefilter("always")
        await asyncio.sleep(0)  # asked
        await asyncio.sleep(0)  # loading: its checks are scheduled and have not run
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.gather(look, return_exceptions=True)
        gc.collect()
    assert [str(one.message) for one in left_behind] == []


async def test_closing_what_was_never_started_is_no_error() -> None:
    await Dependencies({}).close()
