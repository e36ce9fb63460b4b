"""A DuckDB file that tables are put into, or copied from without their rows."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from shared.catalog.sql_text import Name
from shared.errors import DatabaseUnavailable, InvalidInput

BUSY_TIMEOUT_S = 10
BUSY_LOOK_S = 0.1
CHUNK_ROWS = 10_000
_CONFIGURATION: dict[str, str | bool | int | float | list[str]] = {
    "checkpoint_threshold": "0B",  # rows go into the file at once, and not into a log beside it that others could read
}
_TYPES = {
    "text": ("VARCHAR", pa.string()),
    "integer": ("BIGINT", pa.int64()),
    "real": ("DOUBLE", pa.float64()),
    "date": ("DATE", pa.date32()),
    "datetime": ("TIMESTAMP", pa.timestamp("us")),
    "boolean": ("BOOLEAN", pa.bool_()),
}
_CHUNK = "rows of a file"  # a name that no table of a catalog can have
_HAS = "SELECT 1 FROM duckdb_tables() WHERE NOT internal AND schema_name = 'main' AND lower(table_name) = lower(?)"


class DuckdbFile:
    """Only one process can have it open to write; whoever reads it then is told so. A datetime with an offset is kept
    in UTC.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def create(self) -> None:
        if not self._path.exists():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            usual = os.umask(0o077)  # so that it is never open to others, not for a moment
            try:
                self._open(read_only=False).close()
            finally:
                os.umask(usual)

    def has_table(self, table: str) -> bool:
        if not self._path.is_file():
            return False
        with closing(self._open(read_only=True)) as connection:
            return connection.execute(_HAS, [table]).fetchone() is not None

    def fill(self, table: str, columns: Mapping[str, str], rows: Iterator[tuple[Any, ...]]) -> int:
        self.create()
        schema = pa.schema([(name, _TYPES[kind][1]) for name, kind in columns.items()])
        done = 0
        with closing(self._open(read_only=False)) as connection:
            try:
                connection.execute("BEGIN")
                connection.execute(f'CREATE OR REPLACE TABLE main."{table}" ({_declared(columns)})')
                while some := list(islice(rows, CHUNK_ROWS)):
                    connection.register(_CHUNK, _chunk(some, schema))
                    connection.execute(f'INSERT INTO main."{table}" SELECT * FROM "{_CHUNK}"')  # noqa: S608
                    done += len(some)
                connection.execute("COMMIT")
            except duckdb.Error as error:
                raise DatabaseUnavailable(f"{self._path} cannot be filled: {error}") from error
        return done

    def copy_empty(self, copy: Path, name: Name, columns: Mapping[str, str] | None) -> tuple[str, ...]:
        schema, table = map(_quoted, name)
        with closing(duckdb.connect(copy)) as connection:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            if columns:
                try:
                    connection.execute(f"CREATE TABLE IF NOT EXISTS {schema}.{table} ({_declared(columns)})")
                except duckdb.ProgrammingError as error:  # one column twice
                    raise InvalidInput(f"DuckDB can have no such table: {error}") from error
            elif not self._path.is_file() or not self._copy_from(connection, f"{schema}.{table}"):
                return ()
            return tuple(row[0] for row in connection.execute(f"DESCRIBE {schema}.{table}").fetchall())

    def _copy_from(self, connection: duckdb.DuckDBPyConnection, table: str) -> bool:
        """Whether there is such a table or view."""
        path = str(self._path).replace("'", "''")
        try:
            connection.execute(f"ATTACH '{path}' AS kept (READ_ONLY)")
            connection.execute("SET enable_external_access = false")  # a view could read files
            connection.execute(f"CREATE TABLE IF NOT EXISTS {table} AS FROM kept.{table} LIMIT 0")
        except duckdb.CatalogException:
            return False
        except duckdb.Error as error:
            raise DatabaseUnavailable(f"{self._path} cannot be read: {error}") from error
        return True

    def _open(self, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        """Waits for those who have it open: DuckDB itself does not."""
        until = time.monotonic() + BUSY_TIMEOUT_S
        while True:
            try:
                return duckdb.connect(self._path, read_only=read_only, config=_CONFIGURATION)
            except duckdb.Error as error:
                if "Conflicting lock" not in str(error) or time.monotonic() > until:
                    raise DatabaseUnavailable(f"{self._path} cannot be opened: {error}") from error
            time.sleep(BUSY_LOOK_S)


def _chunk(rows: list[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    columns = zip(*rows, strict=True)
    return pa.table([[_in_utc(value) for value in column] for column in columns], schema=schema)


def _in_utc(value: Any) -> Any:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    return value


def _declared(columns: Mapping[str, str]) -> str:
    """The columns of a CREATE TABLE."""
    return ", ".join(f"{_quoted(name)} {_TYPES[kind][0]}" for name, kind in columns.items())


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
