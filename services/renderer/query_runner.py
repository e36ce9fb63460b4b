"""Carries out one query that is in hand: in its database, and to the one end of its row, with a reason.

Nothing here is retried: a query that failed may have written, or may have been what broke its database.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import structlog
from sqlalchemy.orm import Session, sessionmaker

from services.renderer.query_charts import Charts
from services.renderer.query_keeper import Keeper, Running, Verdict
from services.renderer.query_patience import Patience
from services.renderer.query_script import Outcome, ScriptRun, checked
from shared import metrics
from shared.catalog.access import find_principal
from shared.errors import (
    BY_CODE,
    DatabaseUnavailable,
    NotFound,
    QueryRefused,
    QueryTimedOut,
    ResultsUnavailable,
    VitrineError,
)
from shared.identity import OPERATOR, Principal
from shared.metadata.models import Database, Query
from shared.results import ResultSets
from shared.settings import Settings
from shared.sqllab.access import find_database
from shared.sqllab.engines import Engines
from shared.sqllab.places import place_of
from shared.sqllab.records import End, Hold, Queries
from shared.sqllab.states import QueryState

log = structlog.get_logger(__name__)


class Runner:
    """For many threads. `charts`: of a process that takes queries for charts' rows too."""

    def __init__(
        self,
        settings: Settings,
        sessions: sessionmaker[Session],
        queries: Queries,
        keeper: Keeper,
        results: ResultSets,
        charts: Charts | None = None,
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._queries = queries
        self._keeper = keeper
        self._results = results
        self._charts = charts
        self._engines = Engines(settings)
        metrics.begin(metrics.QUERY_FAILURES, BY_CODE)

    def carry_out(self, hold: Hold, hand_off: Callable[[], None] = lambda: None) -> None:
        """Never raises for what the query does."""
        began = time.monotonic()
        with metrics.QUERIES_IN_HAND.track_inprogress(), self._keeper.keeping(hold, hand_off) as running:
            end = self._ended(running)
            end = replace(end, statements_done=running.statements_done) if end is not None else None
            if end is None or not self._write_down(running, end):
                if end is not None and end.results_key is not None:
                    self._forget(end.results_key)
                log.warning("query_no_longer_ours", query_id=hold.query.id)
                return
        metrics.QUERIES.labels(hold.query.queue, end.state.value).inc()
        if end.state is QueryState.FAILED:
            metrics.QUERY_FAILURES.labels(end.code).inc()
        metrics.QUERY_SECONDS.labels(hold.query.queue).observe(time.monotonic() - began)
        log.info("query_ended", query_id=hold.query.id, state=end.state.value, code=end.code, rows=end.rows)

    def close(self) -> None:
        if self._charts is not None:
            self._charts.close()
        self._engines.close()
        self._results.close()

    def _ended(self, running: Running) -> End | None:
        """How it ended; None when that is not ours to say any more."""
        try:
            outcome = self._run(running)
        except VitrineError as error:
            if running.verdict is None:
                return _failed(running, error)
            return None if self._put_back(running) else _judged(running)
        except Exception:  # a fault of ours: whoever asked must be told all the same
            log.exception("query_failed_inside", query_id=running.hold.query.id)
            reason = "A fault of ours; the log of the worker has the details under the correlation id."
            return End(QueryState.FAILED, "internal", reason)
        finally:
            running.cancel = None
        return End(QueryState.SUCCESS, rows=outcome.rows, results_key=outcome.results_key, extra=outcome.extra)

    def _run(self, running: Running) -> Outcome:
        query = running.hold.query
        patience = Patience(running, self._settings.query_lease_s)
        if query.chart_key is not None:
            assert self._charts is not None, "only who has charts is sent theirs"
            return self._charts.run(running, patience)
        principal, database = patience(lambda: self._looked_up(query))
        engine = self._engines.of(database)
        timeout_s = max(running.ends_at - time.monotonic(), 0.001)
        schema = query.schema or ""
        with engine.connect(schema=schema, timeout_s=timeout_s) as connection:
            running.cancel = connection.cancel
            script = checked(self._sessions, principal, database, query, engine, connection, patience)
            run = ScriptRun(running, script, engine, self._queries, self._results, self._settings, patience)
            if not script.writes:
                return run.on(connection)
        try:
            with engine.connect(schema=schema, read_only=False, timeout_s=timeout_s) as connection:
                running.cancel = connection.cancel
                return run.on(connection)
        except BaseException:  # it was not committed: what it gave back is no result
            run.forget()
            raise

    def _looked_up(self, query: Query) -> tuple[Principal, Database]:
        """Whose it is and where, as that is now. Raises NotFound."""
        with self._sessions() as session:
            principal = _principal(session, query)
            return principal, find_database(session, principal, query.database_id or 0)

    def _write_down(self, running: Running, end: End) -> bool:
        """Whether it is the end of the row."""
        hold, patience = running.hold, Patience(running, self._settings.query_lease_s)
        try:
            return patience(lambda: self._queries.end(hold, end), at_its_end=True)
        except DatabaseUnavailable as error:
            log.error("query_end_not_written", query_id=hold.query.id, state=end.state, reason=error.message)
            return False

    def _put_back(self, running: Running) -> bool:
        """Whether another process may run it: this one is shut down, and nothing was sent to the database."""
        if running.verdict is not Verdict.SHUT_DOWN:
            return False
        patience = Patience(running, self._settings.query_lease_s)
        try:
            return patience(lambda: self._queries.put_back(running.hold.query), at_its_end=True)
        except DatabaseUnavailable:
            return False  # whoever finds its lease lapsed does

    def _forget(self, key: str) -> None:
        try:
            self._results.delete(key)
        except ResultsUnavailable as error:  # nobody knows the key; it outlives its time
            log.warning("results_not_deleted", key=key, reason=error.message)


def _principal(session: Session, query: Query) -> Principal:
    """Whose it is, with the roles that they have now. Raises NotFound for somebody who is gone."""
    principal = find_principal(session, query.username) if query.username else OPERATOR
    if principal is None:
        raise NotFound(f"There is no user {query.username!r} any more.")
    return principal


def _judged(running: Running) -> End | None:
    """The end of a query that must not go on."""
    match running.verdict:
        case Verdict.STOPPED:
            return End(QueryState.STOPPED, "query_cancelled", f"Stopped by {running.stopped_by or 'the operator'}.")
        case Verdict.TIMED_OUT:
            return _timed_out(running)
        case Verdict.SHUT_DOWN:
            reason = "The worker that ran it was shut down; run it again."
            return End(QueryState.FAILED, "worker_lost", reason)
        case _:
            return None


def _timed_out(running: Running) -> End:
    query = running.hold.query
    limit_s = query.deadline_at - query.created_at
    reason = f"It took longer than {limit_s:g} seconds, the time in the queue included, and was cancelled."
    return End(QueryState.TIMED_OUT, "query_timed_out", reason)


def _failed(running: Running, error: VitrineError) -> End:
    query = running.hold.query
    if isinstance(error, QueryTimedOut):  # a chart's may have less time than its deadline leaves
        why = error.message if query.chart_key else ""
        return End(QueryState.TIMED_OUT, error.code, why) if why else _timed_out(running)
    position = running.position
    if isinstance(error, QueryRefused) and error.span is not None and query.sql:
        position = dict(place_of(query.sql, error.span)._asdict())
    extra = {"position": position} if position else {}
    return End(QueryState.FAILED, error.code, error.message, extra=extra)
