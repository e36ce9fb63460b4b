"""What there is to warm of the native catalog's targets, and the warming of it, read back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from shared.catalog.port import Part, TargetInfo, Wanted, Warms, Warmth
from shared.catalog.queries import DataQuery
from shared.chart_data import Came, ChartData
from shared.errors import NotFound, NotKept
from shared.identity import Principal
from shared.targets import Target, TargetKind, ViewState


class Native(Protocol):
    """What is needed of the catalog."""

    data: ChartData

    def principal(self, username: str) -> Principal: ...

    def info(self, principal: Principal, target: Target) -> TargetInfo: ...

    def dashboard_page(self, principal: Principal, dashboard_id: str) -> dict[str, Any]: ...

    def chart_query(
        self,
        principal: Principal,
        chart_id: str,
        dashboard_id: str | None = None,
        data_mask: Mapping[str, Any] | None = None,
    ) -> DataQuery: ...

    def option_queries(
        self, principal: Principal, dashboard_id: str
    ) -> Sequence[tuple[Mapping[str, Any], DataQuery | None]]: ...


def parts_of(catalog: Native, principal: Principal, target: Target, view_state: ViewState) -> list[Part]:
    """The rows of a chart; of a dashboard those of its charts in that state, and what its filters offer."""
    if target.kind is TargetKind.CHART:
        return [_part(catalog, principal, target, None, ViewState())]
    page = catalog.dashboard_page(principal, target.id)
    charts = [Target(target.catalog, TargetKind.CHART, number) for number in page["charts"]]
    parts = [_part(catalog, principal, chart, target.id, view_state) for chart in charts]
    for entry, query in catalog.option_queries(principal, target.id):
        if query is not None:
            title = f"{page['title']}: {entry['title']}"
            place = (Warms.OPTIONS, target, title, principal.username, query.database, query.key, target.id)
            parts.append(Part(*place, filter_id=entry["id"]))
    return parts


def _part(
    catalog: Native, principal: Principal, chart: Target, dashboard_id: str | None, view_state: ViewState
) -> Part:
    title = catalog.info(principal, chart).title
    query = catalog.chart_query(principal, chart.id, dashboard_id, view_state.mask)
    place = (Warms.DATA, chart, title, principal.username, query.database, query.key)
    return Part(*place, dashboard_id=dashboard_id, view_state=view_state)


async def warm(catalog: Native, part: Part, wanted: Wanted, *, run_id: str) -> Warmth:
    """As the port's `warm`."""
    query = await asyncio.to_thread(_query_of, catalog, part)
    entry, now = await catalog.data.peek(query), datetime.now(UTC)
    if query.ttl_s <= 0:
        return Warmth(query.key, skipped="Its rows are never kept (data_ttl_s is 0).")
    if entry is None and wanted.only_kept:
        return Warmth(query.key, skipped="It is not in the store, so it cannot grow stale.")
    if entry is not None and not wanted.force and entry.is_fresh(now + timedelta(seconds=wanted.ahead_s)):
        return Warmth(query.key, already=True, expires_at=catalog.data.served_until(entry))
    answer = await catalog.data.get(query, force=entry is not None, warmed_by=run_id)
    kept = await catalog.data.peek(query)
    # Other rows than ours are newer, of somebody who forced a reading meanwhile; or older, and ours were not kept.
    if kept is None or not kept.is_fresh(now) or kept.began_at < answer.entry.began_at:
        raise NotKept("The rows were read, but the store does not have them; is it full, or was it restarted?")
    return Warmth(query.key, already=answer.came is Came.HIT, expires_at=catalog.data.served_until(kept))


def _query_of(catalog: Native, part: Part) -> DataQuery:
    """The query as it is now: the chart, the rules or the data may have changed since the part was planned."""
    principal = catalog.principal(part.executor)
    if part.warms is Warms.DATA:
        return catalog.chart_query(principal, part.target.id, part.dashboard_id, part.view_state.mask)
    for entry, query in catalog.option_queries(principal, part.target.id):
        if entry["id"] == part.filter_id and query is not None:
            return query
    raise NotFound("There is no such filter any more.")
