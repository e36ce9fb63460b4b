"""A script in one session of its database: statement after statement, the last one's rows to the results backend.

No more than a batch of rows is in memory.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from sqlalchemy.orm import Session, sessionmaker

from services.renderer.query_keeper import Running
from services.renderer.query_patience import Patience
from shared.catalog.sql_text import Name
from shared.engines import Connection, Cursor, Engine
from shared.errors import QueryCancelled, QueryFailed, Span
from shared.identity import Principal
from shared.metadata.models import Database, Query
from shared.results import ResultSets, Writer
from shared.settings import Settings
from shared.sqllab.access import Access, access_to
from shared.sqllab.contents import Contents, read_contents
from shared.sqllab.guard import Script, Statement, check_script
from shared.sqllab.places import place_of
from shared.sqllab.records import Queries
from shared.sqllab.result_columns import columns_of
from shared.sqllab.states import QueryState

MOST_PERCENT = 99  # before the end


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a script came to; no key for one whose last statement has no rows."""

    rows: int | None
    results_key: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


def checked(
    sessions: sessionmaker[Session],
    principal: Principal,
    database: Database,
    query: Query,
    engine: Engine,
    connection: Connection,
    patience: Patience,
) -> Script:
    """What may run of it, as the rules are now; `database` has its grants. Raises QueryRefused, QueryTooCostly."""
    contents = read_contents(engine.dialect, lambda sql: _asked(connection, sql))
    access = patience(lambda: _access(sessions, principal, database, contents))
    script = check_script(
        query.sql,
        engine.dialect,
        access,
        limit=query.row_limit,
        allow_dml=database.allow_dml,
        schema=query.schema,
    )
    if database.max_cost is not None:
        late = _after_their_tables(script)
        for statement in script.statements:
            if statement.costed and statement not in late:
                engine.estimate(statement.costed, schema=query.schema or "", read_only=not script.writes)
    return script


def _access(sessions: sessionmaker[Session], principal: Principal, database: Database, contents: Contents) -> Access:
    with sessions() as session:
        return access_to(session, principal, database, contents)


def _after_their_tables(script: Script) -> list[Statement]:
    """Statements on a table that an earlier one of the script makes or drops: planned in its session, in their turn."""
    changed: set[Name] = set()
    late = []
    for statement in script.statements:
        if changed & (statement.reads | statement.writes):
            late.append(statement)
        if statement.costed != statement.sql:
            changed |= statement.writes
    return late


def _asked(connection: Connection, sql: str) -> Iterator[Sequence[Any]]:
    """The rows of a question of ours."""
    cursor = connection.execute(sql)
    for batch in cursor.batches():
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


class ScriptRun:
    """One running of a checked script."""

    def __init__(
        self,
        running: Running,
        script: Script,
        engine: Engine,
        queries: Queries,
        results: ResultSets,
        settings: Settings,
        patience: Patience,
    ) -> None:
        self._running = running
        self._query = running.hold.query
        self._script = script
        self._late = _after_their_tables(script)
        self._engine = engine
        self._patience = patience
        self._queries = queries
        self._results = results
        self._settings = settings
        self._key = uuid.uuid4().hex
        self._stored = False

    def on(self, connection: Connection) -> Outcome:
        """Raises QueryFailed and what else the session raises; QueryCancelled when the row is not ours any more."""
        executed = ";\n".join(statement.sql for statement in self._script.statements)
        self._move(
            QueryState.RUNNING,
            server_id=connection.server_id or None,
            executed_sql=executed,
            ruled=self._script.ruled,
            statements=len(self._script.statements),
        )
        *first, last = self._script.statements
        for statement in first:
            self._one(connection, statement)
        return self._one(connection, last, is_last=True)

    def forget(self) -> None:
        if self._stored:
            self._results.delete(self._key)

    def _one(self, connection: Connection, statement: Statement, *, is_last: bool = False) -> Outcome:
        try:
            if statement.costed and statement in self._late:
                self._engine.estimate_in(connection, statement.costed)
            cursor = connection.execute(statement.sql)
            if is_last and cursor.schema is not None:
                return self._fetch(cursor, statement)
            cursor.close()  # only the last one's rows are asked for
        except QueryFailed as error:
            self._running.position = _position(self._query.sql, statement, error.span)
            raise
        self._done()
        return Outcome(cursor.rowcount if cursor.rowcount >= 0 else None)

    def _fetch(self, cursor: Cursor, statement: Statement) -> Outcome:
        assert cursor.schema is not None  # looked at by the caller
        self._running.is_fetching = True  # the keeper says so, if it lasts
        limit, truncated = self._query.row_limit, False
        left_s = max(self._running.ends_at - time.monotonic(), 0.0)
        with self._results.writer(self._key, cursor.schema, self._settings.results_ttl_s, writing_s=left_s) as writer:
            for batch in cursor.batches():
                room = limit - self._running.rows
                if batch.num_rows > room:
                    truncated = True
                    batch = batch.slice(0, room)
                self._add(writer, batch)
                if truncated:
                    cursor.close()
                    break
            if self._running.verdict is not None:
                raise QueryCancelled("The query was cancelled.")
            stored = writer.commit()
            self._stored = True
        self._done()
        extra = {"columns": columns_of(cursor.schema), "truncated": truncated, "bytes": stored.bytes}
        if not statement.limited:
            extra["limited_by"] = "query"
        return Outcome(stored.rows, stored.key, extra)

    def _add(self, writer: Writer, batch: pa.RecordBatch) -> None:
        if batch.num_rows:
            writer.add(batch)
        running = self._running
        running.rows += batch.num_rows
        part = min(running.rows / self._query.row_limit, 1.0)
        running.progress = self._percent(running.statements_done + part)

    def _done(self) -> None:
        self._running.statements_done += 1
        self._running.progress = self._percent(self._running.statements_done)

    def _percent(self, statements: float) -> int:
        return min(MOST_PERCENT, int(100 * statements / len(self._script.statements)))

    def _move(self, state: QueryState, **values: Any) -> None:
        running = self._running
        values |= {"statements_done": running.statements_done, "progress": running.progress}
        if running.verdict is not None or not self._patience(lambda: self._queries.move(running.hold, state, **values)):
            raise QueryCancelled("The query was cancelled.")


def _position(sql: str, statement: Statement, span: Span | None) -> dict[str, Any] | None:
    """Where in what the person wrote an error of the database belongs: what ran is not the same text.

    The word that the database points at, where it stands once in the statement; else the statement.
    """
    if statement.span is None:
        return None
    found = statement.span
    if span is not None:
        word, own = statement.sql[span.start : span.end].strip('"`'), sql[found.start : found.end]
        if word and own.count(word) == 1:
            start = found.start + own.index(word)
            found = Span(start, start + len(word))
    return dict(place_of(sql, found)._asdict())
