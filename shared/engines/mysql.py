"""MySQL and MariaDB: rows as the server sends them, limits set in its session, KILL QUERY to cancel."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any

import pymysql
from pymysql.cursors import SSCursor
from sqlalchemy.engine import URL

from shared.catalog.sql_text import Dialect
from shared.engines import mysql_types as types
from shared.engines.batches import build
from shared.engines.mysql_errors import failure, unavailable
from shared.engines.port import Column, Connection, Deadline, Engine, Table, Tested
from shared.engines.urls import MYSQL_OPTIONS
from shared.errors import DatabaseUnavailable, QueryCancelled, QueryFailed, QueryTimedOut

CONNECT_TIMEOUT_S = 5
GRACE_S = 5.0  # that the server has for its own time limit
_SESSION = (
    "SET time_zone = '+00:00', innodb_lock_wait_timeout = 10, lock_wait_timeout = 10, net_write_timeout = 3600, "
    # The guard's parser reads quotes and backslashes in one way; a server's own mode could change it.
    "sql_mode = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"
)
_OWN = "('information_schema', 'performance_schema', 'mysql', 'sys')"
_SCHEMAS = f"SELECT schema_name FROM information_schema.schemata WHERE schema_name NOT IN {_OWN} ORDER BY 1"  # noqa: S608
_TABLES = """
SELECT table_name, table_type LIKE '%%VIEW' FROM information_schema.tables
WHERE table_schema = %s ORDER BY table_name LIMIT 10000
"""
_COLUMNS = """
SELECT column_name, column_type FROM information_schema.columns
WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position
"""
_TIMED_OUT = (1969, 3024)
_INTERRUPTED = 1317
_CLOCKS_S = 3  # by which the server's start, told twice, may differ


class MysqlEngine(Engine):
    dialect = Dialect.MYSQL
    unit = "rows read"

    def _session(self, schema: str, deadline: Deadline, *, reads_only: bool) -> MysqlConnection:
        return MysqlConnection(self._target.url, deadline, schema, reads_only=reads_only)

    def estimate_in(self, connection: Connection, sql: str) -> float | None:
        batches = connection.execute(f"EXPLAIN {sql}").batches()
        rows = [row for batch in batches for row in batch.to_pylist()]
        parts: dict[Any, list[float]] = {}  # the tables of one SELECT are read in nested loops
        for row in rows:
            parts.setdefault(row["id"], []).append(max(float(row.get("rows") or 1), 1))
        return self._target.checked_cost(sum(map(math.prod, parts.values())), self.unit)

    def kill(self, server_id: str) -> bool:
        number, _, started = server_id.partition("@")
        with closing(_open(self._target.url, "", self._target.look_s)) as connection:
            there = _query(connection, "SELECT 1 FROM information_schema.processlist WHERE id = %s", [int(number)])
            if not there or abs(_started(connection) - float(started)) > _CLOCKS_S:
                return False
            _query(connection, f"KILL {int(number)}")
        return True

    def schemas(self) -> list[str]:
        return [name for (name,) in self._ask(_SCHEMAS)]

    def tables(self, schema: str = "") -> list[Table]:
        place = schema or self._home
        return [Table(place, name, "view" if view else "table") for name, view in self._ask(_TABLES, [place])]

    def columns(self, table: str, schema: str = "") -> list[Column]:
        return [Column(name, types.text(kind)) for name, kind in self._ask(_COLUMNS, [schema or self._home, table])]

    def test(self) -> Tested:
        began = time.monotonic()
        ((version,),) = self._ask("SELECT version()")
        seconds = time.monotonic() - began
        grants = " ".join(str(grant) for (grant,) in self._ask("SHOW GRANTS"))
        may_file = "ALL PRIVILEGES ON *.*" in grants or "FILE" in grants
        warning = "its user may read and write the server's files (FILE)" if may_file else ""
        kind = "MariaDB" if "MariaDB" in version else "MySQL"
        return Tested(f"{kind} {version.partition('-')[0]}", seconds, warning)

    @property
    def _home(self) -> str:
        return self._target.url.database or ""

    def _ask(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """A question of our own."""
        with self._slots.one(), closing(_open(self._target.url, "", self._target.look_s)) as connection:
            return _query(connection, sql, parameters)


class MysqlConnection:
    """A session, in one transaction."""

    def __init__(self, url: URL, deadline: Deadline, schema: str, *, reads_only: bool) -> None:
        self._url = url
        self._deadline = deadline
        self._reads_only = reads_only
        self._cancelled = False
        self._closed = False
        self._lock = threading.Lock()  # a cancel must not meet a session that is being closed
        self._connection = _open(url, schema, deadline.left_s + GRACE_S)
        self._limit = "max_statement_time" if "MariaDB" in self._connection.server_version else "max_execution_time"
        try:
            _query(self._connection, _SESSION)
            started = _started(self._connection)
            mode = "READ ONLY" if reads_only else "READ WRITE"
            _query(self._connection, f"SET SESSION TRANSACTION {mode}")  # holds past the implicit commit of a CREATE
            _query(self._connection, f"START TRANSACTION {mode}")
        except BaseException:  # raised again: no session is left open
            self._connection.close()
            raise
        self.server_id = f"{self._connection.thread_id()}@{started:.0f}"

    def execute(self, sql: str) -> MysqlCursor:
        self._check()
        left_s = self._deadline.left_s
        limit = f"{left_s:.3f}" if self._limit == "max_statement_time" else f"{int(left_s * 1000) + 1}"
        _query(self._connection, f"SET {self._limit} = {limit}")
        cursor = self._connection.cursor(SSCursor)
        with self.told(sql):
            cursor.execute(sql)  # without parameters: a % in the text is a %
        return MysqlCursor(self, cursor, sql)

    def cancel(self) -> None:
        self._cancelled = True
        with self._lock:
            if not self._closed:
                self._kill_query()

    def commit(self) -> None:
        if not self._reads_only:
            self._check()
            with self.told(""):
                self._connection.commit()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            result = self._connection._result
            if result is not None and result.unbuffered_active:
                self._connection._force_close()  # a polite end would wait for rows that nobody reads
            else:
                with suppress(pymysql.err.MySQLError):  # it was closed already
                    self._connection.close()

    def give_up(self, cursor: SSCursor) -> None:
        """What is left of the rows is not wanted; where nothing can be lost by it, it is not sent either."""
        with suppress(pymysql.err.MySQLError):
            if self._reads_only and cursor._result is not None and cursor._result.unbuffered_active:
                self._kill_query()
            cursor.close()

    @contextmanager
    def told(self, sql: str) -> Iterator[None]:
        """The driver's errors, as ours."""
        try:
            yield
        except (pymysql.err.MySQLError, OSError, AttributeError) as error:  # the last: of a socket that was closed
            code = error.args[0] if error.args else None
            if self._cancelled:
                raise QueryCancelled("The query was cancelled in the database.") from error
            if code in _TIMED_OUT or (self._deadline.passed and not isinstance(error, pymysql.err.ProgrammingError)):
                raise self._too_slow() from error
            if code == _INTERRUPTED:
                raise QueryCancelled("The query was cancelled in the database, by its operator.") from error
            raise failure(error, sql) from error

    def _kill_query(self) -> None:
        """Raises DatabaseUnavailable; then our own session is cut off, so that nobody waits for it."""
        try:
            with closing(_open(self._url, "", CONNECT_TIMEOUT_S)) as other:
                _query(other, f"KILL QUERY {int(self._connection.thread_id())}")
        except DatabaseUnavailable:
            with suppress(OSError, AttributeError):
                self._connection._sock.shutdown(socket.SHUT_RDWR)
            raise

    def _check(self) -> None:
        if self._cancelled:
            raise QueryCancelled("The query was cancelled before it began in the database.")
        if self._deadline.passed:
            raise self._too_slow()

    def _too_slow(self) -> QueryTimedOut:
        return QueryTimedOut(f"The query took longer than {self._deadline.timeout_s:g} s and was stopped.")


