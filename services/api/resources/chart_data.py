"""Rows of a chart without waiting: Superset's asynchronous form of chart data, over the cache of chart data.

They are read by a query in the background, as analysts' are (shared/sqllab/charts.py). A ticket (the `cache_key`) names
chart, dashboard and filters, is signed, and holds for whom it was issued to; what they may see is looked up each time.
Where the rows are is decided by their key and by the queries' rows alone: any gateway answers, also after a restart.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from falcon import MEDIA_JSON
from falcon.asgi import Request, Response
from pydantic import ConfigDict, Field

from services.api import documents
from services.api.authentication import principal_of
from services.api.inputs import MAX_ID_DIGITS, read_object
from services.api.query_documents import errors_of
from services.api.resources.data import PRIVATE
from services.api.services import Services
from services.api.tickets import Ticket
from services.api.uses import Opening, note_rows
from shared.catalog.queries import DataQuery
from shared.chart_data import Answer, Came
from shared.errors import InvalidInput, ProcessesDisagree, ResultsGone
from shared.identity import Principal
from shared.metadata.models import Query
from shared.sqllab.charts import BEGAN_AT, ChartWish, is_nothing_to
from shared.sqllab.failures import failure_of
from shared.sqllab.orders import chart_order
from shared.sqllab.states import HELD, QueryState
from shared.store.data import Entry
from shared.warmup.inputs import Form, fill

MAX_ASTRAY = 2  # queries of one ticket that may end under another key than is looked for: data may change meanwhile


class ChartDataForm(Form):
    """Superset's query context. The chart is its `form_data.slice_id`: its query is its own, not the client's."""

    model_config = ConfigDict(extra="forbid")

    form_data: dict[str, Any]
    force: bool = False
    data_mask: dict[str, Any] = Field(default_factory=dict)  # ours: the filters of the dashboard
    datasource: Any = None
    queries: Any = None
    result_format: str = Field("json", pattern="^json$")
    result_type: str = Field("full", pattern="^full$")


class ChartData:
    """POST /api/v1/chart/data: 200 when the rows are fresh in the store, else 202 with where they will be."""

    def __init__(self, services: Services) -> None:
        self._asked = _Asked(services)

    async def on_post(self, req: Request, resp: Response) -> None:
        form = fill(ChartDataForm, await read_object(req))
        chart_id = _id(form.form_data, "slice_id")
        dashboard_id = _id(form.form_data, "dashboardId") if form.form_data.get("dashboardId") is not None else None
        now = datetime.now(UTC).timestamp()
        since, job_id = now if form.force else 0.0, secrets.token_urlsafe(8)  # of the length that the query's will have
        ticket = Ticket(chart_id, dashboard_id, form.data_mask, since, job_id, asked_at=now)
        self._asked.sealed(req, ticket)  # what is too large is told before anything is asked of a database
        query = await self._asked.query(req, ticket)
        entry = await self._asked.entry(query)
        if entry is not None and _will_do(entry, ticket):
            self._asked.give(req, resp, ticket, query, entry)
        else:
            self._asked.accept(req, resp, ticket, query, await self._asked.ask(req, ticket, query))


class ChartDataLater:
    """GET /api/v1/chart/data/{cache_key}: 200 with the rows, 202 while they are read, else how the query ended."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._asked = _Asked(services)

    async def on_get(self, req: Request, resp: Response, cache_key: str) -> None:
        secret, username = self._services.settings.secret_key.get_secret_value(), principal_of(req).username
        ticket = Ticket.open(cache_key, secret, username)
        query = await self._asked.query(req, ticket)
        entry = await self._asked.entry(query)
        if entry is not None and _will_do(entry, ticket):
            self._asked.give(req, resp, ticket, query, entry)
            return
        newest = self._services.querying.charts.newest
        row = await self._services.blocking(newest, query.key, ticket.job_id, ticket.asked_at)
        if row is None:  # rules, filters or data changed
            await self._check_keys(ticket, username)
        if row is None or is_nothing_to(row, username, ticket.asked_at) or _is_too_old(row, ticket):
            row = await self._asked.ask(req, ticket, query)
        if row.status == QueryState.SUCCESS:
            self._asked.give(req, resp, ticket, query, await self._left_by(row, query))
        elif (error := failure_of(row)) is not None:
            error.more = {"errors": errors_of(row.code, row.reason)}
            raise error
        else:
            self._asked.accept(req, resp, ticket, query, row)

    async def _check_keys(self, ticket: Ticket, username: str) -> None:
        """Raises ProcessesDisagree when to ask anew would end as before: under a key that we do not look for."""
        wish = ChartWish(ticket.chart_id, ticket.dashboard_id, ticket.data_mask)
        ended = self._services.querying.charts.ended
        if await self._services.blocking(ended, wish, username, ticket.asked_at) >= MAX_ASTRAY:
            raise ProcessesDisagree(
                f"{MAX_ASTRAY} queries ended, but for other rows than this gateway looks for: it and the query process "
                "do not agree (version, VITRINE_DATA_TTL_S), or the data change faster than they are read. Ask again."
            )

    async def _left_by(self, row: Query, query: DataQuery) -> Entry:
        """The rows of a query that succeeded, whatever the clocks say. Raises ResultsGone."""
        entry = await self._asked.entry(query)  # after the look at the row: its rows were kept before its end
        if entry is None or entry.began_at < datetime.fromisoformat(row.extra[BEGAN_AT]):
            raise ResultsGone("The rows were read, but they are not kept any more; ask for them again.")
        return entry


