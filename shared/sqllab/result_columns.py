"""Columns of a result set and its rows as JSON, spelled as Superset spells them. Pure."""

from __future__ import annotations

import base64
import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import IntEnum
from typing import Any

import pyarrow as pa
from pyarrow import types

MAX_SAFE_INTEGER = 2**53 - 1  # beyond it JavaScript's numbers lose digits


class Generic(IntEnum):
    """Superset's GenericDataType."""

    NUMERIC = 0
    STRING = 1
    TEMPORAL = 2
    BOOLEAN = 3


def columns_of(schema: pa.Schema) -> list[dict[str, Any]]:
    return [_column(one) for one in schema]


def _column(column: pa.Field) -> dict[str, Any]:
    generic = _generic(column.type)
    sql_type = (column.metadata or {}).get(b"sql_type", b"").decode() or str(column.type)
    return {
        "column_name": column.name,
        "name": column.name,
        "type": sql_type.upper(),
        "type_generic": int(generic),
        "is_dttm": generic is Generic.TEMPORAL,
    }


def _generic(kind: pa.DataType) -> Generic:
    if types.is_boolean(kind):
        return Generic.BOOLEAN
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return Generic.NUMERIC
    return Generic.TEMPORAL if types.is_timestamp(kind) or types.is_date(kind) else Generic.STRING


def rows_of(table: pa.Table) -> list[dict[str, Any]]:
    """Each row as an object of JSON values: what JSON's numbers cannot hold is text, and NaN is null."""
    names = table.schema.names
    columns = [[plain(value) for value in _readable(column).to_pylist()] for column in table.columns]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _readable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Python's times have microseconds."""
    is_finer = types.is_timestamp(column.type) and column.type.unit == "ns"
    return column.cast(pa.timestamp("us", column.type.tz), safe=False) if is_finer else column


def plain(value: Any) -> Any:
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if abs(value) <= MAX_SAFE_INTEGER else str(value)
        case float():
            return value if math.isfinite(value) else None
        case Decimal():
            return format(value, "f") if value.is_finite() else None
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return str(value)
        case bytes():
            return base64.b64encode(value).decode()
        case list() | tuple():
            return [plain(one) for one in value]
        case dict():
            return {str(name): plain(one) for name, one in value.items()}
        case _:
            return str(value)
