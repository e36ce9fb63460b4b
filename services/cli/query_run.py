"""Queries that the command line waits for: run here, or by the workers. Ctrl-C stops them in the database."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session, sessionmaker

from services.renderer.query_keeper import Keeper
from services.renderer.query_runner import Runner
from shared.errors import TooManyRequests
from shared.metadata.models import Query
from shared.results import open_results
from shared.settings import Settings
from shared.sqllab.records import Hold, Limits, Order, Queries
from shared.sqllab.states import QueryState
from shared.sqllab.sweeping import Sweeper

POLL_S = 0.1
LOOK_S = 0.5  # between two looks for what keeps it from beginning
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
    limits = Limits(settings.query_rate, settings.query_lease_s)

    def take() -> None:
        """Unless it is in somebody's hand, whoever runs `vitrine up`, or its database is busy."""
        hold = queries.claim(query.id, keeper.owner, limits)
        if isinstance(hold, Hold):
            threading.Thread(target=runner.carry_out, args=(hold,), daemon=True).start()

    keeper.start()
    try:
        return wait_for(desk, query.id, take)
    finally:
        keeper.stop()
        runner.close()


def wait_for(desk: Desk, query_id: int, take: Callable[[], None] = lambda: None) -> Query:
    """The query when it has ended; on Ctrl-C it is stopped first. `take`: called now and then while it is pending.

    A handler and no KeyboardInterrupt: that can be raised where a library swallows it, and a second one is for whoever
    has no patience.
    """
    stop = threading.Event()

    def heed(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = signal.signal(signal.SIGINT, heed)
    try:
        return _ended(desk, query_id, stop, take)
    finally:
        signal.signal(signal.SIGINT, before)


def _ended(desk: Desk, query_id: int, stop: threading.Event, take: Callable[[], None]) -> Query:
    sweeper, look_at, give_up_at = Sweeper(desk.sessions, desk.queries), 0.0, math.inf
    while True:
        if stop.is_set() and give_up_at == math.inf:
            desk.queries.stop(query_id, "")
            give_up_at = time.monotonic() + STOP_S
        query = desk.queries.find(Query.id == query_id)
        if query.ended_at is not None or time.monotonic() > give_up_at:
            return query
        if time.monotonic() >= look_at:
            if desk.settings.embedded:  # there may be nobody else who ends what a dead process left
                sweeper.end_what_lapsed()
            if query.status == QueryState.PENDING:
                take()
            look_at = time.monotonic() + LOOK_S
        time.sleep(POLL_S)
