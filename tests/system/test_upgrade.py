"""A rolling upgrade: for a while, processes of two versions share the queues, the store and the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.harness import Memcached, RabbitMQ, Vhost, wait_until
from tests.harness.analyst import Analyst
from tests.harness.history import NoHistory, version_before, version_without
from tests.harness.person import Person
from tests.harness.stack import ROOT, Stack

RUNS, SCHEDULES = "/api/v1/warmup/runs", "/api/v1/schedules"
SQL = "SELECT region, SUM(amount) AS total FROM sales GROUP BY region ORDER BY region"
BESIDE = ("services.renderer.warm_worker", "services.renderer.query_worker")
QUEUE_OF_CHARTS = "vitrine_sql_charts_v1"
PATIENCE_S = 150  # on a loaded machine: pictures of a warm-up come last


@dataclass(frozen=True)
class Mixed:
    """A running stack whose service `old` is of the version before."""

    old: str
    source: Path
    stack: Stack
    vhost: Vhost

    def dead_letters(self) -> dict[str, int]:
        letters = {name: self.vhost.message_count(name) for name in self.vhost.queue_names() if name.endswith(".XQ")}
        return {name: count for name, count in letters.items() if count}

    def beside(self, module: str) -> psutil.Process:
        """A process beside the renderer, once it runs."""
        family = self.stack.renderer.survivors
        return wait_until(lambda: next((one for one in family() if module in one.cmdline()), None), PATIENCE_S, module)


@pytest.fixture(scope="module", params=["renderer", "gateway", "scheduler"])
def mixed(request: Any, rabbitmq_server: RabbitMQ) -> Iterator[Mixed]:
    try:
        source = version_before()
    except NoHistory as reason:
        pytest.skip(f"NOT RUN, the upgrade is untested: {reason}")
    vhost, code = rabbitmq_server.create_vhost(), {request.param: source}
    with Memcached() as memcached, Stack(broker_url=vhost.url, store_url=memcached.url, code=code) as stack:
        yield Mixed(request.param, source, stack.start("gateway", "renderer", "scheduler"), vhost)
    rabbitmq_server.delete_vhost(vhost)


def test_one_service_is_of_the_version_before_with_what_runs_beside_it(mixed: Mixed) -> None:
    for name in ("gateway", "renderer", "scheduler"):
        expected = mixed.source if name == mixed.old else ROOT
        assert psutil.Process(mixed.stack.processes[name].pid).cwd() == str(expected)
    for module in BESIDE:
        assert mixed.beside(module).cwd() == str(mixed.source if mixed.old == "renderer" else ROOT)


def test_pictures_are_drawn_for_a_service_of_another_version(mixed: Mixed) -> None:
    nora = mixed.stack.login("nora")
    first = nora.picture("total")
    nora.picture("shop")
    nora.refresh("total")
    nora.newer("total", than=first)
    assert [status for status, *_ in mixed.stack.renders("total", "nora")] == ["Updated", "Updated"]
    assert mixed.dead_letters() == {}
    if mixed.old != "gateway":
        still_open = mixed.stack.login("ada").get("/api/v1/ops/renders?state=waiting").json()["count"]
        assert still_open == 0, "what ended is shown as waiting"


def test_a_warm_up_that_one_version_asks_for_is_done_by_another(mixed: Mixed) -> None:
    """Rows and pictures; asked of the gateway."""
    ada, stack = mixed.stack.login("ada"), mixed.stack
    number = stack.ids["regions"].split("/")[1]
    order = {"strategy": "ids", "parameters": {"charts": [number]}, "warms": ["data", "pictures"], "force": True}
    asked = ada.post(RUNS, order)
    assert asked.status_code == 202, asked.text
    assert _outcomes(ada, asked.json()["id"]) == {"warmed"}
    for name in ("nora", "sven", "hugo"):
        person = stack.login(name)
        assert person.get(person.api("regions", "data/")).headers["X-Cache"] == "HIT"
        assert person.ask("regions").status_code == 200
    assert mixed.dead_letters() == {}


def test_a_schedule_s_warm_up_that_one_version_publishes_is_done_by_another(mixed: Mixed) -> None:
    """Made by the gateway, fired by the scheduler, warmed beside the renderer."""
    ada = mixed.stack.login("ada")
    number = mixed.stack.ids["edited"].split("/")[1]
    schedule = {"name": "often", "strategy": "ids", "parameters": {"charts": [number]}, "interval": "2s"}
    made = ada.post(SCHEDULES, schedule)
    assert made.status_code == 201, made.text

    def fired() -> str | None:
        fire = ada.get(f"{SCHEDULES}/often").json()["result"]["last_fire"]
        return fire and fire["run_id"]

    run = wait_until(fired, PATIENCE_S, "a fire")
    assert ada.client.delete(f"{SCHEDULES}/often").status_code == 204
    assert _outcomes(ada, run) <= {"warmed", "already_warm"}
    assert mixed.dead_letters() == {}


def _outcomes(person: Person, run: str) -> set[str]:
    """The outcomes of the run, once it has ended well."""
    ended = lambda: _report(person, run)["status"] == "Done"  # noqa: E731
    wait_until(ended, PATIENCE_S, lambda: f"the end of {_report(person, run)}")
    return {one["outcome"] for one in _report(person, run)["outcomes"]}


def _report(person: Person, run: str) -> dict[str, Any]:
    report: dict[str, Any] = person.get(f"{RUNS}/{run}").json()["result"]
    return report


@pytest.mark.parametrize("username", ["hugo", "nora"])
def test_a_query_that_one_version_takes_is_run_by_another(mixed: Mixed, username: str) -> None:
    """In the background and awaited; its row-level rule and its rows cross over too."""
    ((database,),) = mixed.stack.rows("SELECT id FROM databases WHERE name = 'shop'")
    analyst = Analyst(mixed.stack.login(username), database)
    query = analyst.until(analyst.start(SQL))
    assert query["status"] == "success", query
    rows = analyst.results(query["results_key"]).json()["data"]
    assert analyst.execute(SQL).json()["data"] == rows
    assert [row["region"] for row in rows] == (["North"] if username == "nora" else ["North", "South"])
    refused = analyst.until(analyst.start("SELECT nothing FROM sales"))
    assert (refused["status"], bool(refused["error_message"])) == ("failed", True), refused
    assert mixed.dead_letters() == {}


@pytest.mark.parametrize("old", ["querying", "scheduler"])
def test_rows_in_the_background_wait_for_who_knows_of_them_and_are_not_ended_by_who_does_not(
    make_stack: Callable[..., Stack], rabbitmq: Vhost, memcached: Memcached, old: str
) -> None:
    """A query process, or a scheduler, of a version that has no queries for charts: it cannot publish one again."""
    try:
        code = {old: version_without("shared/sqllab/charts.py")}
    except NoHistory as reason:
        pytest.skip(f"NOT RUN, the upgrade is untested: {reason}")
    stack = make_stack(broker_url=rabbitmq.url, store_url=memcached.url, query_lease_s=2, code=code)
    stack.start("gateway", old)
    nora, number = stack.login("nora"), int(stack.ids["regions"].split("/")[1])
    asked: dict[str, Any] = nora.post("/api/v1/chart/data", {"form_data": {"slice_id": number}}).json()
    wait_until(lambda: QUEUE_OF_CHARTS in stack.processes[old].log, 60, "the old one's look at what nobody took")
    assert stack.rows("SELECT status FROM queries") == [("pending",)]
    stack.stop(old)
    stack.processes["querying"] = stack.process("querying", ROOT)
    stack.start("querying")
    answer = nora.fetch(asked["result_url"])
    assert [row["region"] for row in answer.json()["result"][0]["data"]] == ["North"]
