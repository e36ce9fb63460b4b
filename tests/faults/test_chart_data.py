"""Rows of charts in the background: whatever dies, whoever waits is told how it ended; one query is sent for all."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest

from tests.harness import Database, Memcached, PostgreSQL, RabbitMQ
from tests.harness.person import Person
from tests.harness.polling import wait_until
from tests.harness.stack import Stack

LEASE_S, LIMIT_S, SWEPT_S = 3, 2, 40
ROUTE = "/api/v1/chart/data"
# What a viewer waits for ends after LIMIT_S; `slow` takes longer, `endless` for ever.
VIEWS = {"slow": LIMIT_S + 2, "endless": 900}
DATABASES = """databases:
  - name: big
    url: {url}
    allow_run_async: true
"""
DATASETS = """datasets:
  - {name: slow, database: big, table: slow, roles: [Analyst]}
  - {name: endless, database: big, table: endless, roles: [Analyst]}
"""
RULES = """row_level_rules:
  - {name: slow-north, dataset: slow, roles: [North], clause: "region = 'North'"}
  - {name: slow-south, dataset: slow, roles: [South], clause: "region = 'South'"}
"""
CHARTS = "charts:\n" + "".join(
    f"  - {{slug: {name}, title: {name}, database: big, sql: 'SELECT region FROM {name}', kind: table,"
    " spec: {columns: [{field: region, title: Region}]}}\n"
    for name in VIEWS
)


@pytest.fixture(scope="module")
def database(postgresql_server: PostgreSQL) -> Iterator[Database]:
    made = postgresql_server.create_database()
    with psycopg.connect(made.url) as server:
        for name, seconds in VIEWS.items():
            regions = "(VALUES ('North'), ('South')) AS r(region)"
            server.execute(f"CREATE VIEW {name} AS SELECT region FROM {regions}, pg_sleep({seconds})")
    yield made
    postgresql_server.drop_database(made)


@pytest.fixture(scope="module")
def running(database: Database) -> Iterator[Stack]:
    """On a RabbitMQ that takes messages back which are not acknowledged before `slow` has ended."""
    settings: dict[str, Any] = {"query_lease_s": LEASE_S, "query_handoff_s": 1, "query_timeout_s": LIMIT_S}
    with (
        RabbitMQ(consumer_timeout_s=LIMIT_S) as rabbitmq,
        Memcached() as memcached,
        Stack(broker_url=rabbitmq.url, store_url=memcached.url, **settings) as stack,
    ):
        more = {"datasets:\n": DATASETS, "row_level_rules:\n": RULES, "charts:\n": CHARTS}
        stack.load("databases:\n", DATABASES.format(url=database.url), *more.items())
        stack.ids.update({slug: f"chart/{number}" for number, slug in stack.rows("SELECT id, slug FROM charts")})
        yield stack.start("gateway", "querying")


@pytest.fixture
def stack(running: Stack) -> Stack:
    """With nothing kept and nothing open from the test before."""
    for name in ("gateway", "querying"):
        if not running.processes[name].running:
            running.start(name)
    running.execute("UPDATE datasets SET data_version = data_version + 1")
    return running


def number(stack: Stack, slug: str) -> int:
    return int(stack.ids[slug].split("/")[1])


def ask(stack: Stack, person: Person, slug: str, **more: Any) -> dict[str, Any]:
    answer = person.post(ROUTE, {"form_data": {"slice_id": number(stack, slug)}, **more})
    assert answer.status_code == 202, answer.text
    accepted: dict[str, Any] = answer.json()
    return accepted


def ended(person: Person, asked: dict[str, Any], timeout_s: float = SWEPT_S) -> httpx.Response:
    """What a client finds when it has to wait no more."""

    def look() -> httpx.Response | None:
        answer = person.get(asked["result_url"])
        return answer if answer.status_code != 202 else None

    return wait_until(look, timeout_s, "an end", ignoring=(httpx.TransportError,), interval_s=0.1)


def until_running(stack: Stack, asked: dict[str, Any]) -> None:
    state = f"SELECT 1 FROM queries WHERE client_id = '{asked['job_id']}' AND status = 'running'"
    wait_until(lambda: stack.rows(state), 30, "the running")


def reading(database: Database) -> int:
    """Sessions in the server that read a view of ours."""
    with psycopg.connect(database.url) as server:
        sql = (
            "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND state = 'active' AND datname = %s"
        )
        found = server.execute(sql, [database.name]).fetchone()
    return int(found[0]) if found else 0


def regions(answer: httpx.Response) -> set[str]:
    assert answer.status_code == 200, answer.text
    return {row["region"] for row in answer.json()["result"][0]["data"]}


def test_what_takes_longer_than_a_viewer_waits_comes_and_each_gets_their_own_rows(stack: Stack) -> None:
    people = [stack.login(name) for name in ("nora", "sven")]
    assert people[0].get(f"/api/v1/chart/{number(stack, 'slow')}/data/").status_code == 422, "no viewer can wait for it"
    asked = [ask(stack, person, "slow") for person in people]
    found = [regions(ended(person, one)) for person, one in zip(people, asked, strict=True)]
    assert found == [{"North"}, {"South"}]
    assert people[0].get(f"/api/v1/chart/{number(stack, 'slow')}/data/").headers["X-Cache"] == "HIT"


def test_many_who_ask_at_once_send_one_query(stack: Stack, database: Database) -> None:
    people = [stack.login(name) for name in ("nora", "nina")] * 6
    before = stack.rows("SELECT count(*) FROM queries")
    with ThreadPoolExecutor(12) as pool:
        asked = list(pool.map(lambda person: ask(stack, person, "slow"), people))
        until_running(stack, asked[0])
        assert reading(database) == 1
        answers = list(pool.map(ended, people, asked))
    assert {frozenset(regions(answer)) for answer in answers} == {frozenset({"North"})}
    assert stack.rows("SELECT count(*) FROM queries")[0][0] == before[0][0] + 1


def test_a_stop_ends_it_in_the_database(stack: Stack, database: Database) -> None:
    nora = stack.login("nora")
    asked = ask(stack, nora, "endless")
    until_running(stack, asked)
    wait_until(lambda: reading(database) == 1, 30, "the sleep")
    assert nora.post("/api/v1/query/stop", {"client_id": asked["job_id"]}).json() == {"result": "OK"}
    answer = ended(nora, asked)
    assert (answer.status_code, answer.json()["code"]) == (409, "query_cancelled")
    wait_until(lambda: reading(database) == 0, 10, "the end of its session")


def test_a_worker_killed_while_it_reads_is_told_with_a_reason_and_leaves_nothing(
    stack: Stack, database: Database
) -> None:
    nora = stack.login("nora")
    asked = ask(stack, nora, "endless")
    until_running(stack, asked)
    stack.processes["querying"].kill_tree()
    stack.start("querying")  # as its renderer would
    answer = ended(nora, asked)
    assert (answer.status_code, answer.json()["code"]) == (503, "worker_lost")
    wait_until(lambda: reading(database) == 0, SWEPT_S, "the end of its session")
    assert regions(ended(nora, ask(stack, nora, "slow"))) == {"North"}


def test_many_who_need_newer_rows_keep_no_thread_from_others(stack: Stack, database: Database) -> None:
    nora = stack.login("nora")
    first = ask(stack, nora, "endless")
    until_running(stack, first)
    forced = [ask(stack, nora, "endless", force=True) for _ in range(5)]
    assert len({one["job_id"] for one in forced} - {first["job_id"]}) == 1
    assert regions(ended(nora, ask(stack, nora, "slow"))) == {"North"}
    held = "SELECT client_id FROM queries WHERE status IN ('scheduled', 'running', 'fetching')"
    assert stack.rows(held) == [(first["job_id"],)]
    assert reading(database) == 1
    for one in (forced[0], first):
        assert nora.post("/api/v1/query/stop", {"client_id": one["job_id"]}).status_code == 200


def test_a_worker_killed_before_it_reached_the_database_costs_nothing(stack: Stack) -> None:
    nora = stack.login("nora")
    stack.stop("querying")
    asked = ask(stack, nora, "slow")
    lease = "(julianday('now') - 2440587.5) * 86400.0 + 1"
    stack.execute(
        "UPDATE queries SET status = 'scheduled', owner = 'dead', epoch = epoch + 1, started_at = created_at,"
        f" lease_until = {lease} WHERE client_id = '{asked['job_id']}'"
    )
    stack.start("querying")
    assert regions(ended(nora, asked)) == {"North"}


def test_the_gateway_may_be_restarted_between_asking_and_looking(stack: Stack) -> None:
    nora = stack.login("nora")
    asked = ask(stack, nora, "slow")
    stack.gateway.kill_tree()
    stack.start("gateway")
    assert regions(ended(nora, asked)) == {"North"}


def test_operators_see_it_as_a_chart_s_and_stop_it_and_nobody_s_history_has_it(stack: Stack) -> None:
    nora, ada = stack.login("nora"), stack.login("ada")
    asked = ask(stack, nora, "endless")
    shown = ada.get("/api/v1/ops/queries?user=nora").json()["result"][0]
    assert (shown["chart_id"], shown["has_ended"]) == (number(stack, "endless"), False)
    assert nora.get("/api/v1/query/").json()["count"] == 0
    assert ada.post(f"/api/v1/ops/queries/{shown['id']}/stop", {}).status_code == 202
    answer = ended(nora, asked)
    assert (answer.status_code, answer.json()["detail"]) == (409, "Stopped by ada.")


def test_the_store_that_is_away_is_named(
    make_stack: Any, rabbitmq: Any, own_memcached: Memcached, database: Database
) -> None:
    stack = make_stack(rabbitmq, own_memcached, query_lease_s=LEASE_S)
    stack.start("gateway", "querying")
    nora = stack.login("nora")
    stack.processes["querying"].pause()
    asked = ask(stack, nora, "total")
    own_memcached.kill9()
    stack.processes["querying"].resume()
    failed = f"SELECT code FROM queries WHERE client_id = '{asked['job_id']}' AND status = 'failed'"
    assert wait_until(lambda: stack.rows(failed), SWEPT_S, "its end") == [("store_unavailable",)]
    answer = nora.get(asked["result_url"])
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    own_memcached.restart()

    def asked_again() -> bool:
        return nora.post(ROUTE, {"form_data": {"slice_id": number(stack, "total")}}).status_code in (200, 202)

    wait_until(asked_again, 60, "the store", interval_s=0.5)


def test_the_broker_that_is_away_is_named_and_found_again(
    make_stack: Any, own_rabbitmq: RabbitMQ, memcached: Memcached
) -> None:
    stack = make_stack(own_rabbitmq, memcached)
    stack.start("gateway", "querying")
    nora, body = stack.login("nora"), {"form_data": {"slice_id": number(stack, "regions")}}
    own_rabbitmq.kill9()
    answer = nora.post(ROUTE, body)
    assert (answer.status_code, answer.json()["code"]) == (503, "broker_unavailable")
    assert stack.rows("SELECT status, code FROM queries") == [("failed", "broker_unavailable")]
    own_rabbitmq.restart()

    def accepted() -> dict[str, Any] | None:
        answer = nora.post(ROUTE, body)
        return answer.json() if answer.status_code == 202 else None

    asked = wait_until(accepted, 60, "the broker", interval_s=0.5)
    assert regions(ended(nora, asked, timeout_s=90)) == {"North"}
    assert nora.get(f"/api/v1/chart/{number(stack, 'regions')}/data/").headers["X-Cache"] == "HIT"


def test_nothing_is_without_an_end(stack: Stack) -> None:
    """Of all that the tests above left."""
    began = time.monotonic()
    still_open = "SELECT id, status FROM queries WHERE ended_at IS NULL"
    wait_until(lambda: not stack.rows(still_open), SWEPT_S, lambda: f"ends of {stack.rows(still_open)}")
    assert time.monotonic() - began < SWEPT_S
