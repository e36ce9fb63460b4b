"""The one way to the metadata database: engine and sessions.

A database that does not answer surfaces as DatabaseUnavailable, whichever statement met it; so does one that lacks our
tables.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.engine import URL, Connection, ExceptionContext
from sqlalchemy.exc import ArgumentError, IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from shared.errors import DatabaseUnavailable, InvalidInput
from shared.metadata.migrations import check, upgrade
from shared.metadata.secrets import Keyring
from shared.settings import Settings

__all__ = ["check", "open_engine", "open_metadata", "raced", "sessions", "upgrade", "writing"]

T = TypeVar("T")
CONNECT_TIMEOUT_S = 3
BUSY_TIMEOUT_MS = 5000
_SQLITE_DOWN = (
    "unable to open",
    "disk i/o",
    "database is locked",
    "readonly database",
    "not a database",
    "disk is full",
)
_SQLSTATE_DOWN = ("08", "25P03", "53", "57P", "58")  # connection, idle for too long, resources, shutdown, system


def open_engine(url: str, *, idle_s: float = 0) -> Engine:
    """An engine for `sqlite:///…` or `postgresql://…` (psycopg 3); connects lazily.

    `idle_s`: PostgreSQL ends a transaction in which nothing happens for this long, so that a process that was stopped
    inside it does not hold its locks. Raises InvalidInput for other URLs. A SQLite file's folder is created.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise InvalidInput("metadata_url is no SQLAlchemy URL.", field="metadata_url") from error
    match parsed.get_backend_name():
        case "sqlite":
            engine = _open_sqlite(parsed)
        case "postgresql":
            arguments: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT_S}
            if idle_s:
                arguments["options"] = f"-c idle_in_transaction_session_timeout={int(idle_s * 1000)}"
            engine = create_engine(
                parsed.set(drivername="postgresql+psycopg"),
                pool_pre_ping=True,
                pool_timeout=CONNECT_TIMEOUT_S,
                connect_args=arguments,
            )
        case other:
            raise InvalidInput(f"metadata_url must be sqlite or postgresql, not {other}.", field="metadata_url")
    event.listen(engine, "handle_error", _name_outage)
    return engine


def open_metadata(settings: Settings, *, idle_s: float = 0) -> Engine:
    """The engine of an installation, with the keys to its secrets."""
    engine = open_engine(settings.metadata, idle_s=idle_s)
    keys = (*settings.database_keys, settings.secret_key)
    Keyring([key.get_secret_value() for key in keys]).belong_to(engine)
    return engine


def sessions(engine: Engine) -> sessionmaker[Session]:
    """Sessions whose objects stay readable after the commit."""
    return sessionmaker(engine, expire_on_commit=False)


@contextmanager
def writing(factory: sessionmaker[Session]) -> Iterator[Session]:
    """A transaction that will write. On SQLite it locks at once: a lock taken midway can fail without waiting."""
    with factory.begin() as session:
        session.connection(execution_options={"sqlite_immediate": True})
        yield session


def raced(write: Callable[[], T]) -> T:
    """What `write` returns. When it met a row that somebody inserted in the same instant, it sees it the second time.

    Only PostgreSQL lets two get so far.
    """
    try:
        return write()
    except IntegrityError:
        return write()


def _open_sqlite(url: URL) -> Engine:
    if url.database and url.database != ":memory:" and not url.database.startswith("file:"):
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        Path(url.database).touch(mode=0o600)  # it holds password hashes; SQLite gives its side files the same mode
    engine = create_engine(url)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves: the driver's own way leaves DDL and reads outside
    for pragma in (
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("sqlite_immediate")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _name_outage(context: ExceptionContext) -> None:
    if context.is_pre_ping:
        return  # the pool itself replaces a connection that died while it was idle
    original: Any = context.original_exception
    if _is_missing_table(original):
        raise DatabaseUnavailable("The metadata database lacks our tables; run: vitrine db upgrade") from original
    if context.is_disconnect or _is_outage(original):
        raise DatabaseUnavailable(f"The metadata database does not answer: {_first_line(original)}") from original


def _is_missing_table(error: BaseException) -> bool:
    return isinstance(error, psycopg.errors.UndefinedTable) or (
        isinstance(error, sqlite3.OperationalError) and "no such table" in str(error)
    )


def _is_outage(error: BaseException) -> bool:
    if isinstance(error, sqlite3.OperationalError | sqlite3.DatabaseError):
        return any(sign in str(error).lower() for sign in _SQLITE_DOWN)
    if isinstance(error, psycopg.OperationalError):  # without a state: no connection came about
        return error.sqlstate is None or error.sqlstate.startswith(_SQLSTATE_DOWN)
    return False


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
