"""Warm-up: Superset runs a chart's queries into its own cache, and is asked afterwards whether they are there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from shared.catalog.superset.client import Client, Credential
from shared.errors import NotKept, QueryFailed

QUERY_S = 120.0  # for the queries of one chart


def default_filters(definition: Mapping[str, Any], chart: str) -> list[dict[str, Any]] | None:
    """The filters that a dashboard's native filters set by default on this chart: [{"col", "op", "val"}].

    `definition`: the dashboard as Superset's API tells it. None when one sets more than filters (a time range, a
    grain), which Superset's warm-up cannot take.
    """
    metadata = json.loads(definition.get("json_metadata") or "{}")
    found: list[dict[str, Any]] = []
    for native in metadata.get("native_filter_configuration") or []:
        scope = native.get("chartsInScope")
        if scope is not None and int(chart) not in scope:
            continue
        extra = (native.get("defaultDataMask") or {}).get("extraFormData") or {}
        if set(extra) - {"filters"}:
            return None
        found += extra.get("filters") or []
    return found


def warm(
    client: Client, credential: Credential, chart: str, dashboard: str | None, filters: list[dict[str, Any]]
) -> None:
    """Raises QueryFailed with Superset's own reason, NotKept when it is not there afterwards; as Client raises."""
    body: dict[str, Any] = {"chart_id": int(chart)}
    if dashboard is not None:
        body["dashboard_id"] = int(dashboard)
    if filters:
        body["extra_filters"] = json.dumps(filters)
    answer = client.put("/api/v1/chart/warm_up_cache", credential, body, timeout_s=QUERY_S)
    results = answer.get("result") or []
    for result in results:
        if result.get("viz_error") or result.get("viz_status") != "success":
            raise QueryFailed(f"Superset did not warm it: {_reason(result)}.")
    if not results:
        raise QueryFailed("Superset warmed nothing and gave no reason.")
    # Superset tells of a chart as it is saved, without a dashboard's filters.
    if not filters and not is_warm(client, credential, chart):
        raise NotKept("Superset says that it is warm, but a look afterwards found it not in its cache.")


def is_warm(client: Client, credential: Credential, chart: str) -> bool:
    """Whether the rows of a chart, as it is saved, came from Superset's cache. Queries it if they did not."""
    queries = client.get(f"/api/v1/chart/{chart}/data/", credential).get("result") or []
    return bool(queries) and all(query.get("is_cached") for query in queries)


def _reason(result: Mapping[str, Any]) -> str:
    error = result.get("viz_error")
    if isinstance(error, list) and error and isinstance(error[0], Mapping):
        error = error[0].get("message")
    return str(error or f"its status is {result.get('viz_status')}")[:300].rstrip(".")
