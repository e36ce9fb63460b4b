"""What PostgreSQL's errors mean, and where in the SQL they belong."""

from __future__ import annotations

import re

import psycopg

from shared.errors import DatabaseUnavailable, QueryFailed, Span

_DOWN = ("08", "53", "57P", "58", "28", "3D")  # connection, resources, shutdown, system, authorization, no database
_WORD = re.compile(r"\w+|\S")


def failure(error: psycopg.Error, sql: str) -> Exception:
    """Of a statement that ran: QueryFailed, or DatabaseUnavailable where the server is to blame."""
    if error.sqlstate is None or error.sqlstate.startswith(_DOWN):
        return unavailable(error)
    primary = error.diag.message_primary or str(error).splitlines()[0]
    hint = f" ({error.diag.message_hint})" if error.diag.message_hint else ""
    return QueryFailed(f"The database refused the query: {primary}{hint}", span=_span(error, sql))


def unavailable(error: psycopg.Error) -> DatabaseUnavailable:
    """Of a connection; the driver's text names host, user and database, never a password."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = error.diag.message_primary or (lines[-1] if lines else type(error).__name__)
    return DatabaseUnavailable(f"The database does not answer: {reason}")


def _span(error: psycopg.Error, sql: str) -> Span | None:
    """The word that the server points at."""
    position = error.diag.statement_position
    if position is None:
        return None
    start = min(int(position) - 1, len(sql))
    word = _WORD.match(sql, start)
    return Span(start, word.end() if word else min(start + 1, len(sql)))
