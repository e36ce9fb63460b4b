"""`vitrine query`: run SQL in a database of the catalog, see what runs and ran, stop it."""

from __future__ import annotations

import asyncio
import sys
import uuid
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import select, true
from sqlalchemy.orm import Session, sessionmaker

from services.cli.examples import examples
from services.cli.parts import command_settings
from services.cli.query_output import FORMATS, check_output, write_rows
from services.cli.query_run import Desk, run_here, wait_for
from shared.catalog.access import find_principal
from shared.errors import InvalidInput
from shared.identity import OPERATOR, Principal
from shared.metadata.engine import open_metadata, sessions
from shared.metadata.models import Database, Query
from shared.queue import BrokerPublisher, open_broker
from shared.results import open_results
from shared.settings import Settings
from shared.sqllab.asking import Asking
from shared.sqllab.failures import failure_of
from shared.sqllab.history import History
from shared.sqllab.orders import Wish, order_of
from shared.sqllab.records import Order, Queries
from shared.sqllab.states import QueryState

RUN = examples(
    ("vitrine query run 'SELECT 1' --database demo", "its rows as a table, at most 1,000 of them"),
    ("vitrine query run 'SELECT 1' -d demo --format csv", "as CSV, to standard output"),
    ("vitrine query run 'SELECT 1' -d demo -u mina", "as mina: with her rights and rows"),
    ("vitrine query run 'SELECT 1' -d demo --async", "prints its id and returns at once"),
)
LIST = examples(("vitrine query list --status running", "what runs now, whose, and for how long"))
STOP = examples(("vitrine query stop 42", "by its number or its id; in the database itself"))
ROWS = examples(("vitrine query rows 42 --format parquet -o rows.parquet", "of one that ran before"))
app = typer.Typer(help="Run SQL, see what runs, stop it.", no_args_is_help=True, epilog=RUN)
SHOWN_SQL = 48

Format = Annotated[str, typer.Option("--format", "-f", metavar="WORD", help=f"{', '.join(FORMATS)}.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Instead of standard output.")]


@app.command(epilog=RUN)
def run(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="Statements; the last one's rows are shown. -: read it.")],
    database: Annotated[str, typer.Option("--database", "-d", metavar="NAME", help="A database of the catalog.")],
    user: Annotated[str, typer.Option("--user", "-u", metavar="NAME", help="As whom; else as the operator.")] = "",
    schema: Annotated[str, typer.Option("--schema", metavar="NAME", help="Where tables without one lie.")] = "",
    limit: Annotated[int | None, typer.Option("--limit", "-n", metavar="ROWS", min=1, help="Rows at most.")] = None,
    asynchronous: Annotated[bool, typer.Option("--async", help="Do not wait; see `list` and `rows`.")] = False,
    format_: Format = "table",
    output: Output = None,
) -> None:
    """Run SQL. Ctrl-C stops it in the database.

    Exit code 1 when the query failed, was stopped or took too long.
    """
    check_output(format_, output)
    settings = command_settings()
    factory = sessions(open_metadata(settings))
    text = sys.stdin.read() if sql == "-" else sql
    wish = Wish(text, uuid.uuid4().hex, asynchronous, limit, schema=schema or None)
    order = _order(settings, factory, user, database, wish)
    desk = Desk(settings, factory, Queries(factory))
    if asynchronous:
        query = _leave(desk, order)
        print(f"{query.id} {query.client_id}")
        return
    query = run_here(desk, order) if settings.embedded else wait_for(desk, _leave(desk, order).id)
    _show(settings, query, format_, output)


