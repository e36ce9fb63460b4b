"""Lineage: which datasets, charts and dashboards depend on tables that changed. By a real parser, through views.

A dataset may be a view over the tables that a pipeline fills; a row-level rule may look something up in another table.
What cannot be parsed is taken to depend on everything: a needless refresh is better than old rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload
from sqlglot import Dialect as SqlglotDialect
from sqlglot import exp
from sqlglot.errors import SqlglotError

from shared.catalog.queries import tables_of
from shared.catalog.sql import Dialect, identity, parse_condition
from shared.engines.urls import dialect_of
from shared.errors import InvalidInput, NotFound, QueryRefused
from shared.metadata.models import Chart, Dashboard, Database, Dataset, RowLevelRule

log = structlog.get_logger(__name__)
Name = tuple[str, str]  # schema and table, as the database normalises them
ANYTHING: Name = ("*", "*")
MAX_LISTED = 30  # of the known tables in a message


@dataclass(frozen=True, slots=True)
class Affected:
    """What depends on the tables, by ids in ascending order; the names of datasets."""

    datasets: tuple[str, ...] = ()
    charts: tuple[str, ...] = ()
    dashboards: tuple[str, ...] = ()
    unknown: tuple[str, ...] = field(default=())  # tables that nothing is known of


def view_reads(definitions: Mapping[Name, str], dialect: Dialect) -> dict[Name, set[Name]]:
    """What each view reads, from its SQL."""
    return {view: _reads(view, sql, dialect) for view, sql in definitions.items()}


def dependents(changed: Iterable[Name], reads: Mapping[Name, set[Name]]) -> set[Name]:
    """The changed tables, and every view that reads one of them, however indirectly."""
    found = set(changed)
    while True:
        more = {
            view for view, sources in reads.items() if view not in found and (sources & found or ANYTHING in sources)
        }
        if not more:
            return found
        found |= more


def data_changed(
    session: Session,
    database_name: str,
    tables: Sequence[str],
    definitions: Mapping[Name, str],
    *,
    ignore_unknown: bool = False,
) -> Affected:
    """Raises the data version of each dataset that depends on the tables, in the caller's transaction.

    Raises NotFound for an unknown database, InvalidInput for an unknown table unless they are to be ignored.
    """
    database = session.scalar(select(Database).where(Database.name == database_name))
    if database is None:
        known = ", ".join(session.scalars(select(Database.name).order_by(Database.name)))
        raise NotFound(f"There is no database {database_name!r}; known: {known or 'none'}.", field="database")
    dialect = dialect_of(database.url)
    reads = view_reads(definitions, dialect)
    own = session.scalars(select(Dataset).where(Dataset.database_id == database.id).order_by(Dataset.name)).all()
    changed, unknown = _sort_out(tables, own, reads, dialect, ignore_unknown=ignore_unknown)
    hit = [dataset for dataset in own if identity(dataset.table, dialect) in dependents(changed, reads)]
    for dataset in hit:
        dataset.data_version += 1
    charts = _charts(session, hit, own, dialect)
    boards = session.scalars(select(Dashboard.id).where(Dashboard.charts.any(Chart.id.in_(charts)))).all()
    return Affected(
        tuple(dataset.name for dataset in hit),
        tuple(str(number) for number in sorted(charts)),
        tuple(str(number) for number in sorted(boards)),
        unknown,
    )


def _sort_out(
    tables: Sequence[str],
    own: Sequence[Dataset],
    reads: Mapping[Name, set[Name]],
    dialect: Dialect,
    *,
    ignore_unknown: bool,
) -> tuple[set[Name], tuple[str, ...]]:
    """The tables as names, and those that neither a dataset nor a view has to do with."""
    known = {identity(dataset.table, dialect) for dataset in own} | set(reads)
    known |= {name for sources in reads.values() for name in sources if name != ANYTHING}
    changed, unknown = set(), []
    for table in tables:
        name = _identity(table, dialect)
        changed.add(name)
        if name not in known:
            unknown.append(table)
    if unknown and not ignore_unknown:
        shown = sorted(f"{schema}.{name}" for schema, name in known)
        more = f" and {len(shown) - MAX_LISTED} more" * (len(shown) > MAX_LISTED)
        raise InvalidInput(
            f"Nothing is known of the table {unknown[0]!r}; known: {', '.join(shown[:MAX_LISTED]) or 'none'}{more}. "
            "With ignore_unknown, tables without a chart are passed over.",
            field="tables",
        )
    return changed, tuple(unknown)


def _identity(table: str, dialect: Dialect) -> Name:
    try:
        return identity(table, dialect)
    except QueryRefused:
        raise InvalidInput(
            f"{table[:100]!r} is no table name, such as orders or sales.orders.", field="tables"
        ) from None


def _charts(session: Session, hit: Sequence[Dataset], own: Sequence[Dataset], dialect: Dialect) -> set[int]:
    """Charts that read a dataset of `hit`, or one whose rules look something up there."""
    registered = [dataset.table for dataset in own]
    tables = {dataset.table for dataset in hit}
    through = {dataset.id for dataset in hit}
    query = select(RowLevelRule).where(RowLevelRule.dataset_id.in_([dataset.id for dataset in own]))
    for rule in session.scalars(query.options(joinedload(RowLevelRule.dataset))):
        condition = parse_condition(rule.clause, dialect, rule.dataset.table, registered)
        if tables_of([condition], dialect, registered) & tables:
            through.add(rule.dataset_id)
    return set(session.scalars(select(Chart.id).where(Chart.datasets.any(Dataset.id.in_(through)))))


def _reads(view: Name, sql: str, dialect: Dialect) -> set[Name]:
    try:
        found = tables_of_text(sql, SqlglotDialect.get_or_raise(dialect.value))
    except (SqlglotError, RecursionError) as error:
        log.warning("view_not_understood", view=".".join(view), error=str(error)[:200])
        return {ANYTHING}
    # PostgreSQL leaves out the schema of what is on the reader's search_path, whichever schema the view is in.
    return {(schema or dialect.schema, name) for schema, name in found}


def tables_of_text(sql: str, parser: SqlglotDialect) -> set[Name]:
    """Schema (or "") and name of each table that SQL reads. Raises SqlglotError, RecursionError."""
    found = set()
    for tree in parser.parse(sql):
        body = tree.expression if isinstance(tree, exp.Create) else tree  # SQLite keeps the CREATE VIEW around it
        if body is not None:
            found |= set(_tables(body, parser, frozenset()))
    return found


def _tables(node: exp.Expr, parser: SqlglotDialect, ours: frozenset[str]) -> Iterator[Name]:
    """Schema (or "") and name of each table; not the common table expressions in scope, `ours`."""
    with_ = node.args.get("with_")
    if with_ is not None:
        names = [parser.normalize_identifier(cte.args["alias"].this.copy()).name for cte in with_.expressions]
        ours |= set(names) if with_.args.get("recursive") else set()
        for cte, name in zip(with_.expressions, names, strict=True):
            yield from _tables(cte.this, parser, ours)  # in here, its own name is that of a table
            ours |= {name}
    if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
        schema = parser.normalize_identifier(node.args["db"].copy()).name if node.args.get("db") else ""
        name = parser.normalize_identifier(node.this.copy()).name
        if schema or name not in ours:
            yield schema, name
    for child in node.iter_expressions():
        if child is not with_:
            yield from _tables(child, parser, ours)
