"""The databases that charts read: opened for reading only, with a time limit, behind one call.

This is the second fence behind the guard of sql.py: were a query to slip through, the connection could still neither
write, nor attach, nor load, nor (on SQLite) read another table.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import psycopg
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError

from shared.catalog.rows import Rows, collect
from shared.catalog.sql import Dialect, identity
from shared.engines.postgresql_catalog import OURSELVES
from shared.engines.urls import dialect_of, file_path, parse_url
from shared.errors import DatabaseUnavailable, QueryCancelled, QueryFailed, QueryTimedOut, VitrineError

CONNECT_TIMEOUT_S = 3
BUSY_TIMEOUT_S = 2
FETCH_ROWS = 1000
_PROGRESS_STEPS = 20_000  # of SQLite's virtual machine between two looks at the clock: about a millisecond
_MAX_SQLITE_VALUE_BYTES = 16 * 1024 * 1024
_READS = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE})
_POSTGRESQL_VIEWS = """
SELECT schemaname, viewname, definition FROM pg_views WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
UNION ALL SELECT schemaname, matviewname, definition FROM pg_matviews
"""
_FORBIDDEN_FUNCTIONS = frozenset({"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer", "zeroblob"})


class Watch(Protocol):
    """Whoever looks after a read that may last for hours."""

    timeout_s: float  # instead of the reader's own

    def begun(self, cancel: Callable[[], None], server_id: str) -> None:
        """The query is about to be sent; raises what keeps it from that.

        `cancel` ends it in the database itself, from any thread. `server_id`: as of `shared.engines.Connection`.
        """
        ...


class Reader(Protocol):
    """Reads one database. Raises QueryFailed when it refuses the query, DatabaseUnavailable when it does not answer."""

    dialect: Dialect

    def read(self, sql: str, tables: Sequence[str], watch: Watch | None = None) -> Rows:
        """Runs a checked query over those registered tables.

        One that is watched raises QueryTimedOut for what takes too long, QueryCancelled, and what `begun` raises.
        """
        ...

    def views(self) -> dict[tuple[str, str], str]:
        """The SQL of every view, by its schema and name."""
        ...

    def close(self) -> None: ...


def open_reader(url: str, state_dir: Path, timeout_s: float) -> Reader:
    """Opens nothing yet. Raises InvalidInput for URLs that are not ours."""
    match dialect_of(url):
        case Dialect.SQLITE:
            return SqliteReader(file_path(url, state_dir), timeout_s)
        case Dialect.POSTGRESQL:
            return PostgresqlReader(parse_url(url), timeout_s)
        case _:
            from shared.catalog.engine_reader import EngineReader

            return EngineReader(url, state_dir, timeout_s)


class SqliteReader:
    """A connection for each query: opening a file costs little, and leaves nothing behind."""

    dialect = Dialect.SQLITE

    def __init__(self, path: Path, timeout_s: float) -> None:
        self._path = path
        self._timeout_s = timeout_s

    def read(self, sql: str, tables: Sequence[str], watch: Watch | None = None) -> Rows:
        limit = _Limit(self._timeout_s, watch)
        with closing(self._connect()) as connection:
            connection.set_progress_handler(lambda: limit.is_over, _PROGRESS_STEPS)
            connection.set_authorizer(_authorizer(tables))
            limit.begin(lambda: None, "")
            try:
                cursor = connection.execute(sql)
                return collect([column[0] for column in cursor.description or ()], cursor)
            except sqlite3.Error as error:
                raise self._failure(error, limit) from error

    def views(self) -> dict[tuple[str, str], str]:
        with closing(self._connect()) as connection:
            try:
                found = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'view'").fetchall()
            except sqlite3.Error as error:
                raise self._failure(error, _Limit(self._timeout_s, None)) from error
        return {(self.dialect.schema, name.lower()): sql for name, sql in found}

    def close(self) -> None:
        """Nothing is kept open."""

    def _connect(self) -> sqlite3.Connection:
        uri = f"file:{quote(str(self._path.resolve()))}?mode=ro"
        try:
            connection = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
            for pragma in ("query_only = ON", "trusted_schema = OFF", "cell_size_check = ON"):
                connection.execute(f"PRAGMA {pragma}")
        except sqlite3.Error as error:
            raise DatabaseUnavailable(f"The database of this chart cannot be opened: {error}") from error
        connection.text_factory = lambda raw: raw.decode(errors="replace")
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_SQLITE_VALUE_BYTES)
        return connection

    def _failure(self, error: sqlite3.Error, limit: _Limit) -> Exception:
        text = str(error)
        if "interrupted" in text or limit.is_over:
            return limit.exceeded()
        if any(sign in text for sign in ("locked", "unable to open", "disk I/O", "not a database")):
            return DatabaseUnavailable(f"The database of this chart does not answer: {text}")
        return QueryFailed(f"The database refused the query: {text}")


class PostgresqlReader:
    """A small pool of connections that only read, each statement with the time limit."""

    dialect = Dialect.POSTGRESQL

    def __init__(self, url: URL, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        options = {
            "default_transaction_read_only": "on",
            "statement_timeout": f"{int(timeout_s * 1000)}",
            "lock_timeout": "2000",
            "standard_conforming_strings": "on",
            "search_path": "public",
        }
        self._engine: Engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            pool_pre_ping=True,
            pool_timeout=CONNECT_TIMEOUT_S,
            pool_size=2,
            max_overflow=4,
            connect_args={
                "connect_timeout": CONNECT_TIMEOUT_S,
                "keepalives_idle": 30,  # a query may be silent for hours
                "tcp_user_timeout": 60_000,
                "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
            },
        )

    def read(self, sql: str, tables: Sequence[str], watch: Watch | None = None) -> Rows:
        limit = _Limit(self._timeout_s, watch)
        try:
            with self._engine.connect() as pooled:
                if watch is None:
                    return self._read(pooled.connection.driver_connection, sql, limit)
                with _alone(pooled, limit) as connection:
                    return self._read(connection, sql, limit)
        except (psycopg.Error, DBAPIError) as error:
            raise self._failure(error, limit) from error

    def _read(self, connection: Any, sql: str, limit: _Limit) -> Rows:
        # A cursor on the server: what is too much is never fetched. No parameters: a % in the text is a %.
        with connection.cursor("rows") as cursor:
            cursor.itersize = FETCH_ROWS
            cursor.execute(sql)
            return collect([column.name for column in cursor.description or ()], limit.over(cursor))

    def views(self) -> dict[tuple[str, str], str]:
        try:
            with self._engine.connect() as connection:
                found = connection.execute(text(_POSTGRESQL_VIEWS)).all()
        except (psycopg.Error, DBAPIError) as error:
            raise self._failure(error, _Limit(self._timeout_s, None)) from error
        return {(schema, name): sql for schema, name, sql in found}

    def close(self) -> None:
        self._engine.dispose()

    def _failure(self, error: psycopg.Error | DBAPIError, limit: _Limit) -> Exception:
        original = error.orig if isinstance(error, DBAPIError) else error
        first = (str(original).strip() or type(original).__name__).splitlines()[0]
        if isinstance(original, psycopg.errors.QueryCanceled):
            return limit.exceeded(by_itself="statement timeout" in first)
        state = original.sqlstate if isinstance(original, psycopg.Error) else None
        if state is None or state.startswith(("08", "53", "57P", "58")):
            return DatabaseUnavailable(f"The database of this chart does not answer: {first}")
        return QueryFailed(f"The database refused the query: {first}")


class _Limit:
    """Until when a read may go on, and whether whoever watches it has ended it."""

    def __init__(self, timeout_s: float, watch: Watch | None) -> None:
        self.timeout_s = watch.timeout_s if watch else timeout_s
        self._watch = watch
        self._ends_at = time.monotonic() + self.timeout_s
        self._is_cancelled = False

    @property
    def is_over(self) -> bool:
        return self._is_cancelled or time.monotonic() > self._ends_at

    def begin(self, cancel: Callable[[], None], server_id: str) -> None:
        def end() -> None:
            self._is_cancelled = True
            cancel()

        if self._watch is not None:
            self._watch.begun(end, server_id)

    def over(self, records: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
        """A statement's own limit holds for each fetch; this one for all of them."""
        for record in records:
            if self.is_over:
                raise self.exceeded()
            yield record

    def exceeded(self, *, by_itself: bool = True) -> VitrineError:
        """`by_itself`: at its time limit, as far as the database tells."""
        text = f"The query took longer than {self.timeout_s:g} s and was stopped; aggregate or filter more."
        if self._watch is None:
            return QueryFailed(text)
        if self._is_cancelled or not (by_itself or self.is_over):  # it may tell in another language
            return QueryCancelled("The query was cancelled in the database.")
        return QueryTimedOut(text)


