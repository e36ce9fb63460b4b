"""How the types of MySQL and MariaDB become Arrow's. A TIME, which may be longer than a day, is text."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
from pymysql.constants import FIELD_TYPE as T
from pymysql.constants import FLAG
from pymysql.converters import convert_date, convert_datetime, encoders

from shared.engines.batches import Plan, decimal, known

_BINARY_CHARSET = 63
_DECIMALS = (T.DECIMAL, T.NEWDECIMAL)
_SIGNED: dict[int, pa.DataType] = {
    T.TINY: pa.int8(),
    T.SHORT: pa.int16(),
    T.INT24: pa.int32(),
    T.LONG: pa.int32(),
    T.LONGLONG: pa.int64(),
    T.YEAR: pa.int16(),
}
_UNSIGNED: dict[int, pa.DataType] = {
    T.TINY: pa.uint8(),
    T.SHORT: pa.uint16(),
    T.INT24: pa.uint32(),
    T.LONG: pa.uint32(),
    T.LONGLONG: pa.uint64(),
    T.YEAR: pa.int16(),
}
_OTHERS: dict[int, pa.DataType] = {
    T.FLOAT: pa.float32(),
    T.DOUBLE: pa.float64(),
    T.DATE: pa.date32(),
    T.NEWDATE: pa.date32(),
    T.DATETIME: pa.timestamp("us"),
    T.TIMESTAMP: pa.timestamp("us", tz="UTC"),
    T.BIT: pa.binary(),
    T.GEOMETRY: pa.binary(),
    T.TIME: pa.string(),
    T.NULL: pa.string(),
    T.JSON: pa.string(),
}
_NAMES = {code: name.lower() for name, code in vars(T).items() if isinstance(code, int)}
CONVERTERS: dict[Any, Any] = {  # of answers, by code; and of our own parameters, by class
    **encoders,
    **dict.fromkeys(_SIGNED, int),
    **dict.fromkeys(_DECIMALS, Decimal),
    T.FLOAT: float,
    T.DOUBLE: float,
    T.DATE: convert_date,
    T.NEWDATE: convert_date,
    T.DATETIME: convert_datetime,
    T.TIMESTAMP: convert_datetime,
}


def plans(fields: Sequence[Any]) -> list[Plan]:
    """Of the columns of an answer, as the driver describes them."""
    return [Plan(field.name, _NAMES.get(field.type_code, "unknown"), known(_type(field))) for field in fields]


def text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _type(field: Any) -> pa.DataType:
    if field.type_code in _DECIMALS:
        signs = (0 if field.flags & FLAG.UNSIGNED else 1) + (1 if field.scale else 0)
        return decimal(max(field.length - signs, field.scale, 1), field.scale)
    if field.type_code in _SIGNED:
        return (_UNSIGNED if field.flags & FLAG.UNSIGNED else _SIGNED)[field.type_code]
    if field.type_code in _OTHERS:
        return _OTHERS[field.type_code]
    return pa.binary() if field.charsetnr == _BINARY_CHARSET else pa.string()
