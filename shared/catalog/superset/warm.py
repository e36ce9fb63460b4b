"""Warm-up: Superset runs a chart's queries into its own cache, and is asked afterwards whether they are there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any

from shared.catalog.superset.client import Client, Credential
from shared.catalog.superset.native_filters import Default, Filter
from shared.errors import NotKept, QueryFailed

QUERY_S = 120.0  # for the queries of one chart
DATA = "/api/v1/chart/data"
RIGHT = "can warm up cache on Chart"


def applied(client: Client, credential: Credential, defaults: Sequence[Default]) -> list[Filter]:
    """The filters that the defaults come to, for this user: which item is first depends on the rows that they see.

    Raises QueryFailed; as Client raises.
    """
    found: list[Filter] = []
    for default in defaults:
        found += default.filters
        if default.options is not None:
            values = _options(client, credential, default)
            found += [{"col": default.column, "op": default.op, "val": values[:1]}] if values else []
    return found


def warm(client: Client, credential: Credential, chart: str, dashboard: str | None, filters: Sequence[Filter]) -> None:
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
    if filters and _context(client, credential, chart) is None:
        return  # Superset's word is all there is: nobody but Superset can ask for it as its page does
    if _look(client, credential, chart, filters) is not Look.KEPT:
        raise _not_kept()


def warm_if_cold(
    client: Client, credential: Credential, chart: str, dashboard: str | None, filters: Sequence[Filter]
) -> bool:
    """False when it was warm already. Raises as `warm`.

    A look at a cold chart queries it, and Superset keeps what it queried: a second look finds it, nothing is run twice.
    """
    seen = _look(client, credential, chart, filters)
    if seen is Look.QUERIED and _look(client, credential, chart, filters) is not Look.KEPT:
        raise _not_kept()
    if seen is Look.UNTOLD:
        warm(client, credential, chart, dashboard, filters)
    return seen is not Look.KEPT


class Look(Enum):
    """Where the rows of a chart came from."""

    KEPT = auto()  # from Superset's cache
    QUERIED = auto()  # from its database, just now
    UNTOLD = auto()  # Superset answers later (GLOBAL_ASYNC_QUERIES), or we cannot ask as its page does


def _look(client: Client, credential: Credential, chart: str, filters: Sequence[Filter]) -> Look:
    """At a chart as it is saved, or as a dashboard's page asks for it, under more filters than its own."""
    if filters:
        context = _context(client, credential, chart)
        if context is None:
            return Look.UNTOLD
        body = _under(context, filters)
        queries = client.post(DATA, credential, body, query_s=QUERY_S).get("result") or []
    else:
        queries = client.once(f"/api/v1/chart/{chart}/data/", credential, query_s=QUERY_S).get("result") or []
    if not queries:
        return Look.UNTOLD
    return Look.KEPT if all(query.get("is_cached") for query in queries) else Look.QUERIED


def _context(client: Client, credential: Credential, chart: str) -> dict[str, Any] | None:
    """What its page asks, as it was saved with the chart; None for one that an old Superset saved."""
    saved = client.get(f"/api/v1/chart/{chart}", credential)["result"].get("query_context")
    return json.loads(saved) if saved else None


def _under(context: Mapping[str, Any], filters: Sequence[Filter]) -> dict[str, Any]:
    queries = [query | {"filters": [*(query.get("filters") or []), *filters]} for query in context["queries"]]
    return {**context, "queries": queries, "force": False, "result_format": "json", "result_type": "full"}


def _options(client: Client, credential: Credential, default: Default) -> list[Any]:
    results = client.post(DATA, credential, default.options or {}, query_s=QUERY_S).get("result")
    if not results:
        raise QueryFailed(f"Superset did not tell what the filter on {default.column!r} offers.")
    return [row.get(default.column) for row in results[0].get("data") or []]


def _not_kept() -> NotKept:
    return NotKept("Superset queried it, but a look afterwards did not find it in its cache.")


def _reason(result: Mapping[str, Any]) -> str:
    error = result.get("viz_error")
    if isinstance(error, list) and error and isinstance(error[0], Mapping):
        error = error[0].get("message")
    return str(error or f"its status is {result.get('viz_status')}")[:300].rstrip(".")
