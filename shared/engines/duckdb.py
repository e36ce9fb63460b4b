"""DuckDB: a file, in this process; files, network and extensions are off, and the configuration is locked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import duckdb
import pyarrow as pa

from shared.catalog.sql_text import Dialect
from shared.engines import duckdb_types as types
from shared.engines.batches import Plan, build
from shared.engines.port import Column, Connection, Deadline, Engine, Table, Tested
from shared.engines.target import Target
from shared.errors import DatabaseUnavailable, QueryCancelled, QueryFailed, QueryTimedOut

INSIST_S = 0.05
_CONFIGURATION: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",  # else a table could be a variable of ours
    "memory_limit": "512MB",
    "threads": "2",
    "lock_configuration": "true",
}
_TABLES = """
SELECT table_name, table_type = 'VIEW' FROM information_schema.tables
WHERE table_catalog = current_database() AND table_schema = ? ORDER BY table_name LIMIT 10000
"""
_COLUMNS = """
SELECT column_name, data_type FROM information_schema.columns
WHERE table_catalog = current_database() AND table_schema = ? AND table_name = ? ORDER BY ordinal_position
"""
_SCHEMAS = """
SELECT schema_name FROM information_schema.schemata WHERE catalog_name = current_database()
AND schema_name NOT IN ('information_schema', 'pg_catalog') ORDER BY schema_name
"""
_WRITERS = ("INSERT", "UPDATE", "DELETE", "MERGE_INTO")
_COUNT = "Count"  # the one column of what a statement answers that only writes
_DOWN = (duckdb.IOException, duckdb.ConnectionException, duckdb.FatalException, duckdb.InternalException)


class DuckdbEngine(Engine):
    """A database that allows DML is open for writing in this process, and then in no other one."""

    dialect = Dialect.DUCKDB
    unit = "rows handled"

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._path = target.state_dir / (target.url.database or "")

    def _session(self, schema: str, deadline: Deadline, *, reads_only: bool) -> DuckdbConnection:
        return DuckdbConnection(self._open(), deadline, schema or self.dialect.schema, reads_only=reads_only)

    def estimate_in(self, connection: Connection, sql: str) -> float | None:
        rows = list(connection.execute(f"EXPLAIN (FORMAT JSON)\n{sql}").batches())
        plans = json.loads(rows[0].column(1)[0].as_py())
        return self._target.checked_cost(sum(map(_cardinality, plans)), self.unit)

    def kill(self, server_id: str) -> bool:
        return False  # it ended with the process that had it

    def schemas(self) -> list[str]:
        return [name for (name,) in self._ask(_SCHEMAS)]

    def tables(self, schema: str = "") -> list[Table]:
        place = schema or self.dialect.schema
        return [Table(place, name, "view" if view else "table") for name, view in self._ask(_TABLES, place)]

    def columns(self, table: str, schema: str = "") -> list[Column]:
        return [Column(name, kind) for name, kind in self._ask(_COLUMNS, schema or self.dialect.schema, table)]

    def test(self) -> Tested:
        began = time.monotonic()
        ((version,),) = self._ask("SELECT version()")
        return Tested(f"DuckDB {version.removeprefix('v')}", time.monotonic() - began)

    def _ask(self, sql: str, *parameters: str) -> list[Any]:
        """A question of our own."""
        with closing(self._open()) as connection:
            try:
                return connection.execute(sql, parameters).fetchall()
            except duckdb.Error as error:
                raise _unavailable(error) from error

    def _open(self) -> duckdb.DuckDBPyConnection:
        if not self._path.is_file():  # one that is written to would be made
            raise DatabaseUnavailable(f"The database does not answer: there is no file {self._path.name}")
        try:
            return duckdb.connect(self._path, read_only=not self._target.allow_dml, config=_CONFIGURATION)
        except duckdb.Error as error:
            raise _unavailable(error) from error


class DuckdbConnection:
    """A session, in one transaction. A timer holds its time limit: DuckDB itself has none."""

    server_id = ""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, deadline: Deadline, schema: str, *, reads_only: bool
    ) -> None:
        self._connection = connection
        self._deadline = deadline
        self._reads_only = reads_only
        self._cancelled = False
        self._closed = False
        self._lock = threading.Lock()  # an interrupt must not meet a connection that is being closed
        self._timer = threading.Timer(deadline.left_s, self._insist)
        self._timer.daemon = True
        try:
            with self.told(""):
                connection.execute(f'USE "{schema.replace(chr(34), chr(34) * 2)}"')
                connection.execute("BEGIN TRANSACTION READ ONLY" if reads_only else "BEGIN TRANSACTION")
        except BaseException:  # raised again: no session is left open
            connection.close()
            raise
        self._timer.start()

    def execute(self, sql: str) -> DuckdbCursor:
        self.check()
        return DuckdbCursor(self, self._connection, sql)

    def cancel(self) -> None:
        self._cancelled = True
        threading.Thread(target=self._insist, name="duckdb-cancel", daemon=True).start()

    def commit(self) -> None:
        if not self._reads_only:
            self.check()
            with self.told(""):
                self._connection.execute("COMMIT")

    def close(self) -> None:
        self._timer.cancel()
        with self._lock:
            self._closed = True
            self._connection.close()

    def check(self) -> None:
        """Raises when it may not go on: an interrupt between two calls is forgotten by DuckDB."""
        if self._cancelled:
            raise QueryCancelled("The query was cancelled in the database.")
        if self._deadline.passed:
            raise QueryTimedOut(f"The query took longer than {self._deadline.timeout_s:g} s and was stopped.")

    @contextmanager
    def told(self, sql: str) -> Iterator[None]:
        """DuckDB's errors, as ours."""
        try:
            yield
        except (duckdb.Error, RuntimeError, OSError) as error:  # the last two are how a reader tells them
            self.check()
            if isinstance(error, _DOWN):
                raise _unavailable(error) from error
            raise self._located(error, sql) from error

    def _located(self, error: Exception, sql: str) -> QueryFailed:
        """With the place, which DuckDB tells to whoever explains the query."""
        if sql and isinstance(error, duckdb.ProgrammingError) and "\nLINE " not in str(error):
            try:
                self._connection.execute(f"{types.EXPLAIN}{sql}")
            except duckdb.Error as again:
                return types.failure(str(again), sql, explained=True)
        return types.failure(str(error), sql)

    def _insist(self) -> None:
        """Interrupts until it is closed: DuckDB forgets an interrupt that meets no query, and one may just begin."""
        while True:
            with self._lock:
                if self._closed:
                    return
                self._connection.interrupt()
            time.sleep(INSIST_S)


