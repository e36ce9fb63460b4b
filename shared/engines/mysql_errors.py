"""What the errors of MySQL and MariaDB mean, and where in the SQL they belong."""

from __future__ import annotations

import re

from shared.errors import DatabaseUnavailable, QueryFailed, Span

# Too many connections, no access, no such database, shutdown, blocked host, killed; from 2000 on: of the client.
_DOWN = frozenset({1040, 1044, 1045, 1049, 1053, 1129, 1130, 1203, 1226, 1698, 1927, 4031})
_CLIENT = range(2000, 3000)
_NEAR = re.compile(r"near '(.+)' at line \d+$", re.DOTALL)
_NAMED = re.compile(r"(?:Unknown column|Table|FUNCTION|Unknown table) '?(?:[^\s'.]+\.)*([^\s'.]+)'?")
_WORD = re.compile(r"\w+|\S")


def failure(error: Exception, sql: str) -> Exception:
    """Of a statement that ran: QueryFailed, or DatabaseUnavailable where the server is to blame."""
    code = error.args[0] if error.args else None
    if not isinstance(code, int) or code in _DOWN or code in _CLIENT or len(error.args) < 2:
        return unavailable(error)
    text = str(error.args[1])
    return QueryFailed(f"The database refused the query: {text.splitlines()[0]}", span=_span(text, sql))


def unavailable(error: Exception) -> DatabaseUnavailable:
    """Of a connection; the driver's text names host and user, never a password."""
    words = error.args[1] if len(error.args) > 1 else str(error) or type(error).__name__
    return DatabaseUnavailable(f"The database does not answer: {str(words).splitlines()[0]}")


def _span(text: str, sql: str) -> Span | None:
    """A syntax error comes with the SQL from there on, another with a word: the place, where there is only one."""
    if near := _NEAR.search(text):
        start = sql.rfind(near[1]) if sql.count(near[1]) == 1 or sql.endswith(near[1]) else -1
        word = _WORD.match(sql, start) if start >= 0 else None
        return Span(*word.span()) if word else None
    named = _NAMED.search(text)
    if named is None or sql.count(named[1]) != 1:
        return None
    return Span(sql.index(named[1]), sql.index(named[1]) + len(named[1]))
