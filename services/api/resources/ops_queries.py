"""Queries on the operations page, of people and for charts' rows: what waits, runs and ended, and a way to stop one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from falcon.asgi import Request, Response

from services.api.authentication import principal_of
from services.api.documents import stamp
from services.api.inputs import read_paging
from services.api.query_documents import chart_of
from services.api.resources.operations import NO_STORE, read_hours, read_words
from services.api.resources.ops_actions import note
from services.api.services import Services
from shared.errors import InvalidInput, NotFound
from shared.metadata.history import WantedQueries, find_queries
from shared.metadata.models import Query
from shared.remedies import REMEDIES
from shared.sqllab.records import Queries as Records
from shared.sqllab.states import ENDS, QueryState

STATES = tuple(state.value for state in QueryState)
WORDS = ("user", "database", "code", "correlation_id")


class OpsQueries:
    """GET /api/v1/ops/queries?state=&user=&database=&code=&correlation_id=&hours=: newest first."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response) -> None:
        page, size = read_paging(req)
        state, words = req.get_param("state") or "", read_words(req, WORDS)
        if state and state not in STATES:
            raise InvalidInput(f"state must be one of {', '.join(STATES)}.", field="state")
        wanted = WantedQueries(state, words["user"], words["database"], words["code"], words["correlation_id"])
        count, rows = await self._services.blocking(
            find_queries, self._services.sessions, wanted, read_hours(req, 24), offset=page * size, limit=size
        )
        resp.media = {"count": count, "result": [query_document(row) for row in rows]}
        resp.set_header("Cache-Control", NO_STORE)


class OpsQuery:
    """GET /api/v1/ops/queries/{id}: with its SQL and its steps."""

    def __init__(self, services: Services) -> None:
        self._records = Records(services.sessions)
        self._services = services

    async def on_get(self, req: Request, resp: Response, query_id: str) -> None:
        row = await self._services.blocking(self._records.find, Query.id == number_of(query_id))
        resp.media = {"result": {**query_document(row), "sql": row.sql, "executed_sql": row.executed_sql}}
        resp.set_header("Cache-Control", NO_STORE)


class OpsStopQuery:
    """POST /api/v1/ops/queries/{id}/stop: one that waits ends now, one in hand soon → 202."""

    def __init__(self, services: Services) -> None:
        self._records = Records(services.sessions)
        self._services = services

    async def on_post(self, req: Request, resp: Response, query_id: str) -> None:
        blocking, number = self._services.blocking, number_of(query_id)
        await blocking(self._records.find, Query.id == number)
        row = await blocking(self._records.stop, number, principal_of(req).username)
        note(req, "stop_query", query_id=number)
        resp.media = {"id": row.id, "state": row.status}
        resp.status = 202


def number_of(text: str) -> int:
    """Raises NotFound for what is no query's id."""
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise NotFound("There is no such query.")
    return int(text)


def query_document(row: Query) -> dict[str, Any]:
    """Its timeline has the shape of a render's: queued, then run."""
    now = datetime.now(UTC).timestamp()
    begun = row.started_at or row.ended_at or now
    steps = [{"step": "queued", "seconds": _span(row.created_at, begun)}]
    if row.started_at is not None:
        steps.append({"step": "run", "seconds": _span(row.started_at, row.ended_at or now)})
    return {
        "id": row.id,
        "state": row.status,
        "has_ended": row.status in {state.value for state in ENDS},
        "code": row.code,
        "reason": row.reason,
        "remedy": REMEDIES.get(row.code, ""),
        "username": row.username,
        "database": row.database_name,
        "chart_id": chart_of(row),
        "queue": row.queue,
        "owner": row.owner,
        "progress": row.progress,
        "rows": row.rows,
        "correlation_id": row.correlation_id,
        "created_at": stamp(datetime.fromtimestamp(row.created_at, UTC)),
        "ended_at": stamp(datetime.fromtimestamp(row.ended_at, UTC)) if row.ended_at else None,
        "stop_asked_by": row.stop_asked_by,
        "timeline": steps,
    }


def _span(began: float, ended: float) -> float:
    return round(max(0.0, ended - began), 3)
