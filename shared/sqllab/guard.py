"""The guard of analysts' SQL: one dialect-aware parse decides what each statement reads and writes, and what runs.

What runs is generated from the checked tree: row-level rules stand in the place of every reference to a table under
them, and a SELECT without a limit of its own gets one. The parts are those of the charts' guard (shared/catalog).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from sqlglot import exp

from shared.catalog.sql_allowed import check_node
from shared.catalog.sql_tables import Conditions, Resolver, restrict, settle
from shared.catalog.sql_text import Dialect, Name, confirmed, generate, named, normal, parse, refuse, span_of
from shared.errors import Span
from shared.sqllab.access import Access
from shared.sqllab.allowed import READS, WRITES
from shared.sqllab.fields import check_fields
from shared.sqllab.limits import limited
from shared.sqllab.statements import ROOTS, check_root, explained, planned, shown

MAX_STATEMENTS = 100
_MAX_NAME = {Dialect.POSTGRESQL: 63, Dialect.MYSQL: 64}  # PostgreSQL cuts off the rest, and finds another table


class Kind(StrEnum):
    READ = "read"  # has rows
    WRITE = "write"  # may have rows (RETURNING)
    OTHER = "other"  # EXPLAIN, DESCRIBE, SHOW: has rows that are no table's


@dataclass(frozen=True, slots=True)
class Statement:
    """One checked statement: `sql` is what runs; `span` is where it stands in the script, if that can be told.

    `limited`: it ends after one row more than the limit, which was ours: such a row says that there are more.
    `costed`: what of it a database can plan, and runs; "": nothing. `ruled`: it reads a table under row-level rules,
    whose text is part of `sql`.
    """

    sql: str
    kind: Kind
    reads: frozenset[Name]
    writes: frozenset[Name]
    limited: bool = False
    span: Span | None = None
    costed: str = ""
    ruled: bool = False


@dataclass(frozen=True, slots=True)
class Script:
    """Checked statements, in order; at least one."""

    statements: tuple[Statement, ...]

    @property
    def writes(self) -> bool:
        return any(statement.kind is Kind.WRITE for statement in self.statements)

    @property
    def ruled(self) -> bool:
        return any(statement.ruled for statement in self.statements)


def check_script(
    sql: str,
    dialect: Dialect,
    access: Access,
    *,
    limit: int | None = None,
    allow_dml: bool = False,
    schema: str | None = None,
) -> Script:
    """Checks a script of statements for one person; `schema` is where tables without one lie, the database's if None.

    `limit`: rows of a SELECT; one more is asked for, so that a cut can be told. Raises QueryRefused, with the place in
    the script as `span` wherever it can be told; shared/sqllab/places.py makes line and column of it.
    """
    trees = [tree for tree in parse(sql, dialect) if tree is not None and not isinstance(tree, exp.Semicolon)]
    if not trees:
        raise refuse("it holds no statement")
    if len(trees) > MAX_STATEMENTS:
        raise refuse(f"it holds more than {MAX_STATEMENTS} statements")
    checker = _Checker(sql, access, limit, allow_dml, schema or dialect.schema)
    try:
        return Script(tuple(checker.check(tree) for tree in trees))
    except RecursionError as error:
        raise refuse("it is nested too deeply") from error


class _Checker:
    def __init__(self, sql: str, access: Access, limit: int | None, allow_dml: bool, schema: str) -> None:
        self._sql = sql
        self._access = access
        self._dialect = access.dialect
        self._limit = limit
        self._allow_dml = allow_dml
        self._schema = schema

    def check(self, tree: exp.Expr) -> Statement:
        if isinstance(tree, exp.Show):
            return Statement(shown(tree, self._access), Kind.OTHER, frozenset(), frozenset(), span=self._span(tree))
        if isinstance(tree, exp.Command | exp.Describe):
            return self._explain(tree)
        if isinstance(tree, exp.Select | exp.SetOperation | exp.Subquery):
            return self._read(tree)
        if isinstance(tree, ROOTS):
            return self._write(tree)
        raise refuse(f"{type(tree).__name__.upper()} is not allowed", tree)

    def _read(self, tree: exp.Expr) -> Statement:
        span, reads = self._span(tree), self._resolve(tree)
        tree, ours = (tree, False) if self._limit is None else limited(tree, self._limit)
        sql = self._written(tree)
        return Statement(sql, Kind.READ, reads, frozenset(), ours, span, costed=sql, ruled=self._is_ruled(reads))

    def _write(self, tree: exp.Expr) -> Statement:
        if not self._allow_dml:
            raise refuse("this database is only for reading here", tree)
        span, target = self._span(tree), check_root(tree)
        name = self._target(target)
        reads = self._resolve(tree)
        sql = self._written(tree)
        costed, ruled = planned(tree, sql, self._dialect), self._is_ruled(reads)
        return Statement(sql, Kind.WRITE, reads, frozenset((name,)), span=span, costed=costed, ruled=ruled)

    def _explain(self, tree: exp.Command | exp.Describe) -> Statement:
        span, (prefix, inner) = self._span(tree), explained(tree, self._dialect)
        reads = self._resolve(inner)
        ruled = [name for name in reads if self._access.is_ruled(name)]
        if ruled and not isinstance(inner, exp.Table):
            # A plan holds the text of the rules, and numbers of the rows that they hide.
            raise refuse(f"the plan of a query on {ruled[0][1]} would tell of rows that are hidden from you", inner)
        if isinstance(inner, exp.Table):
            sql = named(next(iter(reads))).sql(self._dialect.value)
        else:
            sql = self._written(inner)
        costed = sql if "ANALYZE" in prefix else ""  # which runs it
        return Statement(f"{prefix} {sql}", Kind.OTHER, reads, frozenset(), span=span, costed=costed)

    def _is_ruled(self, reads: Iterable[Name]) -> bool:
        return any(self._access.is_ruled(name) for name in reads)

    def _resolve(self, tree: exp.Expr) -> frozenset[Name]:
        allowed = WRITES if isinstance(tree, ROOTS) else READS
        for node in tree.walk():
            if node is not tree and isinstance(node, ROOTS):
                raise refuse(f"{type(node).__name__.upper()} stands alone, not within a query", node)
            check_node(node, self._dialect.value, allowed)
            self._check_name(node)
        if self._dialect is Dialect.POSTGRESQL:
            check_fields(tree)
        resolver = Resolver(self._dialect, self._decide)
        resolver.resolve(tree, {})
        return frozenset(resolver.read)

    def _check_name(self, node: exp.Expr) -> None:
        if isinstance(node, exp.Identifier):
            longest = _MAX_NAME.get(self._dialect)
            if longest is not None and len(node.name.encode()) > longest:
                raise refuse(f"a name is longer than {longest} bytes", node)

    def _decide(self, node: exp.Table) -> Name:
        name = self._name(node)
        if not self._access.may_read(name):
            raise refuse(f"{_told(node)} is no table that you may read here", node)
        if self._access.is_tainted(name):
            raise refuse(f"{_told(node)} would show rows that are hidden from you", node)
        return name

    def _target(self, node: exp.Table) -> Name:
        check_node(node, self._dialect.value, WRITES)
        name = self._name(node)
        if not self._access.may_write(name):
            raise refuse(f"{_told(node)} is no table that you may write here", node)
        if self._access.is_ruled(name) or self._access.is_tainted(name):
            raise refuse(f"{_told(node)} has rows that are hidden from you; it cannot be written", node)
        for part, value in named(name).args.items():
            if part in ("this", "db"):
                node.set(part, value)
        settle(node)
        return name

    def _name(self, node: exp.Table) -> Name:
        schema = node.args.get("db")
        table = normal(node.this, self._dialect)
        if self._dialect is Dialect.DUCKDB and any(sign in table for sign in "./\\:*?"):
            raise refuse(f"{table!r} looks like a file, not like a table", node)
        return self._access.name(normal(schema, self._dialect) if schema else self._schema, table)

    def _written(self, tree: exp.Expr) -> str:
        conditions = {name: Conditions(rules=rules) for name, rules in self._access.rules.items()}
        restrict(tree, conditions, self._dialect)
        return confirmed(generate(tree, self._dialect), tree, self._dialect)

    def _span(self, tree: exp.Expr) -> Span | None:
        spans = [span for node in tree.walk() if (span := span_of(node))]
        if not spans:
            return None
        return Span(min(span.start for span in spans), max(span.end for span in spans))


def _told(node: exp.Table) -> str:
    return ".".join(part.name for part in _parts(node))


def _parts(node: exp.Table) -> Iterator[exp.Expr]:
    if node.args.get("db"):
        yield node.args["db"]
    yield node.this
