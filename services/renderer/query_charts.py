"""Rows of charts that were asked for in the background: read in their database, and kept where every viewer finds them.

The query is built when it runs, for whoever asked, with the roles and rules that hold then. Viewers who ask for the
same rows meanwhile wait for the same reading (shared/chart_data.py), whichever process they ask.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import suppress
from functools import partial

from sqlalchemy.orm import Session, sessionmaker

from services.renderer.query_keeper import Running
from services.renderer.query_patience import Patience
from services.renderer.query_script import Outcome
from shared.catalog.native import NativeCatalog
from shared.catalog.queries import DataQuery
from shared.errors import NotFound, QueryCancelled
from shared.identity import Tokens
from shared.metadata.models import Database
from shared.settings import Settings
from shared.sqllab.charts import BEGAN_AT, ChartWish
from shared.sqllab.records import Queries
from shared.sqllab.states import QueryState
from shared.store import open_store
from shared.store.data import Entry

CLOSE_S = 2.0


class Charts:
    """For many threads; the store is asked on an event loop of its own."""

    def __init__(self, settings: Settings, sessions: sessionmaker[Session], queries: Queries) -> None:
        self._settings = settings
        self._sessions = sessions
        self._queries = queries
        self._store = open_store(settings, side="renderer")
        tokens = Tokens(settings.secret_key.get_secret_value())
        self._catalog = NativeCatalog(sessions, settings, tokens, self._store)
        self._pool = ThreadPoolExecutor(settings.query_chart_threads, thread_name_prefix="chart")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="chart-data", daemon=True)
        self._thread.start()

    def run(self, running: Running, patience: Patience) -> Outcome:
        """Raises what its database or the store raises; QueryCancelled when the row is not ours any more."""
        wish = ChartWish.of(running.hold.query.chart or {})
        query, timeout_s = patience(lambda: self._built(running, wish))
        watch = _Watch(running, self._queries, patience, query, timeout_s)

        async def read(query: DataQuery) -> bytes:
            context = contextvars.copy_context()
            return await self._loop.run_in_executor(self._pool, context.run, self._read, query, watch)

        async def reading() -> Entry:
            task = asyncio.current_task()
            assert task is not None, "a coroutine runs in one"
            # While it waits for somebody else's reading; set here, so that it is never set over the database's cancel.
            running.cancel = partial(self._loop.call_soon_threadsafe, task.cancel)
            return await self._catalog.data.read(query, read, newer_than=wish.since)

        try:
            entry = asyncio.run_coroutine_threadsafe(reading(), self._loop).result()
        except CancelledError as error:
            raise QueryCancelled("The query was cancelled before it began in the database.") from error
        if not watch.has_begun:  # somebody else read them
            watch.begun(lambda: None, "")
        running.statements_done = 1
        return Outcome(watch.rows, extra={BEGAN_AT: entry.began_at.isoformat()})

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._catalog.close()
        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._store.close(), self._loop).result(CLOSE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CLOSE_S)
        if not self._thread.is_alive():
            self._loop.close()

    def _built(self, running: Running, wish: ChartWish) -> tuple[DataQuery, float]:
        """The query, and how long it may take. Raises NotFound, QueryRefused, InvalidInput."""
        asked = running.hold.query
        principal = self._catalog.principal(asked.username)
        query = self._catalog.chart_query(principal, wish.chart_id, wish.dashboard_id, wish.data_mask)
        with self._sessions() as session:
            database = session.get(Database, asked.database_id) if asked.database_id else None
        if database is None or database.name != query.database:  # whose limits this query was counted in
            raise NotFound("The chart reads another database by now.")
        left_s = max(running.ends_at - time.monotonic(), 0.001)
        return query, left_s if database.allow_run_async else min(left_s, self._settings.query_timeout_s)

    def _read(self, query: DataQuery, watch: _Watch) -> bytes:
        rows = self._catalog.read(query, watch)
        watch.rows = len(rows.data)
        return rows.as_text()


class _Watch:
    """Looks after the reading as the keeper of the process tells it: shared.catalog.readers.Watch."""

    def __init__(
        self, running: Running, queries: Queries, patience: Patience, query: DataQuery, timeout_s: float
    ) -> None:
        self.timeout_s = timeout_s
        self.has_begun = False
        self.rows: int | None = None  # None: somebody else read them
        self._running = running
        self._queries = queries
        self._patience = patience
        self._query = query

    def begun(self, cancel: Callable[[], None], server_id: str) -> None:
        running = self._running
        running.cancel = cancel  # before the look at the verdict, which the keeper gives before it cancels
        values = {"server_id": server_id or None, "executed_sql": self._query.sql, "chart_key": self._query.key}
        if running.verdict is not None or not self._patience(
            lambda: self._queries.move(running.hold, QueryState.RUNNING, statements=1, **values)
        ):
            raise QueryCancelled("The query was cancelled before it began in the database.")
        self.has_begun = True
