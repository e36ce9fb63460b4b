"""A chart's query as somebody: their row-level rules and the dashboard's filters become part of it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.engine import make_url
from sqlglot import exp

from shared.catalog.access import Rule
from shared.catalog.readers import Reader, Watch, open_reader
from shared.catalog.rows import Rows
from shared.catalog.sql import Conditions, Dialect, Query, identity, parse_condition, parse_query
from shared.engines.urls import dialect_of
from shared.errors import QueryRefused
from shared.keys import content_hash
from shared.metadata.models import Chart, Database, Dataset
from shared.settings import Settings

MAX_OPTIONS = 1000  # of a select filter
MAX_TEXTS = 2048


@dataclass(frozen=True, slots=True)
class DataQuery:
    """A query as it will run: built once for page, renderer and warm-up, with everything that its rows depend on.

    `key` is over the database, the final SQL, row-level rules and filters in place, the data versions of what it reads,
    and the ttl: who may see other rows has another SQL, hence another key. `readable`: the tables it may touch.
    """

    key: str
    sql: str
    readable: tuple[str, ...]
    database: str
    url: str = field(repr=False)
    ttl_s: int = 0  # 0: the rows are never kept


@dataclass(frozen=True, slots=True)
class _Text:
    """The final SQL of a query, the tables that it names, the tables that it may touch."""

    query: Query
    sql: str
    tables: frozenset[str]
    readable: tuple[str, ...]


class Queries:
    """Builds queries, and runs them: one reader a database; thread-safe.

    Raises QueryRefused; running also QueryFailed, DatabaseUnavailable.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._readers: dict[str, Reader] = {}
        self._texts = _Texts()
        self._lock = threading.Lock()

    def chart(
        self,
        chart: Chart,
        registered: Sequence[Dataset],
        rules: Iterable[Rule],
        filters: Mapping[str, Sequence[exp.Expr]],
    ) -> DataQuery:
        """For the chart's rows. `registered`: all datasets of its database; rules, filters by the dataset's name."""
        dialect = dialect_of(chart.database.url)
        query = parse_query(chart.sql, dialect, [dataset.table for dataset in registered])
        if not query.tables <= {dataset.table for dataset in chart.datasets}:
            raise QueryRefused("The query reads datasets that this chart does not name; load its catalog again.")
        ttl_s = self._ttl_s([chart.data_ttl_s], [one.data_ttl_s for one in chart.datasets], [chart.database.data_ttl_s])
        return _data_query(chart.database, self._texts.of(query, registered, rules, filters), registered, ttl_s)

    def options(
        self, definition: Mapping[str, Any], dataset: Dataset, registered: Sequence[Dataset], rules: Iterable[Rule]
    ) -> DataQuery:
        """For what a filter offers; `offers` reads its rows."""
        dialect = dialect_of(dataset.database.url)
        tree = _offer(definition, dataset, dialect)
        query = parse_query(tree.sql(dialect.value), dialect, [dataset.table])
        ttl_s = self._ttl_s([dataset.data_ttl_s], [dataset.database.data_ttl_s])
        return _data_query(dataset.database, self._texts.of(query, registered, rules, {}), registered, ttl_s)

    def run(self, query: DataQuery, watch: Watch | None = None) -> Rows:
        return self._reader(query.url).read(query.sql, query.readable, watch)

    def views(self, url: str) -> dict[tuple[str, str], str]:
        """The SQL of every view of a database, by schema and name."""
        return self._reader(url).views()

    def _reader(self, url: str) -> Reader:
        with self._lock:
            reader = self._readers.get(url)
            if reader is None:
                reader = open_reader(url, self._settings.state_dir, self._settings.query_timeout_s)
                self._readers[url] = reader
        return reader

    def close(self) -> None:
        with self._lock:
            readers, self._readers = self._readers, {}
        for reader in readers.values():
            reader.close()

    def _ttl_s(self, *levels: Sequence[int | None]) -> int:
        """The most specific level that says something; of several datasets, the shortest."""
        for level in levels:
            if said := [ttl_s for ttl_s in level if ttl_s is not None]:
                return min(said)
        return self._settings.data_ttl_s


