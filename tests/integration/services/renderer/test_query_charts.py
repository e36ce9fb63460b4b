"""Rows of charts read in the background, in real databases: what ends them, and where they are found."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from shared.errors import DatabaseUnavailable, QueryFailed
from shared.metadata.models import Database, Query, User
from tests.harness.polling import wait_until
from tests.samples.chart_bench import SHOPS, Bench


@pytest.fixture(params=SHOPS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, SHOPS[request.param](request, tmp_path), request.param)
    yield made
    made.close()


def test_rows_are_kept_where_viewers_find_them_and_are_what_they_would_read(bench: Bench) -> None:
    query = bench.run("sales")
    assert (query.status, query.rows, query.progress, query.reason) == ("success", 3, 100, "")
    assert (query.results_key, query.server_id, query.chart_key) == (None, None, bench.query("sales").key)
    entry = bench.kept("sales")
    assert entry is not None
    assert entry.body == bench.viewer.run(bench.query("sales"))
    assert query.extra == {"began_at": entry.began_at.isoformat()}


def test_rules_hold_for_whoever_they_are_for(bench: Bench) -> None:
    assert bench.run("sales", "nora").status == "success"
    entry = bench.kept("sales", "nora")
    assert entry is not None
    assert json.loads(entry.body)["data"] == [{"region": "Europe", "amount": 3}]
    assert bench.kept("sales", "ada") is None


def test_rows_that_are_there_already_are_not_read_again(bench: Bench) -> None:
    bench.run("sales")
    again = bench.run("sales", client_id="again")
    assert (again.status, again.rows) == ("success", None)


def test_what_takes_longer_than_a_viewer_waits_succeeds_in_the_background(bench: Bench) -> None:
    with pytest.raises(QueryFailed, match="longer than 1 s"):
        bench.viewer.run(bench.query("slow"))
    query = bench.run("slow")
    assert (query.status, query.reason) == ("success", "")
    assert bench.kept("slow") is not None


def test_where_the_database_takes_no_long_queries_the_charts_own_limit_holds(bench: Bench) -> None:
    with bench.factory.begin() as session:
        session.query(Database).update({"allow_run_async": False})
    query = bench.run("endless", timeout_s=60)
    assert (query.status, query.code) == ("timed_out", "query_timed_out")
    assert "longer than 1 s" in query.reason


def test_the_time_limit_of_the_background_holds(bench: Bench) -> None:
    query = bench.run("endless", timeout_s=2)
    assert (query.status, query.code) == ("timed_out", "query_timed_out")


def test_a_stop_ends_it_in_the_database(bench: Bench) -> None:
    hold, thread = bench.start("endless")
    began = time.monotonic()
    bench.queries.stop(hold.query.id, "ada")
    thread.join(30)
    assert time.monotonic() - began < 5  # a loaded machine
    assert (bench.look(hold).status, bench.look(hold).reason) == ("stopped", "Stopped by ada.")
    assert bench.run("sales").status == "success", "the next one is not hit by it"


def test_a_query_that_somebody_else_ended_is_cancelled_and_says_no_more(bench: Bench) -> None:
    hold, thread = bench.start("endless")
    with bench.factory.begin() as session:
        session.query(Query).update({"status": "failed", "code": "worker_lost", "reason": "swept", "epoch": 99})
    thread.join(30)
    assert not thread.is_alive()
    assert (bench.look(hold).status, bench.look(hold).reason) == ("failed", "swept")


@pytest.mark.parametrize("bench", ["postgresql"], indirect=True)
def test_a_stop_ends_it_in_the_database_also_when_it_began_there_at_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = asyncio.run_coroutine_threadsafe

    def late(coroutine: Any, loop: Any) -> Any:
        """Gives back the hand when the query runs already, as a thread does that others keep from the CPU."""
        future = begin(coroutine, loop)
        wait_until(lambda: bench.look(hold).status == "running", 30, "the running")
        return future

    monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", late)
    hold = bench.hold("endless")
    thread = threading.Thread(target=bench.runner.carry_out, args=(hold,))
    thread.start()
    wait_until(lambda: bench.look(hold).status == "running", 30, "the running")
    bench.queries.stop(hold.query.id, "ada")
    thread.join(30)
    assert bench.look(hold).status == "stopped"
    with psycopg.connect(bench.query("endless").url, autocommit=True) as server:
        left = "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND datname = current_database()"
        wait_until(lambda: not server.execute(left).fetchall()[1:], 5, "the end of its session")  # the first is this


def test_one_that_waits_for_another_s_reading_can_be_stopped_too(bench: Bench) -> None:
    _, reading = bench.start("endless")
    waiting = bench.hold("endless", chart_key="other")  # as one that a race let through
    thread = threading.Thread(target=bench.runner.carry_out, args=(waiting,))
    thread.start()
    bench.queries.stop(waiting.query.id, "ada")
    thread.join(30)
    assert bench.look(waiting).status == "stopped"
    assert reading.is_alive(), "the other goes on"
    bench.keeper.abandon(20)
    reading.join(30)


def test_one_that_waits_for_another_s_reading_is_put_back_when_its_process_ends(bench: Bench) -> None:
    hold, reading = bench.start("endless")
    waiting = bench.hold("endless", chart_key="other")
    thread = threading.Thread(target=bench.runner.carry_out, args=(waiting,))
    thread.start()
    wait_until(lambda: len(bench.keeper._running) == 2, 30, "the second in hand")
    bench.keeper.abandon(20)
    thread.join(30)
    reading.join(30)
    assert (bench.look(waiting).status, bench.look(waiting).owner) == ("pending", "")
    assert (bench.look(hold).status, bench.look(hold).code) == ("failed", "worker_lost")


def test_viewers_wait_for_the_reading_in_the_background(bench: Bench) -> None:
    _, thread = bench.start("slow")
    answer = asyncio.run(bench.viewer.data.get(bench.query("slow")))
    thread.join(30)
    entry = bench.kept("slow")
    assert entry is not None
    assert answer.entry.began_at == entry.began_at


def test_who_may_see_the_chart_no_more_is_told_so(bench: Bench) -> None:
    hold = bench.hold("sales", "nora")
    with bench.factory.begin() as session:
        nora = session.query(User).filter_by(username="nora").one()
        nora.roles = []
    bench.runner.carry_out(hold)
    assert (bench.look(hold).status, bench.look(hold).code) == ("failed", "not_found")


@pytest.mark.parametrize("bench", ["sqlite"], indirect=True)
def test_a_database_that_does_not_answer_is_named(bench: Bench) -> None:
    hold = bench.hold("sales")
    Path(bench.query("sales").url.removeprefix("sqlite:///")).unlink()
    with pytest.raises(DatabaseUnavailable):
        bench.viewer.run(bench.query("sales"))
    bench.runner.carry_out(hold)
    assert (bench.look(hold).status, bench.look(hold).code) == ("failed", "database_unavailable")
