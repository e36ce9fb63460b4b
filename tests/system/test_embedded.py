"""`vitrine up` without a broker: everything in one process tree, with nothing else installed."""

from __future__ import annotations

from collections.abc import Callable

from tests.harness import wait_until
from tests.harness.person import rendered_at
from tests.harness.stack import Stack


def test_up_renders_serves_refreshes_and_ends_with_nothing_left(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack().start("up")
    nora = stack.login("nora")
    assert nora.ask("shop").status_code == 202
    old = nora.picture("shop")
    answer = nora.post("/api/v1/sqllab/execute/", {"database_id": 1, "sql": "SELECT DISTINCT region FROM sales"})
    assert answer.json().get("data") == [{"region": "North"}], answer.text
    stack.load("What we sell, and where.", "What we sell, where and when.")
    wait_until(lambda: nora.status("shop")["stale"] is False, 60, "a refreshed picture")
    assert rendered_at(nora.ask("shop")) > rendered_at(old)
    assert [origin for _, origin, *_ in stack.until_renders("shop", "nora", 2)] == ["viewer", "refresh"]
    up = stack.processes["up"]
    assert up.terminate(30) == 0
    wait_until(lambda: not up.survivors(), 5, lambda: f"the end of {up.survivors()}")
    assert "Traceback" not in up.log


def test_rows_of_a_chart_come_in_the_background(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack().start("up")
    nora, number = stack.login("nora"), int(stack.ids["regions"].split("/")[1])
    asked = nora.post("/api/v1/chart/data", {"form_data": {"slice_id": number}})
    assert asked.status_code == 202, asked.text
    answer = nora.fetch(asked.json()["result_url"])
    assert [row["region"] for row in answer.json()["result"][0]["data"]] == ["North"]
    assert stack.rows("SELECT status, rows FROM queries") == [("success", 1)]
    assert f"rows of chart {number}" in stack.vitrine("query", "list").stdout


def test_pictures_survive_a_restart(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack().start("up")
    nora = stack.login("nora")
    etag = nora.picture("total").headers["ETag"]
    stack.stop("up")
    stack.start("up")
    assert nora.ask("total").headers["ETag"] == etag


def test_up_refuses_to_start_some_of_the_services_without_a_broker(make_stack: Callable[..., Stack]) -> None:
    done = make_stack().vitrine("up", "--services", "renderer")
    assert done.returncode == 2
    assert "VITRINE_BROKER_URL" in done.stderr
    assert len(done.stderr.splitlines()) == 1
