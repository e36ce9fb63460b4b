"""SQLite: a file, opened for each query; an authorizer decides what a statement may do."""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import quote

from shared.catalog.sql import Dialect
from shared.engines.batches import Plan, build
from shared.engines.port import Column, Connection, Deadline, Engine, Table, Tested
from shared.engines.sqlite_types import Types
from shared.engines.target import Target
from shared.errors import DatabaseUnavailable, QueryCancelled, QueryFailed, QueryTimedOut, Span

BUSY_TIMEOUT_S = 10
PROGRESS_STEPS = 20_000  # of SQLite's virtual machine between two looks at the clock: about a millisecond
MAX_VALUE_BYTES = 16 * 2**20
SCHEMA = "main"
_READS = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE, sqlite3.SQLITE_READ})
_WRITES = frozenset(
    {
        *(sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE, sqlite3.SQLITE_ALTER_TABLE),
        *(sqlite3.SQLITE_CREATE_TABLE, sqlite3.SQLITE_CREATE_INDEX, sqlite3.SQLITE_CREATE_VIEW),
        *(sqlite3.SQLITE_DROP_TABLE, sqlite3.SQLITE_DROP_INDEX, sqlite3.SQLITE_DROP_VIEW, sqlite3.SQLITE_REINDEX),
    }
)
_FORBIDDEN_FUNCTIONS = frozenset({"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer", "zeroblob"})
_DOWN = ("locked", "unable to open", "disk i/o", "not a database", "malformed", "disk is full")
_TABLES = """
SELECT name, type FROM sqlite_schema WHERE type IN ('table', 'view') AND substr(name, 1, 7) <> 'sqlite_'
ORDER BY name LIMIT 10000
"""
_NAMED = re.compile(r'near "(.+)": syntax error|no such (?:column|table|function): (?:\w+\.)*(\S+)')


class SqliteEngine(Engine):
    dialect = Dialect.SQLITE

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._path = target.state_dir / (target.url.database or "")

    def _session(self, schema: str, deadline: Deadline, *, reads_only: bool) -> SqliteConnection:
        if schema not in ("", SCHEMA):
            raise QueryFailed(f"A SQLite database has no schema {schema!r}; it has {SCHEMA}.", field="schema")
        return SqliteConnection(self._open(writes=not reads_only), deadline, writes=not reads_only)

    def estimate(self, sql: str, *, schema: str = "", read_only: bool = True) -> float | None:
        return None  # and no session for it

    def estimate_in(self, connection: Connection, sql: str) -> float | None:
        return None

    def kill(self, server_id: str) -> bool:
        return False  # it ended with the process that had it

    def schemas(self) -> list[str]:
        return [SCHEMA]

    def tables(self, schema: str = "") -> list[Table]:
        return [Table(SCHEMA, name, kind) for name, kind in self._ask(_TABLES)]

    def columns(self, table: str, schema: str = "") -> list[Column]:
        sql = "SELECT name, type FROM pragma_table_xinfo(?) WHERE hidden <> 1"
        return [Column(name, kind or "any") for name, kind in self._ask(sql, table)]

    def test(self) -> Tested:
        began = time.monotonic()
        ((version, _),) = self._ask("SELECT sqlite_version(), count(*) FROM sqlite_schema")
        return Tested(f"SQLite {version}", time.monotonic() - began)

    def _ask(self, sql: str, *parameters: str) -> list[Any]:
        """A question of our own."""
        with closing(self._open(writes=False)) as connection:
            try:
                return connection.execute(sql, parameters).fetchall()
            except sqlite3.Error as error:
                raise _unavailable(error) from error

    def _open(self, *, writes: bool) -> sqlite3.Connection:
        uri = f"file:{quote(str(self._path.resolve()))}?mode={'rw' if writes else 'ro'}"
        try:
            connection = sqlite3.connect(
                uri, uri=True, timeout=BUSY_TIMEOUT_S, check_same_thread=False, isolation_level=None
            )
            for pragma in ("trusted_schema = OFF", "cell_size_check = ON", f"query_only = {'OFF' if writes else 'ON'}"):
                connection.execute(f"PRAGMA {pragma}")
        except sqlite3.Error as error:
            raise _unavailable(error) from error
        connection.text_factory = lambda raw: raw.decode(errors="replace")
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)
        return connection


