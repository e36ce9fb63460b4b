"""Text to tree and back: the dialects that are read, how they name tables, and the parse that decides everything.

What runs is never the text that a user wrote: it is generated from the checked tree, and read once more.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from enum import StrEnum

from sqlglot import Dialect as SqlglotDialect
from sqlglot import ErrorLevel, exp
from sqlglot.errors import ParseError, TokenError

from shared.errors import QueryRefused, Span

MAX_SQL_CHARACTERS = 50_000
Name = tuple[str, str]  # schema and table, as the database normalises them
_UNCLOSED = re.compile(r"Missing (\S+) from \d+:(\d+)")  # where a text or a name began


class Dialect(StrEnum):
    """sqlglot's names of the databases that we read."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgres"
    DUCKDB = "duckdb"
    MYSQL = "mysql"  # and MariaDB

    @property
    def schema(self) -> str:
        """Where a table without a schema lies; on MySQL "", which stands for the database of the connection."""
        return _SCHEMAS[self]

    @property
    def quote(self) -> str:
        """What a name is quoted with."""
        return "`" if self is Dialect.MYSQL else '"'


_SCHEMAS = {Dialect.SQLITE: "main", Dialect.POSTGRESQL: "public", Dialect.DUCKDB: "main", Dialect.MYSQL: ""}


def refuse(why: str, node: exp.Expr | None = None) -> QueryRefused:
    """The refusal, with the place of the node that it is for."""
    return QueryRefused(f"The query is refused: {why}.", span=span_of(node) if node is not None else None)


def span_of(node: exp.Expr) -> Span | None:
    """Where a node stands in the text: itself or, if the parser does not tell, the first of what it consists of."""
    if "start" in node.meta:
        return Span(node.meta["start"], node.meta["end"] + 1)
    if isinstance(node, exp.Table) and (parts := [part.meta for part in node.parts if "start" in part.meta]):
        return Span(parts[0]["start"], parts[-1]["end"] + 1)
    found = [inner.meta for inner in node.walk() if "start" in inner.meta]
    first = min(found, key=lambda meta: int(meta["start"]), default=None)
    return Span(first["start"], first["end"] + 1) if first else None


@functools.lru_cache(maxsize=512)
def identity(table: str, dialect: Dialect) -> Name:
    """Schema and name of a registered table, normalised as the database does. Raises QueryRefused if it is no name."""
    try:
        parsed = [node for node in parse(table, dialect, exp.Table) if node is not None]
    except QueryRefused as error:
        raise refuse(f"{table!r} is no table name") from error
    node = parsed[0] if len(parsed) == 1 else None
    if not isinstance(node, exp.Table) or not isinstance(node.this, exp.Identifier):
        raise refuse(f"{table!r} is no table name")
    if any(value for name, value in node.args.items() if name not in ("this", "db")):
        raise refuse(f"{table!r} is no table name")
    schema = normal(node.args["db"], dialect) if node.args.get("db") else dialect.schema
    if dialect is Dialect.SQLITE and schema != dialect.schema:
        raise refuse(f"{table!r} is not in the schema main")
    return schema, normal(node.this, dialect)


def normal(identifier: exp.Expr, dialect: Dialect) -> str:
    return SqlglotDialect.get_or_raise(dialect.value).normalize_identifier(identifier.copy()).name


def named(name: Name, alias: exp.TableAlias | None = None) -> exp.Table:
    """The table of that name, qualified and quoted: no common table expression or other schema can stand for it."""
    schema, table = name
    return exp.Table(
        this=exp.to_identifier(table, quoted=True),
        db=exp.to_identifier(schema, quoted=True) if schema else None,
        alias=alias,
    )


def parse(sql: str, dialect: Dialect, into: type[exp.Expr] | None = None) -> Sequence[exp.Expr | None]:
    """The statements of a text, or what it holds of one kind. Raises QueryRefused."""
    if len(sql) > MAX_SQL_CHARACTERS:
        raise refuse(f"it has more than {MAX_SQL_CHARACTERS} characters")
    if "\0" in sql or sql.encode(errors="replace").decode() != sql:
        raise refuse("it holds characters that are no text")
    parser = SqlglotDialect.get_or_raise(dialect.value)
    try:
        if into is None:
            return parser.parse(sql, error_level=ErrorLevel.RAISE)
        return parser.parse_into(into, sql, error_level=ErrorLevel.RAISE)
    except RecursionError as error:
        raise refuse("it is nested too deeply") from error
    except Exception as error:  # whatever the parser trips over: what cannot be parsed is refused
        message = f"The query is refused: it cannot be parsed ({_first_line(error)})."
        raise QueryRefused(message, span=_place(error, sql)) from error


def generate(tree: exp.Expr, dialect: Dialect) -> str:
    try:
        return tree.sql(dialect.value, comments=False, unsupported_level=ErrorLevel.RAISE)
    except RecursionError as error:
        raise refuse("it is nested too deeply") from error
    except Exception as error:  # what cannot be written faithfully is refused like what cannot be parsed
        raise refuse(f"it cannot be written for {dialect.name} ({_first_line(error)})") from error


def confirmed(sql: str, tree: exp.Expr, dialect: Dialect) -> str:
    """The text, once read again and found to read the same tables by as many SELECTs: the writer is not trusted."""
    again = [statement for statement in parse(sql, dialect) if statement is not None]
    if len(again) != 1 or _shape(again[0]) != _shape(tree):
        raise refuse("it does not read the same once it is written down")
    return sql


def _shape(tree: exp.Expr) -> tuple[object, ...]:
    tables = sorted(f"{node.db}.{node.name} {node.alias}" for node in tree.find_all(exp.Table))
    selects = sum(1 for _ in tree.find_all(exp.Select))
    writes = sorted(type(node).__name__ for node in tree.find_all(exp.DML, exp.Create, exp.Drop, exp.Command))
    return tables, selects, writes


def _first_line(error: Exception) -> str:
    """What the parser said, without the places and tokens that it adds for programmers."""
    if isinstance(error, TokenError):
        missing = _UNCLOSED.search(str(error.__cause__))
        return f"a {missing[1]} is never closed" if missing else "a text, a name or a comment is never closed"
    first = (str(error) or type(error).__name__).splitlines()[0]
    near = (error.errors[0].get("highlight") or "")[:40] if isinstance(error, ParseError) and error.errors else ""
    if near and first.startswith("Invalid expression"):
        return f"{near!r} is not expected here"
    if near and first.startswith("Required keyword"):
        return f"something is missing beside {near!r}"
    first = re.sub(r"\. Line \d+, Col: \d+\.?$", "", first)
    return re.sub(r"<Token .*?text: (.*?), line: .*", r"\1", first)[:200].rstrip(".")


def _place(error: Exception, sql: str) -> Span | None:
    lines = sql.splitlines(keepends=True)
    if isinstance(error, ParseError) and error.errors and (line := error.errors[0].get("line")):
        length = len(error.errors[0].get("highlight") or "")
        end = sum(map(len, lines[: line - 1])) + error.errors[0]["col"]
        return Span(max(0, end - length), max(end, 1))
    if isinstance(error, TokenError) and (found := _UNCLOSED.search(str(error.__cause__))):
        return Span(int(found[2]), len(sql))
    return None
