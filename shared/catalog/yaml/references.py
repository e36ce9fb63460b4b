"""What no single entry can tell: references between entries, the SQL of charts and rules, URLs in specs, CSV files."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from shared.catalog import filters
from shared.catalog.sql import Dialect, identity, parse_condition, parse_query
from shared.catalog.yaml.reading import Catalog, Placed
from shared.catalog.yaml.seeding import FILLED
from shared.catalog.yaml.source import Location, Problem
from shared.engines.urls import dialect_of
from shared.errors import InvalidInput, QueryRefused
from shared.identity import ADMIN_ROLE

LOCAL_URLS = "/static/geo/"
VEGA_SCHEMAS = "https://vega.github.io/schema/"


def check_references(catalog: Catalog) -> Iterator[Problem]:
    """All problems between entries that are valid for themselves."""
    catalog.names["roles"].add(ADMIN_ROLE)
    dialects = dict(_dialects(catalog))
    for placed in catalog.entries["users"]:
        yield from _known(catalog, placed, ("roles",), placed.entry.roles, "roles")
    for placed in catalog.entries["databases"]:
        yield from _check_database(catalog, placed, dialects)
    for placed in catalog.entries["datasets"]:
        yield from _check_dataset(catalog, placed, dialects)
    for placed in catalog.entries["row_level_rules"]:
        yield from _check_rule(catalog, placed, dialects)
    for placed in catalog.entries["charts"]:
        yield from _check_chart(catalog, placed, dialects)
    for placed in catalog.entries["dashboards"]:
        yield from _check_dashboard(catalog, placed)


def tables_of(catalog: Catalog, database: str) -> dict[str, str]:
    """{table: dataset name} of a database."""
    return {dataset.table: dataset.name for dataset in catalog.of("datasets") if dataset.database == database}


def _dialects(catalog: Catalog) -> Iterator[tuple[str, Dialect]]:
    for database in catalog.of("databases"):
        try:
            yield database.name, dialect_of(database.url)
        except InvalidInput:
            continue  # said by _check_database, at its line


def _known(
    catalog: Catalog, placed: Placed, location: Location, names: Iterable[str | None] | str, section: str
) -> Iterator[Problem]:
    """Problems of names that no entry of the section has: of one text, or of each item of a list."""
    several = not isinstance(names, str)
    for index, name in enumerate(names if not isinstance(names, str) else [names]):
        if name is not None and name not in catalog.names[section]:
            allowed = ", ".join(sorted(catalog.names[section])[:20]) or "none"
            where = (*location, index) if several else location
            yield placed.problem(where, f"{name!r} is unknown; {section.replace('_', ' ')} are: {allowed}")


def _check_database(catalog: Catalog, placed: Placed, dialects: Mapping[str, Dialect]) -> Iterator[Problem]:
    database = placed.entry
    for index, grant in enumerate(database.grants):
        yield from _known(catalog, placed, ("grants", index, "role"), grant.role, "roles")
    try:
        dialect_of(database.url)
    except InvalidInput as error:
        yield placed.problem(("url",), error.message)
    if database.tables and dialects.get(database.name) not in (*FILLED, None):
        yield placed.problem(("tables",), "only a SQLite or DuckDB database can be filled from CSV files")
    seen = set()
    for index, table in enumerate(database.tables):
        if table.name.lower() in seen:
            yield placed.problem(("tables", index, "name"), f"{table.name!r} stands here twice")
        seen.add(table.name.lower())
        found = placed.document.find_csv(table.csv)
        if found is None:
            yield placed.problem(("tables", index, "csv"), f"there is no file {table.csv}")
            continue
        try:
            with found.open(newline="", encoding="utf-8") as stream:
                header = next(csv.reader(stream), [])
        except (UnicodeDecodeError, csv.Error) as error:
            yield placed.problem(("tables", index, "csv"), f"{table.csv} is no CSV in UTF-8: {error}")
            continue
        for column in table.columns:
            if column not in header:
                message = f"{table.csv} has no such column; it has: {', '.join(header)}"
                yield placed.problem(("tables", index, "columns", column), message)


def _check_dataset(catalog: Catalog, placed: Placed, dialects: Mapping[str, Dialect]) -> Iterator[Problem]:
    dataset = placed.entry
    yield from _known(catalog, placed, ("database",), dataset.database, "databases")
    yield from _known(catalog, placed, ("roles",), dataset.roles, "roles")
    dialect = dialects.get(dataset.database)
    if dialect is None:
        return
    try:
        own = identity(dataset.table, dialect)
    except QueryRefused as error:
        yield placed.problem(("table",), error.message)
        return
    for other in catalog.of("datasets"):
        if other is dataset:
            break
        if other.database == dataset.database and _same(other.table, own, dialect):
            yield placed.problem(("table",), f"{dataset.table!r} is the table of the dataset {other.name!r} already")


def _same(table: str, own: tuple[str, str], dialect: Dialect) -> bool:
    try:
        return identity(table, dialect) == own
    except QueryRefused:
        return False


def _check_rule(catalog: Catalog, placed: Placed, dialects: Mapping[str, Dialect]) -> Iterator[Problem]:
    rule = placed.entry
    yield from _known(catalog, placed, ("dataset",), rule.dataset, "datasets")
    yield from _known(catalog, placed, ("roles",), rule.roles, "roles")
    dataset = next((dataset for dataset in catalog.of("datasets") if dataset.name == rule.dataset), None)
    if dataset is not None and dataset.database in dialects:
        try:
            tables = tables_of(catalog, dataset.database)
            parse_condition(rule.clause, dialects[dataset.database], dataset.table, tables)
        except QueryRefused as error:
            yield placed.problem(("clause",), error.message)


def _check_people(catalog: Catalog, placed: Placed) -> Iterator[Problem]:
    yield from _known(catalog, placed, ("owners",), placed.entry.owners, "users")
    for name in ("created_by", "changed_by"):
        if (username := getattr(placed.entry, name)) is not None:
            yield from _known(catalog, placed, (name,), username, "users")


def _check_chart(catalog: Catalog, placed: Placed, dialects: Mapping[str, Dialect]) -> Iterator[Problem]:
    chart = placed.entry
    yield from _check_people(catalog, placed)
    yield from _known(catalog, placed, ("database",), chart.database, "databases")
    if chart.database in dialects:
        try:
            parse_query(chart.sql, dialects[chart.database], tables_of(catalog, chart.database))
        except QueryRefused as error:
            yield placed.problem(("sql",), error.message)
    if chart.kind == "vega-lite":
        for location, message in _spec_problems(chart.spec):
            yield placed.problem(("spec", *location), message)


def _spec_problems(spec: dict[str, Any]) -> Iterator[tuple[Location, str]]:
    """A spec draws the chart's own rows, and maps that we ship: nothing else is loaded, linked to, or configured."""
    schema = spec.get("$schema")
    if schema is not None and not str(schema).startswith(VEGA_SCHEMAS):
        yield ("$schema",), f"must begin with {VEGA_SCHEMAS}"
    if "usermeta" in spec:
        yield ("usermeta",), "is not allowed: it would change how the page draws"
    named = False
    for location, key, value in _walk(spec, ()):
        if key == "data" and isinstance(value, dict) and value.get("name") == "rows":
            named = True
        if key in ("url", "href") and not _is_local(key, value):
            yield (*location, key), f"must not lead elsewhere; only {LOCAL_URLS}… may be loaded"
    if not named:
        yield (), "must draw the chart's rows: data: {name: rows}"


