"""Fills tables of a SQLite database from CSV files."""

from __future__ import annotations

import csv
import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import date, datetime
from pathlib import Path
from typing import Any

from shared.errors import DatabaseUnavailable, InvalidInput
from shared.targets import canonical_json

BUSY_TIMEOUT_S = 10


def _boolean(text: str) -> int:
    try:
        return {"true": 1, "false": 0, "1": 1, "0": 0, "yes": 1, "no": 0}[text.lower()]
    except KeyError:
        raise ValueError(text) from None


# For each type: SQLite's own, and what makes a value of a cell (or raises ValueError). Dates are text that sorts.
_TYPES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "text": ("TEXT", str),
    "integer": ("INTEGER", int),
    "real": ("REAL", float),
    "date": ("TEXT", lambda text: date.fromisoformat(text).isoformat()),
    "datetime": ("TEXT", lambda text: datetime.fromisoformat(text).isoformat()),
    "boolean": ("INTEGER", _boolean),
}


def checksum(source: Path, columns: Mapping[str, str]) -> str:
    """SHA-256 over the file and the types of its columns, in their order."""
    return hashlib.sha256(canonical_json(list(columns.items())).encode() + source.read_bytes()).hexdigest()


def has_table(database: Path, table: str) -> bool:
    if not database.is_file():
        return False
    with closing(_open(database)) as connection:
        found = connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)).fetchone()
    return found is not None


def fill(database: Path, table: str, source: Path, columns: Mapping[str, str]) -> int:
    """Replaces the table by the file's rows, in one transaction; answers how many. An empty cell is NULL.

    Names are plain SQL names (schema.SqlName). Raises InvalidInput for a cell that is not of its type, naming file,
    line and column, and for a file that is no CSV, and DatabaseUnavailable when the database cannot be written.
    """
    database.parent.mkdir(parents=True, exist_ok=True)
    database.touch(mode=0o600)  # row-level rules would mean little if every local user could read the file
    declared = ", ".join(f'"{name}" {_TYPES[kind][0]}' for name, kind in columns.items())
    marks = ", ".join("?" for _ in columns)
    with closing(_open(database)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(f'DROP TABLE IF EXISTS "{table}"')
            connection.execute(f'CREATE TABLE "{table}" ({declared})')
            done = connection.executemany(f'INSERT INTO "{table}" VALUES ({marks})', _rows(source, columns)).rowcount  # noqa: S608
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise DatabaseUnavailable(f"{database} cannot be filled: {error}") from error
    return max(done, 0)


def _rows(source: Path, columns: Mapping[str, str]) -> Iterator[tuple[Any, ...]]:
    with source.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        try:
            for row in reader:
                where = f"{source}:{reader.line_num}"
                yield tuple(_cell(row[name], kind, f"{where}: {name}") for name, kind in columns.items())
        except (UnicodeDecodeError, csv.Error) as error:
            raise InvalidInput(f"{source}: after line {reader.line_num} it is no CSV in UTF-8: {error}.") from error


def _cell(text: str | None, kind: str, where: str) -> Any:
    if text is None or text == "":
        return None
    try:
        return _TYPES[kind][1](text)
    except ValueError:
        raise InvalidInput(f"{where}: {text!r} is no {kind}.") from None


def _open(database: Path) -> sqlite3.Connection:
    try:
        return sqlite3.connect(database, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    except sqlite3.Error as error:
        raise DatabaseUnavailable(f"{database} cannot be opened: {error}") from error
