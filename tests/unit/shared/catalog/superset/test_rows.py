"""Superset's rows: what they say of a target, and what makes another digest."""

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.catalog.superset.rows import chart_of, digest, info_of
from shared.targets import TargetKind

ROW = {
    "id": 7,
    "url": "/superset/dashboard/births/",
    "dashboard_title": "Births",
    "changed_on_utc": "2026-11-26T13:27:11.951555+0000",
    "thumbnail_url": "/api/v1/dashboard/7/thumbnail/abc/",
    "owners": [{"id": 1}, {"id": 9}],
    "changed_by": {"id": 1},
    "created_by": None,
    "published": False,
    "tags": [{"name": "morning", "type": 1}, {"name": "type:dashboard", "type": 2}],
}


def test_a_row_is_a_target_with_its_people_by_name():
    info = info_of(TargetKind.DASHBOARD, ROW, {1: "ann"}.get)
    assert (str(info.target), info.title, info.url) == ("superset/dashboard/7", "Births", "/superset/dashboard/births/")
    assert (info.ownership.owners, info.ownership.changed_by, info.ownership.created_by) == (("ann",), "ann", None)
    assert (info.tags, info.published) == (("morning",), False)
    assert info.changed_on == datetime(2026, 11, 26, 13, 27, 11, 951555, UTC)


@pytest.mark.parametrize(
    "change",
    [
        {"row": ROW | {"thumbnail_url": "/api/v1/dashboard/7/thumbnail/abd/"}},
        {"row": ROW | {"dashboard_title": "Names"}},
        {"charts": [{"id": 1, "changed_on_utc": "later"}]},
        {"datasets": {3: "later"}},
    ],
)
def test_whatever_the_picture_shows_is_in_the_digest(change):
    whole: dict[str, Any] = {"row": ROW, "charts": [{"id": 1, "changed_on_utc": "now"}], "datasets": {3: "now"}}
    assert digest(**whole) == digest(**whole | {"charts": list(whole["charts"])})
    assert digest(**whole | change) != digest(**whole)


def test_without_superset_s_own_digest_the_time_of_change_stands_in():
    row = ROW | {"thumbnail_url": None}
    assert digest(row, [], {}) != digest(row | {"changed_on_utc": "2026-11-27T00:00:00+0000"}, [], {})


@pytest.mark.parametrize(("datasource", "number"), [("12__table", 12), ("None__None", None), (None, None)])
def test_a_chart_of_a_dashboard_is_a_row_of_the_charts_list(datasource, number):
    told = {"id": 3, "slice_name": "Births", "changed_on": "2026-11-26T13:27:11", "slice_url": "/explore/?slice_id=3"}
    told |= {"form_data": {"datasource": datasource}}
    assert chart_of(told) == {
        "id": 3,
        "slice_name": "Births",
        "changed_on_utc": "2026-11-26T13:27:11",
        "datasource_id": number,
    }
