"""The query process as a whole, with its queues in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dramatiq.middleware import CurrentMessage

from services.renderer.actors import Failures, SafeRetries
from services.renderer.child import STOP_S
from services.renderer.query_worker import Querying
from shared.metadata.models import Query
from shared.queue import SQL_QUEUES, BrokerPublisher, open_broker
from shared.sqllab.asking import request_of
from tests.harness.polling import wait_until
from tests.samples.querying import ENDLESS, Bench, sqlite_shop


@pytest.fixture
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, sqlite_shop(request, tmp_path), "sqlite")
    yield made
    made.close()


def test_queries_of_all_queues_have_their_end_before_a_process_that_is_stopped_is_killed(bench: Bench) -> None:
    broker = open_broker(bench.settings, [CurrentMessage(), SafeRetries(), Failures()])
    publisher = BrokerPublisher(broker)
    querying = Querying(bench.settings, dict.fromkeys(SQL_QUEUES, broker), publisher)
    querying.start()
    asked = [bench.ask(ENDLESS["sqlite"], queue=name) for name in SQL_QUEUES]
    for query in asked:
        asyncio.run(publisher.publish_query(request_of(query)))

    def states() -> list[str]:
        return [bench.queries.find(Query.id == query.id).status for query in asked]

    wait_until(lambda: states() == ["running"] * 3, 30, lambda: f"the running: {states()}")
    began = time.monotonic()
    querying.stop()
    assert time.monotonic() - began < STOP_S
    publisher.close()
    assert states() == ["failed"] * 3
