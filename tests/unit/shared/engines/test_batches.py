from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.engines import batches
from shared.engines.batches import Plan, build, constrained, fitting_decimal, known, numeric, unique
from shared.errors import QueryFailed

DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, places=None, min_value=-(10**30), max_value=10**30)


def table(plans, rows):
    schema, made = build(plans, rows)
    return pa.Table.from_batches(list(made), schema)


def test_batches_are_bounded_in_rows_and_in_bytes():
    rows = [(1, "x")] * batches.MAX_ROWS + [(2, "y" * (batches.MAX_BYTES - 16))] * 3
    _, made = build([Plan("a", "int", known(pa.int64())), Plan("b", "text", known(pa.string()))], rows)
    assert [batch.num_rows for batch in made] == [batches.MAX_ROWS, 2, 1]


def test_wide_rows_are_read_no_further_than_a_batch_needs():
    read = 0

    def rows():
        nonlocal read
        while read < 200:
            read += 1
            yield ("y" * batches.MAX_BYTES, 1)

    _, made = build([Plan("a", "text", known(pa.string())), Plan("b", "int", known(pa.int64()))], rows())
    assert read <= 2
    assert next(made).num_rows == 1
    assert read <= 2


def test_nested_values_and_numbers_count_as_bytes():
    nested = [({"a": ["y" * batches.MAX_BYTES]},)] * 3
    _, made = build([Plan("a", "json", known(pa.string()))], nested)
    assert [batch.num_rows for batch in made] == [1, 1, 1]
    wide = [(1,) * 1000] * 2000
    plans = [Plan(f"c{number}", "int", known(pa.int64())) for number in range(1000)]
    _, made = build(plans, wide)
    assert max(batch.nbytes for batch in made) < 2 * batches.MAX_BYTES


def test_no_rows_have_a_schema_all_the_same():
    schema, made = build([Plan("a", "int", known(pa.int64()))], [])
    assert (schema.names, list(made)) == (["a"], [])
    assert schema.field("a").metadata == {b"sql_type": b"int"}


def test_names_are_told_apart():
    assert unique(["a", "b", "a", "a__1", "a"]) == ["a", "b", "a__1", "a__1__1", "a__2"]


@given(st.lists(DECIMALS | st.none(), min_size=1, max_size=20))
def test_decimals_become_the_narrowest_type_that_holds_them_all(values):
    kind = fitting_decimal(values)
    found = table([Plan("a", "numeric", numeric)], [(value,) for value in values]).column(0).to_pylist()
    if pa.types.is_string(kind):
        found = [None if one is None else Decimal(one) for one in found]
    assert found == values


def test_decimals_of_unknown_size_are_text_where_more_may_follow():
    rows = [(Decimal("1.5"),)] * batches.MAX_ROWS + [(Decimal("NaN"),), (Decimal("1E-80"),)]
    column = table([Plan("a", "numeric", numeric)], rows).column(0)
    assert (column[0].as_py(), column[-2].as_py(), Decimal(column[-1].as_py())) == ("1.5", "NaN", Decimal("1E-80"))


def test_a_late_value_that_does_not_fit_names_its_column():
    rows = [(Decimal("1.5"),)] * batches.MAX_ROWS + [(Decimal("NaN"),)]
    with pytest.raises(QueryFailed, match="column 'a' holds a value"):
        table([Plan("a", "numeric", constrained(5, 2))], rows)
