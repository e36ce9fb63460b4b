"""PostgreSQL reads x.f as f(x), for any function f, where x is what a function in FROM gives and no column is called f.

So a column that is bound to such a function must be one that it is sure to have.
"""

from __future__ import annotations

from sqlglot import exp

from shared.catalog.sql_text import Dialect, normal, refuse
from shared.sqllab.allowed import READS

_DIALECT = Dialect.POSTGRESQL
_OWN = frozenset({"key", "value", "ordinality"})  # columns of json_each and the like; no functions are called so


def check_fields(tree: exp.Expr) -> None:
    """Raises QueryRefused. Scopes do not count: where two functions are called alike, both must have the column."""
    columns = {name: frozenset((name,)) for name in (*READS.tables[_DIALECT.value], "unnest")}  # without an alias
    for source in tree.find_all(exp.Table, exp.Unnest):
        alias = source.args.get("alias")
        if alias is not None and alias.this is not None and not isinstance(source.this, exp.Identifier):
            name = normal(alias.this, _DIALECT)
            declared = frozenset(normal(column, _DIALECT) for column in alias.columns) or frozenset((name,))
            columns[name] = columns.get(name, declared) & declared
    for column in tree.find_all(exp.Column):
        qualifier = column.args.get("table")
        if qualifier is None or isinstance(column.this, exp.Star):
            continue
        known = columns.get(normal(qualifier, _DIALECT))
        if known is not None and normal(column.this, _DIALECT) not in known | _OWN:
            raise refuse(f"{column.name} is no column of {qualifier.name}; name it there, as in AS x(y)", column)
