import pytest

from shared.catalog.filters import conditions
from shared.errors import InvalidInput

SELECT = {"id": "s", "type": "select", "dataset": "sales", "column": "region", "multiple": True, "default": None}
RANGE = {"id": "r", "type": "range", "dataset": "sales", "column": "amount", "default": None}


def sql_of(definition, value):
    found = conditions([definition], {definition["id"]: {"filterState": {"value": value}}})
    return [condition.sql("sqlite") for condition in found.get("sales", [])]


@pytest.mark.parametrize(
    ("value", "sql"),
    [
        (None, []),
        ([], []),
        (["a"], ["\"region\" IN ('a')"]),
        (["it's", 5, 1.5, True], ["\"region\" IN ('it''s', 5, 1.5, TRUE)"]),
        ([None], ['"region" IS NULL']),
        (["a", None], ['"region" IN (\'a\') OR "region" IS NULL']),
        ([-3], ['"region" IN (-3)']),
    ],
)
def test_a_select_becomes_a_list(value, sql):
    assert sql_of(SELECT, value) == sql


@pytest.mark.parametrize(
    ("value", "sql"),
    [
        (None, []),
        ([None, None], []),
        ([1, None], ['"amount" >= 1']),
        ([None, 2.5], ['"amount" <= 2.5']),
        ([1, 2], ['"amount" >= 1 AND "amount" <= 2']),
        (["2024-01-01", "2024-01-31"], ["\"amount\" >= '2024-01-01' AND \"amount\" < '2024-02-01'"]),
        ([None, "2024-01-31T12:00:00"], ["\"amount\" <= '2024-01-31T12:00:00'"]),
        ([None, "9999-12-31"], ["\"amount\" <= '9999-12-31'"]),
    ],
)
def test_a_range_includes_its_bounds_and_the_whole_last_day(value, sql):
    assert sql_of(RANGE, value) == sql


@pytest.mark.parametrize(
    ("definition", "value"),
    [
        (SELECT, "a"),
        (SELECT, 5),
        (SELECT, {"a": 1}),
        (SELECT, [["a"]]),
        (SELECT, [{}]),
        (SELECT, ["\0"]),
        (SELECT, ["\ud800"]),
        (SELECT, [float("nan")]),
        (SELECT, [10**30]),
        (SELECT, ["x" * 20_000]),
        (SELECT, ["x"] * 1001),
        ({**SELECT, "multiple": False}, ["a", "b"]),
        (RANGE, [1]),
        (RANGE, [1, 2, 3]),
        (RANGE, ["a", None]),
        (RANGE, [1, "2024-01-01"]),
        (RANGE, [True, None]),
        (RANGE, [float("inf"), None]),
        (RANGE, ["2024-01-01' OR 1=1 --", None]),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(definition, value):
    with pytest.raises(InvalidInput) as refused:
        sql_of(definition, value)
    assert refused.value.field == f"dataMask.{definition['id']}"


@pytest.mark.parametrize("mask", [[], "x", {"unknown": {}}, {"s": None}, {"s": []}, {"s": {"filterState": 5}}])
def test_a_mask_of_another_form_is_refused(mask):
    with pytest.raises(InvalidInput, match=r"dataMask|filter"):
        conditions([SELECT], mask)


def test_a_filter_that_the_mask_does_not_name_has_its_default():
    definition = {**SELECT, "default": ["a"]}
    assert [c.sql() for c in conditions([definition], {})["sales"]] == ["\"region\" IN ('a')"]
    assert conditions([definition], {"s": {"filterState": {"value": None}}}) == {}
    assert conditions([definition], {"s": {}}) == {}
