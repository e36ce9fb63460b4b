"""The query process of a renderer: `python -m services.renderer.query_worker`. The renderer starts one beside itself.

Queries for which somebody waits have a queue and threads of their own, so that none stands behind a long one; so have
charts' rows. More processes may run on other machines. `vitrine up` without a broker has it as threads (`Querying`).
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Any

import dramatiq
import structlog
from dramatiq.errors import Retry
from dramatiq.middleware import CurrentMessage

from services.renderer.actors import Failures, SafeRetries
from services.renderer.child import SideWorker, run
from services.renderer.query_charts import Charts
from services.renderer.query_keeper import Keeper
from services.renderer.query_runner import Runner
from shared import logs, tracing
from shared.errors import DatabaseUnavailable, VitrineError
from shared.heartbeats import Heart
from shared.messages import query
from shared.metadata.engine import open_metadata, sessions
from shared.queue import (
    QUERY_ACTORS,
    SQL_CHART_QUEUE,
    SQL_LONG_QUEUE,
    SQL_SHORT_QUEUE,
    BrokerPublisher,
    QueryPublisher,
    open_broker,
)
from shared.results import open_results
from shared.settings import Settings
from shared.sqllab.care import Care
from shared.sqllab.engines import Engines
from shared.sqllab.records import Hold, Limits, Queries, Refusal

log = structlog.get_logger(__name__)
BUSY_MS = 500  # until a query whose database is busy is looked at again, and as much again at random
TROUBLE_MS = 2000  # the metadata database does not answer
LOOK_MS = 200  # in which a consumer sees that a thread is free
CARE_S = 2.0
STOP_MS = 5000
ABANDON_S = 4.0
JOIN_S = 2.0


class Querying:
    """The query actors with their threads; `start` and `stop` are called from any thread.

    `brokers`: that of each queue; each knows how many threads its queue has.
    """

    def __init__(self, settings: Settings, brokers: Mapping[str, Any], publisher: QueryPublisher) -> None:
        factory = sessions(open_metadata(settings))
        self._limits = Limits(settings.query_rate, settings.query_lease_s)
        self._queries = Queries(factory)
        self._keeper = Keeper(self._queries, lease_s=settings.query_lease_s, handoff_s=settings.query_handoff_s)
        charts = Charts(settings, factory, self._queries)
        self._runner = Runner(settings, factory, self._queries, self._keeper, open_results(settings), charts)
        self._care = Care(Engines(settings), factory, publisher)
        self._sessions = factory
        self._in_hand: dict[int, dict[str, str]] = {}
        self._caring = threading.Thread(target=lambda: asyncio.run(self._take_care()), name="query-care", daemon=True)
        self._stopping = threading.Event()
        self._workers = [self._worker(name, brokers[name], threads) for name, threads in threads_of(settings).items()]

    def _worker(self, name: str, broker: Any, threads: int) -> dramatiq.Worker:
        def act(request: dict[str, Any]) -> None:
            self._act(broker, request)

        # Its retries are its own: a busy database is not a failing message.
        options: dict[str, Any] = {"max_retries": 10**6, "throws": (VitrineError,)}
        dramatiq.actor(actor_name=QUERY_ACTORS[name], broker=broker, queue_name=name, **options)(act)
        return SideWorker(broker, queues={name}, worker_threads=threads, worker_timeout=LOOK_MS)

    def start(self) -> None:
        self._keeper.start()
        self._caring.start()
        for worker in self._workers:
            worker.start()
        log.info("querying_started", owner=self._keeper.owner)

    def stop(self) -> None:
        """What is in hand may end, shortly; the rest is put back or ended by whoever finds its lease lapsed."""
        self._stopping.set()
        # At the same time: whoever asked us to stop waits for STOP_S of child.py, however many queues there are.
        stops = [threading.Thread(target=worker.stop, args=(STOP_MS,)) for worker in self._workers]
        for one in stops:
            one.start()
        for one in stops:
            one.join()
        self._keeper.abandon(ABANDON_S)
        self._caring.join(JOIN_S)
        self._keeper.stop()
        self._runner.close()

    def _act(self, broker: Any, request: dict[str, Any]) -> None:
        decoded, message = query.decode(request), CurrentMessage.get_current_message()
        with logs.bound(correlation_id=decoded.correlation_id, query_id=decoded.query_id):
            try:
                hold = self._queries.claim(decoded.query_id, self._keeper.owner, self._limits)
            except DatabaseUnavailable as error:
                raise Retry(error.message, delay=TROUBLE_MS) from error
            match hold:
                case Refusal.GONE:
                    log.info("query_not_taken", reason="it has ended, or is in hand")
                case Refusal():
                    raise Retry(hold.value, delay=BUSY_MS + random.randrange(BUSY_MS))  # noqa: S311
                case _:
                    with self._taken(hold), _span(decoded):
                        self._runner.carry_out(hold, lambda: broker.hand_off(message))

    @contextmanager
    def _taken(self, hold: Hold) -> Iterator[None]:
        """In hand, as the heartbeat tells it."""
        query = hold.query
        named = f"query {query.id}" if query.chart is None else f"query {query.id} for chart {query.chart['chart_id']}"
        what = f"{named} of {query.username or 'the operator'} in {query.database_name}"
        about = {"correlation_id": query.correlation_id, "since": datetime.now(UTC).isoformat()}
        self._in_hand[query.id] = {"id": str(query.id), "what": what, **about}
        try:
            yield
        finally:
            self._in_hand.pop(query.id, None)

    async def _take_care(self) -> None:
        heart = Heart(self._sessions, "querying", lambda: {"work": list(self._in_hand.values())})
        heart.start()
        await self._look_after()
        await heart.stop()

    async def _look_after(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._care.once()
            except VitrineError as error:  # the next round tries again
                log.warning("query_care_failed", code=error.code, reason=error.message)
            except Exception:  # a fault of ours: what died must be found all the same, next time
                log.exception("query_care_failed", code="internal")
            await asyncio.to_thread(self._stopping.wait, CARE_S)


def _span(request: query.QueryRequest) -> AbstractContextManager[None]:
    trace, number = request.correlation_id, request.query_id
    return tracing.span("query", kind="consumer", trace=trace, handles=request.id, query_id=number)


def threads_of(settings: Settings) -> dict[str, int]:
    """The threads of each queue."""
    return {
        SQL_SHORT_QUEUE: settings.query_short_threads,
        SQL_LONG_QUEUE: settings.query_long_threads,
        SQL_CHART_QUEUE: settings.query_chart_threads,
    }


def build_brokers(settings: Settings) -> dict[str, dramatiq.Broker]:
    """One for each queue, as each has as many messages in hand as its threads."""
    return {
        name: open_broker(settings, [CurrentMessage(), SafeRetries(), Failures()], queues=(name,), threads=threads)
        for name, threads in threads_of(settings).items()
    }


def _build(settings: Settings, publisher: BrokerPublisher) -> Querying:
    return Querying(settings, build_brokers(settings), publisher)


if __name__ == "__main__":
    run("querying", _build, lambda settings: settings.query_metrics_port)
