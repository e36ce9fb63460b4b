"""What the gateway has of queries: it puts them into the queue, waits for their ends, and reads their rows."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session, sessionmaker

from services.api.blocking import Blocking
from services.api.query_watch import QueryWatch
from shared.queue import QueryPublisher
from shared.results import ResultSets, open_results
from shared.settings import Settings
from shared.sqllab.asking import Asking
from shared.sqllab.charts import ChartQueries
from shared.sqllab.engines import Engines
from shared.sqllab.history import History
from shared.sqllab.records import Queries

READERS = 4  # threads that read rows for clients, some of whom are slow


@dataclass(frozen=True, slots=True)
class Querying:
    """Part of Services."""

    queries: Queries
    history: History
    charts: ChartQueries
    asking: Asking
    watch: QueryWatch
    results: ResultSets
    reading: Blocking
    engines: Engines

    async def close(self) -> None:
        await self.watch.close()
        self.reading.close()
        self.results.close()
        self.engines.close()


def open_querying(
    settings: Settings, sessions: sessionmaker[Session], publisher: QueryPublisher, blocking: Blocking
) -> Querying:
    """Connects nothing."""
    queries, history = Queries(sessions), History(sessions)
    return Querying(
        queries=queries,
        history=history,
        charts=ChartQueries(sessions),
        asking=Asking(queries, publisher, rate=settings.query_rate),
        watch=QueryWatch(history, blocking, settings.sqllab_listeners),
        results=open_results(settings),
        reading=Blocking(READERS),
        engines=Engines(settings),
    )