@app.command("list", epilog=LIST)
def list_(
    status: Annotated[str, typer.Option("--status", metavar="WORD", help=f"{', '.join(QueryState)}.")] = "",
    user: Annotated[str, typer.Option("--user", "-u", metavar="NAME", help="Only theirs.")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="COUNT", min=1, max=1000, help="How many.")] = 20,
) -> None:
    """Show queries, newest first."""
    if status and status not in list(QueryState):
        raise InvalidInput(f"--status must be one of {', '.join(QueryState)}.", field="status")
    where = [Query.status == status if status else true(), Query.username == user if user else true()]
    _, found = History(sessions(open_metadata(command_settings()))).page(where, offset=0, limit=limit)
    for query in found:
        sql = " ".join(query.sql.split()) if query.chart is None else f"rows of chart {query.chart['chart_id']}"
        seconds = f"{(query.ended_at or query.changed_at) - query.created_at:.1f} s"
        rows = "" if query.rows is None else f"{query.rows} rows"
        print(
            f"{query.id:>6}  {query.status:<10} {query.username or '(operator)':<12} {query.database_name:<12} "
            f"{seconds:>9} {rows:>12}  {sql[:SHOWN_SQL]}"
        )
        if query.reason:
            print(f"        {query.code}: {query.reason}")


@app.command(epilog=STOP)
def stop(
    query_id: Annotated[str, typer.Argument(metavar="ID", help="A number, or the id that `run` printed.")],
) -> None:
    """Stop a query, in its database.

    One that waits never runs.
    """
    settings = command_settings()
    factory = sessions(open_metadata(settings))
    queries = Queries(factory)
    query = queries.stop(_find(queries, query_id).id, "")
    if not query.ended_at:
        query = wait_for(Desk(settings, factory, queries), query.id)
    print(f"{query.id} {query.status}" + (f": {query.reason}" if query.reason else ""))


@app.command(epilog=ROWS)
def rows(
    query_id: Annotated[str, typer.Argument(metavar="ID", help="A number, or the id that `run` printed.")],
    format_: Format = "table",
    output: Output = None,
) -> None:
    """Show the rows of a query that succeeded."""
    check_output(format_, output)
    settings = command_settings()
    _show(settings, _find(Queries(sessions(open_metadata(settings))), query_id), format_, output)


def _find(queries: Queries, query_id: str) -> Query:
    numeric = query_id.isascii() and query_id.isdecimal() and len(query_id) < 18
    return queries.find(Query.id == int(query_id) if numeric else Query.client_id == query_id)


def _order(settings: Settings, factory: sessionmaker[Session], user: str, database: str, wish: Wish) -> Order:
    with factory() as session:
        names: dict[str, int] = dict(session.execute(select(Database.name, Database.id)).tuples().all())
        if database not in names:
            known = ", ".join(sorted(names)) or "none; load a catalog"
            raise InvalidInput(f"--database: there is no {database!r}; there are: {known}.", field="database")
        return order_of(session, settings, _principal(session, user), names[database], wish)


def _principal(session: Session, user: str) -> Principal:
    principal = find_principal(session, user) if user else OPERATOR
    if principal is None:
        raise InvalidInput(f"--user: there is no user {user!r}.", field="user")
    return principal


def _leave(desk: Desk, order: Order) -> Query:
    """To the workers; embedded, whoever runs `vitrine up` finds it."""
    if desk.settings.embedded:
        return desk.make(order)
    publisher = BrokerPublisher(open_broker(desk.settings))
    try:
        return asyncio.run(Asking(desk.queries, publisher, rate=desk.settings.query_rate).ask(order))
    finally:
        publisher.close()


def _show(settings: Settings, query: Query, format_: str, output: Path | None) -> None:
    failure = failure_of(query)
    if failure is not None:
        place = query.extra.get("position")
        where = f" (line {place['line']}, column {place['column']})" if place else ""
        print(f"vitrine: {query.status}: {failure.message}{where}", file=sys.stderr)
        raise typer.Exit(1)
    if query.chart is not None:
        print(f"its rows are those of chart {query.chart['chart_id']}, in the cache of chart data")
        return
    if query.results_key is None:
        print("no rows" if query.ended_at is None or query.rows is None else f"{query.rows} rows written")
        return
    results = open_results(settings)
    try:
        write_rows(results.batches(query.results_key), format_, output)
    finally:
        results.close()
    if query.extra.get("truncated"):
        print(f"vitrine: there are more than these {query.rows} rows; see --limit", file=sys.stderr)