class DuckdbCursor:
    def __init__(self, connection: DuckdbConnection, raw: duckdb.DuckDBPyConnection, sql: str) -> None:
        self._connection = connection
        self._sql = sql
        self.rowcount = -1
        self.schema: pa.Schema | None = None
        self._reader: Any = None
        self._kept: Iterator[pa.RecordBatch] = iter(())
        with connection.told(sql):
            statements = raw.extract_statements(sql)
            if len(statements) != 1:
                raise QueryFailed("The database refused the query: it must be one statement.")
            kind = statements[0].type.name
            if kind == "SELECT":
                self._reader, self.schema = types.reader(raw.sql(sql))
                return
            done = raw.execute(sql)
            if [column[0] for column in done.description or ()] == [_COUNT]:
                counted = done.fetchall()
                self.rowcount = counted[0][0] if counted and kind in _WRITERS else -1
            elif done.description:  # EXPLAIN, RETURNING: few rows, which are kept whole
                rows = done.fetchall()
                plans = [Plan(column[0], str(column[1]), types.by_values) for column in done.description]
                self.schema, self._kept = build(plans, rows)

    def batches(self) -> Iterator[pa.RecordBatch]:
        yield from self._kept
        while self._reader is not None:
            self._connection.check()
            with self._connection.told(self._sql):
                try:
                    batch = self._reader.read_next_batch()
                except StopIteration:
                    self.close()
                    return
            if batch.num_rows:
                yield types.checked(batch, self.schema)

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def _cardinality(node: dict[str, Any]) -> float:
    own = node.get("extra_info", {}).get("Estimated Cardinality", 0)
    return float(own) + sum(map(_cardinality, node.get("children", ())))


def _unavailable(error: Exception) -> DatabaseUnavailable:
    text = str(error).splitlines()[0]
    if "Conflicting lock" in text:
        text = "another process has it open for writing"
    elif "different configuration" in text:
        text = "this process has it open with other rights"
    return DatabaseUnavailable(f"The database does not answer: {text}")
