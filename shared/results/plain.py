"""Columns as plain JSON values, and back without loss. Pure.

Whole numbers of any size, texts, booleans and null are themselves; decimals are texts; numbers that JSON does not have
are "NaN", "Infinity" and "-Infinity"; binary is base64; dates, times, timestamps and durations are whole numbers in the
unit of the column's type. Lists, structs and maps of these (but of times) are arrays, objects and arrays of pairs. A
column of any other type is `{"arrow": base64 of an Arrow IPC stream}`.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
from pyarrow import types

_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_ITSELF = (types.is_null, types.is_boolean, types.is_integer, types.is_string, types.is_large_string)
_LISTS = (types.is_list, types.is_large_list, types.is_fixed_size_list)
_BINARY = (types.is_binary, types.is_large_binary, types.is_fixed_size_binary)


def dump(batch: pa.RecordBatch) -> list[Any]:
    """One JSON value for each column."""
    return [_dump_column(column) for column in batch.columns]


def load(columns: list[Any], schema: pa.Schema, rows: int) -> pa.RecordBatch:
    """What `dump` was given, of that schema."""
    if not columns:
        return pa.RecordBatch.from_struct_array(pa.array([{}] * rows, pa.struct([])))
    loaded = [_load_column(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(loaded, schema=schema)


def _dump_column(column: pa.Array) -> Any:
    if integer := _integer_of(column.type):
        return column.view(integer).to_pylist()
    if not _is_plain(column.type):
        sink = pa.BufferOutputStream()
        batch = pa.record_batch([column], names=["column"])
        with pa.ipc.new_stream(sink, batch.schema) as stream:
            stream.write_batch(batch)
        return {"arrow": base64.b64encode(sink.getvalue()).decode()}
    out = _out(column.type)
    values = column.to_pylist()
    return values if out is None else [None if value is None else out(value) for value in values]


def _load_column(values: Any, type_: pa.DataType) -> pa.Array:
    if integer := _integer_of(type_):
        return pa.array(values, integer).view(type_)
    if isinstance(values, dict):
        with pa.ipc.open_stream(base64.b64decode(values["arrow"])) as stream:
            return stream.read_next_batch().column(0)
    back = _back(type_)
    return pa.array(values if back is None else [None if value is None else back(value) for value in values], type_)


def _integer_of(type_: pa.DataType) -> pa.DataType | None:
    """The whole numbers that a type of times consists of; None for other types."""
    if types.is_date32(type_) or types.is_time32(type_):
        return pa.int32()
    return pa.int64() if types.is_temporal(type_) and not types.is_interval(type_) else None


def _is_plain(type_: pa.DataType) -> bool:
    if any(check(type_) for check in _LISTS):
        return _is_plain(type_.value_type)
    if types.is_map(type_):
        return _is_plain(type_.key_type) and _is_plain(type_.item_type)
    if types.is_struct(type_):
        names = [type_.field(i).name for i in range(type_.num_fields)]
        return len(set(names)) == len(names) and all(_is_plain(type_.field(i).type) for i in range(type_.num_fields))
    scalars = (*_ITSELF, *_BINARY, types.is_float32, types.is_float64, types.is_decimal)
    return any(check(type_) for check in scalars)


Convert = Callable[[Any], Any]


def _out(type_: pa.DataType) -> Convert | None:
    """From a value that is not null; None where nothing is to be done."""
    if types.is_floating(type_):
        return lambda value: value if math.isfinite(value) else _name_of(value)
    if types.is_decimal(type_):
        return str
    if any(check(type_) for check in _BINARY):
        return lambda value: base64.b64encode(value).decode()
    return _nested(type_, _out)


def _back(type_: pa.DataType) -> Convert | None:
    if types.is_floating(type_):
        return lambda value: _NUMBERS[value] if isinstance(value, str) else value
    if types.is_decimal(type_):
        return Decimal
    if any(check(type_) for check in _BINARY):
        return base64.b64decode
    return _nested(type_, _back)


def _nested(type_: pa.DataType, of: Callable[[pa.DataType], Convert | None]) -> Convert | None:
    def convert(inner: pa.DataType) -> Convert:
        chosen = of(inner)
        return lambda value: value if value is None or chosen is None else chosen(value)

    if any(check(type_) for check in _LISTS):
        item = convert(type_.value_type)
        return lambda values: [item(value) for value in values]
    if types.is_map(type_):
        key, item = convert(type_.key_type), convert(type_.item_type)
        return lambda pairs: [(key(k), item(v)) for k, v in pairs]
    if types.is_struct(type_):
        fields = {type_.field(i).name: convert(type_.field(i).type) for i in range(type_.num_fields)}
        return lambda record: {name: field(record[name]) for name, field in fields.items()}
    return None


def _name_of(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
