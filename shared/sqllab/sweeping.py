"""What is left of queries when something dies: found by anybody, ended once, with a reason.

Every query worker sweeps, and so does the scheduler's leader: any number may, as each change is a compare-and-set.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import structlog
from sqlalchemy import ColumnElement, case, or_, select, update
from sqlalchemy.orm import Session, sessionmaker

from shared.metadata.clock import database_now, database_seconds
from shared.metadata.engine import writing
from shared.metadata.models import Query
from shared.sqllab.records import END_WORDS, HELD_WORDS, End, Queries
from shared.sqllab.states import QueryState

log = structlog.get_logger(__name__)
UNPUBLISHED_S = 2.0  # that no message is for: put back, or made by somebody who takes it at once
LOST_S = 10.0  # doubled with each publication: a message may also just be waiting behind others
LOST_MOST_S = 600.0
LATE_S = 10.0  # beyond its deadline a holder is given this long to end it itself
FORGOTTEN_S = 86_400.0
BATCH = 200


class Sweeper:
    def __init__(self, sessions: sessionmaker[Session], queries: Queries) -> None:
        self._sessions = sessions
        self._queries = queries

    def end_what_lapsed(self) -> int:
        """Ends queries whose worker died, and those that were not begun or ended by their deadline. How many."""
        with self._sessions() as session:
            now = database_now(session)
            held, pending = Query.status.in_(HELD_WORDS), Query.status == QueryState.PENDING.value
            lapsed = held & or_(Query.lease_until < now, Query.deadline_at < now - LATE_S)
            late = pending & or_(Query.deadline_at < now, Query.stop_asked_by.is_not(None))
            rows = session.execute(
                select(Query, (Query.deadline_at < now)).where(or_(lapsed, late)).order_by(Query.id).limit(BATCH)
            ).all()
        return sum(self._end(query, bool(is_late)) for query, is_late in rows)

    def _end(self, query: Query, is_late: bool) -> bool:
        if query.stop_asked_by is None and not is_late and query.status == QueryState.SCHEDULED:
            done = self._queries.put_back(query)
        else:
            done = self._queries.end_lapsed(query, _end_of(query, is_late))
        if done:
            log.warning("query_swept", query_id=query.id, was=query.status, owner=query.owner, late=is_late)
        return done

    def unpublished(self) -> Sequence[Query]:
        """Pending queries that are in no queue, or perhaps not any more: the broker may have lost its messages."""
        with self._sessions() as session:
            now = database_now(session)
            never = Query.published_at.is_(None) & (Query.created_at < now - UNPUBLISHED_S)
            again = Query.published_at + _patience_s() < now
            pending = Query.status == QueryState.PENDING.value
            return session.scalars(
                select(Query).where(pending, or_(never, again)).order_by(Query.id).limit(BATCH)
            ).all()

    def left_running(self, *, but: Collection[int] = ()) -> Sequence[Query]:
        """Queries that have ended, but whose session in the database may go on: their worker could not end it.

        `but`: databases whose queries are not looked for.
        """
        with self._sessions() as session:
            left = Query.status.in_(END_WORDS) & Query.server_id.is_not(None)
            elsewhere = or_(Query.database_id.is_(None), Query.database_id.not_in(but))
            return session.scalars(select(Query).where(left, elsewhere).order_by(Query.id).limit(BATCH)).all()

    def is_old(self, query: Query) -> bool:
        """Whether it ended so long ago that its session must have come to an end by itself."""
        with self._sessions() as session:
            return (query.ended_at or 0.0) < database_seconds(session) - FORGOTTEN_S

    def killed(self, query: Query) -> None:
        """Nothing of it is left in the database."""
        with writing(self._sessions) as session:
            session.execute(update(Query).where(Query.id == query.id).values(server_id=None))

    def forget_publications(self) -> None:
        """For the embedded tree: its queue died with the process before."""
        with writing(self._sessions) as session:
            pending = Query.status == QueryState.PENDING.value
            session.execute(update(Query).where(pending).values(published_at=None))


def _patience_s() -> ColumnElement[float]:
    """How long a published message may take to come to a worker before it is published again."""
    doubled = [(Query.publications <= times, LOST_S * 2 ** (times - 1)) for times in range(1, 7)]
    return case(*doubled, else_=LOST_MOST_S)


def _end_of(query: Query, is_late: bool) -> End:
    if query.stop_asked_by is not None:
        return End(QueryState.STOPPED, "query_cancelled", f"Stopped by {query.stop_asked_by or 'the operator'}.")
    if is_late:
        began = "ended" if query.started_at else "begun"
        limit_s = query.deadline_at - query.created_at
        return End(QueryState.TIMED_OUT, "query_timed_out", f"It was not {began} within {limit_s:g} seconds.")
    return End(
        QueryState.FAILED,
        "worker_lost",
        f"The worker that ran it ({query.owner}) died or lost its connection to the metadata database; run it again.",
    )