class _Asked:
    """What both routes do."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def query(self, req: Request, ticket: Ticket) -> DataQuery:
        """As whoever asks may see it now. Raises NotFound, InvalidInput, QueryRefused."""
        build = self._services.catalog.chart_query
        wanted = (ticket.chart_id, ticket.dashboard_id, ticket.data_mask)
        return await self._services.blocking(build, principal_of(req), *wanted)

    async def entry(self, query: DataQuery) -> Entry | None:
        return await self._services.catalog.data.peek(query)

    async def ask(self, req: Request, ticket: Ticket, query: DataQuery) -> Query:
        """The query that reads the rows from now on: a new one, or one that does already.

        Raises TooManyRequests, BrokerUnavailable.
        """
        services, principal = self._services, principal_of(req)
        # Rows that are never fresh must be newer than the asking: no others are ever served.
        newer_than = ticket.since or (ticket.asked_at if query.ttl_s <= 0 else 0.0)
        wish = ChartWish(ticket.chart_id, ticket.dashboard_id, ticket.data_mask, newer_than)
        database = await services.blocking(services.querying.charts.database, query)
        order = chart_order(services.settings, principal, database, query, wish, req.context.correlation_id)
        return await services.querying.asking.ask(order)

    def give(self, req: Request, resp: Response, ticket: Ticket, query: DataQuery, entry: Entry) -> None:
        answer = Answer(entry, Came.HIT)
        note_rows(
            self._services, req, Opening(ticket.chart_id, ticket.dashboard_id, ticket.data_mask), query.key, answer
        )
        resp.data = documents.rows(answer, query)
        resp.content_type = MEDIA_JSON
        resp.set_headers(PRIVATE | {"X-Cache": Came.HIT.value, "Age": str(documents.age_s(entry.computed_at))})

    def accept(self, req: Request, resp: Response, ticket: Ticket, query: DataQuery, row: Query) -> None:
        resp.status = 202
        resp.set_headers(PRIVATE | {"Retry-After": str(self._services.settings.retry_after_s)})
        cache_key = self.sealed(req, replace(ticket, job_id=row.client_id))
        resp.media = _accepted(principal_of(req), row, query, f"/api/v1/chart/data/{cache_key}")

    def sealed(self, req: Request, ticket: Ticket) -> str:
        """Raises InvalidInput."""
        return ticket.sealed(self._services.settings.secret_key.get_secret_value(), principal_of(req).username)


def _will_do(entry: Entry, ticket: Ticket) -> bool:
    if ticket.since:
        return entry.began_at.timestamp() >= ticket.since
    return entry.is_fresh(datetime.now(UTC)) or ticket.asked_at <= entry.began_at.timestamp()


def _is_too_old(row: Query, ticket: Ticket) -> bool:
    """Whether its rows may be older than this ticket wants: it was asked for by somebody who wanted none so new."""
    return row.status == QueryState.SUCCESS and ChartWish.of(row.chart or {}).newer_than < ticket.since


def _accepted(principal: Principal, row: Query, query: DataQuery, result_url: str) -> dict[str, Any]:
    """Superset's keys; the channel is the person's, the job is the query."""
    return {
        "channel_id": principal.username,
        "job_id": row.client_id,
        "user_id": principal.username,
        "status": "running" if row.status in HELD else "pending",
        "errors": [],
        "result_url": result_url,
        "cache_key": query.key,
    }


def _id(values: dict[str, Any], name: str) -> str:
    value = values.get(name)
    if isinstance(value, bool) or not str(value).isdecimal() or len(str(value)) > MAX_ID_DIGITS:
        raise InvalidInput(f"form_data.{name} must be the number of one.", field=f"form_data.{name}")
    return str(int(str(value)))
