"""SQL Lab over HTTP, as Superset's front end asks: execute, results, export."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any, Final

from falcon.asgi import Request, Response
from pydantic import ConfigDict, Field

from services.api.authentication import principal_of
from services.api.inputs import read_object, read_rison
from services.api.query_documents import query_document
from services.api.resources.queries import NO_STORE, own
from services.api.services import Services
from shared.errors import Forbidden, InvalidInput, NotFound, QueryTimedOut
from shared.identity import Principal
from shared.metadata.models import Query
from shared.results import exports
from shared.sqllab.access import find_database
from shared.sqllab.failures import failure_of
from shared.sqllab.orders import Wish, order_of
from shared.sqllab.records import Order
from shared.sqllab.result_columns import columns_of, rows_of
from shared.sqllab.states import QueryState
from shared.warmup.inputs import Form, fill

SPARE_S = 5.0  # beyond its deadline, for the worker to cancel it and say so
NAME = r"^[A-Za-z0-9_-]*$"
FORMATS: Final[dict[str, tuple[str, Callable[[Iterable[Any]], Iterator[bytes]]]]] = {
    "csv": ("text/csv; charset=utf-8", exports.csv),
    "arrow": ("application/vnd.apache.arrow.stream", exports.arrow_ipc),
    "parquet": ("application/vnd.apache.parquet", exports.parquet),
}


class ExecuteForm(Form):
    """Superset's body; what it asks for that we do not do is refused, unless leaving it out changes nothing."""

    model_config = ConfigDict(extra="forbid", strict=True)

    database_id: int = Field(ge=1, le=2**31 - 1)
    sql: str
    client_id: str | None = Field(None, max_length=64, pattern=NAME)
    queryLimit: int | None = Field(None, ge=0, le=2**31 - 1)  # noqa: N815
    catalog: str | None = Field(None, max_length=256)
    schema_: str | None = Field(None, max_length=100, alias="schema")
    tab: str | None = Field(None, max_length=256)
    sql_editor_id: str | None = Field(None, max_length=256)
    runAsync: bool | None = None  # noqa: N815
    select_as_cta: bool | None = None
    ctas_method: str | None = None
    tmp_table_name: str | None = None
    templateParams: str | None = None  # noqa: N815
    expand_data: bool | None = None
    json_: bool | None = Field(None, alias="json")

    def wish(self, correlation_id: str) -> Wish:
        if self.select_as_cta:
            raise InvalidInput("select_as_cta: write CREATE TABLE … AS yourself.", field="select_as_cta")
        if (self.templateParams or "").strip() not in ("", "{}"):
            raise InvalidInput("templateParams: there are no templates in SQL here.", field="templateParams")
        return Wish(
            sql=self.sql,
            correlation_id=correlation_id,
            run_async=bool(self.runAsync),
            row_limit=self.queryLimit,
            client_id=self.client_id or "",
            catalog=self.catalog,
            schema=self.schema_ or None,
            tab=self.tab or "",
            sql_editor_id=self.sql_editor_id or "",
        )


class Execute:
    """POST /api/v1/sqllab/execute/ → 200 with the rows, or with `runAsync` 202 with the query."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_post(self, req: Request, resp: Response) -> None:
        principal, querying = principal_of(req), self._services.querying
        form = fill(ExecuteForm, await read_object(req))
        wish = form.wish(req.context.correlation_id)
        order = await self._services.blocking(self._order, principal, form.database_id, wish)
        query = await querying.asking.ask(order)
        resp.set_header("Cache-Control", NO_STORE)
        if wish.run_async:
            resp.status = 202
            resp.media = {"query": query_document(query, principal)}
            return
        ended = await querying.watch.ended(query.id, order.timeout_s + SPARE_S)
        if ended is None:  # its worker died: the sweeper ends it, but nobody waits for that here
            await self._services.blocking(querying.queries.stop, query.id, principal.username)
            raise QueryTimedOut(f"The query did not end within {order.timeout_s:g} seconds; it is being stopped.")
        _raise_failure(ended, principal)
        most = self._services.settings.sqllab_display_rows
        resp.media = await querying.reading(_answer, self._services, principal, ended, most)

    def _order(self, principal: Principal, database_id: int, wish: Wish) -> Order:
        with self._services.sessions() as session:
            return order_of(session, self._services.settings, principal, database_id, wish)


class Results:
    """GET /api/v1/sqllab/results/?q=(key:…,rows:…,offset:…): 404 unknown key, 403 no access any more, 410 gone."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response) -> None:
        asked = read_rison(req)
        key, most = asked.get("key"), self._services.settings.sqllab_display_rows
        if not isinstance(key, str) or not key:
            raise InvalidInput("q must say (key:…), the resultsKey of a query.", field="key")
        rows, offset = _whole(asked, "rows", most), _whole(asked, "offset", 0)
        principal, reading = principal_of(req), self._services.querying.reading
        query = await _find(self._services, principal, Query.results_key == key)
        resp.media = await reading(_answer, self._services, principal, query, min(rows, most), offset)
        resp.set_header("Cache-Control", NO_STORE)


