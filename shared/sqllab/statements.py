"""Statements other than SELECT: which parts of a write are allowed, and EXPLAIN, DESCRIBE and SHOW TABLES."""

from __future__ import annotations

from sqlglot import exp

from shared.catalog.sql_text import Dialect, generate, parse, refuse
from shared.sqllab.access import Access

ROOTS = (exp.Insert, exp.Update, exp.Delete, exp.Create, exp.Drop)
_PARTS: dict[type[exp.Expr], frozenset[str]] = {
    exp.Insert: frozenset(["this", "expression", "conflict", "returning", "with_", "ignore", "alternative", "default"]),
    exp.Update: frozenset(["this", "expressions", "from_", "where", "returning", "with_", "order", "limit"]),
    exp.Delete: frozenset(["this", "using", "where", "returning", "with_", "order", "limit"]),
    exp.Create: frozenset(["this", "kind", "expression", "exists", "with_"]),
    exp.Drop: frozenset(["tables", "kind", "exists"]),
}
# What may stand between EXPLAIN and the query: sqlglot keeps the rest of the statement as a text.
_PLANS = {
    Dialect.SQLITE: ("QUERY PLAN",),
    Dialect.POSTGRESQL: ("ANALYZE VERBOSE", "ANALYZE", "VERBOSE"),
    Dialect.DUCKDB: ("ANALYZE",),
    Dialect.MYSQL: (),
}


def check_root(tree: exp.Expr) -> exp.Table:
    """The one table that a write changes. Raises QueryRefused for forms of it that are not listed."""
    extra = [name for name, value in tree.args.items() if value and name not in _PARTS[type(tree)]]
    if extra:
        raise refuse(f"{extra[0].strip('_').upper()} of {type(tree).__name__.upper()} is not allowed", tree)
    if isinstance(tree, exp.Create | exp.Drop) and str(tree.args.get("kind")).upper() != "TABLE":
        raise refuse(f"{type(tree).__name__.upper()} {tree.args.get('kind')} is not allowed", tree)
    targets = tree.args["tables"] if isinstance(tree, exp.Drop) else [tree.this]
    target = targets[0].this if isinstance(targets[0], exp.Schema) else targets[0]
    if len(targets) != 1 or not isinstance(target, exp.Table) or not isinstance(target.this, exp.Identifier):
        raise refuse("it must write one table", tree)
    if target.args.get("joins"):
        raise refuse("it must write one table, not a join", tree)
    for default in tree.find_all(exp.DefaultColumnConstraint):
        if not isinstance(default.this, exp.Literal | exp.Null | exp.Boolean):
            raise refuse("a default must be a value", default)
    return target


def planned(tree: exp.Expr, sql: str, dialect: Dialect) -> str:
    """What of a checked write a database can plan: all of it, the SELECT of a CREATE TABLE … AS, or "" for nothing."""
    if isinstance(tree, exp.Drop):
        return ""
    if isinstance(tree, exp.Create):
        select = tree.expression
        return generate(select, dialect) if isinstance(select, exp.Expr) else ""
    return sql


def explained(tree: exp.Command | exp.Describe, dialect: Dialect) -> tuple[str, exp.Expr]:
    """What stands before the query (or table) that is explained, and that, not yet checked."""
    if isinstance(tree, exp.Describe):
        extra = [name for name, value in tree.args.items() if value and name != "this"]
        described = isinstance(tree.this, exp.Table) and dialect in (Dialect.MYSQL, Dialect.DUCKDB)
        if extra or not (described or isinstance(tree.this, exp.Select | exp.SetOperation | exp.Subquery)):
            raise refuse("DESCRIBE takes a table (on MySQL and DuckDB) or a SELECT", tree)
        return "DESCRIBE", tree.this
    if str(tree.this).upper() != "EXPLAIN":
        raise refuse(f"{str(tree.this).upper()} is not allowed", tree)
    rest = str(tree.expression.this if isinstance(tree.expression, exp.Expr) else tree.expression).strip()
    prefix = "EXPLAIN"
    for words in _PLANS[dialect]:
        if rest.upper().startswith(f"{words} "):
            prefix, rest = f"EXPLAIN {words}", rest[len(words) :]
            break
    inner = [statement for statement in parse(rest, dialect) if statement is not None]
    if len(inner) != 1 or not isinstance(inner[0], exp.Select | exp.SetOperation | exp.Subquery):
        raise refuse(f"EXPLAIN takes one SELECT, after nothing or {' or '.join(_PLANS[dialect]) or 'nothing'}", tree)
    return prefix, _without_places(inner[0])


def shown(tree: exp.Show, access: Access) -> str:
    extra = [name for name, value in tree.args.items() if value and name != "this"]
    if str(tree.this).upper() != "TABLES" or extra or access.dialect not in (Dialect.MYSQL, Dialect.DUCKDB):
        raise refuse("of SHOW, there is SHOW TABLES on MySQL and DuckDB only", tree)
    if not access.whole:
        raise refuse("SHOW TABLES is for whoever may read the whole database", tree)
    return "SHOW TABLES"


def _without_places(tree: exp.Expr) -> exp.Expr:
    """Places in the text that EXPLAIN kept are not those in the script."""
    for node in tree.walk():
        for key in ("line", "col", "start", "end"):
            node.meta.pop(key, None)
    return tree
