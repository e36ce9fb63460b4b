"""One running stack for the tests that do not break it, and private ones for those that do."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Memcached, RabbitMQ, Vhost
from tests.harness.stack import Stack

TIMEOUT_S = 300  # three services, a browser and their servers are started within the first test's time


_shared: list[Stack] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> Generator[None]:
    """The stack ends with this folder's last test, not with the run: others want the machine for themselves."""
    yield
    if nextitem is None or not nextitem.path.is_relative_to(Path(__file__).parent):
        for stack in _shared:
            stack.kill()


@pytest.fixture(scope="session")
def vhost(rabbitmq_server: RabbitMQ) -> Iterator[Vhost]:
    vhost = rabbitmq_server.create_vhost()
    yield vhost
    rabbitmq_server.delete_vhost(vhost)


@pytest.fixture(scope="session")
def stack(vhost: Vhost) -> Iterator[Stack]:
    """Gateway and renderer over RabbitMQ and Memcached; the scheduler is started by the test that wants it."""
    with Memcached() as memcached, Stack(broker_url=vhost.url, store_url=memcached.url) as stack:
        _shared.append(stack)
        yield stack.start()


@pytest.fixture
def make_stack() -> Iterator[Callable[..., Stack]]:
    """`make_stack(broker_url=…, …)`: one of the test's own, not started."""
    made: list[Stack] = []

    def make(**settings: Any) -> Stack:
        made.append(Stack(**settings))
        return made[-1]

    yield make
    for stack in made:
        stack.close()
