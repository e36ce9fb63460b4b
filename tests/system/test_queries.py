"""Queries from outside: gateway and query process over RabbitMQ, on SQLite and PostgreSQL."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet
import pytest

from tests.harness import Memcached, PostgreSQL, RabbitMQ
from tests.harness.analyst import Analyst
from tests.harness.polling import wait_until
from tests.harness.stack import Stack

BIG = """databases:
  - name: big
    url: {url}
    expose_in_sqllab: true
    allow_run_async: true
    query_concurrency: 3
    grants: [{{role: North, schema: public}}]
  - name: patient
    url: {url}
    expose_in_sqllab: true
    grants: [{{role: Analyst}}]
"""


@pytest.fixture(scope="module")
def sql_stack(rabbitmq_server: RabbitMQ, postgresql_server: PostgreSQL) -> Iterator[Stack]:
    vhost, database = rabbitmq_server.create_vhost(), postgresql_server.create_database()
    settings: dict[str, Any] = {"sqllab_timeout_s": 10, "query_lease_s": 4, "workers": 2}
    with Memcached() as memcached, Stack(broker_url=vhost.url, store_url=memcached.url, **settings) as stack:
        stack.load("databases:\n", BIG.format(url=database.url))
        yield stack.start("gateway", "querying")
    rabbitmq_server.delete_vhost(vhost)
    postgresql_server.drop_database(database)


def analyst(stack: Stack, username: str, database: str = "shop") -> Analyst:
    ((number,),) = stack.rows(f"SELECT id FROM databases WHERE name = '{database}'")
    return Analyst(stack.login(username), number)


def test_a_query_is_answered_with_its_rows_as_superset_does(sql_stack: Stack) -> None:
    answer = analyst(sql_stack, "hugo").execute("SELECT product, SUM(amount) AS total FROM sales GROUP BY 1 ORDER BY 1")
    assert answer.status_code == 200, answer.text
    payload = answer.json()
    assert payload["status"] == "success"
    assert payload["columns"][0] | {"type": ""} == {
        "column_name": "product",
        "name": "product",
        "type": "",
        "type_generic": 1,
        "is_dttm": False,
    }
    assert [set(row) for row in payload["data"][:1]] == [{"product", "total"}]
    query = payload["query"]
    assert (query["state"], query["rows"], query["progress"]) == ("success", len(payload["data"]), 100)
    assert query["resultsKey"]
    assert query["endDttm"] >= query["startDttm"] > 1e12


def test_row_level_rules_hold(sql_stack: Stack) -> None:
    answer = analyst(sql_stack, "nora").execute("SELECT DISTINCT region FROM sales").json()
    assert answer["data"] == [{"region": "North"}]


def test_the_text_of_rules_is_for_administrators(sql_stack: Stack) -> None:
    nora, ada = analyst(sql_stack, "nora"), analyst(sql_stack, "ada")
    query = nora.execute("SELECT region FROM sales").json()["query"]
    assert (query["executedSql"], nora.look(query["id"])["executed_sql"]) == (None, None)
    assert "North" in ada.look(query["id"])["executed_sql"]
    assert "LIMIT" in nora.execute("SELECT 1 AS one").json()["query"]["executedSql"]


def test_wide_rows_come_in_several_answers(sql_stack: Stack) -> None:
    ada = analyst(sql_stack, "ada", "big")
    query = ada.execute("SELECT i, repeat('x', 1000000) AS text FROM generate_series(1, 60) AS i").json()["query"]
    seen: list[int] = []
    while len(seen) < 60:
        page = ada.results(query["resultsKey"], rows=1000, offset=len(seen)).json()
        assert 0 < len(page["data"]) < 30
        assert page["displayLimitReached"] is (len(seen) + len(page["data"]) < 60)
        seen += [row["i"] for row in page["data"]]
    assert seen == list(range(1, 61))


def test_a_query_in_the_background_is_202_and_its_rows_come_by_their_key(sql_stack: Stack) -> None:
    ada = analyst(sql_stack, "ada", "big")
    client_id = ada.start("SELECT i, 'é' AS text FROM generate_series(1, 50) AS i", queryLimit=20)
    query = ada.until(client_id)
    assert (query["status"], query["rows"], query["extra"]["truncated"]) == ("success", 20, True)
    payload = ada.results(query["results_key"], rows=3, offset=10).json()
    assert [row["i"] for row in payload["data"]] == [11, 12, 13]
    assert payload["data"][0]["text"] == "é"
    assert payload["displayLimitReached"] is True


def test_exports_hold_every_row_in_each_format(sql_stack: Stack) -> None:
    ada = analyst(sql_stack, "ada", "big")
    client_id = ada.start("SELECT i, i * 1.5 AS half FROM generate_series(1, 20000) AS i", queryLimit=50_000)
    ada.until(client_id, "success")

    def get(name: str) -> httpx.Response:
        answer = ada.person.get(f"/api/v1/sqllab/export/{client_id}/?format={name}")
        assert answer.status_code == 200, answer.text
        assert f'.{name}"' in answer.headers["Content-Disposition"]
        return answer

    lines = get("csv").text.splitlines()
    assert (len(lines), lines[0], lines[-1]) == (20_001, '"i","half"', '20000,"30000.0"')
    assert pa.ipc.open_stream(get("arrow").content).read_all().num_rows == 20_000
    assert pa.parquet.read_table(io.BytesIO(get("parquet").content)).num_rows == 20_000
    assert ada.person.get(f"/api/v1/sqllab/export/{client_id}/?format=xls").json()["field"] == "format"


def test_an_error_names_its_place_also_as_superset_reads_it(sql_stack: Stack) -> None:
    answer = analyst(sql_stack, "ada", "big").execute("SELECT 1;\nSELECT nosuch")
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert (problem["code"], problem["position"]["line"], problem["position"]["column"]) == ("query_failed", 2, 8)
    assert problem["errors"][0]["error_type"] == "GENERIC_DB_ENGINE_ERROR"
    assert "nosuch" in problem["errors"][0]["message"]


def test_a_query_that_takes_longer_than_the_request_is_504_and_ends_in_the_database(sql_stack: Stack) -> None:
    ada = analyst(sql_stack, "ada", "big")
    began = time.monotonic()
    answer = ada.execute("SELECT pg_sleep(100)")
    assert (answer.status_code, answer.json()["code"]) == (504, "query_timed_out"), answer.text
    assert time.monotonic() - began < 40
    assert ada.until(answer.json()["query"]["id"])["status"] == "timed_out"


def test_a_stop_ends_a_running_query_and_one_that_waits_never_runs(sql_stack: Stack) -> None:
    ada = analyst(sql_stack, "ada", "big")
    running = [ada.start(f"SELECT pg_sleep(100), {number}") for number in range(3)]
    for client_id in running:
        ada.until(client_id, "running")
    waiting = ada.start("SELECT 1")  # the database takes three
    assert ada.stop(waiting).json() == {"result": "OK"}
    assert ada.look(waiting)["status"] == "stopped"
    for client_id in running:
        assert ada.stop(client_id).status_code == 200
    ended = [ada.until(client_id, timeout_s=20) for client_id in running]
    assert {query["status"] for query in ended} == {"stopped"}
    assert ada.look(waiting)["start_running_time"] is None
    assert ada.stop(waiting).json() == {"result": "OK"}  # it had ended already


def test_people_see_their_own_queries_and_the_admin_all(sql_stack: Stack) -> None:
    hugo, nora, ada = (analyst(sql_stack, name) for name in ("hugo", "nora", "ada"))
    query = hugo.execute("SELECT 'mine'").json()["query"]
    key, number = query["resultsKey"], query["queryId"]
    for path in (f"/api/v1/query/{number}", f"/api/v1/query/{query['id']}", f"/api/v1/sqllab/export/{query['id']}/"):
        assert nora.person.get(path).status_code == 404
        assert ada.person.get(path).status_code == 200
    assert nora.results(key).status_code == 404
    assert nora.stop(query["id"]).status_code == 404
    assert ada.results(key).json()["data"] == [{"'mine'": "mine"}] or ada.results(key).status_code == 200
    since = quote_rison({"last_updated_ms": query["startDttm"] - 1000})
    assert number in [
        one["queryId"] for one in hugo.person.get(f"/api/v1/query/updated_since?q={since}").json()["result"]
    ]
    assert number not in [
        one["queryId"] for one in nora.person.get(f"/api/v1/query/updated_since?q={since}").json()["result"]
    ]


def quote_rison(values: dict[str, Any]) -> str:
    return "(" + ",".join(f"{name}:{value}" for name, value in values.items()) + ")"


def test_the_history_is_paged_and_filtered(sql_stack: Stack) -> None:
    sven = analyst(sql_stack, "sven")
    for number in range(3):
        sven.execute(f"SELECT {number} AS n")
    sven.execute("SELECT nosuch FROM sales")
    page = sven.person.get("/api/v1/query/?q=(page:0,page_size:2)").json()
    assert (page["count"], len(page["result"]), page["result"][0]["status"]) == (4, 2, "failed")
    failed = sven.person.get("/api/v1/query/?q=(filters:!((col:status,opr:eq,value:failed)))").json()
    assert [one["status"] for one in failed["result"]] == ["failed"]
    wrong = sven.person.get("/api/v1/query/?q=(filters:!((col:status,opr:eq,value:lost)))")
    assert (wrong.status_code, wrong.json()["field"]) == (400, "filters")


def test_databases_are_for_whoever_may_query_them(sql_stack: Stack) -> None:
    assert analyst(sql_stack, "guy").execute("SELECT 1").status_code == 404
    assert analyst(sql_stack, "sven", "big").execute("SELECT 1").status_code == 404
    assert analyst(sql_stack, "nora", "big").execute("SELECT 1").status_code == 200
    refused = analyst(sql_stack, "hugo", "patient").execute("SELECT 1", runAsync=True)
    assert (refused.status_code, refused.json()["field"]) == (403, "runAsync")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"sql": "SELECT 1"}, "database_id"),
        ({"database_id": 1}, "sql"),
        ({"database_id": 1, "sql": " "}, "sql"),
        ({"database_id": "1", "sql": "SELECT 1"}, "database_id"),
        ({"database_id": 1, "sql": "SELECT 1", "queryLimit": -1}, "queryLimit"),
        ({"database_id": 1, "sql": "SELECT 1", "client_id": "a b"}, "client_id"),
        ({"database_id": 1, "sql": "SELECT 1", "select_as_cta": True}, "select_as_cta"),
        ({"database_id": 1, "sql": "SELECT 1", "templateParams": '{"a": 1}'}, "templateParams"),
        ({"database_id": 1, "sql": "SELECT 1", "surprise": 1}, "surprise"),
    ],
)
def test_what_is_asked_wrongly_is_400_and_names_the_field(sql_stack: Stack, body: dict[str, Any], field: str) -> None:
    answer = sql_stack.login("ada").post("/api/v1/sqllab/execute/", body)
    assert (answer.status_code, answer.json()["field"]) == (400, field), answer.text


def test_many_at_once_each_get_their_own_rows(sql_stack: Stack) -> None:
    hugo = analyst(sql_stack, "hugo")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: hugo.execute(f"SELECT {number} AS n"), range(24)))
    assert [answer.json().get("data") for answer in answers] == [[{"n": number}] for number in range(24)]


def test_changes_are_told_as_they_happen_to_whom_they_concern(sql_stack: Stack) -> None:
    nora, hugo = analyst(sql_stack, "nora", "big"), analyst(sql_stack, "hugo")
    states: list[str] = []
    with nora.person.client.stream("GET", "/api/v1/query/events", timeout=60) as stream:
        lines = stream.iter_lines()
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        next(lines)
        hugo.execute("SELECT 1")
        client_id = nora.start("SELECT pg_sleep(1)")
        for line in lines:
            if line.startswith("data: {"):
                query = json.loads(line.removeprefix("data: "))
                assert query["user"] == "nora"
                states += [query["state"]] if query["id"] == client_id else []
                if states[-1:] == ["success"]:
                    break
    assert "running" in states


def test_rows_that_are_gone_are_410(sql_stack: Stack) -> None:
    hugo = analyst(sql_stack, "hugo")
    query = hugo.execute("SELECT 1").json()["query"]
    sql_stack.execute(f"UPDATE queries SET results_key = 'gone' WHERE id = {query['queryId']}")
    answer = hugo.results("gone")
    assert (answer.status_code, answer.json()["code"]) == (410, "results_gone")
    assert hugo.person.get(f"/api/v1/sqllab/export/{query['id']}/").status_code == 410


def test_a_gateway_with_a_listener_ends_at_once(sql_stack: Stack) -> None:
    with sql_stack.login("hugo").client.stream("GET", "/api/v1/query/events", timeout=60) as stream:
        next(stream.iter_lines())
        began = time.monotonic()
        sql_stack.gateway.terminate(30)
        assert time.monotonic() - began < 8
    sql_stack.start("gateway")
    wait_until(lambda: analyst(sql_stack, "hugo").execute("SELECT 1").status_code == 200, 30, "an answer")
