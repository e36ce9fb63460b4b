"""Handing off on a RabbitMQ that takes messages back after seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import dramatiq
import pytest
from dramatiq.middleware import CurrentMessage

from shared.messages.query import QueryRequest
from shared.queue import QUERY_ACTORS, SQL_LONG_QUEUE, envelope, open_broker
from shared.settings import Settings
from tests.harness import RabbitMQ
from tests.harness.polling import wait_until

pytestmark = pytest.mark.timeout(600)
TIMEOUT_S = 2.0
THREADS = 2


@pytest.fixture(scope="module")
def impatient() -> Iterator[RabbitMQ]:
    with RabbitMQ(consumer_timeout_s=TIMEOUT_S) as server:
        yield server


class Work:
    """What the actor was given: which requests began, how often; each goes on until the test ends it."""

    def __init__(self, broker: Any) -> None:
        self.broker = broker
        self.began: list[int] = []
        self.ends: dict[int, threading.Event] = {}
        self.hands_off = True

    def act(self, request: dict[str, Any]) -> None:
        number = int(request["queryId"])
        self.began.append(number)
        if self.hands_off:
            self.broker.hand_off(CurrentMessage.get_current_message())
        self.ends.setdefault(number, threading.Event()).wait(60)

    def end(self, number: int) -> None:
        self.ends.setdefault(number, threading.Event()).set()


@pytest.fixture
def start(request: Any) -> Iterator[Callable[[str], Work]]:
    started: list[tuple[dramatiq.Worker, Work]] = []

    def begin(url: str) -> Work:
        settings = Settings(secret_key="f3b1c9d27a8e4650b1c2d3e4f5a69788", broker_url=url)
        broker = open_broker(settings, [CurrentMessage()], queues=(SQL_LONG_QUEUE,), threads=THREADS)
        work = Work(broker)
        dramatiq.actor(actor_name=QUERY_ACTORS[SQL_LONG_QUEUE], broker=broker, queue_name=SQL_LONG_QUEUE)(work.act)
        worker = dramatiq.Worker(broker, queues={SQL_LONG_QUEUE}, worker_threads=THREADS, worker_timeout=200)
        worker.start()
        started.append((worker, work))
        return work

    yield begin
    for worker, work in started:
        for number in range(20):
            work.end(number)
        worker.stop()
        worker.broker.close()


def publish(work: Work, *numbers: int) -> None:
    now = datetime.now(UTC)
    for number in numbers:
        work.broker.enqueue(envelope(QueryRequest(f"q{number}", number, SQL_LONG_QUEUE, now, now, "c")))


def in_queue(server: RabbitMQ) -> int:
    return server.default.message_count(SQL_LONG_QUEUE)


def test_what_lasts_longer_than_the_consumer_timeout_runs_once(impatient: RabbitMQ, start: Any) -> None:
    work = start(impatient.url)
    publish(work, 1)
    wait_until(lambda: work.began == [1], 30, "the beginning")
    began = time.monotonic()
    wait_until(lambda: time.monotonic() - began > 3 * TIMEOUT_S, 30, "three time-outs", interval_s=0.2)
    work.end(1)
    publish(work, 2)  # the same connection still works
    wait_until(lambda: 2 in work.began, 30, "another one")
    assert work.began == [1, 2]


def test_nothing_is_taken_while_all_threads_are_busy_with_what_was_handed_off(impatient: RabbitMQ, start: Any) -> None:
    work = start(impatient.url)
    publish(work, 1, 2, 3, 4)
    wait_until(lambda: sorted(work.began) == [1, 2], 30, "two of them")
    wait_until(lambda: in_queue(impatient) == 2, 30, "the others, back in the queue")
    began = time.monotonic()
    wait_until(lambda: time.monotonic() - began > 2 * TIMEOUT_S, 30, "two time-outs", interval_s=0.2)
    assert sorted(work.began) == [1, 2]
    work.end(1)
    wait_until(lambda: len(work.began) == 3, 30, "the next one")
    work.end(work.began[2])
    work.end(2)
    wait_until(lambda: sorted(work.began) == [1, 2, 3, 4], 30, "the last one")


def test_what_was_not_handed_off_is_taken_back_and_not_run_twice_at_once(impatient: RabbitMQ, start: Any) -> None:
    work = start(impatient.url)
    work.hands_off = False
    publish(work, 1)
    wait_until(lambda: work.began == [1], 30, "the beginning")
    began = time.monotonic()
    wait_until(lambda: time.monotonic() - began > 3 * TIMEOUT_S, 30, "three time-outs", interval_s=0.2)
    work.end(1)
    publish(work, 2, 3)
    for number in (2, 3):
        work.end(number)
    wait_until(lambda: {2, 3} <= set(work.began), 30, "others")
    assert work.began.count(1) == 1
