"""Chart data without waiting: 202, then the rows under the URL that it names."""

import asyncio
import hashlib
import json
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.api.tickets import Ticket
from shared.identity import Audience
from shared.metadata.models import Chart, Database, Dataset, Query, ViewLog
from shared.store.data import DataEntries

BODY = {"form_data": {"slice_id": 1}, "result_format": "json", "result_type": "full", "queries": []}


@pytest.fixture
def rows(gateway, worker):
    """`rows(url)`: what a client finds there once the query process has worked; before that, that it must wait."""

    async def look(url, username="ben"):
        waiting = await gateway.get(url, username)
        assert waiting.status_code == 202, waiting.text
        assert await worker.work() == 1
        return await gateway.get(url, username)

    return look


def change(gateway, model, **values):
    with gateway.services.sessions.begin() as session:
        session.query(model).update(values)


def queries(gateway):
    with gateway.services.sessions() as session:
        return session.query(Query).order_by(Query.id).all()


async def test_rows_that_are_not_there_are_202_and_then_where_it_says(gateway, rows):
    accepted = await gateway.post("/api/v1/chart/data", json=BODY)
    assert accepted.status_code == 202, accepted.text
    assert set(accepted.json) >= {"channel_id", "job_id", "user_id", "status", "errors", "result_url"}
    assert (accepted.json["status"], accepted.json["errors"]) == ("pending", [])
    later = await rows(accepted.json["result_url"])
    assert later.status_code == 200
    plain = await gateway.get("/api/v1/chart/1/data/")
    assert later.json["result"][0]["data"] == plain.json["result"][0]["data"]


async def test_rows_that_are_fresh_come_at_once_and_force_reads_them_anew(gateway, rows):
    await gateway.get("/api/v1/chart/1/data/")
    answer = await gateway.post("/api/v1/chart/data", json=BODY)
    assert (answer.status_code, answer.json["result"][0]["is_cached"]) == (200, True)
    forced = await gateway.post("/api/v1/chart/data", json=BODY | {"force": True})
    assert forced.status_code == 202
    newer = await rows(forced.json["result_url"])
    assert newer.json["result"][0]["cached_dttm"] >= answer.json["result"][0]["cached_dttm"]


@pytest.mark.parametrize("gateway", [{"data_ttl_s": 0, "data_stale_s": 3600}], indirect=True)
async def test_rows_that_are_never_kept_come_for_their_ticket_and_for_nobody_later(gateway, rows):
    first = (await gateway.post("/api/v1/chart/data", json=BODY)).json["result_url"]
    answer = await rows(first)
    assert (answer.status_code, answer.json["result"][0]["data"] != []) == (200, True)
    again = await gateway.get(first)
    assert again.json["result"][0]["cached_dttm"] == answer.json["result"][0]["cached_dttm"], "one query"
    later = await gateway.post("/api/v1/chart/data", json=BODY)
    assert later.status_code == 202
    newer = await rows(later.json["result_url"])
    assert newer.json["result"][0]["cached_dttm"] > answer.json["result"][0]["cached_dttm"]


@pytest.mark.parametrize("gateway", [{"data_ttl_s": 1, "data_stale_s": 0}], indirect=True)
async def test_rows_that_grew_old_between_two_looks_come_for_their_ticket(gateway, rows):
    url = (await gateway.post("/api/v1/chart/data", json=BODY)).json["result_url"]
    read_at = datetime.fromisoformat((await rows(url)).json["result"][0]["cached_dttm"])
    for _ in range(400):
        if (datetime.now(UTC) - read_at).total_seconds() > 1.1:  # fresh no more
            break
        await asyncio.sleep(0.05)
    assert (await gateway.get(url)).status_code == 200


async def test_a_ticket_holds_for_whom_it_was_issued_to(gateway, rows):
    url = (await gateway.post("/api/v1/chart/data", json=BODY)).json["result_url"]
    await rows(url)
    assert (await gateway.get(url, "ada")).status_code == 404
    forged = re.sub("/data/.", lambda found: found[0][:-1] + ("A" if found[0][-1] != "A" else "B"), url)
    assert (await gateway.get(forged)).status_code == 404
    assert (await gateway.get("/api/v1/chart/data/x")).status_code == 404


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"form_data": {}}, "form_data.slice_id"),
        ({"form_data": {"slice_id": "x"}}, "form_data.slice_id"),
        ({"form_data": {"slice_id": 1, "dashboardId": []}}, "form_data.dashboardId"),
        ({"result_format": "csv"}, "result_format"),
        ({"surprise": 1}, "surprise"),
    ],
)
async def test_what_is_asked_wrongly_names_the_field(gateway, changes, field):
    answer = await gateway.post("/api/v1/chart/data", json=BODY | changes)
    assert (answer.status_code, answer.json["field"]) == (400, field), answer.text


async def test_a_chart_that_they_may_not_see_is_404(gateway):
    assert (await gateway.post("/api/v1/chart/data", "guy", json=BODY)).status_code == 404


