"""The rows of queries: every change of state is one compare-and-set UPDATE, fenced by the epoch of whoever holds it.

So a query has exactly one end, whoever dies, wakes up late or says it twice. Synchronous; raises DatabaseUnavailable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased, sessionmaker

from shared.errors import InvalidInput, NotFound
from shared.metadata.clock import database_now, database_seconds, dialect_of, now_in
from shared.metadata.engine import writing
from shared.metadata.models import Database, Query
from shared.sqllab.charts import going
from shared.sqllab.states import ENDS, HELD, QueryState, before

HELD_WORDS = sorted(state.value for state in HELD)
END_WORDS = sorted(state.value for state in ENDS)
RATE_WINDOW_S = 1.0


@dataclass(frozen=True, slots=True)
class Order:
    """A query as it is asked for; `timeout_s` is from now to its end, queueing included."""

    client_id: str
    username: str
    database: Database
    sql: str
    queue: str
    correlation_id: str
    timeout_s: float
    row_limit: int
    limiting_factor: str
    run_async: bool
    catalog: str | None = None
    schema: str | None = None
    tab: str = ""
    sql_editor_id: str = ""
    chart: dict[str, Any] | None = None  # ChartWish, as JSON
    chart_key: str | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """A query in hand: who has it, since which epoch, and for how long it may go on."""

    query: Query
    owner: str
    epoch: int
    left_s: float


@dataclass(frozen=True, slots=True)
class Look:
    """What the holder of a query is told of it."""

    epoch: int
    stop_asked_by: str | None


class Refusal(StrEnum):
    """Why a query is not taken."""

    GONE = "gone"  # ended, or in somebody's hand: the message came twice
    BUSY = "busy"  # its database has as many as it takes, or another one reads the same chart's rows
    RATE = "rate"  # this actor has begun as many in this second as it may


@dataclass(frozen=True, slots=True)
class Limits:
    rate: int  # queries begun by one actor in a second, in the whole fleet
    lease_s: float


@dataclass(frozen=True, slots=True)
class End:
    """How a query ended."""

    state: QueryState
    code: str = ""
    reason: str = ""
    rows: int | None = None
    statements_done: int | None = None
    results_key: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


class Queries:
    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions

    def make(self, order: Order, *, rate: int, to_publish: bool = False) -> Query | None:
        """The row of a new query; None when this person asked for `rate` in this second already.

        For a chart's rows that an open query reads already, that query: it has another client id.
        `to_publish`: its message follows at once. If whoever makes it dies before that, the sweeper sends one, as for
        a message that the broker lost.

        Raises InvalidInput for a client id that was used before.
        """
        values = {name: getattr(order, name) for name in Order.__slots__ if name not in ("database", "timeout_s")}
        try:
            with writing(self._sessions) as session:
                if order.chart_key is not None and (found := going(session, order)) is not None:
                    return found
                now = database_seconds(session)
                recent = (Query.username == order.username) & (Query.created_at > now - RATE_WINDOW_S)
                if (session.scalar(select(func.count()).where(recent)) or 0) >= rate:
                    return None
                query = Query(
                    **values,
                    database_id=order.database.id,
                    database_name=order.database.name,
                    created_at=now,
                    changed_at=now,
                    deadline_at=now + order.timeout_s,
                    published_at=now if to_publish else None,
                    publications=int(to_publish),
                    extra={},
                )
                session.add(query)
        except IntegrityError as error:
            raise InvalidInput(f"client_id {order.client_id!r} is that of another query.", field="client_id") from error
        return query

    def published(self, query_id: int) -> None:
        """Another message of it is in the queue."""
        with writing(self._sessions) as session:
            values = {"published_at": database_now(session), "publications": Query.publications + 1}
            session.execute(update(Query).where(Query.id == query_id).values(values))

    def find(self, *where: ColumnElement[bool]) -> Query:
        """Raises NotFound."""
        with self._sessions() as session:
            found = session.scalar(select(Query).where(*where))
        if found is None:
            raise NotFound("There is no such query.")
        return found

    def claim(self, query_id: int, owner: str, limits: Limits) -> Hold | Refusal:
        """Takes a pending query in hand."""
        with writing(self._sessions) as session:
            # The database's row is the lock: of two who count, one counts after the other.
            where = select(Query.database_id).where(Query.id == query_id).scalar_subquery()
            locked = select(Database.query_concurrency).where(Database.id == where).with_for_update(key_share=True)
            most = session.scalar(locked)
            found = session.execute(_counted(dialect_of(session)), {"query_id": query_id}).one_or_none()
            if found is None or found[0].status != QueryState.PENDING:
                return Refusal.GONE
            _, seconds, live, begun, same = found
            if (refusal := _refusal(live, begun, same, most, limits.rate)) is not None:
                # Looked at by a worker, so it is not lost: the sweeper need not publish it again.
                session.execute(update(Query).where(Query.id == query_id).values(published_at=seconds))
                return refusal
            values = {
                "status": QueryState.SCHEDULED.value,
                "owner": owner,
                "epoch": Query.epoch + 1,
                "lease_until": seconds + limits.lease_s,
                "changed_at": seconds,
                "started_at": seconds,
            }
            mine = (Query.id == query_id) & (Query.status == QueryState.PENDING.value)
            take = update(Query).where(mine).values(values).returning(Query)
            taken = session.scalar(take, execution_options={"populate_existing": True})
            return Refusal.GONE if taken is None else Hold(taken, owner, taken.epoch, taken.deadline_at - seconds)

    def move(self, hold: Hold, state: QueryState, **values: Any) -> bool:
        """To a state that is no end; False when it is no longer ours: somebody else has ended it.

        It may be there already: the answer to an earlier try of ours was lost.
        """
        return self._set(_held_by(hold), state, values, again=True)

    def note(self, hold: Hold, **values: Any) -> None:
        """Progress of one in hand; `status` among it, from running to fetching."""
        with writing(self._sessions) as session:
            mine = _held_by(hold) & Query.status.in_(HELD_WORDS)
            session.execute(update(Query).where(mine).values(**values, changed_at=database_now(session)))

    def end(self, hold: Hold, end: End) -> bool:
        """To its end; False when it has another one already, that somebody else gave it."""
        if self._set(_held_by(hold), end.state, _ended(end)):
            return True
        same = (Query.status == end.state.value) & (Query.results_key.is_not_distinct_from(end.results_key))
        with self._sessions() as session:  # the answer to an earlier try of ours was lost
            return session.scalar(select(Query.id).where(_held_by(hold), same)) is not None

    def end_lapsed(self, query: Query, end: End) -> bool:
        """Of one whose holder let the lease lapse, or that nobody holds; False when it went on meanwhile.

        What the holder left in the database is still noted (`server_id`), for whoever ends that.
        """
        values = _ended(end) | {"epoch": Query.epoch + 1}
        del values["server_id"]
        return self._set((Query.id == query.id) & (Query.epoch == query.epoch), end.state, values)

    def put_back(self, query: Query) -> bool:
        """To pending, from the hand of one who died before anything was sent to the database."""
        mine = (Query.id == query.id) & (Query.epoch == query.epoch)
        values = {"owner": "", "epoch": Query.epoch + 1, "lease_until": 0.0, "published_at": None, "started_at": None}
        return self._set(mine, QueryState.PENDING, values)

    def beat(self, owner: str, lease_s: float) -> None:
        """Renews the lease on all that `owner` has in hand."""
        with writing(self._sessions) as session:
            mine = (Query.owner == owner) & Query.status.in_(HELD_WORDS)
            session.execute(update(Query).where(mine).values(lease_until=database_now(session) + lease_s))

    def in_hand(self, owner: str, ids: Iterable[int]) -> dict[int, Look]:
        """Those of these queries that `owner` still has in hand."""
        mine = Query.id.in_(list(ids)) & (Query.owner == owner) & Query.status.in_(HELD_WORDS)
        with self._sessions() as session:
            rows = session.execute(select(Query.id, Query.epoch, Query.stop_asked_by).where(mine))
            return {number: Look(epoch, asked_by) for number, epoch, asked_by in rows}

    def stop(self, query_id: int, username: str) -> Query:
        """Ends a pending query; asks the worker that has it to stop one in hand. The query as it is then."""
        reason = f"Stopped by {username or 'the operator'}."
        with writing(self._sessions) as session:
            now = database_now(session)
            open_ = (Query.id == query_id) & Query.status.not_in(END_WORDS)
            asked = update(Query).where(open_, Query.stop_asked_by.is_(None)).values(stop_asked_by=username)
            session.execute(asked.values(changed_at=now))
            pending = open_ & (Query.status == QueryState.PENDING.value)
            values = _ended(End(QueryState.STOPPED, "query_cancelled", reason))
            session.execute(update(Query).where(pending).values(**values, changed_at=now, ended_at=now))
        return self.find(Query.id == query_id)

    def _set(
        self, mine: ColumnElement[bool], state: QueryState, values: Mapping[str, Any], *, again: bool = False
    ) -> bool:
        with writing(self._sessions) as session:
            now = database_now(session)
            stamped = {**values, "status": state.value, "changed_at": now}
            if state in ENDS:
                stamped["ended_at"] = now
            ready = mine & Query.status.in_([*before(state), *([state.value] if again else [])])
            done = session.execute(update(Query).where(ready).values(stamped).returning(Query.id)).first()
            return done is not None


def _held_by(hold: Hold) -> ColumnElement[bool]:
    return (Query.id == hold.query.id) & (Query.owner == hold.owner) & (Query.epoch == hold.epoch)


@cache  # to build it takes longer than to run it
def _counted(dialect: str) -> Select[Query, float, int, int, int]:
    """A query, the time, and how many are in hand in its database, were begun by its actor in this second, and are in
    hand for the same chart's rows.
    """
    now = select(now_in(dialect)).scalar_subquery()  # one value, so that indexes can be asked for it
    other = aliased(Query)
    count = select(func.count()).select_from(other)
    # A dead worker's are only not swept yet.
    held = other.status.in_(HELD_WORDS) & (other.lease_until >= now)
    live = (other.database_id == Query.database_id) & held
    recent = (other.started_at > now - RATE_WINDOW_S) & (other.changed_at > now - RATE_WINDOW_S)
    begun = recent & (other.queue == Query.queue)
    same = (other.chart_key == Query.chart_key) & held  # of analysts', which have none, it is nothing to look for
    counts = (count.where(which).correlate(Query).scalar_subquery() for which in (live, begun, same))
    return select(Query, now, *counts).where(Query.id == bindparam("query_id"))


def _refusal(live: int, begun: int, same: int, most: int | None, rate: int) -> Refusal | None:
    """`most`: queries at once in one database, in the whole fleet; None: any number.

    `same`: in hand for the same rows. One that needs newer rows waits for their end here, with no thread and no place.
    """
    if same or (most is not None and live >= most):
        return Refusal.BUSY
    return Refusal.RATE if begun >= rate else None


def _ended(end: End) -> dict[str, Any]:
    return {
        "status": end.state.value,
        "code": end.code,
        "reason": end.reason,
        "results_key": end.results_key,
        "lease_until": 0.0,
        "server_id": None,
        **({"rows": end.rows} if end.rows is not None else {}),
        **({"statements_done": end.statements_done} if end.statements_done is not None else {}),
        **({"extra": dict(end.extra)} if end.extra else {}),
        **({"progress": 100} if end.state is QueryState.SUCCESS else {}),
    }
