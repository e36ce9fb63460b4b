"""What a scheduler tells Prometheus of queues and store."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from sqlalchemy.orm import Session, sessionmaker

from services.scheduler.watching import Watching
from shared.errors import BrokerUnavailable
from shared.metadata.engine import open_engine, sessions, upgrade
from shared.queue import RENDER_QUEUE
from shared.queue_watch import QueueState
from shared.store.memory import Memory
from shared.store.port import NodeStats
from tests.harness.polling import wait_until_async


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


class Queues:
    """Tells what it is given; then that the broker is gone."""

    def __init__(self, *answers: list[QueueState]) -> None:
        self.answers = list(answers)

    def look(self) -> list[QueueState]:
        if not self.answers:
            raise BrokerUnavailable("gone")
        return self.answers.pop(0)


class CountingStore(Memory):
    def __init__(self, *answers: NodeStats) -> None:
        super().__init__()
        self.answers = list(answers)

    async def stats(self) -> list[NodeStats]:
        return [self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]]


@pytest.fixture
def factory(tmp_path: Path) -> Iterator[sessionmaker[Session]]:
    engine = open_engine(f"sqlite:///{tmp_path / 'm.sqlite'}")
    upgrade(engine)
    yield sessions(engine)
    engine.dispose()


@pytest.fixture
async def looking(factory: sessionmaker[Session]) -> Any:
    tasks = []
    stop = asyncio.Event()

    def start(queues: Queues, store: Memory) -> None:
        watching: Any = Watching(queues, store, factory, every_s=0.01)  # type: ignore[arg-type]
        tasks.append(asyncio.create_task(watching.run(stop)))

    yield start
    stop.set()
    await asyncio.gather(*tasks)


async def test_what_a_queue_holds_is_told_and_is_no_number_when_the_broker_is_gone(looking: Any) -> None:
    looking(Queues([QueueState(RENDER_QUEUE, 7, 2, 1, 3, 12.5)] * 1), Memory())
    ready = "vitrine_queue_messages_ready"
    await wait_until_async(lambda: math.isnan(value(ready, queue=RENDER_QUEUE)), 10, "the value")
    looking(Queues(*[[QueueState(RENDER_QUEUE, 7, 2, 1, 3, 12.5)]] * 10_000), Memory())
    await wait_until_async(lambda: value(ready, queue=RENDER_QUEUE) == 7, 10, "the value")
    assert value("vitrine_queue_oldest_message_age_seconds", queue=RENDER_QUEUE) in (12.5,)
    assert value("vitrine_queue_dead_letters", queue=RENDER_QUEUE) == 2


async def test_evictions_are_counted_from_the_first_look_also_over_a_restart_of_the_node(looking: Any) -> None:
    told = [NodeStats("m:1", True, evictions=count, hits=0, misses=0) for count in (500, 503, 2)]
    looking(Queues(), CountingStore(*told))
    await wait_until_async(lambda: value("vitrine_store_evictions_total", node="m:1") == 5, 10, "the value")


async def test_a_node_that_does_not_answer_is_down(looking: Any) -> None:
    looking(Queues(), CountingStore(NodeStats("m:2", up=False, reason="refused")))
    await wait_until_async(lambda: math.isnan(value("vitrine_store_items", node="m:2")), 10, "the value")
    assert value("vitrine_store_node_up", node="m:2") == 0
