from datetime import UTC, datetime, timedelta

import pytest

from shared.errors import InvalidInput
from shared.warmup.inputs import since, span
from shared.warmup.strategies import make

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7d", timedelta(days=7)),
        ("90m", timedelta(minutes=90)),
        ("7 days ago", timedelta(days=7)),
        ("1 Week", timedelta(weeks=1)),
        ("10 s", timedelta(seconds=10)),
    ],
)
def test_spans_as_people_write_them(text, expected):
    assert span(text) == expected
    assert since(text, NOW) == NOW - expected


def test_since_also_takes_dates():
    assert since("2026-11-01", NOW) == datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "soon", "-1d", "7 parsecs", None, 7, "9999999d"])
def test_what_is_no_span_says_what_one_is(text):
    with pytest.raises(ValueError, match="such as"):
        since(text, NOW)


@pytest.mark.parametrize(
    ("name", "parameters", "field", "words"),
    [
        ("nope", {}, "strategy", "known: dummy, top_n_dashboards"),
        ("data_changed", {}, "strategy", "known"),
        ("dummy", {"top_n": 1}, "parameters.top_n", "known: none"),
        ("top_n_dashboards", {"top_n": 0}, "parameters.top_n", "greater than or equal to 1"),
        ("top_n_dashboards", {"top_n": "x"}, "parameters.top_n", "integer"),
        ("top_n_dashboards", {"top_n": True}, "parameters.top_n", "whole number, not true"),
        ("usual_visitors", {"top_n": False}, "parameters.top_n", "whole number, not false"),
        ("top_n_dashboards", {"since": "soon"}, "parameters.since", "7 days ago"),
        ("dashboard_tags", {}, "parameters.tags", "missing"),
        ("dashboard_tags", {"tags": []}, "parameters.tags", "at least 1"),
        ("dashboard_tags", {"tags": [None]}, "parameters.tags.0", "string"),
        ("top_n_dashboards", {"since": "999999w"}, "parameters.since", "at most 3660 days"),
        ("usual_visitors", {"history": "9999d"}, "parameters.history", "at most 3660 days"),
        ("ids", {}, "parameters", "needs dashboards or charts"),
        ("stale", {"within": "x"}, "parameters.within", "such as 90m"),
        ("usual_visitors", {"timezone": "Mars/Olympus"}, "parameters.timezone", "Europe/Berlin"),
    ],
)
def test_a_wrong_parameter_is_named(name, parameters, field, words):
    with pytest.raises(InvalidInput, match=words) as refused:
        make(name, parameters)
    assert refused.value.field == field


def test_lists_come_as_lists_or_with_commas():
    assert (
        make("dashboard_tags", {"tags": "a, b"}).parameters == make("dashboard_tags", {"tags": ["a", "b"]}).parameters
    )
    assert make("ids", {"charts": [1, 2]}).parameters.charts == ["1", "2"]
