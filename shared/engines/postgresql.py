"""PostgreSQL: libpq's rows in chunks, so that any statement streams, with its limits set in the database itself."""

from __future__ import annotations

import json
import select
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import psycopg
from psycopg.adapt import Transformer
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from sqlalchemy.engine import URL

from shared.catalog.sql import Dialect
from shared.engines import postgresql_catalog as catalog
from shared.engines import postgresql_types as types
from shared.engines.batches import build
from shared.engines.port import Column, Connection, Deadline, Engine, Table, Tested
from shared.engines.postgresql_errors import failure, unavailable
from shared.errors import DatabaseUnavailable, QueryCancelled, QueryFailed, QueryTimedOut

CONNECT_TIMEOUT_S = 5
LOCK_TIMEOUT_MS = 10_000
IDLE_TIMEOUT_MS = 600_000  # a worker's host that vanished: the server gives its locks back
GRACE_S = 5.0  # that the server has for its own time limit, and to obey a cancel
LOOK_S = 0.5
NOTICEABLE, NOTICEABLE_MS = 0.01, 1000  # of a time limit: each telling is a round trip
CHUNK_ROWS = 8  # which libpq holds at once, however wide they are: it takes no number of bytes
_SESSION = """
SET lock_timeout = {lock}; SET idle_in_transaction_session_timeout = {idle}; SET statement_timeout = {timeout};
SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres'; SET extra_float_digits = 1;
SET bytea_output = 'hex'; SET standard_conforming_strings = on; SET client_min_messages = error;
SET search_path = {schema}; SET default_transaction_read_only = {read_only}; BEGIN {mode};
"""


