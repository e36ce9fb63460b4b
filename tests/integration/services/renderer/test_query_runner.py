"""Queries carried out in real databases: their rows, their ends, and what ends them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from services.renderer.query_runner import Runner
from shared.errors import DatabaseUnavailable
from shared.metadata.models import Database, Query, User
from shared.sqllab.records import End, Hold, Queries
from shared.sqllab.states import QueryState
from tests.harness.polling import wait_until
from tests.samples.querying import ENDLESS, ROWS, SHOPS, Bench


@pytest.fixture(params=SHOPS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, SHOPS[request.param](request, tmp_path), request.param)
    if request.param == "mariadb":
        made.server = request.getfixturevalue("mariadb").server
    yield made
    made.close()


def test_rows_are_kept_under_the_key_of_a_success(bench: Bench) -> None:
    query = bench.run("SELECT region, amount FROM sales ORDER BY amount")
    assert (query.status, query.rows, query.progress, query.reason) == ("success", 3, 100, "")
    assert bench.rows(query) == ROWS
    assert [column["name"] for column in query.extra["columns"]] == ["region", "amount"]
    assert query.extra["truncated"] is False
    assert query.server_id is None


def test_rules_hold_for_whoever_they_are_for(bench: Bench) -> None:
    assert bench.rows(bench.run("SELECT region FROM sales", username="nora")) == [("Europe",)]


def test_a_row_more_than_the_limit_tells_that_there_are_more(bench: Bench) -> None:
    query = bench.run("SELECT region FROM sales ORDER BY amount", row_limit=2)
    assert (query.rows, query.extra["truncated"]) == (2, True)
    assert bench.rows(query) == [("Europe",), ("Asia",)]
    query = bench.run("SELECT region FROM sales", row_limit=3)
    assert (query.rows, query.extra["truncated"]) == (3, False)


def test_of_a_script_the_last_statement_gives_the_rows(bench: Bench) -> None:
    query = bench.run("INSERT INTO sales VALUES ('America', 13); SELECT 1; SELECT count(*) AS n FROM sales")
    assert (query.status, query.statements, query.statements_done) == ("success", 3, 3), query.reason
    assert bench.rows(query) == [(4,)]
    query = bench.run("DELETE FROM sales WHERE region = 'America'")
    assert (query.status, query.rows, query.results_key) == ("success", 1, None)


def test_what_a_failed_script_wrote_is_not_there(bench: Bench) -> None:
    query = bench.run("INSERT INTO sales VALUES ('America', 13); SELECT 1 / amount FROM sales WHERE nosuch = 1")
    assert query.status == "failed"
    assert bench.rows(bench.run("SELECT count(*) FROM sales")) == [(3,)]


def test_an_error_tells_where_in_the_sql_it_is(bench: Bench) -> None:
    query = bench.run("SELECT 1;\nSELECT nosuch\nFROM sales")
    assert (query.status, query.code) == ("failed", "query_failed")
    assert "nosuch" in query.reason
    assert query.extra["position"]["line"] == 2
    refused = bench.run("SELECT 1;\n SELECT load_extension('x')")
    assert (refused.code, refused.extra["position"]["line"]) == ("query_refused", 2)


def test_a_stop_ends_it_in_the_database_within_a_second_or_so(bench: Bench) -> None:
    hold, thread = bench.start(ENDLESS[bench.kind])
    began = time.monotonic()
    bench.queries.stop(hold.query.id, "ada")
    thread.join(30)
    assert time.monotonic() - began < 5  # a loaded machine; on a quiet one half a second
    query = bench.look(hold)
    assert (query.status, query.reason) == ("stopped", "Stopped by ada.")
    assert _sessions(bench) == 0


def test_the_time_limit_holds(bench: Bench) -> None:
    query = bench.run(ENDLESS[bench.kind], timeout_s=1)
    assert (query.status, query.code) == ("timed_out", "query_timed_out")
    assert "1 seconds" in query.reason


def test_a_query_that_somebody_else_ended_is_cancelled_and_says_no_more(bench: Bench) -> None:
    hold, thread = bench.start(ENDLESS[bench.kind])
    with bench.factory.begin() as session:
        session.query(Query).update({"status": "failed", "code": "worker_lost", "reason": "swept", "epoch": 99})
    thread.join(30)
    assert not thread.is_alive()
    assert (bench.look(hold).status, bench.look(hold).reason) == ("failed", "swept")
    assert _sessions(bench) == 0


def test_its_lease_is_renewed_and_its_message_handed_off_while_it_runs(bench: Bench) -> None:
    hold = bench.hold(ENDLESS[bench.kind])
    handed_off = threading.Event()
    thread = threading.Thread(target=bench.runner.carry_out, args=(hold, handed_off.set))
    thread.start()
    first = bench.look(hold).lease_until
    assert handed_off.wait(30)
    wait_until(lambda: bench.look(hold).lease_until > first + 2, 30, "a later lease")
    bench.queries.stop(hold.query.id, "")
    thread.join(30)
    assert bench.look(hold).reason == "Stopped by the operator."


def test_a_worker_that_is_shut_down_says_so(bench: Bench) -> None:
    hold, thread = bench.start(ENDLESS[bench.kind])
    bench.keeper.abandon(20)
    thread.join(30)
    assert (bench.look(hold).status, bench.look(hold).code) == ("failed", "worker_lost")


class BadQueries(Queries):
    """Away at the first try of each change; of every second one the change is written and only its answer lost."""

    def __init__(self, factory: Any) -> None:
        super().__init__(factory)
        self.tries: list[str] = []

    def move(self, hold: Hold, state: QueryState, **values: Any) -> bool:
        return self._badly(state, lambda: super(BadQueries, self).move(hold, state, **values))

    def end(self, hold: Hold, end: End) -> bool:
        return self._badly(end.state, lambda: super(BadQueries, self).end(hold, end))

    def _badly(self, state: QueryState, write: Callable[[], bool]) -> bool:
        self.tries.append(state.value)
        if self.tries.count(state.value) > 1:
            return write()
        if len(self.tries) % 4 == 3:
            write()
        raise DatabaseUnavailable("The metadata database does not answer.")


def test_a_metadata_database_that_is_away_for_a_moment_ends_nothing(bench: Bench) -> None:
    queries = BadQueries(bench.factory)
    runner = Runner(bench.settings, bench.factory, queries, bench.keeper, bench.results)
    hold = bench.hold("SELECT region, amount FROM sales ORDER BY amount")
    runner.carry_out(hold)
    query = bench.look(hold)
    assert queries.tries == ["running", "running", "success", "success"]
    assert (query.status, bench.rows(query)) == ("success", ROWS), query.reason


def test_an_end_whose_answer_was_lost_keeps_its_rows(bench: Bench) -> None:
    hold = bench.hold("SELECT region, amount FROM sales ORDER BY amount")
    bench.runner.carry_out(hold)
    query = bench.look(hold)
    assert bench.queries.end(hold, End(QueryState.SUCCESS, rows=3, results_key=query.results_key))
    assert not bench.queries.end(hold, End(QueryState.SUCCESS, rows=3, results_key="another"))


def test_a_limit_of_cost_holds_for_all_that_runs_and_only_for_that(bench: Bench) -> None:
    if bench.kind != "postgresql":  # the others' estimates are tested with their engines
        return
    with bench.factory.begin() as session:
        session.query(Database).update({"max_cost": 1000.0})
    dear = "SELECT count(*) FROM generate_series(1, 1000000) AS a, generate_series(1, 1000000) AS b"
    made = "CREATE TABLE mine AS SELECT amount FROM sales"
    for sql in (
        dear,
        f"EXPLAIN ANALYZE {dear}",
        f"CREATE TABLE mine AS {dear}",
        f"{made}; SELECT 1 FROM mine, ({dear}) x",
    ):
        assert bench.run(sql).code == "query_too_costly", sql
    for sql in (f"EXPLAIN {dear}", f"{made}; SELECT amount FROM mine; DROP TABLE mine", "CREATE TABLE empty (a int)"):
        query = bench.run(sql)
        assert query.status == "success", (sql, query.reason)


def test_it_is_noted_whether_rules_are_part_of_what_ran(bench: Bench) -> None:
    assert bench.run("SELECT region FROM sales", username="nora").ruled is True
    assert bench.run("SELECT region FROM sales").ruled is False


def test_somebody_who_may_not_query_the_database_fails_like_no_database(bench: Bench) -> None:
    with bench.factory.begin() as session:
        session.add(User(username="guy", roles=[]))
    assert bench.run("SELECT 1", username="guy").code == "not_found"


def _sessions(bench: Bench) -> int:
    """Queries that still run in the server; those of SQLite and DuckDB run in our own process."""
    if bench.kind == "mariadb":
        sql = "SELECT info FROM information_schema.processlist WHERE command = 'Query' AND id <> connection_id()"
        return len([query for (query,) in bench.server.execute(sql) if query == ENDLESS["mariadb"]])
    if bench.kind != "postgresql":
        return 0
    with psycopg.connect(bench.database().url) as server:
        found = server.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vitrine' AND state = 'active'"
        ).fetchone()
    return int(found[0]) if found else 0
