import json
import uuid
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest

from shared.catalog import rows
from shared.catalog.rows import collect, jsonable
from shared.errors import QueryFailed


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (True, True),
        (5, 5),
        (1.5, 1.5),
        (float("nan"), None),
        (float("-inf"), None),
        (Decimal("2"), 2),
        (Decimal("0.1"), 0.1),
        (Decimal("1E+3"), 1000),
        (Decimal("0.1234567890123456789"), "0.1234567890123456789"),
        (Decimal("NaN"), None),
        (date(2024, 1, 2), "2024-01-02"),
        (datetime(2024, 1, 2, 3, tzinfo=UTC), "2024-01-02T03:00:00+00:00"),
        (time(1, 2), "01:02:00"),
        (timedelta(minutes=1), 60.0),
        (b"\x01\xff", "01ff"),
        (memoryview(b"a"), "61"),
        ([Decimal(1), float("nan")], [1, None]),
        ({"a": date(2024, 1, 2)}, {"a": "2024-01-02"}),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_every_value_becomes_json(value, shown):
    assert jsonable(value) == shown
    json.dumps(jsonable(value), allow_nan=False)


def test_rows_are_objects():
    assert collect(["a", "b"], [(1, None)]).as_json() == {
        "colnames": ["a", "b"],
        "data": [{"a": 1, "b": None}],
        "rowcount": 1,
    }


def test_no_rows_keep_their_columns():
    assert collect(["a"], []).as_json() == {"colnames": ["a"], "data": [], "rowcount": 0}


def test_two_columns_of_one_name_fail():
    with pytest.raises(QueryFailed, match="'a'"):
        collect(["a", "b", "a"], [])


def test_as_many_rows_as_allowed_pass_and_one_more_fails():
    assert len(collect(["a"], ((i,) for i in range(50_000))).data) == 50_000
    with pytest.raises(QueryFailed, match="50,000 rows"):
        collect(["a"], ((i,) for i in range(50_001)))


def test_too_much_text_fails_before_it_fills_the_memory(monkeypatch):
    monkeypatch.setattr(rows, "MAX_BYTES", 1000)
    with pytest.raises(QueryFailed, match="of text"):
        collect(["a"], (("x" * 100,) for _ in range(50)))
