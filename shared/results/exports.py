"""Rows as a file, piece by piece: CSV, Arrow IPC, Parquet. No more than one batch and its encoding is in memory. Pure.

Each takes batches of one schema, at least one of them, as `ResultSets.batches` gives them, and yields bytes.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from pyarrow import types

from shared.errors import InvalidInput

# A spreadsheet runs what begins so, unless it is a number: such texts get an apostrophe before them.
_FORMULA = r"^\s*[=+\-@|%]"
_NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"


def csv(batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """UTF-8 with a header; null is empty, the empty text is "". Binary is base64, nested values are JSON."""
    texts = (_as_text(batch) for batch in batches)
    return _written(texts, lambda sink, schema: pa.csv.CSVWriter(sink, schema))


def arrow_ipc(batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """An Arrow IPC stream, not compressed: every reader of Arrow takes it."""
    return _written(batches, lambda sink, schema: pa.ipc.new_stream(sink, schema))


def parquet(batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """Parquet with zstd, a row group for each batch. Raises InvalidInput for a column that Parquet cannot hold."""
    return _written(batches, lambda sink, schema: pa.parquet.ParquetWriter(sink, schema, compression="zstd"))


class _Writer(Protocol):
    """What pyarrow's writers have in common."""

    def write_batch(self, batch: pa.RecordBatch) -> None: ...

    def close(self) -> None: ...


class _Sink:
    """A file that pyarrow writes to, and from which we take what it has written so far."""

    closed = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._written = 0

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._written += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._written

    def flush(self) -> None:
        """Nothing waits here."""

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


def _written(batches: Iterable[pa.RecordBatch], open_writer: Callable[[_Sink, pa.Schema], _Writer]) -> Iterator[bytes]:
    """What that writer makes of them. Raises InvalidInput for a type that it does not know."""
    sink, writer = _Sink(), None
    try:
        for batch in batches:
            if writer is None:
                writer = open_writer(sink, batch.schema)
            writer.write_batch(batch)
            if piece := sink.take():
                yield piece
        if writer is not None:
            writer.close()
            yield sink.take()
    except (pa.ArrowNotImplementedError, pa.ArrowTypeError, pa.ArrowInvalid) as error:
        raise InvalidInput(f"These columns cannot be written in this format: {error}. Take Arrow.") from error


def _as_text(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The columns of types that CSV lacks as texts; no text begins as a formula."""
    names = _defused(pa.array(batch.schema.names, pa.large_string())).to_pylist()
    return pa.RecordBatch.from_arrays([_text(column) for column in batch.columns], names=names)


def _text(column: pa.Array) -> pa.Array:
    type_ = column.type
    if types.is_integer(type_) or types.is_floating(type_) or types.is_boolean(type_) or types.is_null(type_):
        return column
    if types.is_dictionary(type_):
        return _text(column.dictionary_decode())
    if types.is_string(type_) or types.is_large_string(type_) or types.is_string_view(type_):
        return _defused(column.cast(pa.large_string()))
    if types.is_decimal(type_) or (types.is_temporal(type_) and not types.is_interval(type_)):
        return column.cast(pa.string())
    values = (None if value is None else _word(value) for value in column.to_pylist())
    return _defused(pa.array(values, pa.large_string()))


def _word(value: Any) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return json.dumps(value, default=_word, ensure_ascii=False) if isinstance(value, list | dict) else str(value)


def _defused(texts: pa.Array) -> pa.Array:
    risky = pc.and_(pc.match_substring_regex(texts, _FORMULA), pc.invert(pc.match_substring_regex(texts, _NUMBER)))
    mark, nothing = (pa.scalar(text, pa.large_string()) for text in ("'", ""))
    return pc.if_else(risky, pc.binary_join_element_wise(mark, texts, nothing), texts)
