"""Column names: the SQL of charts, the filters of dashboards and the rules are tried, as they would run, for no rows.

A SQLite database, or a DuckDB database that is filled, is tried as an empty copy, made of the columns that the catalog
declares and, for other tables, those of the database file. Any other one is asked itself. So the database decides what
a column is, as it will when the page is drawn, and nothing has to be loaded. Where no database can be asked, that is
told, and no problem.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path

from sqlglot import exp

from shared.catalog.readers import Reader, open_reader
from shared.catalog.sql import Conditions, Dialect, Query, identity, parse_condition, parse_query
from shared.catalog.yaml import schema, seeding
from shared.catalog.yaml.reading import Catalog, Placed
from shared.catalog.yaml.source import Location, Problem
from shared.engines.urls import dialect_of, file_path
from shared.errors import DatabaseUnavailable, InvalidInput, QueryFailed, QueryRefused

TRY_S = 10.0  # for one query that gives no rows
SHOWN = 20  # names in a message
REFUSED = "The database refused the query: "
UNKNOWN = re.compile(r"column:? (?:named )?\"?(?:[^\s\".]+\.)*([^\s\".]+)")  # as SQLite, PostgreSQL and DuckDB name it


def check_columns(catalog: Catalog, state_dir: Path) -> Iterator[Problem]:
    """Problems of names; `catalog.unchecked` gets a line for each database that could not be asked.

    `state_dir` is where relative SQLite files lie. What check_references found wrong is passed over here.
    """
    with tempfile.TemporaryDirectory(prefix="vitrine-check-") as folder:
        for number, placed in enumerate(catalog.entries["databases"]):
            try:
                dialect = dialect_of(placed.entry.url)
            except InvalidInput:
                continue
            copy = Path(folder) / str(number)
            yield from _Trial(catalog, placed.entry, dialect, copy, state_dir).problems()


class _Trial:
    """One database of the catalog, and all that reads it."""

    def __init__(
        self, catalog: Catalog, database: schema.Database, dialect: Dialect, copy: Path, state_dir: Path
    ) -> None:
        self._catalog = catalog
        self._database = database
        self._dialect = dialect
        self._copy = copy
        self._state_dir = state_dir
        self._datasets = [placed for placed in catalog.entries["datasets"] if placed.entry.database == database.name]
        self._columns: dict[str, tuple[str, ...]] = {}  # table, as datasets name it → its columns
        self._reader: Reader | None = None

    def problems(self) -> Iterator[Problem]:
        self._datasets = [placed for placed in self._datasets if _is_name(placed.entry.table, self._dialect)]
        try:
            if self._dialect is Dialect.SQLITE or (self._dialect in seeding.FILLED and self._database.tables):
                yield from self._make_copy()
                self._reader = open_reader(f"{self._dialect}:///{self._copy}", Path(), TRY_S)
            else:
                self._reader = open_reader(self._database.url, self._state_dir, TRY_S)
                yield from self._ask()
            yield from self._try_all()
        except DatabaseUnavailable as error:
            self._catalog.unchecked.append(f"columns of the database {self._database.name!r}: {error.message}")
        finally:
            if self._reader is not None:
                self._reader.close()

    def _make_copy(self) -> Iterator[Problem]:
        declared = {(self._dialect.schema, table.name.lower()): table.columns for table in self._database.tables}
        path = file_path(self._database.url, self._state_dir)
        file = seeding.table_file(self._dialect, path)
        seeding.table_file(self._dialect, self._copy).create()
        for placed in self._datasets:
            name = identity(placed.entry.table, self._dialect)
            try:
                columns = file.copy_empty(self._copy, name, declared.get(name))
            except InvalidInput as error:
                yield placed.problem(("table",), error.message)
                continue
            if columns:
                self._columns[placed.entry.table] = columns
            elif path.is_file():
                yield placed.problem(("table",), f"the database has no table {placed.entry.table}")
            else:
                why = f"there is no file {path}, and `tables` does not declare it"
                self._catalog.unchecked.append(f"columns of the dataset {placed.entry.name!r}: {why}")

    def _ask(self) -> Iterator[Problem]:
        for placed in self._datasets:
            table = placed.entry.table
            query = _whole(table, self._dialect)
            try:
                self._columns[table] = self._try(query, {})
            except QueryFailed as error:
                yield placed.problem(("table",), error.message.removeprefix(REFUSED))

    def _try_all(self) -> Iterator[Problem]:
        for placed in self._catalog.entries["row_level_rules"]:
            table = self._table_of(placed.entry.dataset)
            if table is not None:
                yield from self._rule(placed, table)
        for placed in self._catalog.entries["charts"]:
            if placed.entry.database == self._database.name:
                yield from self._chart(placed)
        for placed in self._catalog.entries["dashboards"]:
            for index, definition in enumerate(placed.entry.filters):
                table = self._table_of(definition.dataset)
                if table is not None:
                    yield from self._filter(placed, ("filters", index, "column"), definition.column, table)

    def _rule(self, placed: Placed, table: str) -> Iterator[Problem]:
        tables = [other.entry.table for other in self._datasets]
        try:
            condition = parse_condition(placed.entry.clause, self._dialect, table, tables)
            query = _whole(table, self._dialect)
            self._try(query, {table: Conditions(rules=(condition,))})
        except QueryRefused:
            return
        except QueryFailed as error:
            yield placed.problem(("clause",), self._explained(error, [table]))

    def _filter(self, placed: Placed, location: Location, column: str, table: str) -> Iterator[Problem]:
        known = exp.column(exp.to_identifier(column, quoted=True)).is_(exp.Null()).not_()
        query = _whole(table, self._dialect)
        try:
            self._try(query, {table: Conditions(filters=(known,))})
        except QueryFailed as error:
            yield placed.problem(location, self._explained(error, [table]))

    def _chart(self, placed: Placed) -> Iterator[Problem]:
        tables = [other.entry.table for other in self._datasets]
        try:
            query = parse_query(placed.entry.sql, self._dialect, tables)
        except QueryRefused:
            return
        if not query.tables <= self._columns.keys():
            return  # its dataset is told of already
        try:
            found = self._try(query, {})
        except QueryFailed as error:
            yield placed.problem(("sql",), self._explained(error, query.tables))
            return
        if self._dialect is Dialect.SQLITE:
            for name in self._taken_for_text(query):
                why = f'no such column: "{name}", which SQLite would take for a text; texts have single quotes'
                yield placed.problem(("sql",), why + self._hint(name, query.tables))
        for location, name in _drawn(placed.entry):
            if name not in found:
                shown = ", ".join(found[:SHOWN])
                yield placed.problem(("spec", *location), f"{name!r} is no column of the query; it has: {shown}")

    def _try(self, query: Query, conditions: Mapping[str, Conditions]) -> tuple[str, ...]:
        """The names of its columns."""
        assert self._reader is not None
        tables = [placed.entry.table for placed in self._datasets]
        sql = query.sql(conditions)
        if self._dialect is not Dialect.SQLITE:  # which is no copy without rows
            sql = f"SELECT * FROM ({sql}) AS tried LIMIT 0"  # noqa: S608  # checked, and written by us
        return self._reader.read(sql, tables).colnames

    def _taken_for_text(self, query: Query) -> list[str]:
        """Names in double quotes that are nobody's."""
        known = {column.lower() for table in query.tables for column in self._columns[table]}
        for node in query.tree.find_all(exp.Alias, exp.TableAlias):
            known.add(node.alias.lower())
            known.update(column.name.lower() for column in node.args.get("columns") or ())
        lone = (node for node in query.tree.find_all(exp.Column) if not node.table)
        names = [node.name for node in lone if isinstance(node.this, exp.Identifier) and node.this.quoted]
        return [name for name in dict.fromkeys(names) if name.lower() not in known]

    def _table_of(self, dataset: str) -> str | None:
        """The table of a dataset, if its columns are known."""
        tables = [placed.entry.table for placed in self._datasets if placed.entry.name == dataset]
        return tables[0] if tables and tables[0] in self._columns else None

    def _explained(self, error: QueryFailed, tables: Iterable[str]) -> str:
        message = error.message.removeprefix(REFUSED)
        named = UNKNOWN.search(message)
        return message + self._hint(named[1], tables) if named else message

    def _hint(self, name: str, tables: Iterable[str]) -> str:
        columns = sorted({column for table in tables for column in self._columns[table]})
        close = get_close_matches(name, columns, n=1)
        meant = f"; did you mean {close[0]}?" if close else ";"
        return f"{meant} Columns are: {', '.join(columns[:SHOWN])}"


def _drawn(chart: schema.TableChart | schema.BigNumberChart | schema.VegaLiteChart) -> Iterator[tuple[Location, str]]:
    """The columns that a spec of ours names, and where. Vega-Lite makes columns of its own."""
    if isinstance(chart, schema.TableChart):
        for index, column in enumerate(chart.spec.columns):
            yield ("columns", index, "field"), column.field
    elif isinstance(chart, schema.BigNumberChart):
        yield ("value",), chart.spec.value
        if chart.spec.compare is not None:
            yield ("compare",), chart.spec.compare
        if chart.spec.trend is not None:
            yield ("trend", "x"), chart.spec.trend.x
            yield ("trend", "y"), chart.spec.trend.y


def _whole(table: str, dialect: Dialect) -> Query:
    """All of a registered table; parsed and checked like any query."""
    return parse_query(f"SELECT * FROM {table}", dialect, [table])  # noqa: S608


def _is_name(table: str, dialect: Dialect) -> bool:
    try:
        identity(table, dialect)
    except QueryRefused:
        return False
    return True
