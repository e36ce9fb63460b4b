"""How PostgreSQL's types become Arrow's. What Arrow has no exact type for is text, as PostgreSQL writes it."""

from __future__ import annotations

from typing import Any

import psycopg
import pyarrow as pa
from psycopg.adapt import AdaptersMap
from psycopg.pq import ExecStatus
from psycopg.types.string import TextLoader

from shared.engines.batches import Plan, Settle, constrained, known, numeric

ROWS = (ExecStatus.TUPLES_OK, ExecStatus.TUPLES_CHUNK, ExecStatus.SINGLE_TUPLE)
GOOD = (*ROWS, ExecStatus.COMMAND_OK, ExecStatus.EMPTY_QUERY, ExecStatus.COPY_IN, ExecStatus.COPY_OUT)
_EXACT: dict[str, pa.DataType] = {
    "bool": pa.bool_(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "oid": pa.int64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
    "bytea": pa.binary(),
    "text": pa.string(),
    "varchar": pa.string(),
    "bpchar": pa.string(),
    "name": pa.string(),
}
_NUMERIC = "numeric"
_HEADER = 4  # bytes that a type modifier counts besides precision and scale


class _Context:
    """For connections: the driver's adapters, save that what has no exact type stays text."""

    connection = None

    def __init__(self) -> None:
        self.adapters = AdaptersMap(psycopg.adapters)
        for info in psycopg.adapters.types:
            if info.name not in _EXACT and info.name != _NUMERIC:
                self.adapters.register_loader(info.oid, TextLoader)
                if info.array_oid:
                    self.adapters.register_loader(info.array_oid, TextLoader)


ADAPTERS = _Context()


def plans(result: Any) -> list[Plan]:
    """Of the columns of a result of libpq."""
    return [
        Plan((result.fname(i) or b"").decode(), _name(result.ftype(i)), _settle(result.ftype(i), result.fmod(i)))
        for i in range(result.nfields)
    ]


def quoted(name: str) -> str:
    """An identifier, as SQL."""
    return '"' + name.replace('"', '""').replace("\0", "") + '"'


def _name(oid: int) -> str:
    info = psycopg.adapters.types.get(oid)
    if info is None:
        return f"oid {oid}"
    return f"{info.name}[]" if oid == info.array_oid else info.name


def _settle(oid: int, modifier: int) -> Settle:
    info = psycopg.adapters.types.get(oid)
    if info is None:
        return known(pa.string())
    scalar = _of_numeric(modifier) if info.name == _NUMERIC else known(_EXACT.get(info.name, pa.string()))
    if oid != info.array_oid:
        return scalar
    if info.name not in _EXACT and info.name != _NUMERIC:
        return known(pa.string())
    return _of_list(scalar)


def _of_numeric(modifier: int) -> Settle:
    if modifier < _HEADER:
        return numeric
    size = modifier - _HEADER
    scale = ((size & 0x7FF) ^ 0x400) - 0x400  # eleven bits, signed
    return constrained((size >> 16) & 0xFFFF, scale)


def _of_list(scalar: Settle) -> Settle:
    """Arrays have no declared depth: that of the first values counts."""

    def settle(values: Any, is_all: bool) -> pa.DataType:
        depth, items = 0, [value for value in values if value is not None]
        while any(isinstance(item, list) for item in items):
            depth, items = depth + 1, [inner for item in items for inner in item or () if inner is not None]
        kind = scalar(items, is_all)
        for _ in range(max(depth, 1)):
            kind = pa.list_(kind)
        return kind

    return settle
