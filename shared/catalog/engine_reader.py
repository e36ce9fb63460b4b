"""Charts on databases that have an engine and no reader of their own: DuckDB, MySQL and MariaDB."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from shared.catalog.readers import Watch
from shared.catalog.rows import Rows, collect
from shared.catalog.sql_text import Dialect
from shared.engines import Connection, open_target
from shared.engines.target import Target
from shared.engines.urls import dialect_of, parse_url
from shared.errors import QueryFailed, QueryTimedOut

CONNECTIONS = 6  # of one process, as charts have on PostgreSQL
_VIEWS = {
    Dialect.DUCKDB: "SELECT schema_name, view_name, sql FROM duckdb_views() WHERE NOT internal",
    Dialect.MYSQL: """
        SELECT if(table_schema = database(), '', table_schema), table_name, view_definition
        FROM information_schema.views
        WHERE table_schema NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema')
    """,
}


class EngineReader:
    """The engine's sessions only read, and files, network and extensions are off in them."""

    def __init__(self, url: str, state_dir: Path, timeout_s: float) -> None:
        self.dialect = dialect_of(url)
        target = Target(
            "of this chart", parse_url(url), state_dir, timeout_s, CONNECTIONS, allow_dml=False, max_cost=None
        )
        self._engine = open_target(target)

    def read(self, sql: str, tables: Sequence[str], watch: Watch | None = None) -> Rows:
        if watch is None:
            with self._engine.connect() as connection:
                return collect(*_rows(connection, sql))
        with self._engine.connect(timeout_s=watch.timeout_s) as connection:
            watch.begun(connection.cancel, connection.server_id)
            return collect(*_sent(connection, sql))

    def views(self) -> dict[tuple[str, str], str]:
        with self._engine.connect() as connection:
            _, records = _rows(connection, _VIEWS[self.dialect])
            return {(schema, name): sql for schema, name, sql in records}

    def close(self) -> None:
        self._engine.close()


def _rows(connection: Connection, sql: str) -> tuple[list[str], Iterator[Sequence[Any]]]:
    try:
        return _sent(connection, sql)
    except QueryTimedOut as error:
        raise QueryFailed(f"{error.message.removesuffix('.')}; aggregate or filter more.") from error


def _sent(connection: Connection, sql: str) -> tuple[list[str], Iterator[Sequence[Any]]]:
    cursor = connection.execute(sql)
    names = list(cursor.schema.names) if cursor.schema else []

    def records() -> Iterator[Sequence[Any]]:
        for batch in cursor.batches():
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)

    return names, records()
