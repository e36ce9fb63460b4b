"""The guard of charts' SQL: one dialect-aware parse decides what is read, that it only reads, and where conditions go.

Analysts' SQL is checked by shared/sqllab/guard.py with the same parts: sql_text, sql_allowed, sql_tables.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlglot import exp

from shared.catalog.sql_allowed import check_node
from shared.catalog.sql_tables import Conditions, Resolver, outer_columns, restrict
from shared.catalog.sql_text import Dialect, Name, confirmed, generate, identity, normal, parse, refuse

__all__ = ["Conditions", "Dialect", "Query", "identity", "parse_condition", "parse_query"]


@dataclass(frozen=True, slots=True)
class Query:
    """A checked query; `tables` are the registered names that it reads."""

    tree: exp.Query
    dialect: Dialect
    tables: frozenset[str]

    def sql(self, conditions: Mapping[str, Conditions] | None = None) -> str:
        """The text to run, with the conditions of each registered table in place."""
        tree = self.tree.copy()
        placed = {identity(table, self.dialect): one for table, one in (conditions or {}).items()}
        restrict(tree, placed, self.dialect)
        return confirmed(generate(tree, self.dialect), tree, self.dialect)


def parse_query(sql: str, dialect: Dialect, tables: Iterable[str]) -> Query:
    """Checks a query that may read `tables` (registered names, with a schema where they have one).

    Raises QueryRefused unless it is exactly one SELECT (set operations and WITH included) over those tables that uses
    nothing but what sql_allowed lists.
    """
    return _parse_query(sql, dialect, tuple(tables))


def parse_condition(clause: str, dialect: Dialect, table: str, tables: Iterable[str]) -> exp.Expr:
    """Checks the clause of a row-level rule on `table`: a condition over its columns; subqueries read `tables` only.

    Raises QueryRefused for anything else.
    """
    return _parse_condition(clause, dialect, table, tuple(tables))


@functools.lru_cache(maxsize=512)  # whoever uses a tree copies it first
def _parse_query(sql: str, dialect: Dialect, tables: tuple[str, ...]) -> Query:
    statements = [s for s in parse(sql, dialect) if s is not None and not isinstance(s, exp.Semicolon)]
    if len(statements) != 1:
        raise refuse(f"it must be exactly one SELECT, not {len(statements)} statements")
    (tree,) = statements
    if not isinstance(tree, exp.Select | exp.SetOperation | exp.Subquery):
        raise refuse(f"{type(tree).__name__.upper()} is not allowed; it must be a SELECT")
    return _checked(tree, dialect, tables)


@functools.lru_cache(maxsize=512)
def _parse_condition(clause: str, dialect: Dialect, table: str, tables: tuple[str, ...]) -> exp.Expr:
    parsed = [node for node in parse(clause, dialect, exp.Condition) if node is not None]
    if len(parsed) != 1 or not _is_condition(parsed[0]):
        raise refuse(f"{clause!r} is no condition, such as region = 'Europe'")
    (tree,) = parsed
    own = identity(table, dialect)
    for column in outer_columns(tree):
        if column.table and normal(column.args["table"], dialect) != own[1]:
            raise refuse(f"{column.sql(dialect)} is no column of {table}")
    if any(True for _ in tree.find_all(exp.AggFunc, exp.Window)) and not tree.find(exp.Query):
        raise refuse("a rule looks at one row: it has no aggregates")
    # Checked as a query, so that one walk decides for both; a condition is evaluated inside that of the table anyway.
    carrier = exp.select("1").where(tree.copy(), copy=False)
    checked = _checked(carrier, dialect, tables).tree
    restrict(checked, {}, dialect)
    condition = checked.args["where"].this
    assert isinstance(condition, exp.Expr)  # for the type checker; WHERE always holds one
    return condition


def _checked(tree: exp.Query, dialect: Dialect, tables: Iterable[str]) -> Query:
    known = {identity(name, dialect): name for name in tables}

    def decide(node: exp.Table) -> Name:
        schema = node.args.get("db")
        name = (normal(schema, dialect) if schema else dialect.schema, normal(node.this, dialect))
        if name not in known:
            raise refuse(f"{node.this.name} is no dataset of this database", node)
        return name

    try:
        for node in tree.walk():
            check_node(node, dialect.value)
        resolver = Resolver(dialect, decide)
        resolver.resolve(tree, {})
    except RecursionError as error:
        raise refuse("it is nested too deeply") from error
    return Query(tree, dialect, frozenset(known[name] for name in resolver.read))


def _is_condition(node: exp.Expr) -> bool:
    if isinstance(node, exp.Paren | exp.Not):
        return _is_condition(node.this)
    if isinstance(node, exp.And | exp.Or):
        return _is_condition(node.left) and _is_condition(node.right)
    return isinstance(node, exp.Predicate | exp.Column | exp.Boolean)