class SqliteConnection:
    """A session, in one transaction."""

    server_id = ""

    def __init__(self, connection: sqlite3.Connection, deadline: Deadline, *, writes: bool) -> None:
        self._connection = connection
        self._deadline = deadline
        self._writes = writes
        self._cancelled = False
        self._closed = False
        self._lock = threading.Lock()  # a cancel must not meet a connection that is being closed
        connection.set_progress_handler(lambda: self._cancelled or deadline.passed, PROGRESS_STEPS)
        try:
            with self.told("BEGIN"):
                connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
        except BaseException:  # raised again: no session is left open
            connection.close()
            raise
        connection.set_authorizer(_authorizer(_READS | _WRITES if writes else _READS))

    def execute(self, sql: str) -> SqliteCursor:
        if self._cancelled:
            raise _cancelled()
        return SqliteCursor(self, self._connection, sql)

    def cancel(self) -> None:
        self._cancelled = True
        with self._lock:
            if not self._closed:
                self._connection.interrupt()

    def commit(self) -> None:
        if self._writes:
            if self._cancelled:
                raise _cancelled()
            self._connection.set_authorizer(None)
            with self.told("COMMIT"):
                self._connection.execute("COMMIT")

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._connection.close()

    @contextmanager
    def told(self, sql: str) -> Iterator[None]:
        """SQLite's errors, as ours."""
        try:
            yield
        except (sqlite3.Error, sqlite3.Warning) as error:
            text = str(error)
            if self._cancelled:
                raise _cancelled() from error
            if self._deadline.passed and "interrupted" in text:
                why = f"The query took longer than {self._deadline.timeout_s:g} s and was stopped."
                raise QueryTimedOut(why) from error
            if any(sign in text.lower() for sign in _DOWN):
                raise _unavailable(error) from error
            raise QueryFailed(f"The database refused the query: {text}", span=_span(text, sql)) from error


class SqliteCursor:
    def __init__(self, connection: SqliteConnection, raw: sqlite3.Connection, sql: str) -> None:
        self._connection = connection
        self._sql = sql
        with connection.told(sql):
            self._cursor = raw.execute(sql)
        self.rowcount = self._cursor.rowcount
        self.schema = None
        self._batches: Iterator[Any] = iter(())
        if self._cursor.description is not None:
            names = [column[0] for column in self._cursor.description]
            types = Types(raw, sql, len(names))
            plans = [Plan(name, "", types.settle(index)) for index, name in enumerate(names)]
            with connection.told(sql):
                self.schema, self._batches = build(plans, self._rows())

    def batches(self) -> Iterator[Any]:
        return self._batches

    def close(self) -> None:
        self._batches = iter(())
        self._cursor.close()

    def _rows(self) -> Iterator[Any]:
        """One at a time: a row may hold many values of MAX_VALUE_BYTES."""
        with self._connection.told(self._sql):
            yield from self._cursor


def _authorizer(allowed: frozenset[int]) -> Any:
    """SQLite asks it about each thing that a statement would do; what is not listed is denied."""

    def allow(action: int, first: str | None, second: str | None, schema: str | None, view: str | None) -> int:
        if action in allowed:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() not in _FORBIDDEN_FUNCTIONS:
            return sqlite3.SQLITE_OK
        return sqlite3.SQLITE_DENY

    return allow


def _span(text: str, sql: str) -> Span | None:
    """SQLite names the word, not its place: that of the only one there is."""
    named = _NAMED.search(text)
    word = named and (named[1] or named[2])
    if not word or sql.count(word) != 1:
        return None
    return Span(sql.index(word), sql.index(word) + len(word))


def _cancelled() -> QueryCancelled:
    return QueryCancelled("The query was cancelled in the database.")


def _unavailable(error: Exception) -> DatabaseUnavailable:
    return DatabaseUnavailable(f"The database does not answer: {error}")
