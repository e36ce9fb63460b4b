"""Whatever dies under a query, it has exactly one end, within the lease, with a reason; nothing is pending for ever."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from tests.harness import Database, Memcached, PostgreSQL, RabbitMQ
from tests.harness.analyst import ENDS, Analyst
from tests.harness.polling import wait_until
from tests.harness.stack import Stack

LEASE_S = 3
SWEPT_S = 40  # lease, a round of the sweeper, and a loaded machine
CONSUMER_TIMEOUT_S = 2
DATABASES = """databases:
  - name: big
    url: {url}
    expose_in_sqllab: true
    allow_run_async: true
    allow_dml: true
    grants: [{{role: North}}]
"""
SETTINGS: dict[str, Any] = {"query_lease_s": LEASE_S, "query_handoff_s": 1, "sqllab_async_timeout_s": 300, "workers": 1}
MakeStack = Callable[..., Stack]


@pytest.fixture(scope="module")
def impatient() -> Iterator[RabbitMQ]:
    """Takes messages back that are not acknowledged within two seconds."""
    with RabbitMQ(consumer_timeout_s=CONSUMER_TIMEOUT_S) as server:
        yield server


@pytest.fixture(scope="module")
def running(impatient: RabbitMQ, postgresql_server: PostgreSQL) -> Iterator[tuple[Stack, Database]]:
    """Gateway and query process, for tests that leave both as they found them."""
    database = postgresql_server.create_database()
    with Memcached() as memcached, Stack(broker_url=impatient.url, store_url=memcached.url, **SETTINGS) as stack:
        stack.load("databases:\n", DATABASES.format(url=database.url))
        yield stack.start("gateway", "querying"), database
    postgresql_server.drop_database(database)


@pytest.fixture
def stack(running: tuple[Stack, Database]) -> Stack:
    stack, _ = running
    for name in ("gateway", "querying"):
        if not stack.processes[name].running:
            stack.start(name)
    return stack


@pytest.fixture
def database(running: tuple[Stack, Database]) -> Database:
    return running[1]


def analyst(stack: Stack) -> Analyst:
    ((number,),) = stack.rows("SELECT id FROM databases WHERE name = 'big'")
    return Analyst(stack.login("ada"), number)


def sleeping(database: Database) -> int:
    """Sessions of ours that run in the server."""
    with psycopg.connect(database.url) as server:
        found = server.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vitrine' AND state = 'active'"
            " AND datname = current_database()"
        ).fetchone()
    return int(found[0]) if found else 0


def no_end_changes(stack: Stack, ended: dict[str, Any]) -> None:
    """What has an end keeps it."""
    rows = stack.rows(f"SELECT status, reason, ended_at FROM queries WHERE id = {ended['id']}")
    assert rows[0][0] == ended["status"]
    assert rows[0][2] is not None


def test_a_query_that_outlasts_rabbitmqs_patience_runs_once_and_succeeds(stack: Stack, database: Database) -> None:
    with psycopg.connect(database.url) as server:
        server.execute("CREATE TABLE IF NOT EXISTS runs (at timestamptz DEFAULT clock_timestamp())")
    ada = analyst(stack)
    client_id = ada.start(f"INSERT INTO runs DEFAULT VALUES; SELECT pg_sleep({4 * CONSUMER_TIMEOUT_S}); SELECT 42 AS n")
    query = ada.until(client_id)
    assert (query["status"], query["rows"]) == ("success", 1), query
    with psycopg.connect(database.url) as server:
        assert server.execute("SELECT count(*) FROM runs").fetchone() == (1,)
    begun = [one for one in stack.events("querying") if one.get("event") == "query_ended"]
    assert len([one for one in begun if one["query_id"] == query["id"]]) == 1
    assert [one for one in stack.events("querying") if one.get("event") == "query_handed_off"]


def test_a_worker_killed_while_it_runs_a_query_is_told_with_a_reason_and_leaves_nothing(
    stack: Stack, database: Database
) -> None:
    ada = analyst(stack)
    client_id = ada.start("SELECT pg_sleep(250)")
    ada.until(client_id, "running")
    wait_until(lambda: sleeping(database) == 1, 30, "the sleep")
    stack.processes["querying"].kill_tree()
    stack.start("querying")  # as its renderer would
    query = ada.until(client_id, timeout_s=SWEPT_S)
    assert (query["status"], query["code"]) == ("failed", "worker_lost")
    assert "died" in query["error_message"]
    wait_until(lambda: sleeping(database) == 0, SWEPT_S, "the end of its session")
    no_end_changes(stack, query)


def test_the_scheduler_finds_what_died_where_no_query_process_is_left(stack: Stack, database: Database) -> None:
    ada = analyst(stack)
    client_id = ada.start("SELECT pg_sleep(250)")
    ada.until(client_id, "running")
    stack.processes["querying"].kill_tree()
    stack.start("scheduler")
    query = ada.until(client_id, timeout_s=SWEPT_S)
    stack.stop("scheduler")
    assert (query["status"], query["code"]) == ("failed", "worker_lost")
    wait_until(lambda: sleeping(database) == 0, SWEPT_S, "the end of its session")


def test_a_worker_killed_before_it_reached_the_database_costs_nothing(stack: Stack) -> None:
    """The row as such a worker leaves it: in its hand, under a lease that lapses."""
    ada = analyst(stack)
    stack.stop("querying")
    client_id = ada.start("SELECT 7 AS n")
    lease = "(julianday('now') - 2440587.5) * 86400.0 + 1"
    stack.execute(
        "UPDATE queries SET status = 'scheduled', owner = 'dead', epoch = epoch + 1,"
        f" started_at = created_at, lease_until = {lease} WHERE client_id = '{client_id}'"
    )
    stack.start("querying")
    query = ada.until(client_id, timeout_s=SWEPT_S)
    assert (query["status"], query["rows"]) == ("success", 1)


def test_a_worker_killed_while_rows_flow_leaves_no_half_result(stack: Stack) -> None:
    ada = analyst(stack)
    sql = "SELECT i, repeat(md5(i::text), 30) AS text, pg_sleep(0.001) FROM generate_series(1, 100000) AS i"
    client_id = ada.start(sql, queryLimit=100_000)
    ada.until(client_id, "fetching")
    stack.processes["querying"].kill_tree()
    stack.start("querying")
    query = ada.until(client_id, timeout_s=SWEPT_S)
    assert (query["status"], query["code"], query["results_key"]) == ("failed", "worker_lost", None)


def test_a_worker_that_was_stopped_and_resumed_does_not_overrule_what_was_said_meanwhile(stack: Stack) -> None:
    ada = analyst(stack)
    client_id = ada.start("SELECT pg_sleep(4)")
    ada.until(client_id, "running")
    stack.processes["querying"].pause()
    stack.start("scheduler")
    query = ada.until(client_id, timeout_s=SWEPT_S)
    stack.processes["querying"].resume()
    stack.stop("scheduler")
    other = ada.start("SELECT 1")  # it works again, under a lease of its own
    assert ada.until(other)["status"] == "success"
    assert ada.look(client_id)["status"] == query["status"] == "failed"
    no_end_changes(stack, query)


def test_a_worker_told_to_end_says_what_became_of_its_queries(stack: Stack, database: Database) -> None:
    ada = analyst(stack)
    client_id = ada.start("SELECT pg_sleep(250)")
    ada.until(client_id, "running")
    stack.processes["querying"].terminate(30)
    query = ada.look(client_id)
    assert (query["status"], query["code"]) == ("failed", "worker_lost")
    assert "shut down" in query["error_message"]
    wait_until(lambda: sleeping(database) == 0, 20, "the end of its session")


def test_a_database_that_is_killed_in_mid_query_fails_it_with_the_reason(
    make_stack: MakeStack, own_postgresql: PostgreSQL, rabbitmq: Any, memcached: Memcached
) -> None:
    stack = make_stack(rabbitmq, memcached, **SETTINGS)
    stack.load("databases:\n", DATABASES.format(url=own_postgresql.create_database().url))
    stack.start("gateway", "querying")
    ada = analyst(stack)
    client_id = ada.start("SELECT pg_sleep(250)")
    ada.until(client_id, "running")
    own_postgresql.kill9()
    query = ada.until(client_id, timeout_s=SWEPT_S)
    assert (query["status"], query["code"]) == ("failed", "database_unavailable"), query
    assert query["error_message"]


def test_a_broker_that_is_restarted_or_loses_everything_loses_no_query(
    make_stack: MakeStack, own_rabbitmq: RabbitMQ, own_memcached: Memcached, postgresql: Database
) -> None:
    stack = make_stack(own_rabbitmq, own_memcached, **SETTINGS)
    stack.load("databases:\n", DATABASES.format(url=postgresql.url))
    stack.start("gateway", "querying")
    ada = analyst(stack)
    going = ada.start("SELECT pg_sleep(20)")
    ada.until(going, "running")
    own_rabbitmq.kill9()
    assert ada.execute("SELECT 1", runAsync=True).status_code == 503
    own_rabbitmq.restart()
    assert ada.until(going)["status"] == "success"
    stack.processes["querying"].send(signal.SIGSTOP)
    waiting = wait_until(lambda: _started(ada), 60, "the broker")
    with own_rabbitmq.default.channel() as channel:
        channel.queue_purge("vitrine_sql_long_v1")
    stack.processes["querying"].kill_tree()
    stack.start("querying")
    assert ada.until(waiting, timeout_s=90)["status"] == "success"


def test_a_results_backend_that_refuses_writes_fails_the_query_and_is_found_again(
    make_stack: MakeStack, rabbitmq: Any, own_memcached: Memcached, memcached: Memcached, postgresql: Database
) -> None:
    stack = make_stack(rabbitmq, memcached, results_url=own_memcached.url, **SETTINGS)
    stack.load("databases:\n", DATABASES.format(url=postgresql.url))
    stack.start("gateway", "querying")
    ada = analyst(stack)
    own_memcached.kill9()
    query = ada.until(ada.start("SELECT 1"))
    assert (query["status"], query["code"], query["results_key"]) == ("failed", "results_unavailable", None)
    own_memcached.restart()
    wait_until(lambda: ada.until(ada.start("SELECT 1"))["status"] == "success", 60, "a success", interval_s=0.5)


def test_nothing_is_without_an_end(stack: Stack) -> None:
    """Of all that the tests above left."""

    def open_ones() -> list[Any]:
        words = ", ".join(f"'{word}'" for word in ENDS)
        return stack.rows(f"SELECT id, status FROM queries WHERE status NOT IN ({words})")

    began = time.monotonic()
    wait_until(lambda: not open_ones(), SWEPT_S, lambda: f"ends of {open_ones()}")
    assert time.monotonic() - began < SWEPT_S
    assert not stack.rows("SELECT id FROM queries WHERE status = 'success' AND results_key IS NULL AND rows IS NULL")


def _started(ada: Analyst) -> str | None:
    answer = ada.execute("SELECT 5 AS n", runAsync=True)
    return answer.json()["query"]["id"] if answer.status_code == 202 else None