def _is_local(key: str, value: Any) -> bool:
    return key == "url" and isinstance(value, str) and value.startswith(LOCAL_URLS) and ".." not in value


def _walk(node: Any, location: Location) -> Iterator[tuple[Location, str, Any]]:
    """(where, key, value) of each member of each object inside, but for inline rows, which are data."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield location, key, value
            if key != "values":
                yield from _walk(value, (*location, key))
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from _walk(item, (*location, index))


def _check_dashboard(catalog: Catalog, placed: Placed) -> Iterator[Problem]:
    dashboard = placed.entry
    yield from _check_people(catalog, placed)
    for index, definition in enumerate(dashboard.filters):
        yield from _known(catalog, placed, ("filters", index, "dataset"), definition.dataset, "datasets")
        if definition.id in {other.id for other in dashboard.filters[:index]}:
            yield placed.problem(("filters", index, "id"), f"{definition.id!r} stands here twice")
        try:
            filters.conditions([definition.model_dump()], None)
        except InvalidInput as error:
            yield placed.problem(
                ("filters", index, "default"), error.message.replace(f"dataMask.{definition.id}", "it")
            )
    layout = dashboard.layout
    for tab, (_, _, rows) in enumerate(layout.all_tabs()):
        base: Location = ("layout", "tabs", tab, "rows") if layout.tabs else ("layout", "rows")
        for row, cells in enumerate(rows):
            for column, cell in enumerate(cells):
                if cell.chart is not None:
                    yield from _known(catalog, placed, (*base, row, column, "chart"), cell.chart, "charts")
