"""Chart data without waiting: which ends of queries are told, and which are asked anew for."""

import time
from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio

from shared.metadata.models import Query
from shared.store.data import DataEntries
from tests.samples.query_worker import QueryWorker


@pytest_asyncio.fixture
async def other_worker(gateway, publisher):
    """One that counts rows as fresh for another time than the gateway does."""
    settings = gateway.services.settings.model_copy(update={"data_ttl_s": 77})
    made = QueryWorker(replace(gateway.services, settings=settings), publisher.queries)
    yield made
    made.close()


def queries(gateway):
    with gateway.services.sessions() as session:
        return session.query(Query).order_by(Query.id).all()


async def ask(gateway, username="ben", **more):
    answer = await gateway.post("/api/v1/chart/data", username, json={"form_data": {"slice_id": 1}, **more})
    assert answer.status_code == 202, answer.text
    return answer.json


async def test_a_query_process_that_means_other_rows_is_named_and_not_asked_for_ever(gateway, other_worker):
    url = (await ask(gateway))["result_url"]
    await other_worker.work()
    assert (await gateway.get(url)).status_code == 202, "the data may have changed meanwhile"
    await other_worker.work()
    for _ in range(2):
        answer = await gateway.get(url)
        assert (answer.status_code, answer.json["code"]) == (503, "processes_disagree")
        assert "VITRINE_DATA_TTL_S" in answer.json["detail"]
    assert len(queries(gateway)) == 2


def end(gateway, **values):
    with gateway.services.sessions.begin() as session:
        session.query(Query).update({"status": "failed", "ended_at": time.time(), **values})


@pytest.mark.parametrize(
    "values",
    [
        {"code": "query_refused", "reason": "The rule of ben: salary > 100"},
        {"code": "invalid_input", "reason": "The rule of ben: salary > 100"},
        {"code": "query_timed_out", "status": "timed_out", "reason": "longer than 60 seconds"},
    ],
)
async def test_what_says_something_of_who_asked_first_alone_is_told_to_nobody_who_joined(gateway, worker, values):
    first, joined = await ask(gateway), await ask(gateway, "ada")
    assert first["job_id"] == joined["job_id"]
    end(gateway, **values)
    assert (await gateway.get(first["result_url"])).json["detail"] == values["reason"]
    anew = await gateway.get(joined["result_url"], "ada")
    assert (anew.status_code, len(queries(gateway))) == (202, 2)
    await worker.work()
    assert (await gateway.get(joined["result_url"], "ada")).status_code == 200


async def test_what_the_database_refuses_is_told_to_all(gateway):
    await ask(gateway)
    joined = await ask(gateway, "ada")
    end(gateway, code="query_refused", reason="denied", executed_sql="SELECT 1")
    answer = await gateway.get(joined["result_url"], "ada")
    assert (answer.status_code, answer.json["detail"]) == (422, "denied")


async def test_who_forces_is_not_given_older_rows_that_somebody_else_was_content_with(gateway, worker):
    forced = await ask(gateway, force=True)
    end(gateway, code="worker_lost", reason="its worker died")
    await ask(gateway, "ada")
    await gateway.get("/api/v1/chart/1/data/")
    entries = DataEntries(gateway.store, gateway.services.settings.store_prefix, stale_s=0)
    entry = await entries.read(forced["cache_key"])
    assert entry is not None
    await entries.put(forced["cache_key"], replace(entry, began_at=entry.began_at - timedelta(seconds=100)))
    await worker.work()
    assert queries(gateway)[1].status == "success"
    assert (await gateway.get(forced["result_url"])).status_code == 202
    await worker.work()
    assert (await gateway.get(forced["result_url"])).status_code == 200