class Export:
    """GET /api/v1/sqllab/export/{client_id}/?format=csv|arrow|parquet: all its rows, as they are read."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response, client_id: str) -> None:
        name = req.get_param("format") or "csv"
        if name not in FORMATS:
            raise InvalidInput(f"format must be one of {', '.join(FORMATS)}.", field="format")
        principal = principal_of(req)
        query = await _find(self._services, principal, Query.client_id == client_id)
        if query.results_key is None:
            _raise_failure(query, principal)
            raise NotFound("This query has no rows" + ("." if query.ended_at else " yet."))
        media_type, write = FORMATS[name]
        reading, results = self._services.querying.reading, self._services.querying.results
        pieces = write(results.batches(query.results_key))
        first = await reading(next, pieces, b"")  # before the status line: what is gone is 410
        resp.content_type = media_type
        resp.set_header("Content-Disposition", f'attachment; filename="query-{query.id}.{name}"')
        resp.set_header("Cache-Control", NO_STORE)
        resp.stream = _streamed(self._services, first, pieces)


async def _streamed(services: Services, first: bytes, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """A batch at a time, read when the client has taken the one before. An error in the midst breaks the connection."""
    piece = first
    while piece:
        yield piece
        piece = await services.querying.reading(next, pieces, b"")


async def _find(services: Services, principal: Principal, which: Any) -> Query:
    """Raises NotFound, or Forbidden for rows of a database that they may not query any more."""
    query = await services.blocking(services.querying.queries.find, which, own(principal))
    try:
        await services.blocking(_check_access, services, principal, query)
    except NotFound as error:
        raise Forbidden(f"You may not query the database {query.database_name!r} any more.") from error
    return query


def _check_access(services: Services, principal: Principal, query: Query) -> None:
    with services.sessions() as session:
        find_database(session, principal, query.database_id or 0)


def _raise_failure(query: Query, principal: Principal) -> None:
    """What the query ended with, if not well: told also as Superset's front end reads it."""
    error = failure_of(query)
    if error is not None:
        document = query_document(query, principal)
        error.more = {"errors": document["extra"]["errors"], "query": document}
        if "position" in query.extra:
            error.more["position"] = query.extra["position"]
        raise error


def _answer(services: Services, principal: Principal, query: Query, rows: int, offset: int = 0) -> dict[str, Any]:
    """Superset's payload of a query that succeeded."""
    data: list[dict[str, Any]] = []
    columns: list[dict[str, Any]] = []
    if query.results_key is not None:
        table = services.querying.results.page(query.results_key, offset, rows)
        data, columns = rows_of(table), columns_of(table.schema)
    return {
        "status": QueryState.SUCCESS.value,
        "query_id": query.id,
        "data": data,
        "columns": columns,
        "selected_columns": columns,
        "expanded_columns": [],
        "displayLimitReached": offset + len(data) < (query.rows or 0),
        "query": query_document(query, principal),
    }


def _whole(asked: dict[str, Any], name: str, default: int) -> int:
    value = asked.get(name, default)
    if type(value) is not int or not 0 <= value < 2**63:
        raise InvalidInput(f"{name} must be a whole number, 0 or more.", field=name)
    return value