@contextmanager
def _alone(pooled: Connection, limit: _Limit) -> Iterator[Any]:
    """A session that is not used again, as a cancel may come late; it has the limit of whoever watches it."""
    connection: Any = pooled.connection.driver_connection
    pooled.detach()
    lock, is_done = threading.Lock(), threading.Event()  # a cancel must not meet a session that is being closed

    def cancel() -> None:
        with lock:
            if not is_done.is_set():
                connection.cancel_safe(timeout=CONNECT_TIMEOUT_S)

    try:
        connection.execute(f"SET LOCAL statement_timeout = {max(int(limit.timeout_s * 1000), 1)}")
        ((server_id,),) = connection.execute(OURSELVES).fetchall()
        limit.begin(cancel, server_id)
        yield connection
    finally:
        with lock:
            is_done.set()


def _authorizer(tables: Sequence[str]) -> Any:
    """SQLite asks it about each thing that a statement would do; all but reading those tables is denied."""
    names = {identity(table, Dialect.SQLITE)[1] for table in tables}

    def allow(action: int, first: str | None, second: str | None, schema: str | None, view: str | None) -> int:
        if action in _READS:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_READ and (_known(first, names) or _known(view, names)):
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() not in _FORBIDDEN_FUNCTIONS:
            return sqlite3.SQLITE_OK
        return sqlite3.SQLITE_DENY

    return allow


def _known(name: str | None, names: set[str]) -> bool:
    return name is not None and name.lower() in names
