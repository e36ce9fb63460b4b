"""Native filters as a dashboard's page applies them when it opens."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.catalog.superset.native_filters import Default, defaults

GIRL = {"col": "gender", "op": "IN", "val": ["girl"]}
TARGET = {"targets": [{"datasetId": 17, "column": {"name": "gender"}}]}
FIRST = TARGET | {"name": "Gender", "requiredFirst": True, "controlValues": {"defaultToFirstItem": True}}
LAYOUT = {
    "DASHBOARD_VERSION_KEY": "v2",
    "CHART-a": {"meta": {"chartId": 5}, "parents": ["ROOT_ID", "TABS-1", "TAB-a"]},
    "CHART-b": {"meta": {"chartId": 6}, "parents": ["ROOT_ID", "TABS-1", "TAB-b"]},
}


def found(chart: str, *filters: dict[str, Any]) -> list[Default]:
    metadata = {"native_filter_configuration": list(filters)}
    return defaults({"json_metadata": json.dumps(metadata), "position_json": json.dumps(LAYOUT)}, chart)


def with_default(**extra: Any) -> dict[str, Any]:
    return TARGET | {"name": "Gender", "defaultDataMask": {"extraFormData": extra}}


@pytest.mark.parametrize(
    ("scope", "charts"),
    [
        ({"rootPath": ["ROOT_ID"], "excluded": []}, ["5", "6", "7"]),
        ({"rootPath": ["ROOT_ID"], "excluded": [5]}, ["6", "7"]),
        ({"rootPath": ["TAB-b"], "excluded": []}, ["6"]),
        ({"rootPath": [], "excluded": []}, []),
    ],
)
def test_a_filter_concerns_the_charts_of_its_scope_whatever_was_noted_beside_it(scope, charts):
    native = with_default(filters=[GIRL]) | {"scope": scope, "chartsInScope": [6]}
    assert [chart for chart in ("5", "6", "7") if found(chart, native)] == charts


def test_what_filters_set_comes_in_their_order():
    late = GIRL | {"col": "year"}
    both = found("5", with_default(filters=[GIRL]), {"type": "DIVIDER"}, with_default(), with_default(filters=[late]))
    assert [one for default in both for one in default.filters] == [GIRL, late]
    assert defaults({}, "5") == []


def test_the_first_item_is_asked_for_as_the_page_asks():
    (default,) = found("5", FIRST)
    assert default.options is not None
    assert default.options["datasource"] == {"id": 17, "type": "table"}
    assert [default.options["queries"][0][part] for part in ("columns", "orderby")] == [["gender"], [["gender", True]]]
    controls = {"defaultToFirstItem": True, "sortAscending": False, "inverseSelection": True}
    (default,) = found("5", FIRST | {"controlValues": controls, "sortMetric": "count"})
    assert default.options is not None
    assert [default.options["queries"][0][part] for part in ("metrics", "orderby")] == [["count"], [["count", False]]]
    assert default.op == "NOT IN"
    assert found("5", FIRST | {"requiredFirst": False}) == [Default()], "the page heeds it only where it is required"


def test_a_default_value_goes_before_the_first_item():
    (default,) = found("5", FIRST | with_default(filters=[GIRL]))
    assert (default.filters, default.options) == ((GIRL,), None)


@pytest.mark.parametrize(
    ("native", "why_not"),
    [
        (with_default(time_range="Last week"), "'Gender' is no list of values"),
        (FIRST | {"cascadeParentIds": ["NATIVE_FILTER-other"]}, "'Gender' depends on other filters"),
        (FIRST | {"adhoc_filters": [{"clause": "WHERE"}]}, "'Gender' depends on other filters"),
    ],
)
def test_what_a_warm_up_cannot_take_is_said_with_the_name_of_the_filter(native, why_not):
    (default,) = found("5", native)
    assert why_not in default.why_not
