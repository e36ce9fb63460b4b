"""Stacks to break: each with a virtual host and a Memcached of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Memcached, RabbitMQ, Vhost
from tests.harness.stack import Stack

TIMEOUT_S = 600  # on a busy machine; three services, a browser and their servers start within a test's time


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))


@pytest.fixture
def make_stack() -> Iterator[Callable[..., Stack]]:
    """`make_stack(broker, memcached, render_deadline_s=8, …)`: one of the test's own, not started."""
    made: list[Stack] = []

    def make(broker: Vhost | RabbitMQ, memcached: Memcached, **settings: Any) -> Stack:
        made.append(Stack(broker_url=broker.url, store_url=memcached.url, **settings))
        return made[-1]

    yield make
    for stack in made:
        stack.close()
