"""What a dashboard's native filters set on a chart as its page opens: by a default value, or by the first of what they
offer. Pure; a definition is a dashboard as Superset's API tells it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OPTIONS = 1000  # as many as the page asks for
ROOT = "ROOT_ID"
Filter = dict[str, Any]  # {"col", "op", "val"}


@dataclass(frozen=True, slots=True)
class Default:
    """What one native filter sets: `filters`; or, where there are `options` (the query context of what it offers), the
    first value of that `column`. `why_not`: it sets what a warm-up cannot take.
    """

    filters: Sequence[Filter] = ()
    options: Mapping[str, Any] | None = None
    column: str = ""
    op: str = "IN"
    why_not: str = ""


def defaults(definition: Mapping[str, Any], chart: str) -> list[Default]:
    """In the order of the filters, which is the order in the queries that the page sends."""
    metadata = json.loads(definition.get("json_metadata") or "{}")
    layout = json.loads(definition.get("position_json") or "{}")
    configured = metadata.get("native_filter_configuration") or []
    return [_default(native) for native in configured if _concerns(native, int(chart), layout)]


def _concerns(native: Mapping[str, Any], chart: int, layout: Mapping[str, Any]) -> bool:
    """By the scope, as the page does: `chartsInScope` beside it is what some page found when somebody last saved."""
    if native.get("type") == "DIVIDER":
        return False
    scope = native.get("scope") or {"rootPath": [ROOT]}
    if chart in (scope.get("excluded") or []):
        return False
    items = [item for item in layout.values() if isinstance(item, dict)]  # one is a version
    holders = [item for item in items if (item.get("meta") or {}).get("chartId") == chart]
    over = {parent for holder in holders for parent in holder.get("parents") or []} or {ROOT}
    return not over.isdisjoint(scope.get("rootPath") or [])


def _default(native: Mapping[str, Any]) -> Default:
    mask, name = native.get("defaultDataMask") or {}, native.get("name")
    controls = native.get("controlValues") or {}
    extra = mask.get("extraFormData") or {}
    if set(extra) - {"filters"}:
        return Default(why_not=f"The default of the filter {name!r} is no list of values, which a warm-up cannot take.")
    if extra or not (native.get("requiredFirst") and controls.get("defaultToFirstItem")):  # the page heeds both only
        return Default(filters=tuple(extra.get("filters") or ()))
    if native.get("cascadeParentIds") or native.get("adhoc_filters") or native.get("time_range"):
        return Default(why_not=f"What is first in the filter {name!r} depends on other filters.")
    target = (native.get("targets") or [{}])[0]
    column = (target.get("column") or {}).get("name")
    if not column or not target.get("datasetId"):
        return Default()
    ascending = controls.get("sortAscending", True)
    options = _options(target["datasetId"], column, native.get("sortMetric"), ascending)
    return Default(options=options, column=column, op="NOT IN" if controls.get("inverseSelection") else "IN")


def _options(dataset: int, column: str, metric: Any, ascending: bool) -> Mapping[str, Any]:
    """As the page asks, so that this is warm then, too. `metric`: what they are sorted by, if not by themselves."""
    query = {
        "columns": [column],
        "metrics": [metric] if metric else [],
        "orderby": [[metric or column, ascending]],
        "filters": [],
        "extras": {"having": "", "where": ""},
        "row_limit": OPTIONS,
        "order_desc": True,
    }
    source = {"id": dataset, "type": "table"}
    return {"datasource": source, "queries": [query], "force": False, "result_format": "json", "result_type": "full"}
