"""A rolling upgrade: for a while, processes of two versions share the queues, the store and the database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psutil
import pytest

from tests.harness import Memcached, Vhost, wait_until
from tests.harness.history import ROOT, NoHistory, version_before, version_without
from tests.harness.stack import QUEUE, Stack

DEAD_LETTERS = f"{QUEUE}.XQ"
QUEUE_OF_CHARTS = "vitrine_sql_charts_v1"


@pytest.mark.parametrize("old", ["renderer", "gateway", "scheduler"])
def test_pictures_come_while_one_service_is_still_of_the_version_before(
    make_stack: Callable[..., Stack], rabbitmq: Vhost, memcached: Memcached, old: str
) -> None:
    try:
        code = {old: version_before()}
    except NoHistory as reason:
        pytest.skip(f"NOT RUN, the upgrade is untested: {reason}")
    services = ("gateway", "renderer", *(["scheduler"] if old == "scheduler" else []))
    stack = make_stack(broker_url=rabbitmq.url, store_url=memcached.url, code=code).start(*services)
    nora = stack.login("nora")
    first = nora.picture("total")
    nora.picture("shop")
    nora.refresh("total")
    nora.newer("total", than=first)
    assert [status for status, *_ in stack.renders("total", "nora")] == ["Updated", "Updated"]
    assert rabbitmq.message_count(DEAD_LETTERS) == 0
    if old != "gateway":
        still_open = stack.login("ada").get("/api/v1/ops/renders?state=waiting").json()["count"]
        assert still_open == 0, "what ended is shown as waiting"
    assert psutil.Process(stack.processes[old].pid).cwd() == str(code[old]), "it was the other version"


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
    stack.processes["querying"] = stack._process("querying", ROOT)
    stack.start("querying")
    answer = nora.fetch(asked["result_url"])
    assert [row["region"] for row in answer.json()["result"][0]["data"]] == ["North"]
