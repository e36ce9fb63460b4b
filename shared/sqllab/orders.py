"""From what somebody asks for to an order: may they, in which database, for how long and how many rows."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from sqlalchemy.orm import Session

from shared.catalog.queries import DataQuery
from shared.catalog.sql_text import MAX_SQL_CHARACTERS
from shared.errors import Forbidden, InvalidInput
from shared.identity import Principal
from shared.metadata.models import Database
from shared.queue import SQL_CHART_QUEUE, SQL_LONG_QUEUE, SQL_SHORT_QUEUE
from shared.settings import Settings
from shared.sqllab.access import find_database
from shared.sqllab.charts import ChartWish, fields_of
from shared.sqllab.records import Order


@dataclass(frozen=True, slots=True)
class Wish:
    """A query as somebody words it; `row_limit` None: as many as usual."""

    sql: str
    correlation_id: str
    run_async: bool = False
    row_limit: int | None = None
    client_id: str = ""
    catalog: str | None = None
    schema: str | None = None
    tab: str = ""
    sql_editor_id: str = ""


def order_of(session: Session, settings: Settings, principal: Principal, database_id: int, wish: Wish) -> Order:
    """Raises NotFound for a database that they may not query, InvalidInput, Forbidden."""
    database = find_database(session, principal, database_id)
    if not wish.sql.strip():
        raise InvalidInput("sql is empty.", field="sql")
    if len(wish.sql) > MAX_SQL_CHARACTERS:
        raise InvalidInput(f"sql has more than {MAX_SQL_CHARACTERS} characters.", field="sql")
    if wish.run_async and not database.allow_run_async:
        raise Forbidden(
            f"The database {database.name!r} takes no queries in the background (allow_run_async).", field="runAsync"
        )
    return Order(
        client_id=wish.client_id or secrets.token_urlsafe(8),
        username=principal.username,
        database=database,
        sql=wish.sql,
        queue=SQL_LONG_QUEUE if wish.run_async else SQL_SHORT_QUEUE,
        correlation_id=wish.correlation_id,
        timeout_s=_timeout_s(settings, database, run_async=wish.run_async),
        row_limit=min(wish.row_limit or settings.sqllab_default_limit, settings.sqllab_max_rows),
        limiting_factor="DROPDOWN" if wish.row_limit else "NOT_LIMITED",
        run_async=wish.run_async,
        catalog=wish.catalog,
        schema=wish.schema,
        tab=wish.tab,
        sql_editor_id=wish.sql_editor_id,
    )


def chart_order(
    settings: Settings, principal: Principal, database: Database, query: DataQuery, wish: ChartWish, correlation_id: str
) -> Order:
    """For the rows of a chart that they may see; `query` is what it comes to now.

    Where the database takes no long queries, the query may take as long as any chart's, and as long again to begin.
    """
    background = _timeout_s(settings, database, run_async=True)
    return Order(
        client_id=secrets.token_urlsafe(8),
        username=principal.username,
        database=database,
        queue=SQL_CHART_QUEUE,
        correlation_id=correlation_id,
        timeout_s=background if database.allow_run_async else 2 * settings.query_timeout_s,
        **fields_of(wish, query),
    )


def _timeout_s(settings: Settings, database: Database, *, run_async: bool) -> float:
    longest = database.query_timeout_s or settings.sqllab_async_timeout_s
    return longest if run_async else min(longest, settings.sqllab_timeout_s)
