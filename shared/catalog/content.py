"""What a target consists of: as its digest, as the `page` that the browser draws, as the card that lists show. Pure."""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import make_url

from shared.catalog.access import NAME
from shared.catalog.port import TargetInfo
from shared.identity import Ownership
from shared.keys import content_hash
from shared.metadata.models import Chart, Dashboard
from shared.targets import Target, TargetKind


def info_of(found: Chart | Dashboard) -> TargetInfo:
    kind = TargetKind.CHART if isinstance(found, Chart) else TargetKind.DASHBOARD
    ownership = Ownership(
        owners=tuple(owner.username for owner in found.owners),
        created_by=found.created_by.username if found.created_by else None,
        changed_by=found.changed_by.username if found.changed_by else None,
    )
    return TargetInfo(
        target=Target(NAME, kind, str(found.id)),
        title=found.title,
        url=f"/{kind}/{found.id}/",
        ownership=ownership,
        description=found.description,
        published=found.published if isinstance(found, Dashboard) else True,
        tags=tuple(found.tags),
        changed_on=found.changed_on,
    )


def digest(found: Chart | Dashboard) -> str:
    """Another digest, another picture: the definition of the target and the versions of its data."""
    if isinstance(found, Chart):
        return content_hash({"chart": _parameters(found)})
    return content_hash(
        {
            "dashboard": found.id,
            "title": found.title,
            "description": found.description,
            "charts": [_parameters(chart) for chart in sorted(found.charts, key=lambda chart: chart.id)],
            "layout": found.layout,
            "css": found.css,
            "filters": found.filters,
            "metadata": found.metadata_,
        }
    )


def chart_page(chart: Chart) -> dict[str, Any]:
    """{"kind", "id", "title", "description", "chart"}."""
    drawn = _drawn(chart)
    return {
        "kind": "chart",
        "id": chart.id,
        "title": chart.title,
        "description": chart.description,
        "chart": drawn,
    }


def dashboard_page(dashboard: Dashboard) -> dict[str, Any]:
    """{"kind", "id", "title", "description", "css", "tabs", "filters", "charts"}."""
    shown = ("id", "title", "type", "column", "multiple", "default")
    return {
        "kind": "dashboard",
        "id": dashboard.id,
        "title": dashboard.title,
        "description": dashboard.description,
        "css": dashboard.css,
        "tabs": dashboard.layout["tabs"],
        "filters": [{name: entry.get(name) for name in shown} for entry in dashboard.filters],
        "charts": {str(chart.id): _drawn(chart) for chart in dashboard.charts},
    }


def _drawn(chart: Chart) -> dict[str, Any]:
    return {
        "id": chart.id,
        "title": chart.title,
        "description": chart.description,
        "kind": chart.kind,
        "spec": chart.spec,
    }


def _parameters(chart: Chart) -> dict[str, Any]:
    """All that its picture depends on, data versions included. A database's password is not among it."""
    database = chart.database
    return {
        **_drawn(chart),
        "sql": chart.sql,
        "database": [database.id, make_url(database.url).render_as_string(hide_password=True), database.data_version],
        "datasets": sorted([dataset.id, dataset.table, dataset.data_version] for dataset in chart.datasets),
    }
