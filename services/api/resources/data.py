"""What the pages read: rows of charts, options of filters, saved view states."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from falcon import MEDIA_JSON
from falcon.asgi import Request, Response

from services.api import documents
from services.api.authentication import principal_of
from services.api.inputs import MAX_QUERY_CHARACTERS, parse_object, read_object, read_switch, target_of
from services.api.services import Services
from services.api.uses import Opening, note_rows, note_use
from services.api.view_states import FIELDS, refuse_unknown, view_state
from shared.catalog.queries import DataQuery, offers
from shared.errors import InvalidInput
from shared.targets import TargetKind

PRIVATE = {"Cache-Control": "private, no-store", "Vary": "Authorization, Cookie"}


class ChartRows:
    """GET /api/v1/chart/{id}/data/?dashboard_id=&data_mask=&force=: its rows, under that dashboard's filters.

    `X-Cache` says how they came: HIT, STALE (and they are being read anew), MISS, BYPASS (they are never kept).
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response, target_id: str) -> None:
        principal, catalog = principal_of(req), self._services.catalog
        chart_id = target_of(TargetKind.CHART, target_id).id
        dashboard_id, text = req.get_param("dashboard_id"), req.get_param("data_mask") or ""
        if len(text) > MAX_QUERY_CHARACTERS:
            raise InvalidInput(f"data_mask is longer than {MAX_QUERY_CHARACTERS} characters.", field="data_mask")
        mask = parse_object(text, "data_mask") if text else {}
        dashboard_id = target_of(TargetKind.DASHBOARD, dashboard_id).id if dashboard_id else None
        force = read_switch(req, "force")
        query = await self._services.blocking(catalog.chart_query, principal, chart_id, dashboard_id, mask)
        answer = await self._services.catalog.data.get(query, force=force)
        note_rows(self._services, req, Opening(chart_id, dashboard_id, mask), query.key, answer)
        resp.data = documents.rows(answer, query)
        resp.content_type = MEDIA_JSON
        resp.set_headers(
            PRIVATE | {"X-Cache": answer.came.value, "Age": str(documents.age_s(answer.entry.computed_at))}
        )


class DashboardFilters:
    """GET /api/v1/dashboard/{id}/filters/: `{result: [{id, options …}]}`, only values that the principal may see."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response, target_id: str) -> None:
        target = target_of(TargetKind.DASHBOARD, target_id)
        catalog = self._services.catalog
        queries = await self._services.blocking(catalog.option_queries, principal_of(req), target.id)
        found = await asyncio.gather(*(self._rows(query) for _, query in queries))
        resp.media = {
            "result": [
                {"id": entry["id"], **offers(entry, rows)} for (entry, _), rows in zip(queries, found, strict=True)
            ]
        }
        resp.set_headers(PRIVATE)

    async def _rows(self, query: DataQuery | None) -> dict[str, Any] | None:
        if query is None:
            return None
        answer = await self._services.catalog.data.get(query)
        note_use(self._services, query.key, answer)
        rows: dict[str, Any] = json.loads(answer.entry.body)
        return rows


class Permalinks:
    """POST /api/v1/dashboard/{id}/permalink, with a view state → 201 `{key, url}`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_post(self, req: Request, resp: Response, target_id: str) -> None:
        principal, body = principal_of(req), await read_object(req)
        target = target_of(TargetKind.DASHBOARD, target_id)
        page = await self._services.blocking(self._services.catalog.dashboard_page, principal, target.id)
        refuse_unknown(body, FIELDS)
        state = view_state(body, page)
        key = await self._services.blocking(self._services.catalog.save_permalink, principal, target.id, state)
        resp.status = 201
        resp.media = {"key": key, "url": f"/dashboard/p/{key}/"}
