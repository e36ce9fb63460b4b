"""What Superset's examples lack: a broken chart, one without rows, dashboards that hold them, an empty one."""

from __future__ import annotations

import json
from typing import Any

import httpx

FILTER = {
    "id": "NATIVE_FILTER-one",
    "name": "Gender",
    "filterType": "filter_select",
    "type": "NATIVE_FILTER",
    "targets": [{"column": {"name": "gender"}}],
    "scope": {"rootPath": ["ROOT_ID"], "excluded": []},
    "cascadeParentIds": [],
    "defaultDataMask": {"extraFormData": {}, "filterState": {}},
    "controlValues": {"multiSelect": True},
    "description": "",
}


def make_samples(admin: httpx.Client) -> dict[str, str]:
    """Title → id. Broken, Nothing, Genders, Both, States, Asked (charts); Mixed, Empty, Filtered, Defaults, Firsts,
    Asking (dashboards). Only the tests of warm-up show Both and States: their rows are cold before.
    """
    tables = admin.get("/api/v1/dataset/", params={"q": "(page_size:100)"}).json()["result"]
    births = next(row["id"] for row in tables if row["table_name"] == "birth_names")
    nobody = {"expressionType": "SQL", "sqlExpression": "name = 'nobody'", "clause": "WHERE"}
    wrong = {"expressionType": "SQL", "sqlExpression": "SUM(no_such_column)", "label": "wrong"}
    count = {"expressionType": "SQL", "sqlExpression": "COUNT(*)", "label": "count"}
    raw = {"query_mode": "raw", "all_columns": ["name"], "row_limit": 10, "adhoc_filters": [nobody]}
    grouped = {"query_mode": "aggregate", "groupby": ["gender"], "metrics": [count], "row_limit": 10}
    made = {
        "Broken": add_chart(admin, births, "Broken", "big_number_total", {"metric": wrong, "adhoc_filters": []}),
        "Nothing": add_chart(admin, births, "Nothing", "table", raw),
        "Genders": add_chart(admin, births, "Genders", "table", grouped),
        "Both": add_chart(admin, births, "Both", "table", grouped | {"groupby": ["gender", "state"]}),
        "States": add_chart(admin, births, "States", "table", grouped | {"groupby": ["state"]}),
    }
    asked = {"expressionType": "SQL", "sqlExpression": "gender = '{{ url_param(\"who\") }}'", "clause": "WHERE"}
    made["Asked"] = add_chart(admin, births, "Asked", "table", grouped | {"adhoc_filters": [asked]})
    made["Asking"] = add_dashboard(admin, "Asking", [made["Asked"]], {})
    made["Empty"] = add_dashboard(admin, "Empty", [], {})
    made["Mixed"] = add_dashboard(admin, "Mixed", [made["Broken"], made["Nothing"]], {})
    target = {"targets": [{"datasetId": births, "column": {"name": "gender"}}], "chartsInScope": [int(made["Genders"])]}
    filtered = FILTER | target
    made["Filtered"] = add_dashboard(admin, "Filtered", [made["Genders"]], {"native_filter_configuration": [filtered]})
    extra = {"filters": [{"col": "gender", "op": "IN", "val": ["girl"]}]}
    default = filtered | {"defaultDataMask": {"extraFormData": extra, "filterState": {"value": ["girl"]}}}
    made["Defaults"] = add_dashboard(admin, "Defaults", [made["Both"]], {"native_filter_configuration": [default]})
    first = filtered | {"requiredFirst": True, "controlValues": {"defaultToFirstItem": True}}
    made["Firsts"] = add_dashboard(admin, "Firsts", [made["Both"]], {"native_filter_configuration": [first]})
    return made


def add_chart(admin: httpx.Client, dataset: int, title: str, kind: str, params: dict[str, Any]) -> str:
    """Its id."""
    form = {"datasource": f"{dataset}__table", "viz_type": kind, **params}
    metrics = params.get("metrics") or [metric for metric in [params.get("metric")] if metric]
    query = {  # as Superset's page asks, and saves it with a chart
        "columns": params.get("groupby") or params.get("all_columns") or [],
        "metrics": metrics,
        "orderby": [[metric, False] for metric in metrics],
        "filters": [],
        "extras": {"having": "", "where": ""},
        "row_limit": 10,
        "order_desc": True,
    }
    context = {"datasource": {"id": dataset, "type": "table"}, "queries": [query], "form_data": form, "force": False}
    body = {
        "slice_name": title,
        "viz_type": kind,
        "datasource_id": dataset,
        "datasource_type": "table",
        "params": json.dumps(form),
        "query_context": json.dumps(context | {"result_format": "json", "result_type": "full"}),
    }
    return _made(admin.post("/api/v1/chart/", json=body))


def add_dashboard(
    admin: httpx.Client, title: str, charts: list[str], metadata: dict[str, Any], *, author: httpx.Client | None = None
) -> str:
    """Its id; `author`: who makes it, if that is not admin."""
    row, grid = [f"CHART-{number}" for number in charts], ["ROOT_ID", "GRID_ID"]
    position: dict[str, Any] = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"type": "ROOT", "id": "ROOT_ID", "children": ["GRID_ID"]},
        "GRID_ID": {"type": "GRID", "id": "GRID_ID", "children": ["ROW-1"] * bool(row), "parents": ["ROOT_ID"]},
    }
    if row:
        style = {"background": "BACKGROUND_TRANSPARENT"}
        position["ROW-1"] = {"type": "ROW", "id": "ROW-1", "children": row, "parents": grid, "meta": style}
    for number, name in zip(charts, row, strict=True):
        meta = {"width": 4, "height": 50, "chartId": int(number)}
        position[name] = {"type": "CHART", "id": name, "children": [], "parents": [*grid, "ROW-1"], "meta": meta}
    body = {
        "dashboard_title": title,
        "published": True,
        "position_json": json.dumps(position),
        "json_metadata": json.dumps(metadata),
    }
    number = _made((author or admin).post("/api/v1/dashboard/", json=body))
    for one in charts:
        held = admin.get(f"/api/v1/chart/{one}").json()["result"]["dashboards"]
        both = [*(entry["id"] for entry in held), int(number)]
        admin.put(f"/api/v1/chart/{one}", json={"dashboards": both}).raise_for_status()
    return number


def _made(answer: httpx.Response) -> str:
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])