class PostgresqlEngine(Engine):
    dialect = Dialect.POSTGRESQL
    unit = "planner's cost"

    def _session(self, schema: str, deadline: Deadline, *, reads_only: bool) -> PostgresqlConnection:
        return PostgresqlConnection(_open(self._target.url), deadline, schema or self.dialect.schema, reads_only)

    def estimate_in(self, connection: Connection, sql: str) -> float | None:
        rows = list(connection.execute(f"EXPLAIN (FORMAT JSON) {sql}").batches())
        plan = json.loads(rows[0].column(0)[0].as_py())
        return self._target.checked_cost(float(plan[0]["Plan"]["Total Cost"]), self.unit)

    def kill(self, server_id: str) -> bool:
        return bool(self._ask(catalog.KILL, [server_id]))

    def schemas(self) -> list[str]:
        return [name for (name,) in self._ask(catalog.SCHEMAS)]

    def tables(self, schema: str = "") -> list[Table]:
        place = schema or self.dialect.schema
        return [Table(place, name, "view" if view else "table") for name, view in self._ask(catalog.TABLES, [place])]

    def columns(self, table: str, schema: str = "") -> list[Column]:
        return [Column(name, kind) for name, kind in self._ask(catalog.COLUMNS, [schema or self.dialect.schema, table])]

    def test(self) -> Tested:
        began = time.monotonic()
        ((version, superuser),) = self._ask("SELECT version(), usesuper FROM pg_user WHERE usename = current_user")
        warning = "its user is a superuser, who may read the server's files" if superuser else ""
        return Tested(" ".join(version.split()[:2]), time.monotonic() - began, warning)

    def _ask(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """A question of our own to the catalog of the database."""
        with self._slots.one():
            connection = _open(self._target.url)
            try:
                connection.execute(f"SET statement_timeout = {int(self._target.look_s * 1000)}")
                return connection.execute(sql, parameters).fetchall()
            except psycopg.Error as error:
                raise unavailable(error) from error
            finally:
                connection.close()


class PostgresqlConnection:
    """A session, in one transaction."""

    def __init__(self, connection: psycopg.Connection[Any], deadline: Deadline, schema: str, read_only: bool) -> None:
        self._connection = connection
        self._pg = connection.pgconn
        self._deadline = deadline
        self._read_only = read_only
        self._cancelled_at: float | None = None
        self._lock = threading.Lock()  # a cancel must not meet a session that is being closed
        self._streaming = False
        self._limit_ms = self._whole_ms = deadline.left_ms  # what the server knows
        self._begin = _SESSION.format(
            lock=LOCK_TIMEOUT_MS,
            idle=IDLE_TIMEOUT_MS,
            timeout=self._whole_ms,
            schema=types.quoted(schema),
            read_only="on" if read_only else "off",
            mode="READ ONLY" if read_only else "READ WRITE",
        )
        self._begin += catalog.OURSELVES
        try:
            self.server_id = self._begun()
        except BaseException:  # raised again: no session is left open
            connection.close()
            raise

    def execute(self, sql: str) -> PostgresqlCursor:
        self._check()
        if self._streaming:
            raise QueryFailed("The rows of the statement before this one were not read to their end.")
        self._limit()
        self._pg.send_query_params(sql.encode(), None)
        self._pg.set_chunked_rows_mode(CHUNK_ROWS)
        self._streaming = True
        return PostgresqlCursor(self, sql)

    def cancel(self) -> None:
        self._cancelled_at = self._cancelled_at or time.monotonic()
        with self._lock:
            if not self._connection.closed:
                self._cancel()

    def commit(self) -> None:
        if not self._read_only:
            self._check()
            self._run("COMMIT")

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def result(self, sql: str) -> Any:
        """The next result of what runs, None after the last. Waits for the socket, so that we look at the clock."""
        try:
            while self._pg.flush():
                self._wait(select.POLLIN | select.POLLOUT)
                self._pg.consume_input()
            result = self._next()
        except psycopg.Error as error:
            raise self.failed(error, sql) from error
        if result is None:
            self._streaming = False
        elif result.status not in types.GOOD:
            refused = self.failed(psycopg.errors.error_from_result(result), sql)
            with suppress(DatabaseUnavailable):  # a server that goes away says so first, and that counts
                self._drain()
            raise refused
        return result

    def failed(self, error: psycopg.Error, sql: str) -> Exception:
        stopped = isinstance(error, psycopg.errors.QueryCanceled)
        if self._cancelled_at is not None and (stopped or self._pg.transaction_status == TransactionStatus.UNKNOWN):
            return QueryCancelled("The query was cancelled in the database.")
        if stopped and (self._deadline.passed or "statement timeout" in str(error)):
            return self._too_slow()
        return failure(error, sql)

    def give_up(self) -> None:
        """What is left of the rows is not wanted: cancels it, and where nothing can be lost by it, begins anew."""
        if self._streaming and self._read_only:
            self._cancel()
        self._drain()
        if self._pg.transaction_status == TransactionStatus.INERROR and self._read_only:
            self._run("ROLLBACK")
            self.server_id = self._begun()

    def _cancel(self) -> None:
        try:
            self._connection.cancel_safe(timeout=CONNECT_TIMEOUT_S)
        except psycopg.Error as error:
            raise unavailable(error) from error

    def _limit(self) -> None:
        """Tells the server what is left of the time, where that is noticeably less than what it knows."""
        left_ms = self._deadline.left_ms
        if self._limit_ms - left_ms > min(NOTICEABLE * self._limit_ms, NOTICEABLE_MS):
            self._run(f"SET LOCAL statement_timeout = {left_ms}")
            self._limit_ms = left_ms

    def _begun(self) -> str:
        result = self._run(self._begin)
        self._limit_ms = self._whole_ms
        return str((result.get_value(0, 0) or b"").decode())

    def _run(self, sql: str) -> Any:
        """A few words of our own; the result of the last of them."""
        self._pg.send_query(sql.encode())
        self._streaming = True
        last = None
        while (result := self.result(sql)) is not None:
            last = result
        return last

    def _drain(self) -> None:
        while self._streaming and self._pg.status == ConnStatus.OK:
            try:
                self._streaming = self._next() is not None
            except psycopg.Error as error:
                raise unavailable(error) from error

    def _next(self) -> Any:
        while self._pg.is_busy():
            self._wait(select.POLLIN)
            self._pg.consume_input()
        return self._pg.get_result()

    def _check(self) -> None:
        if self._cancelled_at is not None:
            raise QueryCancelled("The query was cancelled before it began in the database.")
        if self._deadline.passed:
            raise self._too_slow()

    def _wait(self, events: int) -> None:
        """For the server. One that obeys neither its time limit nor a cancel is left alone."""
        poll = select.poll()
        poll.register(self._pg.socket, events)
        while not poll.poll(LOOK_S * 1000):
            if self._deadline.overdue_s > GRACE_S:
                self.close()
                raise self._too_slow()
            if self._cancelled_at is not None and time.monotonic() - self._cancelled_at > 2 * GRACE_S:
                self.close()
                raise DatabaseUnavailable("The database does not answer, not even to a cancel.")

    def _too_slow(self) -> QueryTimedOut:
        return QueryTimedOut(f"The query took longer than {self._deadline.timeout_s:g} s and was stopped.")


class PostgresqlCursor:
    """The rows of one statement, in chunks as libpq hands them over."""

    def __init__(self, connection: PostgresqlConnection, sql: str) -> None:
        self._connection = connection
        self._sql = sql
        self._transformer = Transformer(connection._connection)
        self.schema = None
        self.rowcount = -1
        self._batches: Iterator[Any] = iter(())
        first = connection.result(sql)
        if first is None or first.status == ExecStatus.COMMAND_OK:
            self.rowcount = first.command_tuples if first and first.command_tuples is not None else -1
            connection._drain()
            return
        if first.status not in types.ROWS:  # COPY
            connection.close()
            raise QueryFailed("The database refused the query: it is no statement that gives rows.")
        self.schema, self._batches = build(types.plans(first), self._rows(first))

    def batches(self) -> Iterator[Any]:
        return self._batches

    def close(self) -> None:
        self._batches = iter(())
        self._connection.give_up()

    def _rows(self, result: Any) -> Iterator[Any]:
        self._transformer.set_pgresult(result)
        while result is not None:
            try:
                self._transformer.set_pgresult(result, set_loaders=False)
                for start in range(result.ntuples):  # one at a time: each is there twice while it is loaded
                    yield self._transformer.load_row(start, tuple)
            except (psycopg.DataError, UnicodeDecodeError) as error:
                raise QueryFailed(
                    f"The database's answer holds a value that has no place here ({error}); cast its column to text."
                ) from error
            result = self._connection.result(self._sql)


def _open(url: URL) -> psycopg.Connection[Any]:
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        return psycopg.connect(
            plain,
            autocommit=True,
            context=types.ADAPTERS,
            connect_timeout=CONNECT_TIMEOUT_S,
            client_encoding="UTF8",
            application_name="vitrine",
            keepalives_idle=30,
            tcp_user_timeout=60_000,
        )
    except psycopg.Error as error:
        raise unavailable(error) from error
