"""Queries of the one who asks (the admin: of everybody): one, their history, what changed, stop, and a live channel.

Lists and channel tell of what people wrote; queries for charts' rows are told of where they are asked for.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from falcon.asgi import Request, Response, SSEvent
from sqlalchemy import ColumnElement, false, true

from services.api.authentication import identity_of, principal_of
from services.api.inputs import page_of, read_object, read_rison, read_string
from services.api.query_documents import query_document, query_record
from services.api.query_watch import Listener
from services.api.services import Services
from services.api.view_states import refuse_unknown
from shared.catalog.access import NAME as NATIVE
from shared.errors import InvalidInput
from shared.identity import Principal
from shared.metadata.models import Query
from shared.sqllab.charts import is_analysts
from shared.sqllab.states import QueryState

NO_STORE = "no-store"
MAX_ID_DIGITS = 18
PING_S = 15.0  # a proxy may close what is silent
RECONNECT_MS = 2000
_STATES = ", ".join(QueryState)


def own(principal: Principal) -> ColumnElement[bool]:
    """What a person may see: their own queries; the admin sees all. A namesake of another catalog has none here."""
    asker = principal.within(NATIVE)
    if asker.is_admin:
        return true()
    return Query.username == asker.username if asker.username else false()


def by_id(query_id: str) -> ColumnElement[bool]:
    """Our number, or the client's id."""
    if query_id.isascii() and query_id.isdecimal() and len(query_id) <= MAX_ID_DIGITS:
        return Query.id == int(query_id)
    return Query.client_id == query_id[:200]


class OneQuery:
    """GET /api/v1/query/{id}: `{id, result}`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response, query_id: str) -> None:
        find = self._services.querying.queries.find
        principal = principal_of(req)
        query = await self._services.blocking(find, by_id(query_id), own(principal))
        resp.media = {"id": query.id, "result": query_record(query, principal)}
        resp.set_header("Cache-Control", NO_STORE)


class History:
    """GET /api/v1/query/: newest first; rison `q` with page, page_size and filters, as Superset's lists."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response) -> None:
        plain = {name: req.get_param(name) for name in ("page", "page_size") if req.has_param(name)}
        asked = read_rison(req) or plain
        page, size = page_of(asked)
        principal = principal_of(req)
        where = [own(principal), *_filters(asked.get("filters"))]
        history = self._services.querying.history
        count, rows = await self._services.blocking(history.page, where, offset=page * size, limit=size)
        records = [query_record(row, principal) for row in rows]
        resp.media = {"count": count, "ids": [row.id for row in rows], "result": records}
        resp.set_header("Cache-Control", NO_STORE)


class UpdatedSince:
    """GET /api/v1/query/updated_since?q=(last_updated_ms:…): what changed at or after then."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response) -> None:
        since = read_rison(req).get("last_updated_ms")
        if isinstance(since, bool) or not isinstance(since, int | float):
            raise InvalidInput("q must say (last_updated_ms:…), milliseconds since the epoch.", field="last_updated_ms")
        principal, history = principal_of(req), self._services.querying.history
        rows = await self._services.blocking(history.since, [own(principal), is_analysts()], since / 1000)
        resp.media = {"result": [query_document(row, principal) for row in rows]}
        resp.set_header("Cache-Control", NO_STORE)


class StopQuery:
    """POST /api/v1/query/stop `{client_id}` → `{result: "OK"}`, also when it had ended already."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_post(self, req: Request, resp: Response) -> None:
        body, principal = await read_object(req), principal_of(req)
        refuse_unknown(body, ("client_id",))
        client_id = read_string(body, "client_id")
        if not client_id:
            raise InvalidInput("client_id is missing: it names the query to stop.", field="client_id")
        queries, blocking = self._services.querying.queries, self._services.blocking
        query = await blocking(queries.find, Query.client_id == client_id, own(principal))
        await blocking(queries.stop, query.id, principal.username)
        resp.media = {"result": "OK"}


class QueryEvents:
    """GET /api/v1/query/events: server-sent events, one (`query`) for each change, with the query as its data.

    On connecting all that have not ended are told, and after a reconnect also what changed meanwhile.
    """

    quiet = True

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response) -> None:
        principal, watch = principal_of(req).within(NATIVE), self._services.querying.watch
        whose = None if principal.is_admin else principal.username
        watch.check_room(whose)
        last = req.get_header("Last-Event-ID") or ""
        since = int(last) / 1000 if last.isascii() and last.isdecimal() and len(last) <= MAX_ID_DIGITS else None
        where = [own(principal), is_analysts(), *([Query.ended_at.is_(None)] if since is None else [])]
        history, until = self._services.querying.history, identity_of(req).expires_at
        listener = await watch.listen(whose)  # before the look: between the two no change is lost
        first = await self._services.blocking(history.since, where, since or 0.0)
        resp.sse = self._events(principal, listener, first, until)
        resp.set_header("Cache-Control", NO_STORE)
        resp.set_header("X-Accel-Buffering", "no")  # nginx would keep events until they fill a buffer

    async def _events(
        self, principal: Principal, listener: Listener, first: Sequence[Query], until: float
    ) -> AsyncIterator[SSEvent | None]:
        watch = self._services.querying.watch
        news = first
        try:
            yield SSEvent(comment="listening", retry=RECONNECT_MS)
            while not watch.is_ending and time.time() < until:
                for query in news:
                    document, number = query_document(query, principal), int(query.changed_at * 1000)
                    yield SSEvent(event="query", json=document, event_id=str(number))
                news = await listener.next(PING_S)
                if not news:
                    yield None  # a ping
        finally:
            watch.leave(listener)


def _filters(filters: Any) -> list[ColumnElement[bool]]:
    """Superset's `filters:!((col:status,opr:eq,value:failed))`; those that people wrote, unless `chart` is asked for.

    Raises InvalidInput for what is not looked for here.
    """
    if filters is None:
        return [is_analysts()]
    if not isinstance(filters, list) or not all(isinstance(one, dict) for one in filters):
        raise InvalidInput("filters must be a list, such as !((col:status,opr:eq,value:failed)).", field="filters")
    found = [_filter(one.get("col"), one.get("opr"), one.get("value")) for one in filters[:10]]
    return found if any(one.get("col") == "chart" for one in filters[:10]) else [*found, is_analysts()]


def _filter(column: Any, operator: Any, value: Any) -> ColumnElement[bool]:
    if column == "status" and operator == "eq" and value in list(QueryState):
        return Query.status == str(value)
    if column == "database" and operator in ("rel_o_m", "eq") and type(value) is int:
        return Query.database_id == value
    if column == "user" and operator == "eq" and isinstance(value, str):
        return Query.username == value
    if column == "sql" and operator == "ct" and isinstance(value, str):
        found: ColumnElement[bool] = Query.sql.icontains(value, autoescape=True)
        return found
    if column == "chart" and operator == "eq" and type(value) is bool:
        return ~is_analysts() if value else is_analysts()
    raise InvalidInput(
        f"filters may have status (eq; {_STATES}), database (rel_o_m), user (eq), sql (ct) and chart (eq; whether it "
        "is for a chart's rows).",
        field="filters",
    )