class MysqlCursor:
    def __init__(self, connection: MysqlConnection, cursor: SSCursor, sql: str) -> None:
        self._connection = connection
        self._cursor = cursor
        self._sql = sql
        self.schema = None
        self.rowcount = -1
        self._batches: Iterator[Any] = iter(())
        if cursor.description is None:
            self.rowcount = cursor.rowcount
        else:
            self.schema, self._batches = build(types.plans(cursor._result.fields), self._rows())

    def batches(self) -> Iterator[Any]:
        return self._batches

    def close(self) -> None:
        self._batches = iter(())
        self._connection.give_up(self._cursor)

    def _rows(self) -> Iterator[Any]:
        """One at a time, as the driver reads them from the socket: a few of them may be all that memory holds."""
        try:
            with self._connection.told(self._sql):
                while (row := self._cursor.fetchone()) is not None:
                    yield row
        except UnicodeDecodeError as error:
            raise QueryFailed(f"The database's answer holds text that is no text ({error.reason}).") from error


def _open(url: URL, schema: str, timeout_s: float) -> Any:
    options = {name: url.query[name] for name in MYSQL_OPTIONS if name in url.query}
    try:
        return pymysql.connect(
            host=url.host or "127.0.0.1",
            port=url.port or 3306,
            user=url.username or "",
            password=url.password or "",
            database=schema or url.database or None,
            charset="utf8mb4",
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=math.ceil(timeout_s),
            write_timeout=math.ceil(timeout_s),
            local_infile=False,
            autocommit=True,
            conv=types.CONVERTERS,
            program_name="vitrine",
            **options,
        )
    except (pymysql.err.MySQLError, OSError) as error:
        raise unavailable(error) from error


def _query(connection: Any, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
    """A few words of our own."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters or None)
            return list(cursor.fetchall())
    except (pymysql.err.MySQLError, OSError) as error:
        raise unavailable(error) from error


def _started(connection: Any) -> float:
    """When the server began, in seconds of its own clock: ids of sessions begin anew with it."""
    ((now,),) = _query(connection, "SELECT unix_timestamp()")
    ((_, uptime),) = _query(connection, "SHOW GLOBAL STATUS LIKE 'Uptime'")
    return float(now) - float(uptime)