def offers(definition: Mapping[str, Any], rows: Mapping[str, Any] | None) -> dict[str, Any]:
    """{"options", "truncated"} of a select, {"min", "max"} of a range, from the rows of its `options` query, if any."""
    data = rows["data"] if rows else []
    if definition["type"] == "range":
        return {"min": data[0]["low"], "max": data[0]["high"]} if data else {"min": None, "max": None}
    values = [row["value"] for row in data]
    return {"options": values[:MAX_OPTIONS], "truncated": len(values) > MAX_OPTIONS}


def _data_query(database: Database, text: _Text, registered: Sequence[Dataset], ttl_s: int) -> DataQuery:
    versions = sorted([dataset.id, dataset.data_version] for dataset in registered if dataset.table in text.tables)
    place = make_url(database.url).render_as_string(hide_password=True)
    source = [database.id, place, database.data_version]
    # Of two charts with one text but other ttls, neither may be served what only the other one still takes for fresh.
    key = content_hash({"database": source, "sql": text.sql, "data": versions, "ttl_s": ttl_s})
    return DataQuery(key, text.sql, text.readable, database.name, database.url, ttl_s)


def tables_of(conditions: Iterable[exp.Expr], dialect: Dialect, tables: Iterable[str]) -> frozenset[str]:
    """Which of the registered tables subqueries of checked conditions read."""
    read = {(node.db, node.name) for condition in conditions for node in condition.find_all(exp.Table)}
    return frozenset(table for table in tables if read and identity(table, dialect) in read)


class _Texts:
    """The last texts that were written: writing one takes longer than all else on the way to rows that are kept."""

    def __init__(self) -> None:
        self._known: OrderedDict[object, _Text] = OrderedDict()
        self._lock = threading.Lock()

    def of(
        self,
        query: Query,
        registered: Sequence[Dataset],
        rules: Iterable[Rule],
        filters: Mapping[str, Sequence[exp.Expr]],
    ) -> _Text:
        tables, rules = {dataset.name: dataset.table for dataset in registered}, tuple(rules)
        written = [(name, [one.sql(query.dialect.value) for one in filters[name]]) for name in sorted(filters)]
        # Parsed queries are kept by the parser: the same tree is the same query over the same tables.
        key = (query.dialect, id(query.tree), tuple(sorted(tables.items())), rules, repr(written))
        with self._lock:
            if (known := self._known.get(key)) is not None and known.query is query:
                self._known.move_to_end(key)
                return known
        text = _write(query, tables, rules, filters)
        with self._lock:
            self._known[key] = text
            while len(self._known) > MAX_TEXTS:
                self._known.popitem(last=False)
        return text


def _write(
    query: Query, tables: Mapping[str, str], rules: Iterable[Rule], filters: Mapping[str, Sequence[exp.Expr]]
) -> _Text:
    parsed: dict[str, list[exp.Expr]] = {}
    for name, clause in rules:
        condition = parse_condition(clause, query.dialect, tables[name], tables.values())
        parsed.setdefault(name, []).append(condition)
    conditions = {
        table: Conditions(tuple(parsed.get(name, ())), tuple(filters.get(name, ())))
        for name, table in tables.items()
        if table in query.tables
    }
    # What rules look up in other tables decides about rows as much as the rows themselves.
    looked_up = tables_of((rule for one in conditions.values() for rule in one.rules), query.dialect, tables.values())
    subqueries = any(condition.find(exp.Table) for group in parsed.values() for condition in group)
    readable = list(tables.values()) if subqueries else sorted(query.tables)
    return _Text(query, query.sql(conditions), query.tables | looked_up, tuple(readable))


def _offer(definition: Mapping[str, Any], dataset: Dataset, dialect: Dialect) -> exp.Select:
    name = exp.to_identifier(definition["column"], quoted=True)
    column = exp.column(name, table=exp.to_identifier("rows", quoted=True))
    source = exp.to_table(dataset.table, dialect=dialect.value).as_(exp.to_identifier("rows", quoted=True))
    if definition["type"] == "range":
        low, high = exp.Min(this=column).as_("low"), exp.Max(this=column.copy()).as_("high")
        return exp.select(low, high).from_(source)
    known = exp.Not(this=exp.Is(this=column.copy(), expression=exp.Null()))
    return (
        exp.select(column.as_("value"))
        .distinct()
        .from_(source)
        .where(known)
        .order_by(exp.column("value"))
        .limit(MAX_OPTIONS + 1)
    )
