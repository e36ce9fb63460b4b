"""Which table each reference of a query means, and the rows of it that may be seen.

Names of common table expressions become names of ours and tables are always written with their schema: a reference that
we took for one of them cannot turn out to be a table, nor the other way round. A table with conditions becomes
`(SELECT * FROM "schema"."table" AS "table" WHERE <conditions>) AS alias`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from sqlglot import exp

from shared.catalog.sql_text import Dialect, Name, named, normal, refuse

_TABLE = "table"  # key in the meta of a table node: the Name that it stands for
_SETTLED = "settled"  # likewise: this reference is one of ours, and is to stay
_ALL_ROWS = {Dialect.SQLITE: -1, Dialect.MYSQL: 2**64 - 1}  # which need a limit where others take OFFSET 0


@dataclass(frozen=True, slots=True)
class Conditions:
    """What rows of one table a query may see: `rules` for the sake of access, `filters` for the sake of the reader."""

    rules: tuple[exp.Expr, ...] = ()
    filters: tuple[exp.Expr, ...] = ()


class Resolver:
    """Tells each table reference: a common table expression in scope (renamed), or a table (marked).

    `decide` is asked for the name of the table that a reference outside of them means; it raises QueryRefused for one
    that may not be read.
    """

    def __init__(self, dialect: Dialect, decide: Callable[[exp.Table], Name]) -> None:
        self._dialect = dialect
        self._decide = decide
        self._count = 0
        self.read: set[Name] = set()

    def resolve(self, node: exp.Expr, scope: Mapping[str, str]) -> None:
        """`scope` is {normalised name: our name} of the common table expressions that `node` may refer to."""
        with_ = node.args.get("with_")
        if with_ is not None:
            scope = self._enter(with_, scope)
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier) and _SETTLED not in node.meta:
            self._settle(node, scope)
        if isinstance(node, exp.Column):
            node.set("db", None)  # its table becomes an alias, which has no schema
            node.set("catalog", None)
        for child in node.iter_expressions():
            if child is not with_:
                self.resolve(child, scope)

    def _enter(self, with_: exp.Expr, scope: Mapping[str, str]) -> Mapping[str, str]:
        inner = dict(scope)
        ours = [self._rename(cte) for cte in with_.expressions]
        if with_.args.get("recursive"):
            inner.update(ours)
        for cte, (name, our_name) in zip(with_.expressions, ours, strict=True):
            self.resolve(cte.this, inner)
            inner[name] = our_name
        return inner

    def _rename(self, cte: exp.Expr) -> tuple[str, str]:
        alias = cte.args["alias"]
        name = normal(alias.this, self._dialect)
        self._count += 1
        our_name = f"_cte_{self._count}"
        alias.set("this", exp.to_identifier(our_name, quoted=True))
        return name, our_name

    def _settle(self, node: exp.Table, scope: Mapping[str, str]) -> None:
        name = normal(node.this, self._dialect)
        if node.args.get("db") is None and name in scope:
            if node.args.get("alias") is None:
                node.set("alias", exp.TableAlias(this=node.this.copy()))
            node.set("this", exp.to_identifier(scope[name], quoted=True))
            settle(node)
            return
        node.meta[_TABLE] = self._decide(node)
        self.read.add(node.meta[_TABLE])


def settle(node: exp.Table) -> None:
    """Marks a table node as one that is to stand as it is."""
    node.meta[_SETTLED] = True


def restrict(tree: exp.Expr, conditions: Mapping[Name, Conditions], dialect: Dialect) -> None:
    """Puts what may be seen of it in the place of each table, in place."""
    for node in reversed(list(tree.find_all(exp.Table))):  # inner ones first: what is moved along has been seen to
        if name := node.meta.get(_TABLE):
            node.replace(_restricted(node, name, conditions.get(name, Conditions()), dialect))
    for node in tree.find_all(exp.Table):
        if isinstance(node.this, exp.Identifier) and not node.meta.get(_SETTLED):
            raise refuse("a table of it is neither a known table nor a common table expression", node)


def outer_columns(tree: exp.Expr) -> Iterator[exp.Column]:
    """The columns that are not inside a subquery."""
    for node in tree.walk(prune=lambda inner: isinstance(inner, exp.Query)):
        if isinstance(node, exp.Column):
            yield node


def _restricted(node: exp.Table, name: Name, conditions: Conditions, dialect: Dialect) -> exp.Expr:
    """What stands for a table: the rows that fulfil every condition, under the alias of the reference."""
    alias = node.args.get("alias") or exp.TableAlias(this=node.this.copy())
    if not conditions.rules and not conditions.filters:
        whole = named(name, alias.copy())
        whole.set("joins", node.args.get("joins"))
        settle(whole)
        return whole
    source = named(name, exp.TableAlias(this=exp.to_identifier(name[1], quoted=True)))
    settle(source)
    inner = exp.select("*").from_(source, copy=False)
    for condition in (*conditions.rules, *conditions.filters):
        inner = inner.where(exp.paren(_qualified(condition, name[1])), copy=False)
    if conditions.rules:
        # A fence: without it the optimizer may evaluate the query's own conditions first, whose errors would tell
        # what is in rows that the rules hide. (DuckDB takes a limit away that is larger than the table, not an offset.)
        rows = _ALL_ROWS.get(dialect)
        inner = inner.offset(0, copy=False) if rows is None else inner.limit(rows, copy=False)
    return exp.Subquery(this=inner, alias=alias.copy(), joins=node.args.get("joins"))


def _qualified(condition: exp.Expr, name: str) -> exp.Expr:
    """The condition with its columns bound to the table: SQLite takes a lone "misspelt" name for a string."""
    bound = condition.copy()
    for column in list(outer_columns(bound)):
        column.set("table", exp.to_identifier(name, quoted=True))
    return bound
