"""Warm-up: Superset runs a chart's queries into its own cache, and is asked afterwards whether they are there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

from shared.catalog.superset.client import Client, Credential
from shared.errors import NotKept, QueryFailed

QUERY_S = 120.0  # for the queries of one chart
RIGHT = "can warm up cache on Chart"


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
    """Anew, whatever Superset has. Raises QueryFailed with Superset's own reason, NotKept when it is not there
    afterwards, Forbidden without the right; as Client raises.
    """
    body: dict[str, Any] = {"chart_id": int(chart)}
    if dashboard is not None:
        body["dashboard_id"] = int(dashboard)
    if filters:
        body["extra_filters"] = json.dumps(filters)
    answer = client.put("/api/v1/chart/warm_up_cache", credential, body, right=RIGHT, query_s=QUERY_S)
    results = answer.get("result") or []
    for result in results:
        if result.get("viz_error") or result.get("viz_status") != "success":
            raise QueryFailed(f"Superset did not warm it: {_reason(result)}.")
    if not results:
        raise QueryFailed("Superset warmed nothing and gave no reason.")
    # Superset tells of a chart as it is saved, without a dashboard's filters.
    if not filters and _look(client, credential, chart) is not Look.KEPT:
        raise _not_kept()


def warm_if_cold(client: Client, credential: Credential, chart: str, dashboard: str | None) -> bool:
    """A chart as it is saved. False when it was warm already. Raises as `warm`.

    A look at a cold chart queries it, and Superset keeps what it queried: a second look finds it, nothing is run twice.
    """
    seen = _look(client, credential, chart)
    if seen is Look.QUERIED and _look(client, credential, chart) is not Look.KEPT:
        raise _not_kept()
    if seen is Look.UNTOLD:
        warm(client, credential, chart, dashboard, [])
    return seen is not Look.KEPT


class Look(Enum):
    """Where the rows of a chart came from."""

    KEPT = auto()  # from Superset's cache
    QUERIED = auto()  # from its database, just now
    UNTOLD = auto()  # Superset answers later, through its own workers (GLOBAL_ASYNC_QUERIES)


def _look(client: Client, credential: Credential, chart: str) -> Look:
    queries = client.once(f"/api/v1/chart/{chart}/data/", credential, query_s=QUERY_S).get("result") or []
    if not queries:
        return Look.UNTOLD
    return Look.KEPT if all(query.get("is_cached") for query in queries) else Look.QUERIED


def _not_kept() -> NotKept:
    return NotKept("Superset queried it, but a look afterwards did not find it in its cache.")


def _reason(result: Mapping[str, Any]) -> str:
    error = result.get("viz_error")
    if isinstance(error, list) and error and isinstance(error[0], Mapping):
        error = error[0].get("message")
    return str(error or f"its status is {result.get('viz_status')}")[:300].rstrip(".")
