"""Superset's datasets: in which database each is, what it reads, and which of them depend on tables that changed. Pure.

Superset tells the SQL of its virtual datasets, but nothing of the views of the database: a dataset over a view depends
on what bears the view's name. SQL that cannot be parsed (with Jinja in it, say) is taken to depend on everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlglot import Dialect as SqlglotDialect
from sqlglot.errors import SqlglotError

from shared.catalog.lineage import MAX_LISTED, Affected, Name, tables_of_text
from shared.errors import InvalidInput, NotFound

COLUMNS = ("id", "changed_on_utc", "database.database_name", "schema", "table_name", "sql")
CHART_COLUMNS = ("id", "datasource_id", "datasource_type", "dashboards.id")


@dataclass(frozen=True, slots=True)
class Dataset:
    """`reads`: schema (or "") and name of each table, in small letters; None: it may be any."""

    id: int
    name: str
    database: str
    changed_on: str
    reads: frozenset[Name] | None

    def depends_on(self, tables: Iterable[Name]) -> bool:
        return self.reads is None or any(_same(one, other) for one in self.reads for other in tables)


def dataset_of(row: Mapping[str, Any]) -> Dataset:
    """From a row of Superset's list."""
    name, schema = str(row.get("table_name") or ""), str(row.get("schema") or "")
    database = str((row.get("database") or {}).get("database_name") or "")
    reads = _read_by(str(row["sql"]), schema) if row.get("sql") else frozenset({(schema.lower(), name.lower())})
    return Dataset(int(row["id"]), name, database, str(row.get("changed_on_utc")), reads)


def affected(
    datasets: Iterable[Dataset],
    charts: Iterable[Mapping[str, Any]],
    database: str,
    tables: Sequence[str],
    *,
    ignore_unknown: bool,
) -> Affected:
    """What depends on the tables. `charts`: rows of Superset's list with CHART_COLUMNS.

    Raises NotFound for an unknown database, InvalidInput for a table that no dataset reads unless they are to be
    ignored.
    """
    listed = list(datasets)
    mine = [dataset for dataset in listed if dataset.database == database]
    if not mine:
        known = ", ".join(sorted({dataset.database for dataset in listed})) or "none"
        raise NotFound(f"Superset has no dataset in a database {database!r}; known: {known}.", field="database")
    names = {table: _name(table) for table in tables}
    read = {name for dataset in mine for name in dataset.reads or ()}
    unknown = tuple(table for table, name in names.items() if not any(_same(name, one) for one in read))
    if unknown and not ignore_unknown:
        shown = ", ".join(sorted(f"{schema}.{name}" if schema else name for schema, name in read)[:MAX_LISTED])
        raise InvalidInput(
            f"No dataset of Superset reads the table {unknown[0]!r}; known: {shown or 'none'}. "
            "With ignore_unknown, tables without a chart are passed over.",
            field="tables",
        )
    hit = {dataset.id: dataset.name for dataset in mine if dataset.depends_on(names.values())}
    drawn = [row for row in charts if row.get("datasource_type") == "table" and row.get("datasource_id") in hit]
    boards = {int(board["id"]) for row in drawn for board in row.get("dashboards") or []}
    return Affected(
        tuple(sorted(hit.values())),
        tuple(str(number) for number in sorted({int(row["id"]) for row in drawn})),
        tuple(str(number) for number in sorted(boards)),
        unknown,
    )


def _name(table: str) -> Name:
    parts = [part.strip('"`[]').lower() for part in table.split(".")]
    if not all(parts):
        raise InvalidInput(f"{table[:100]!r} is no table name, such as orders or sales.orders.", field="tables")
    return (parts[-2] if len(parts) > 1 else "", parts[-1])


def _same(one: Name, other: Name) -> bool:
    """What is named without a schema may be in any: a needless refresh is better than old rows."""
    return one[1] == other[1] and (one[0] == other[0] or not (one[0] and other[0]))


def _read_by(sql: str, schema: str) -> frozenset[Name] | None:
    try:
        found = tables_of_text(sql, SqlglotDialect.get_or_raise(None))
    except (SqlglotError, RecursionError):
        return None
    return frozenset(((of or schema).lower(), name.lower()) for of, name in found)
