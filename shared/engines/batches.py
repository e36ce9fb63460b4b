"""From rows of Python values to Arrow record batches of one schema, each bounded in rows and bytes. Pure.

What a column is, some databases tell (`Known`), others only their values do (`Numeric`, and SQLite's columns): such a
column settles on its type when the first rows are there. If these are all, it becomes the narrowest type that holds
them exactly; if more follow, one that holds whatever may come.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa

from shared.errors import QueryFailed

MAX_ROWS = 5_000  # of one batch
MAX_BYTES = 4 * 2**20  # of values in one batch, about
VALUE_BYTES = 8  # of a number, a time, or the head of a text
MAX_DIGITS = 76  # of Arrow's widest decimal
NARROW_DIGITS = 38
SQL_TYPE = b"sql_type"  # key of a field's metadata: the type in the database's own words
Row = Sequence[Any]
Settle = Callable[[Sequence[Any], bool], pa.DataType]  # the first values, and whether these are all


@dataclass(frozen=True, slots=True)
class Plan:
    """A column before its type is settled."""

    name: str
    sql_type: str  # "": its database has none
    settle: Settle


def known(kind: pa.DataType) -> Settle:
    """For a column whose type the database tells."""
    return lambda values, is_all: kind


def numeric(values: Sequence[Any], is_all: bool) -> pa.DataType:
    """For decimals of any size: a decimal that holds them all, or text where more may follow."""
    return fitting_decimal(values) if is_all else pa.string()


def constrained(precision: int, scale: int) -> Settle:
    """For decimals of a declared size, unless one of them is no number."""
    declared = decimal(precision, scale) if 0 < precision <= MAX_DIGITS and 0 <= scale <= precision else pa.string()
    return lambda values, is_all: declared if all(v is None or v.is_finite() for v in values) else pa.string()


def decimal(precision: int, scale: int) -> pa.DataType:
    return pa.decimal128(precision, scale) if precision <= NARROW_DIGITS else pa.decimal256(precision, scale)


def fitting_decimal(values: Iterable[Decimal | None]) -> pa.DataType:
    """The narrowest decimal that holds all of them, text if there is none."""
    whole, scale = 1, 0
    for value in values:
        if value is None:
            continue
        if not value.is_finite():
            return pa.string()
        _, digits, exponent = value.as_tuple()
        assert isinstance(exponent, int)  # finite
        scale = max(scale, -exponent)
        whole = max(whole, len(digits) + exponent)
    digits_needed = whole + scale
    if digits_needed > MAX_DIGITS:
        return pa.string()
    return decimal(NARROW_DIGITS if digits_needed <= NARROW_DIGITS else MAX_DIGITS, scale)


def unique(names: Iterable[str]) -> list[str]:
    """The names, those that stand there already with a number behind: a, a__1."""
    taken: set[str] = set()
    found = []
    for name in names:
        number, made = 0, name
        while made in taken:
            number += 1
            made = f"{name}__{number}"
        taken.add(made)
        found.append(made)
    return found


def build(plans: Sequence[Plan], rows: Iterable[Row]) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """The schema, settled over the first rows, and the batches, which are made as they are asked for.

    `rows`: read one after the other, no further than a batch needs: a few wide ones can be all that memory holds.
    Raises QueryFailed for a value that fits no type that is left, naming the column.
    """
    groups = _grouped(rows)
    first, is_all = next(groups, ([], True))
    columns = _columns(first, len(plans))
    names = unique(plan.name for plan in plans)
    fields = [
        pa.field(name, plan.settle(values, is_all), metadata={SQL_TYPE: plan.sql_type} if plan.sql_type else None)
        for name, plan, values in zip(names, plans, columns, strict=True)
    ]
    schema = pa.schema(fields)

    def batches() -> Iterator[pa.RecordBatch]:
        if first:
            yield _batch(schema, columns)
        for more, _ in groups:
            yield _batch(schema, _columns(more, len(plans)))

    return schema, batches()


def as_text(value: Any) -> str:
    """A value as text, losing nothing."""
    match value:
        case str():
            return value
        case Decimal():
            return format(value, "f") if value.is_finite() else str(value)
        case bytes() | bytearray() | memoryview():
            return bytes(value).hex()
        case datetime() | date() | time():
            return value.isoformat()
        case dict() | list():
            return json.dumps(value, ensure_ascii=False, default=as_text)
        case _:
            return str(value)


def _grouped(rows: Iterable[Row]) -> Iterator[tuple[list[Row], bool]]:
    """Rows for one batch each, and whether they are the last."""
    group: list[Row] = []
    size = 0
    for row in rows:
        if group and (len(group) == MAX_ROWS or size > MAX_BYTES):
            yield group, False
            group, size = [], 0
        group.append(row)
        size += _size(row)
    if group:
        yield group, True


def _size(values: Iterable[Any]) -> int:
    """Bytes of these values, about: of text its characters."""
    size = 0
    for value in values:
        size += VALUE_BYTES
        if isinstance(value, str | bytes):
            size += len(value)
        elif isinstance(value, list | tuple):
            size += _size(value)
        elif isinstance(value, dict):
            size += _size(value) + _size(value.values())
    return size


def _columns(rows: list[Row], count: int) -> list[Sequence[Any]]:
    return list(zip(*rows, strict=True)) if rows else [() for _ in range(count)]


def _batch(schema: pa.Schema, columns: Sequence[Sequence[Any]]) -> pa.RecordBatch:
    arrays = [_array(field, values) for field, values in zip(schema, columns, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _as_texts(values: Sequence[Any], kind: pa.DataType) -> Sequence[Any]:
    """The values, as text where the type is text, however deep."""
    if pa.types.is_string(kind):
        return [value if value is None or type(value) is str else as_text(value) for value in values]
    if pa.types.is_list(kind):
        return [value if value is None else _as_texts(value, kind.value_type) for value in values]
    return values


def _array(field: pa.Field, values: Sequence[Any]) -> pa.Array:
    try:
        return pa.array(_as_texts(values, field.type), type=field.type)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise QueryFailed(
            f"The column {field.name!r} holds a value that is no {field.type} ({str(error).splitlines()[0]}); "
            "cast the column to text."
        ) from error
