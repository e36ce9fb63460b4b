"""Every value that a database gives comes back as it was: over every backend, in both forms."""

import math
import string
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyarrow import types

from shared.results.envelope import Form
from shared.results.port import Backend
from shared.results.sets import ResultSets

INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(max_size=20)
FLOATS = st.floats().map(lambda value: math.nan if math.isnan(value) else value)
BINARY = st.binary(max_size=20)
LONGEST = timedelta(microseconds=2**63 - 1)  # that 64 bits of microseconds hold


def decimals(precision: int, scale: int) -> st.SearchStrategy:
    most = 10 ** (precision - scale) - 1
    return st.decimals(-most, most, places=scale, allow_nan=False, allow_infinity=False)


SCALARS: dict[pa.DataType, st.SearchStrategy] = {
    pa.null(): st.none(),
    pa.bool_(): st.booleans(),
    pa.int8(): st.integers(-128, 127),
    pa.int64(): INT64,
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.float32(): st.floats(width=32).map(lambda value: math.nan if math.isnan(value) else value),
    pa.float64(): FLOATS,
    pa.decimal128(38, 9): decimals(38, 9),
    pa.decimal256(76, 0): decimals(76, 0),  # whole numbers that no int64 holds
    pa.string(): TEXT,
    pa.large_string(): TEXT,
    pa.string_view(): TEXT,
    pa.binary(): BINARY,
    pa.binary(4): st.binary(min_size=4, max_size=4),
}
TIMES: dict[pa.DataType, st.SearchStrategy] = {
    pa.date32(): st.dates(),
    pa.time64("us"): st.times(),
    pa.duration("us"): st.timedeltas(-LONGEST, LONGEST),
    pa.timestamp("us"): st.datetimes(),
    pa.timestamp("ns", "Europe/Berlin"): INT64,
    pa.timestamp("s", "+05:30"): st.integers(-62_135_596_800, 253_402_300_799),
}
DICTIONARY = pa.dictionary(pa.int32(), pa.string())


def nested(inner: st.SearchStrategy) -> st.SearchStrategy:
    """(type, values) of lists, structs and maps of what `inner` gives."""

    def around(pair: tuple[pa.DataType, st.SearchStrategy]) -> st.SearchStrategy:
        type_, values = pair
        maybe = st.none() | values
        return st.sampled_from(
            [
                (pa.list_(type_), st.lists(maybe, max_size=3)),
                (pa.struct({"a": type_, "ä ": pa.int64()}), st.fixed_dictionaries({"a": maybe, "ä ": INT64})),
                (pa.map_(pa.string(), type_), st.lists(st.tuples(TEXT, maybe), max_size=3)),
            ]
        )

    return inner.flatmap(around)


COLUMN_TYPES = st.recursive(st.sampled_from([*SCALARS.items(), *TIMES.items()]), nested, max_leaves=3) | st.just(
    (DICTIONARY, TEXT)
)


@st.composite
def batches(draw: st.DrawFn) -> pa.RecordBatch:
    rows = draw(st.integers(0, 5))
    columns, fields = [], []
    for type_, values in draw(st.lists(COLUMN_TYPES, min_size=1, max_size=4)):
        column = draw(st.lists(st.none() | values, min_size=rows, max_size=rows))
        columns.append(array(column, type_))
        fields.append(pa.field(draw(st.text(string.printable + "äß🙂", max_size=8)), type_))
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))


def array(values: list, type_: pa.DataType) -> pa.Array:
    if type_ == DICTIONARY:
        return pa.array(values, pa.string()).dictionary_encode()
    if types.is_timestamp(type_) and any(isinstance(value, int) for value in values):
        return pa.array(values, pa.int64()).view(type_)
    return pa.array(values, type_)


EDGES: dict[pa.DataType, list] = {
    pa.int64(): [-(2**63), 2**63 - 1, 2**53 + 1],
    pa.uint64(): [2**64 - 1, 0],
    pa.float64(): [math.nan, math.inf, -math.inf, -0.0, 5e-324],
    pa.float32(): [math.nan, math.inf, -0.0],
    pa.decimal128(38, 9): [Decimal("-12345678901234567890123456789.123456789"), Decimal("0E-9")],
    pa.decimal256(76, 0): [10**76 - 1, -(10**40)],
    pa.string(): ["", "\x00", "日本 🙂 é", '"\\\n'],
    pa.binary(): [b"", b"\x00\xff"],
    pa.date32(): [date.min, date.max],
    pa.time64("ns"): [time.min, time.max],
    pa.timestamp("us"): [datetime.min, datetime.max],
    pa.timestamp("ns", "Europe/Berlin"): [-(2**63) + 1, 2**63 - 1],
    pa.duration("ms"): [timedelta(days=-1), timedelta.max],
    pa.list_(pa.float64()): [[], [math.nan, None, -math.inf]],
    pa.struct({"d": pa.decimal128(5, 1), "b": pa.binary()}): [{"d": None, "b": b"\xff"}],
    pa.map_(pa.string(), pa.uint64()): [[("k", 2**64 - 1), ("k", None)], []],
    DICTIONARY: ["a", "b", "a"],
}


def edges() -> pa.RecordBatch:
    """Each type with its odd values, and null."""
    columns = [array([*values, *[None] * (5 - len(values))], type_) for type_, values in EDGES.items()]
    return pa.RecordBatch.from_arrays(columns, names=["same name"] * len(columns))


def told(batch: pa.RecordBatch) -> list[tuple[str, str, str]]:
    """Names, types and values, to be compared: NaN is equal to itself, 0.0 is not -0.0."""
    return [
        (field.name, str(field.type), repr(plainly(column)))
        for field, column in zip(batch.schema, batch.columns, strict=True)
    ]


def plainly(column: pa.Array) -> list:
    """Without Python's own times, which hold no nanoseconds and not every year."""
    valid = column.is_valid().to_pylist()
    if types.is_timestamp(column.type):
        return column.view(pa.int64()).to_pylist()
    if types.is_map(column.type):
        return [valid, column.offsets.to_pylist(), plainly(column.keys), plainly(column.items)]
    if types.is_list(column.type):
        return [valid, column.offsets.to_pylist(), plainly(column.flatten())]
    if types.is_struct(column.type):
        return [valid, *(plainly(child) for child in column.flatten())]
    return column.to_pylist()


@pytest.fixture(params=Form)
def sets(request: pytest.FixtureRequest, backend: Backend) -> ResultSets:
    return ResultSets(backend, form=request.param, max_bytes=2**30)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(batch=batches())
@example(batch=edges())
def test_values_survive(sets: ResultSets, batch: pa.RecordBatch) -> None:
    with sets.writer("k", batch.schema, 60) as writer:
        writer.add(batch.slice(0, 2))
        writer.add(batch.slice(2))
        writer.commit()
    assert sets.head("k").schema.equals(batch.schema)
    (back,) = sets.batches("k")
    back.validate(full=True)
    assert back.schema.equals(batch.schema)
    assert told(back) == told(batch)
