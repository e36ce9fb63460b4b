"""The key: equal for equal pictures, different for anything that makes them differ."""

from __future__ import annotations

from typing import Any

import pytest

from shared.keys import content_hash, picture_key
from shared.targets import Format, Size, Target, TargetKind, ViewState

BASE: dict[str, Any] = {
    "target": Target("native", TargetKind.DASHBOARD, "1"),
    "executor": "ada",
    "access": "",
    "view_state": ViewState(),
    "window": Size(1600, 1200),
    "thumbnail": Size(800, 600),
    "picture_format": Format.PNG,
}


@pytest.mark.parametrize(
    "change",
    [
        {"target": Target("native", TargetKind.CHART, "1")},
        {"target": Target("native", TargetKind.DASHBOARD, "2")},
        {"target": Target("superset", TargetKind.DASHBOARD, "1")},
        {"executor": "mina"},
        {"executor": ""},
        {"access": "region = 'Europe'"},
        {"view_state": ViewState.of({"f": {"filterState": {"value": ["x"]}}})},
        {"view_state": ViewState.of(active_tabs=["b"])},
        {"view_state": ViewState.of(anchor="chart-1")},
        {"view_state": ViewState.of(url_params=[["a", "b"]])},
        {"window": Size(1200, 1600)},
        {"thumbnail": None},
        {"picture_format": Format.WEBP},
    ],
    ids=str,
)
def test_anything_that_makes_another_picture_makes_another_key(change: dict[str, Any]) -> None:
    assert picture_key(**{**BASE, **change}) != picture_key(**BASE)


def test_the_order_of_filters_tabs_and_parameters_makes_no_difference() -> None:
    one = ViewState.of({"a": {"x": 1, "y": 2}, "b": {}}, ["t1", "t2"], None, [["p", "1"], ["q", "2"]])
    other = ViewState.of({"b": {}, "a": {"y": 2, "x": 1}}, ["t2", "t1", "t2"], "", [["q", "2"], ["p", "1"]])
    assert picture_key(**{**BASE, "view_state": one}) == picture_key(**{**BASE, "view_state": other})


def test_a_key_is_short_plain_text_that_shows_no_name() -> None:
    key = picture_key(**BASE)
    assert len(key) == 32
    assert set(key) <= set("0123456789abcdef")


def test_content_hash_tells_types_apart() -> None:
    assert len({content_hash(v) for v in (1, "1", [1], {"1": 1}, None, True)}) == 6
