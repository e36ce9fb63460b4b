"""A rolling upgrade: for a while, processes of two versions share the queues, the store and the database."""

from __future__ import annotations

from collections.abc import Callable

import psutil
import pytest

from tests.harness import Memcached, Vhost
from tests.harness.history import NoHistory, version_before
from tests.harness.stack import QUEUE, Stack

DEAD_LETTERS = f"{QUEUE}.XQ"


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
