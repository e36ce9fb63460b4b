"""How DuckDB's types become Arrow's, which mostly they are; and where in the SQL its errors belong."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from shared.engines.batches import SQL_TYPE, unique
from shared.errors import QueryFailed, Span

# What Arrow has no exact type for, or none that its files can hold, is text; so is what consists of it.
_AS_TEXT = re.compile(r"\b(INTERVAL|UNION|ENUM|BIT|TIME WITH TIME ZONE|UHUGEINT|BIGNUM|VARIANT|GEOMETRY)\b")
_WHOLE = "HUGEINT"  # a sum of integers; Arrow holds 38 of its 39 digits
_PLACE = re.compile(r"\nLINE (\d+): (.*)\n( *)\^")
_KIND = re.compile(r"^[A-Z][A-Za-z ]+ Error: ")
_WORD = re.compile(r"\w+|\S")
EXPLAIN = "EXPLAIN\n"
READ_ROWS = 256  # of one batch, however wide they are: DuckDB takes no number of bytes
LAST_YEAR = 9999  # that readers of times can hold


def reader(relation: Any) -> tuple[Any, pa.Schema]:
    """Streams a relation, its columns under names of their own; and the schema of its batches."""
    names = unique(relation.columns)
    listed = ", ".join(
        f'{_cast(f"#{number}", str(kind))} AS "{name.replace(chr(34), chr(34) * 2)}"'
        for number, (name, kind) in enumerate(zip(names, relation.types, strict=True), 1)
    )
    made = relation.project(listed).to_arrow_reader(READ_ROWS)
    fields = [
        pa.field(name, _in_utc(field.type), metadata={SQL_TYPE: str(kind)})
        for name, field, kind in zip(names, made.schema, relation.types, strict=True)
    ]
    return made, pa.schema(fields)


def checked(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch in our schema. Raises QueryFailed for a time that is infinite, or too far away."""
    columns = []
    for field, column in zip(schema, batch.columns, strict=True):
        if pa.types.is_timestamp(field.type) or pa.types.is_date(field.type):
            years = pc.min_max(pc.year(column.cast(pa.timestamp(getattr(field.type, "unit", "s")))))
            low, high = years["min"].as_py(), years["max"].as_py()
            if low is not None and not 1 <= low <= high <= LAST_YEAR:
                raise QueryFailed(f"The column {field.name!r} holds a time that has no place here; cast it to text.")
        columns.append(column if column.type == field.type else column.cast(field.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def by_values(values: Sequence[Any], is_all: bool) -> pa.DataType:
    """What Arrow takes these values for; text, where it cannot tell or more may follow."""
    try:
        return pa.array(values).type if is_all else pa.string()
    except pa.ArrowException:
        return pa.string()


def failure(text: str, sql: str, *, explained: bool = False) -> QueryFailed:
    """An error of a statement, with the word that DuckDB points at; `explained`: in EXPLAIN and then the statement."""
    first = _KIND.sub("", text.splitlines()[0])
    span = _span(text, EXPLAIN + sql if explained else sql)
    if explained and span is not None:
        span = Span(span.start - len(EXPLAIN), span.end - len(EXPLAIN)) if span.start >= len(EXPLAIN) else None
    return QueryFailed(f"The database refused the query: {first}", span=span)


def _cast(column: str, kind: str) -> str:
    if _AS_TEXT.search(kind):
        return f"CAST({column} AS VARCHAR)"
    return f"CAST({column} AS DECIMAL(38, 0))" if kind == _WHOLE else column


def _in_utc(kind: pa.DataType) -> pa.DataType:
    return pa.timestamp(kind.unit, tz="UTC") if pa.types.is_timestamp(kind) and kind.tz else kind


def _span(text: str, sql: str) -> Span | None:
    found = _PLACE.search(text)
    lines = sql.splitlines(keepends=True)
    if found is None or int(found[1]) > len(lines):
        return None
    number, shown = int(found[1]) - 1, found[2]
    column = len(found[3]) - len(f"LINE {found[1]}: ")
    if shown.startswith("..."):  # a long line is shown in part
        part = shown.removeprefix("...").removesuffix("...")
        column += lines[number].find(part) - len("...")
    start = sum(map(len, lines[:number])) + column
    word = _WORD.match(sql, start) if 0 <= start < len(sql) else None
    return Span(*word.span()) if word else None
