"""Queries that the command line waits for: run here, or by the workers. Ctrl-C stops them in the database."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from sqlalchemy.orm import Session, sessionmaker

from services.renderer.query_keeper import Keeper
from services.renderer.query_runner import Runner
from shared.errors import TooManyRequests
from shared.metadata.models import Query
from shared.results import open_results
from shared.settings import Settings
from shared.sqllab.records import Hold, Limits, Order, Queries

POLL_S = 0.1
STOP_S = 20.0  # after Ctrl-C, for its worker to cancel it


@dataclass(frozen=True, slots=True)
class Desk:
    settings: Settings
    sessions: sessionmaker[Session]
    queries: Queries

    def make(self, order: Order) -> Query:
        """Raises TooManyRequests."""
        query = self.queries.make(order, rate=self.settings.query_rate)
        if query is None:
            raise TooManyRequests(f"At most {self.settings.query_rate} queries a second.", retry_after_s=1)
        return query


def run_here(desk: Desk, order: Order) -> Query:
    """As a worker does, under a lease of this process."""
    settings, queries = desk.settings, desk.queries
    keeper = Keeper(queries, lease_s=settings.query_lease_s, handoff_s=settings.query_handoff_s)
    runner = Runner(settings, desk.sessions, queries, keeper, open_results(settings))
    query = desk.make(order)
    hold = queries.claim(query.id, keeper.owner, Limits(settings.query_rate, settings.query_lease_s))
    if isinstance(hold, Hold):  # else somebody else has it by now, or its database is busy: whoever runs `vitrine up`
        keeper.start()
        running = threading.Thread(target=runner.carry_out, args=(hold,), daemon=True)
        running.start()
    ended = wait_for(desk, query.id)
    keeper.stop()
    runner.close()
    return ended


def wait_for(desk: Desk, query_id: int) -> Query:
    """The query when it has ended; on Ctrl-C it is stopped first."""
    try:
        return _ended(desk, query_id, None)
    except KeyboardInterrupt:
        desk.queries.stop(query_id, "")
        return _ended(desk, query_id, time.monotonic() + STOP_S)


def _ended(desk: Desk, query_id: int, until: float | None) -> Query:
    while True:
        query = desk.queries.find(Query.id == query_id)
        if query.ended_at is not None or (until is not None and time.monotonic() > until):
            return query
        time.sleep(POLL_S)
