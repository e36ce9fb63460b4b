"""Tables of SQLite and DuckDB databases that are filled from CSV files, or copied without their rows."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, Protocol

from shared.catalog.sql_text import Dialect, Name
from shared.errors import InvalidInput
from shared.targets import canonical_json

FILLED = (Dialect.SQLITE, Dialect.DUCKDB)  # what can be


class TableFile(Protocol):
    """A database file. Raises DatabaseUnavailable when it cannot be read or written.

    Names of columns and of filled tables are plain SQL names (schema.SqlName), types those of schema.ColumnType.
    """

    def create(self) -> None:
        """An empty one, if there is none. Row-level rules would mean little if every local user could read it."""
        ...

    def has_table(self, table: str) -> bool: ...

    def fill(self, table: str, columns: Mapping[str, str], rows: Iterator[tuple[Any, ...]]) -> int:
        """Replaces the table by the rows, and answers how many: all of them, or, when `rows` raises, none."""
        ...

    def copy_empty(self, copy: Path, name: Name, columns: Mapping[str, str] | None) -> tuple[str, ...]:
        """Makes the table in the file `copy`, without rows: of these columns, else of those that it has in this one.

        Answers its columns' names, none if there is no such table. Raises InvalidInput for one that cannot be.
        """
        ...


def table_file(dialect: Dialect, path: Path) -> TableFile:
    """One of FILLED. Opens nothing yet; the file need not be there."""
    if dialect is Dialect.DUCKDB:
        from shared.catalog.yaml.duckdb_file import DuckdbFile

        return DuckdbFile(path)
    from shared.catalog.yaml.sqlite_file import SqliteFile

    return SqliteFile(path)


def _integer(text: str) -> int:
    if not -(2**63) <= (number := int(text)) < 2**63:  # neither database has a larger one
        raise ValueError(text)
    return number


def _boolean(text: str) -> bool:
    try:
        return {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}[text.lower()]
    except KeyError:
        raise ValueError(text) from None


# For each type, what makes a value of a cell, or raises ValueError.
_TYPES: dict[str, Callable[[str], Any]] = {
    "text": str,
    "integer": _integer,
    "real": float,
    "date": date.fromisoformat,
    "datetime": datetime.fromisoformat,
    "boolean": _boolean,
}


def checksum(source: Path, columns: Mapping[str, str]) -> str:
    """SHA-256 over the file and the types of its columns, in their order."""
    return hashlib.sha256(canonical_json(list(columns.items())).encode() + source.read_bytes()).hexdigest()


def read_rows(source: Path, columns: Mapping[str, str]) -> Iterator[tuple[Any, ...]]:
    """The file's rows as Python's values. An empty cell is None.

    Raises InvalidInput for a cell that is not of its type, naming file, line and column, and for a file that is no CSV.
    """
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
        return _TYPES[kind](text)
    except ValueError:
        raise InvalidInput(f"{where}: {text!r} is no {kind}.") from None