async def test_rows_that_were_warmed_count_as_used_and_as_a_view(gateway):
    catalog = gateway.services.catalog
    query = catalog.chart_query(catalog.principal("ben"), "1")
    await catalog.data.get(query, warmed_by="run")
    noted = []
    gateway.services.warming.usage.note = lambda key, made_at: noted.append(key)
    assert (await gateway.post("/api/v1/chart/data", json=BODY)).status_code == 200
    page = gateway.bearer("ben", Audience.PAGE)
    await gateway.ask("POST", "/api/v1/chart/data", "", json=BODY, headers=page)  # a render is no view
    while gateway.services.background:
        await next(iter(gateway.services.background))
    assert noted == [query.key]
    with gateway.services.sessions() as session:
        (view,) = session.query(ViewLog).filter_by(source="data")
    assert (view.username, view.target_kind, view.target_id) == ("ben", "chart", "1")


async def ask(gateway, username="ben", **changes):
    answer = await gateway.post("/api/v1/chart/data", username, json=BODY | changes)
    assert answer.status_code == 202, answer.text
    return answer.json


async def test_many_who_ask_at_once_for_the_same_rows_cost_one_query(gateway, worker):
    asked = await asyncio.gather(*(ask(gateway, who) for who in ["ben"] * 5 + ["ada"] * 5))
    assert len({one["job_id"] for one in asked}) == len(queries(gateway)) == len(worker.published) == 1
    assert len({one["result_url"] for one in asked}) > 1, "each has a ticket of their own"
    await worker.work()
    assert (await gateway.get(asked[0]["result_url"])).status_code == 200
    answer = await gateway.get(asked[9]["result_url"], "ada")
    assert (answer.status_code, answer.headers["X-Cache"]) == (200, "HIT")


async def test_people_under_other_rules_get_their_own_rows(gateway, worker):
    urls = {who: (await ask(gateway, who))["result_url"] for who in ("ben", "nia")}
    assert await worker.work() == 2
    found = {who: (await gateway.get(url, who)).json["result"][0]["data"] for who, url in urls.items()}
    assert [row["region"] for row in found["nia"]] == ["north"]
    assert len(found["ben"]) == 3


async def test_the_query_is_built_when_it_runs_and_whoever_joined_it_asks_anew(gateway, worker):
    """A new data version makes another query of it: the rows are kept under its key."""
    url, others = (await ask(gateway))["result_url"], (await ask(gateway, "ada"))["result_url"]
    change(gateway, Dataset, data_version=7)
    await worker.work()
    now = gateway.services.catalog.chart_query(gateway.services.catalog.principal("ben"), "1")
    assert queries(gateway)[0].chart_key == now.key
    assert (await gateway.get(url)).status_code == 200
    change(gateway, Dataset, data_version=8)
    assert (await gateway.get(others, "ada")).status_code == 202
    assert await worker.work() == 1
    assert (await gateway.get(others, "ada")).status_code == 200


async def test_a_query_that_waits_is_not_asked_for_again_when_the_data_change(gateway, worker):
    url = (await ask(gateway))["result_url"]
    change(gateway, Dataset, data_version=7)
    assert (await gateway.get(url)).status_code == 202
    assert await worker.work() == len(queries(gateway)) == 1
    assert (await gateway.get(url)).status_code == 200


async def test_filters_that_fit_into_no_ticket_are_refused_before_anything_is_asked(gateway):
    mask = {"region": {"filterState": {"value": [hashlib.sha256(str(n).encode()).hexdigest() for n in range(200)]}}}
    form = {"slice_id": 1, "dashboardId": 1}
    answer = await gateway.post("/api/v1/chart/data", json={"form_data": form, "data_mask": mask})
    assert (answer.status_code, answer.json["field"]) == (400, "data_mask")
    assert queries(gateway) == []


async def test_what_the_database_says_is_told_and_ends_the_asking(gateway, worker):
    change(gateway, Chart, sql="SELECT region, nosuch FROM sales")
    url = (await ask(gateway))["result_url"]
    await worker.work()
    for _ in range(2):
        answer = await gateway.get(url)
        assert (answer.status_code, answer.json["code"]) == (422, "query_failed")
        assert "nosuch" in answer.json["detail"]
        assert answer.json["errors"][0]["message"] == answer.json["detail"]
    assert len(queries(gateway)) == 1
    assert (await ask(gateway))["job_id"], "asked for again, it is tried again"


async def test_who_asked_may_stop_it_and_others_who_wait_ask_anew(gateway, worker):
    mine, others = await ask(gateway), (await ask(gateway, "ada"))["result_url"]
    assert (await gateway.post("/api/v1/query/stop", "nia", json={"client_id": mine["job_id"]})).status_code == 404
    stopped = await gateway.post("/api/v1/query/stop", json={"client_id": mine["job_id"]})
    assert (stopped.status_code, stopped.json) == (200, {"result": "OK"})
    answer = await gateway.get(mine["result_url"])
    assert (answer.status_code, answer.json["code"]) == (409, "query_cancelled")
    assert (await gateway.get(others, "ada")).status_code == 202
    assert await worker.work() == 1, "what was stopped while it waited never ran"
    assert (await gateway.get(others, "ada")).status_code == 200


