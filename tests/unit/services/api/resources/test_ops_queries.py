"""People's queries on the operations page."""

from datetime import UTC, datetime

import pytest

from shared.metadata.models import Query
from tests.samples.operations import OPS, add


def query(number, **changes):
    about = {"client_id": f"c{number}", "username": "ben", "database_name": "shop", "sql": "SELECT 1", "row_limit": 10}
    about |= {"limiting_factor": "NOT_LIMITED", "run_async": True, "queue": "q", "correlation_id": f"c-{number}"}
    now = datetime.now(UTC).timestamp()
    times = {"created_at": now - 60, "changed_at": now, "deadline_at": now + 60}
    return Query(id=number, **{**about, **times, **changes})


async def test_queries_are_found_and_those_that_wait_are_stopped(gateway):
    now = datetime.now(UTC).timestamp()
    ended = {"status": "failed", "code": "query_failed", "started_at": now - 50, "ended_at": now - 20}
    add(gateway, query(1), query(2, username="ada", **ended), query(3, created_at=now - 86_400 * 3))
    found = (await gateway.get(f"{OPS}/queries", "ada")).json
    assert [one["id"] for one in found["result"]] == [2, 1]
    assert [step["seconds"] for step in found["result"][0]["timeline"]] == pytest.approx([10, 30], abs=0.1)
    assert (await gateway.get(f"{OPS}/queries?state=failed&user=ada&code=query_failed", "ada")).json["count"] == 1
    assert (await gateway.get(f"{OPS}/queries?state=odd", "ada")).json["field"] == "state"
    assert (await gateway.get(f"{OPS}/queries/1", "ada")).json["result"]["sql"] == "SELECT 1"
    stopped = await gateway.post(f"{OPS}/queries/1/stop", "ada")
    assert (stopped.status_code, stopped.json) == (202, {"id": 1, "state": "stopped"})
    for method, path in (("GET", "queries/99"), ("GET", "queries/x"), ("POST", "queries/99/stop")):
        assert (await gateway.ask(method, f"{OPS}/{path}", "ada")).status_code == 404
    assert (await gateway.get(f"{OPS}/queries", "ben")).status_code == 404
