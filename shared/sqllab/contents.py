"""What of a database matters to who may read it: its schemas, and the tables that show rows of other tables.

A view shows rows of what it reads; a partition or child table shares its rows with its parent; a virtual table of
SQLite may keep a copy of another's. What cannot be told is taken to show everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from shared.catalog.lineage import ANYTHING, view_reads
from shared.catalog.sql_text import Dialect, Name, parse
from shared.errors import QueryRefused
from shared.sqllab.allowed import READS

Ask = Callable[[str], Iterable[Sequence[Any]]]  # runs one SELECT of ours

_SCHEMAS = {
    Dialect.SQLITE: "SELECT 'main'",
    Dialect.POSTGRESQL: "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'",
    # `a.b` is also a table of an attached database called a; a schema of such a name could not be told from it.
    Dialect.DUCKDB: """
        SELECT schema_name FROM duckdb_schemas() WHERE database_name = current_database()
        AND schema_name NOT IN ('information_schema', 'pg_catalog')
        AND schema_name NOT IN (SELECT database_name FROM duckdb_databases())
    """,
    Dialect.MYSQL: """
        SELECT schema_name FROM information_schema.schemata
        WHERE schema_name NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema')
    """,
}
_VIEWS = {
    # The SQL of a virtual table is no SELECT: it counts as a view that cannot be understood.
    Dialect.SQLITE: """
        SELECT 'main', lower(name), sql FROM sqlite_master WHERE type = 'view' OR sql LIKE 'CREATE VIRTUAL%'
        UNION ALL SELECT 'main', lower(shadow.name), '' FROM sqlite_master AS shadow, sqlite_master AS owner
        WHERE owner.sql LIKE 'CREATE VIRTUAL%' AND shadow.type = 'table'
        AND substr(lower(shadow.name), 1, length(owner.name) + 1) = lower(owner.name) || '_'
    """,
    Dialect.DUCKDB: """
        SELECT lower(schema_name), lower(view_name), sql FROM duckdb_views()
        WHERE database_name = current_database() AND NOT internal
    """,
    Dialect.MYSQL: "SELECT table_schema, table_name, view_definition FROM information_schema.views",
}
# PostgreSQL keeps itself what a view (or a rule) depends on. One that calls a function of somebody's own, or of an
# extension, may read anything. Partitions and children share their rows with their parents, in both directions.
_READS = {
    Dialect.POSTGRESQL: """
        WITH relation AS (SELECT c.oid, nspname, relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace),
        seen AS (
            SELECT ev_class AS one, refobjid AS other FROM pg_depend JOIN pg_rewrite ON pg_rewrite.oid = objid
            WHERE classid = 'pg_rewrite'::regclass AND refclassid = 'pg_class'::regclass AND refobjid <> ev_class
            UNION SELECT inhrelid, inhparent FROM pg_inherits UNION SELECT inhparent, inhrelid FROM pg_inherits
        )
        SELECT a.nspname, a.relname, b.nspname, b.relname
        FROM seen JOIN relation AS a ON a.oid = one JOIN relation AS b ON b.oid = other
        WHERE a.nspname NOT IN ('pg_catalog', 'information_schema')
        UNION SELECT nspname, relname, '*', '*' FROM pg_depend
        JOIN pg_rewrite ON pg_rewrite.oid = objid JOIN relation ON relation.oid = ev_class
        WHERE classid = 'pg_rewrite'::regclass AND refclassid = 'pg_proc'::regclass
        AND nspname NOT IN ('pg_catalog', 'information_schema')
    """
}


@dataclass(frozen=True, slots=True)
class Contents:
    """The schemas of a database, and of which tables each view (or the like) shows rows, by schema and name."""

    schemas: frozenset[str] = frozenset()
    reads: Mapping[Name, set[Name]] = field(default_factory=dict)


def read_contents(dialect: Dialect, ask: Ask) -> Contents:
    """Asks the database; it takes some milliseconds."""
    schemas = {str(row[0]).lower() if dialect is Dialect.DUCKDB else str(row[0]) for row in ask(_SCHEMAS[dialect])}
    reads = _parsed(dialect, ask) if dialect in _VIEWS else {}
    for schema, table, other_schema, other in ask(_READS[dialect]) if dialect in _READS else ():
        reads.setdefault((schema, table), set()).add((other_schema, other))
    return Contents(frozenset(schemas), reads)


def _parsed(dialect: Dialect, ask: Ask) -> dict[Name, set[Name]]:
    """What each view reads, from its SQL."""
    views = {(str(schema), str(name)): str(sql or "") for schema, name, sql in ask(_VIEWS[dialect])}
    reads = view_reads({view: sql for view, sql in views.items() if not _is_opaque(sql, dialect)}, dialect)
    for view in views:
        # DuckDB looks for a table without a schema also beside the view.
        beside = {(view[0], name) for schema, name in reads.get(view, {ANYTHING}) if schema == dialect.schema}
        reads[view] = reads.get(view, {ANYTHING}) | beside
    return reads


def _is_opaque(sql: str, dialect: Dialect) -> bool:
    """Whether the definition of a view calls what might read tables that it does not name."""
    try:
        trees = [tree for tree in parse(sql, dialect) if tree is not None]
    except QueryRefused:
        return True
    if len(trees) != 1 or not trees[0].find(exp.Select):
        return True
    functions = trees[0].find_all(exp.Anonymous, exp.AnonymousAggFunc)
    if any(one.name.lower() not in READS.named[dialect.value] for one in functions):
        return True
    return any(not _is_plain(table, dialect) for table in trees[0].find_all(exp.Table))


def _is_plain(table: exp.Table, dialect: Dialect) -> bool:
    return isinstance(table.this, exp.Identifier) or READS.is_table_function(table.this, dialect.value)