async def test_rows_that_are_gone_again_are_said_to_be_gone(gateway, worker):
    asked = await ask(gateway)
    await worker.work()
    await gateway.store.delete(f"{gateway.services.settings.store_prefix}data:{asked['cache_key']}")
    answer = await gateway.get(asked["result_url"])
    assert (answer.status_code, answer.json["code"]) == (410, "results_gone")


async def test_rows_that_a_forced_asking_waits_for_are_newer_than_it(gateway, worker):
    """A query that waits is joined, and hears of it; one that runs is not."""
    await ask(gateway)
    forced = await ask(gateway, force=True)
    assert len(queries(gateway)) == 1
    await gateway.get("/api/v1/chart/1/data/?force=true")
    before = (await gateway.get("/api/v1/chart/1/data/")).json["result"][0]["cached_dttm"]
    change(gateway, Query, status="running", lease_until=2e9)
    assert (await ask(gateway, force=True))["job_id"] != forced["job_id"]
    with gateway.services.sessions.begin() as session:
        session.query(Query).filter_by(client_id=forced["job_id"]).update({"status": "failed", "code": "worker_lost"})
    assert await worker.work() == 1
    after = (await gateway.get(forced["result_url"])).json["result"][0]["cached_dttm"]
    assert after > before


async def test_a_broker_that_is_away_is_named(gateway, publisher):
    publisher.down = True
    answer = await gateway.post("/api/v1/chart/data", json=BODY)
    assert (answer.status_code, answer.json["code"]) == (503, "broker_unavailable")
    assert [query.status for query in queries(gateway)] == ["failed"]
    publisher.down = False
    assert (await ask(gateway))["status"] == "pending"


async def test_a_database_may_take_long_only_where_its_entry_says_so(gateway, worker):
    await ask(gateway)
    change(gateway, Database, allow_run_async=True, query_timeout_s=7200)
    await ask(gateway, "nia")
    assert [round(query.deadline_at - query.created_at) for query in queries(gateway)] == [60, 7200]


async def test_queries_for_charts_are_told_apart_from_those_that_people_write(gateway):
    job = (await ask(gateway))["job_id"]
    assert (await gateway.get("/api/v1/query/")).json["count"] == 0
    assert (await gateway.get("/api/v1/query/updated_since?q=(last_updated_ms:0)")).json["result"] == []
    (told,) = (await gateway.get("/api/v1/query/?q=(filters:!((col:chart,opr:eq,value:!t)))")).json["result"]
    assert (told["client_id"], told["chart_id"], told["sql"]) == (job, 1, "")
    (shown,) = (await gateway.get("/api/v1/ops/queries", "ada")).json["result"]
    assert (shown["chart_id"], shown["username"], shown["state"]) == (1, "ben", "pending")
    stopped = await gateway.post(f"/api/v1/ops/queries/{shown['id']}/stop", "ada")
    assert (stopped.status_code, stopped.json["state"]) == (202, "stopped")


def ticket(gateway, job_id, asked_at):
    secret = gateway.services.settings.secret_key.get_secret_value()
    return f"/api/v1/chart/data/{Ticket('1', None, {}, 0.0, job_id, asked_at).sealed(secret, 'ben')}"


async def test_a_ticket_of_the_version_before_is_understood(gateway, rows):
    """Its job is a text that names no query."""
    url = ticket(gateway, "of-the-version-before", datetime.now(UTC).timestamp())
    assert (await rows(url)).status_code == 200
    assert len(queries(gateway)) == 1
    change(gateway, Chart, sql="SELECT region, nosuch FROM sales")
    assert [(await rows(url)).status_code, (await gateway.get(url)).status_code] == [422, 422], "it ends for it too"


async def test_of_two_versions_of_rows_a_ticket_takes_those_of_its_query_whatever_the_clocks_say(gateway, worker):
    """Gateway and query process may disagree about the time."""
    asked = await ask(gateway, force=True)
    await worker.work()
    entries = DataEntries(gateway.store, gateway.services.settings.store_prefix, stale_s=0)
    entry = await entries.read(asked["cache_key"])
    assert entry is not None
    early = datetime.fromtimestamp(entry.began_at.timestamp() - 100, UTC)
    await entries.put(asked["cache_key"], replace(entry, began_at=early))
    assert (await gateway.get(asked["result_url"])).status_code == 410, "older ones than it read"
    with gateway.services.sessions.begin() as session:
        session.query(Query).update({"extra": {"began_at": early.isoformat()}})
    assert json.loads((await gateway.get(asked["result_url"])).text)["result"][0]["data"]
