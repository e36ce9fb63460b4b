"""A SQLite file that tables are put into, or copied from without their rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

from shared.catalog.sql_text import Name
from shared.errors import DatabaseUnavailable, InvalidInput

BUSY_TIMEOUT_S = 10
_TYPES = {"integer": "INTEGER", "boolean": "INTEGER", "real": "REAL"}  # else TEXT


class SqliteFile:
    def __init__(self, path: Path) -> None:
        self._path = path

    def create(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch(mode=0o600)

    def has_table(self, table: str) -> bool:
        if not self._path.is_file():
            return False
        question = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
        with closing(self._open()) as connection:
            return connection.execute(question, (table,)).fetchone() is not None

    def fill(self, table: str, columns: Mapping[str, str], rows: Iterator[tuple[Any, ...]]) -> int:
        self.create()
        declared = ", ".join(f'"{name}" {_TYPES.get(kind, "TEXT")}' for name, kind in columns.items())
        marks = ", ".join("?" for _ in columns)
        kept = (tuple(map(_as_kept, row)) for row in rows)
        with closing(self._open()) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(f'DROP TABLE IF EXISTS "{table}"')
                connection.execute(f'CREATE TABLE "{table}" ({declared})')
                done = connection.executemany(f'INSERT INTO "{table}" VALUES ({marks})', kept).rowcount  # noqa: S608
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise DatabaseUnavailable(f"{self._path} cannot be filled: {error}") from error
        return max(done, 0)

    def copy_empty(self, copy: Path, name: Name, columns: Mapping[str, str] | None) -> tuple[str, ...]:
        table = name[1]
        names = tuple(columns or self._columns(table))
        if names:
            with closing(sqlite3.connect(copy)) as connection:
                try:
                    listed = ", ".join(map(_quoted, names))
                    connection.execute(f"CREATE TABLE IF NOT EXISTS {_quoted(table)} ({listed})")
                except sqlite3.Error as error:  # a reserved name, one column twice
                    raise InvalidInput(f"SQLite can have no such table: {error}") from error
        return names

    def _columns(self, table: str) -> tuple[str, ...]:
        """Of a table or view; none if there is no such thing."""
        if not self._path.is_file():
            return ()
        question = "SELECT name FROM pragma_table_xinfo(?) WHERE hidden <> 1"
        try:
            with closing(sqlite3.connect(f"{self._path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
                return tuple(name for (name,) in connection.execute(question, (table,)))
        except sqlite3.Error as error:
            raise DatabaseUnavailable(f"{self._path} cannot be read: {error}") from error

    def _open(self) -> sqlite3.Connection:
        try:
            return sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        except sqlite3.Error as error:
            raise DatabaseUnavailable(f"{self._path} cannot be opened: {error}") from error


def _as_kept(value: Any) -> Any:
    """Dates and times are text that sorts."""
    return value.isoformat() if isinstance(value, date) else value


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
