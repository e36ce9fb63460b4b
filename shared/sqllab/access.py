"""Which databases, schemas and tables somebody may query, and which rows of them: the one place that decides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, and_, exists, false, or_, select
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session, joinedload
from sqlglot import exp

from shared.catalog.access import NAME, rules_for
from shared.catalog.lineage import dependents
from shared.catalog.sql import identity, parse_condition
from shared.catalog.sql_text import Dialect, Name
from shared.engines.urls import dialect_of
from shared.errors import NotFound
from shared.identity import Principal
from shared.metadata.models import Database, DatabaseGrant, Dataset, Role
from shared.sqllab.contents import Contents

# Names of tables and columns, without a value of any row: for whoever may read the whole database.
_LISTINGS = frozenset(
    ("information_schema", name)
    for name in ("schemata", "tables", "columns", "table_constraints", "key_column_usage", "referential_constraints")
)
_SQLITE_LISTINGS = frozenset((("main", "sqlite_master"), ("main", "sqlite_schema")))
_INTERNAL = {
    Dialect.SQLITE: ("sqlite_", "pragma_", "dbstat", "bytecode", "tables_used"),
    Dialect.DUCKDB: ("sqlite_", "duckdb_", "pragma_"),  # views of the database's own, which lie in every main
}


@dataclass(frozen=True, slots=True)
class Access:
    """What one person may do in one database.

    `whole`: every schema is granted; else `schemas`. `datasets`: tables that are granted one by one, to read.
    `rules`: the conditions on the rows of a table that apply to the person. `tainted`: tables that are under no such
    rule and show rows of one that is. `home`: of MySQL, the database of the connection.
    """

    dialect: Dialect
    whole: bool = False
    schemas: frozenset[str] = frozenset()
    datasets: frozenset[Name] = frozenset()
    rules: Mapping[Name, tuple[exp.Expr, ...]] = field(default_factory=dict)
    tainted: frozenset[Name] = frozenset()
    contents: Contents = field(default_factory=Contents)
    home: str = ""

    def name(self, schema: str, table: str) -> Name:
        """The one name of a table: on MySQL, one of the connection's own database has no schema."""
        return ("" if self.home and schema == self.home else schema), table

    def known(self, schema: str, table: str) -> Name:
        """The name of a table as its database tells it."""
        folds = self.dialect in (Dialect.SQLITE, Dialect.DUCKDB)
        return self.name(*(part.lower() if folds else part for part in (schema, table)))

    def open_schemas(self) -> set[str]:
        """Where they may read anything, as the database calls them."""
        some = self.contents.schemas if self.whole else self.schemas
        return {schema or self.home for schema in some | {name[0] for name in self.datasets}}

    def may_read(self, name: Name) -> bool:
        if self._is_internal(name):
            return self.whole and name in (_SQLITE_LISTINGS if self.dialect is Dialect.SQLITE else _LISTINGS)
        return name in self.datasets or self._is_granted(name[0])

    def may_write(self, name: Name) -> bool:
        """Whether its schema is granted; a single dataset is granted to be read."""
        return not self._is_internal(name) and self._is_granted(name[0])

    def is_ruled(self, name: Name) -> bool:
        return name in self.rules

    def is_tainted(self, name: Name) -> bool:
        """Whether it would show rows that a rule hides, past that rule.

        Where MySQL does not tell upper from lower case, a ruled table has other names too: those count as well.
        """
        if self.dialect is Dialect.MYSQL and name not in self.rules:
            return _folded(name) in {_folded(other) for other in self.tainted | set(self.rules)}
        return name in self.tainted

    def _is_granted(self, schema: str) -> bool:
        known = schema == self.dialect.schema or schema in self.contents.schemas
        return known and (self.whole or schema in self.schemas)

    def _is_internal(self, name: Name) -> bool:
        return name[0] == "information_schema" or name[1].startswith(_INTERNAL.get(self.dialect, ()) or ("\0",))


def visible_databases(principal: Principal) -> ColumnElement[bool]:
    """Databases in SQL Lab of which they may read anything."""
    principal = principal.within(NAME)
    exposed = Database.expose_in_sqllab.is_(True)
    if principal.is_admin:
        return exposed
    roles = sorted(principal.roles)
    if not principal.username:
        return false()
    granted = Database.grants.any(DatabaseGrant.role.has(Role.name.in_(roles)))
    dataset = exists().where(Dataset.database_id == Database.id, Dataset.roles.any(Role.name.in_(roles)))
    return and_(exposed, or_(granted, dataset))


def find_database(session: Session, principal: Principal, database_id: int) -> Database:
    """With its grants. Raises NotFound also for one that they may not query: the two look the same."""
    which = select(Database).where(Database.id == database_id, visible_databases(principal))
    grants = joinedload(Database.grants).joinedload(DatabaseGrant.role)
    database = session.scalars(which.options(grants)).unique().one_or_none()
    if database is None:
        raise NotFound(f"There is no database {database_id}.", field="database_id")
    return database


def access_to(session: Session, principal: Principal, database: Database, contents: Contents) -> Access:
    """What they may do in a database that find_database gave. Raises QueryRefused for a rule that does not parse."""
    principal = principal.within(NAME)
    dialect = dialect_of(database.url)
    home = make_url(database.url).database or "" if dialect is Dialect.MYSQL else ""
    own = Access(dialect, contents=_at_home(contents, home), home=home)
    query = select(Dataset).where(Dataset.database_id == database.id).options(joinedload(Dataset.roles))
    datasets = session.scalars(query).unique().all()
    names = {dataset.name: own.name(*identity(dataset.table, dialect)) for dataset in datasets}
    granted = {names[one.name] for one in datasets if any(role.name in principal.roles for role in one.roles)}
    schemas = {grant.schema for grant in database.grants if grant.role.name in principal.roles}
    rules: dict[Name, tuple[exp.Expr, ...]] = {}
    tables = {dataset.name: dataset.table for dataset in datasets}
    for name, clause in rules_for(session, principal, [dataset.id for dataset in datasets]):
        condition = parse_condition(clause, dialect, tables[name], tables.values())
        rules[names[name]] = (*rules.get(names[name], ()), condition)
    return Access(
        dialect,
        whole=principal.is_admin or "" in schemas,
        schemas=frozenset("" if home and schema == home else schema for schema in schemas - {""}),
        datasets=frozenset(granted),
        rules=rules,
        tainted=frozenset(dependents(rules, own.contents.reads) - set(rules)) if rules else frozenset(),
        contents=own.contents,
        home=home,
    )


def _at_home(contents: Contents, home: str) -> Contents:
    """The contents with the names that Access.name gives."""
    if not home:
        return contents
    reads: dict[Name, set[Name]] = {}
    for view, tables in contents.reads.items():
        reads[_short(view, home)] = {_short(table, home) for table in tables}
    return Contents(contents.schemas - {home}, reads)


def _short(name: Name, home: str) -> Name:
    return ("", name[1]) if name[0] == home else name


def _folded(name: Name) -> tuple[str, ...]:
    return tuple(part.lower() for part in name)


def described(names: Iterable[Name]) -> list[str]:
    """Names as people write them, sorted."""
    return sorted(f"{schema}.{table}" if schema else table for schema, table in names)
