"""Warm-up as Superset's clients ask for it: one chart, or the charts of a data set, waited for.

It is a run of `ids` like any other, forced, with its row and its report; the answer is read from its outcomes. The rows
are warmed for each group of people under the same row-level rules, not only for whoever asks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from falcon.asgi import Request, Response
from pydantic import Field
from sqlalchemy import or_, select

from services.api.authentication import principal_of
from services.api.inputs import read_object
from services.api.services import Services
from shared.errors import InvalidInput, NotFound
from shared.identity import OPERATOR
from shared.metadata.models import Chart, Database, Dataset
from shared.targets import TargetKind
from shared.warmup import report
from shared.warmup.inputs import Form, fill
from shared.warmup.runs import DATA, Came, From, Order, RunStatus
from shared.warmup.strategies import make

SPARE_S = 15  # beyond the time limit of one query: the queue, and the store
POLL_S = 0.2
NO_FILTERS = (None, "", "[]", "null")
GOOD = (Came.WARMED, Came.ALREADY)


class _Form(Form):
    dashboard_id: int | None = Field(None, ge=1)
    extra_filters: str | None = None


class ChartForm(_Form):
    chart_id: int = Field(ge=1)


class DatasetForm(_Form):
    db_name: str = Field(min_length=1, max_length=100)
    table_name: str = Field(min_length=1, max_length=200)


class WarmUpChart:
    """PUT /api/v1/chart/warm_up_cache `{chart_id, dashboard_id?}` → `{result: [{chart_id, viz_error, viz_status}]}`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_put(self, req: Request, resp: Response) -> None:
        form: ChartForm = fill(ChartForm, await read_object(req))
        await _answer(self._services, req, resp, form, [str(form.chart_id)])


class WarmUpDataset:
    """PUT /api/v1/dataset/warm_up_cache `{db_name, table_name, dashboard_id?}`: every chart that reads the table.

    `table_name`: a data set's name, or its table, with or without the schema; Superset's clients know no schema here.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_put(self, req: Request, resp: Response) -> None:
        form: DatasetForm = fill(DatasetForm, await read_object(req))
        charts = await self._services.blocking(self._charts, form)
        await _answer(self._services, req, resp, form, charts)

    def _charts(self, form: DatasetForm) -> list[str]:
        with self._services.sessions() as session:
            named = or_(*(column == form.table_name for column in (Dataset.name, Dataset.table)))
            named |= Dataset.table.endswith(f".{form.table_name}", autoescape=True)
            here = Dataset.database.has(Database.name == form.db_name) & named
            if session.scalar(select(Dataset.id).where(here).limit(1)) is None:
                raise NotFound("The provided table was not found in the provided database.", field="table_name")
            query = select(Chart.id).where(Chart.datasets.any(here)).order_by(Chart.id)
            return [str(number) for number in session.scalars(query)]


async def _answer(services: Services, req: Request, resp: Response, form: _Form, charts: Sequence[str]) -> None:
    board = str(form.dashboard_id) if form.dashboard_id else None
    if board and form.extra_filters not in NO_FILTERS:  # without a dashboard, Superset passes over them too
        why = "extra_filters is not supported: the defaults of the dashboard's own filters apply. Leave it out."
        raise InvalidInput(why, field="extra_filters")
    for chart in charts:  # NotFound now, not in a report
        await services.blocking(services.catalog.chart_query, OPERATOR, chart, board)
    resp.media = {"result": await _warm(services, req, charts, board) if charts else []}
    resp.set_header("Cache-Control", "no-store")


async def _warm(services: Services, req: Request, charts: Sequence[str], board: str | None) -> list[dict[str, Any]]:
    patience_s = int(services.settings.query_timeout_s) + SPARE_S
    order = Order(
        strategy=make("ids", {"charts": list(charts), "within": board}),
        warms=(DATA,),
        origin=From.OPERATOR,
        correlation_id=req.context.correlation_id,
        budget_s=patience_s,
        username=principal_of(req).username,
        force=True,
    )
    run = await services.warming.warm_ups.start(order)
    give_up = time.monotonic() + patience_s
    while True:
        found = await services.blocking(report.report, services.sessions, run.id)
        if found["status"] in (RunStatus.DONE, RunStatus.FAILED) or time.monotonic() > give_up:
            return [_result(found, chart) for chart in charts]
        await asyncio.sleep(POLL_S)


def _result(found: Mapping[str, Any], chart: str) -> dict[str, Any]:
    """Of a chart that some people cannot be served warm, the first reason: never a success by halves."""
    mine = [one for one in found["outcomes"] if one["kind"] == TargetKind.CHART and one["target_id"] == chart]
    bad = next((one for one in mine if one["outcome"] not in GOOD), None)
    if mine and bad is None:
        return {"chart_id": int(chart), "viz_error": None, "viz_status": "success"}
    waiting = f"It was not warm in time; see the warm-up run {found['id']}."
    reason = (bad["reason"] if bad else found["reason"]) or waiting
    failed = bad is not None and bad["outcome"] == Came.FAILED
    return {"chart_id": int(chart), "viz_error": reason, "viz_status": "failed" if failed else None}
