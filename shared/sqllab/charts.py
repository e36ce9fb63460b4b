"""Queries for the rows of charts: what is asked for, and which query reads those rows already.

The row says which chart, never SQL: the query is built when it runs, for whoever asked, as they are then. The rows end
in the chart-data cache under `chart_key`, where everybody finds them who may see the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session, sessionmaker

from shared.catalog.queries import DataQuery
from shared.catalog.rows import MAX_ROWS
from shared.errors import InvalidInput, NotFound, QueryCancelled, QueryRefused, QueryTimedOut
from shared.metadata.models import Database, Query
from shared.sqllab.states import ENDS, QueryState

if TYPE_CHECKING:  # the records ask here for what is going already
    from shared.sqllab.records import Order

BEGAN_AT = "began_at"  # in the `extra` of a query that succeeded: its rows are that new
_PERSONAL = frozenset({NotFound.code, QueryCancelled.code})  # ends that say nothing to others who want the same rows
_REFUSED = frozenset({QueryRefused.code, InvalidInput.code})


@dataclass(frozen=True, slots=True)
class ChartWish:
    """The rows of a chart, by itself or in a dashboard under those filters.

    `newer_than`: rows whose query is sent after that (Unix seconds); 0: any that are fresh.
    """

    chart_id: str
    dashboard_id: str | None = None
    data_mask: Mapping[str, Any] = field(default_factory=dict)
    newer_than: float = 0.0

    @classmethod
    def of(cls, chart: Mapping[str, Any]) -> Self:
        """What a row says; a newer version may say more."""
        return cls(**{name: chart[name] for name in cls.__slots__ if name in chart})

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def since(self) -> datetime | None:
        return datetime.fromtimestamp(self.newer_than, UTC) if self.newer_than else None


def is_analysts() -> ColumnElement[bool]:
    """Queries that people wrote themselves."""
    return Query.chart_key.is_(None)


def going(session: Session, order: Order) -> Query | None:
    """The open query whose rows will do for this order too; in the transaction that else makes one.

    Of two who ask for the same at once, one looks when the other's is there: the database's row is the lock, as for
    whoever takes a query in hand.
    """
    lock = select(Database.id).where(Database.id == order.database.id).with_for_update(key_share=True)
    session.execute(lock)
    newer_than = ChartWish.of(order.chart or {}).newer_than
    # Rows that must be newer than now are those of a query that is not sent yet, and hears of it when it is taken.
    states = [QueryState.PENDING] if newer_than else [state for state in QueryState if state not in ENDS]
    same = (Query.chart_key == order.chart_key) & Query.status.in_([state.value for state in states])
    found = session.scalar(select(Query).where(same, Query.stop_asked_by.is_(None)).order_by(Query.id.desc()).limit(1))
    if found is not None and found.chart is not None and newer_than:
        found.chart = {**found.chart, "newer_than": max(newer_than, found.chart["newer_than"])}
    return found


class ChartQueries:
    """Synchronous; raises DatabaseUnavailable."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions

    def database(self, query: DataQuery) -> Database:
        """Raises NotFound for one that left the catalog just now."""
        with self._sessions() as session:
            found = session.scalar(select(Database).where(Database.name == query.database))
        if found is None:
            raise NotFound("The database of this chart is gone.")
        return found

    def newest(self, key: str, client_id: str, asked_at: float) -> Query | None:
        """The last query for these rows that whoever was given `client_id` may wait for.

        One that had ended before they asked is not theirs. Where that query is gone, or was never one, the time counts.
        """
        with self._sessions() as session:
            first = select(Query.id).where(Query.client_id == client_id).scalar_subquery()
            theirs = or_(Query.id >= first, Query.ended_at.is_(None), Query.created_at >= asked_at)
            # What waits is built when it runs: it may come to this key, though it was another when it was asked for.
            waits = (Query.client_id == client_id) & (Query.status == QueryState.PENDING.value)
            found = select(Query).where(or_((Query.chart_key == key) & theirs, waits))
            return session.scalar(found.order_by(Query.id.desc()).limit(1))

    def ended(self, wish: ChartWish, username: str, asked_at: float) -> int:
        """How many of their queries for this wish were built, sent and came to an end since they asked."""
        theirs = (Query.username == username) & (Query.created_at >= asked_at)
        sent = Query.chart_key.is_not(None) & Query.executed_sql.is_not(None) & Query.ended_at.is_not(None)
        with self._sessions() as session:
            charts = session.scalars(select(Query.chart).where(theirs, sent))
            wishes = (replace(ChartWish.of(chart or {}), newer_than=wish.newer_than) for chart in charts)
            return sum(one == wish for one in wishes)


def is_nothing_to(query: Query, username: str, asked_at: float) -> bool:
    """Whether an end tells somebody who joined at `asked_at` or later nothing of the rows.

    Its owner was stopped, or may see them no more; was refused by their own roles and rules, before anything was sent;
    or had asked earlier, so that less of the time was left.
    """
    if query.username == username:
        return False
    if query.code in _REFUSED:
        return query.executed_sql is None
    return query.code in _PERSONAL or (query.code == QueryTimedOut.code and query.created_at < asked_at)


def fields_of(wish: ChartWish, query: DataQuery) -> dict[str, Any]:
    """What an order for a chart's rows says of them."""
    return {
        "sql": "",
        "row_limit": MAX_ROWS,
        "limiting_factor": "NOT_LIMITED",
        "run_async": True,
        "chart": wish.as_json(),
        "chart_key": query.key,
    }
