"""Chart data without waiting: 202, then the rows under the URL that it names."""

import asyncio
import re
from datetime import UTC, datetime

import pytest

from shared.identity import Audience
from shared.metadata.models import ViewLog

BODY = {"form_data": {"slice_id": 1}, "result_format": "json", "result_type": "full", "queries": []}


async def _rows(gateway, url, username="ben"):
    """As a client does: it asks until the rows are there."""
    for _ in range(400):
        answer = await gateway.get(url, username)
        if answer.status_code != 202:
            return answer
        await asyncio.sleep(0.05)
    raise AssertionError("no rows")


async def test_rows_that_are_not_there_are_202_and_then_where_it_says(gateway):
    accepted = await gateway.post("/api/v1/chart/data", json=BODY)
    assert accepted.status_code == 202, accepted.text
    assert set(accepted.json) >= {"channel_id", "job_id", "user_id", "status", "errors", "result_url"}
    assert (accepted.json["status"], accepted.json["errors"]) == ("pending", [])
    later = await _rows(gateway, accepted.json["result_url"])
    assert later.status_code == 200
    plain = await gateway.get("/api/v1/chart/1/data/")
    assert later.json["result"][0]["data"] == plain.json["result"][0]["data"]


async def test_rows_that_are_fresh_come_at_once_and_force_reads_them_anew(gateway):
    await gateway.get("/api/v1/chart/1/data/")
    answer = await gateway.post("/api/v1/chart/data", json=BODY)
    assert (answer.status_code, answer.json["result"][0]["is_cached"]) == (200, True)
    forced = await gateway.post("/api/v1/chart/data", json=BODY | {"force": True})
    assert forced.status_code == 202
    newer = await _rows(gateway, forced.json["result_url"])
    assert newer.json["result"][0]["cached_dttm"] >= answer.json["result"][0]["cached_dttm"]


@pytest.mark.parametrize("gateway", [{"data_ttl_s": 0, "data_stale_s": 3600}], indirect=True)
async def test_rows_that_are_never_kept_come_for_their_ticket_and_for_nobody_later(gateway):
    first = (await gateway.post("/api/v1/chart/data", json=BODY)).json["result_url"]
    answer = await _rows(gateway, first)
    assert (answer.status_code, answer.json["result"][0]["data"] != []) == (200, True)
    again = await gateway.get(first)
    assert again.json["result"][0]["cached_dttm"] == answer.json["result"][0]["cached_dttm"], "one query"
    later = await gateway.post("/api/v1/chart/data", json=BODY)
    assert later.status_code == 202
    newer = await _rows(gateway, later.json["result_url"])
    assert newer.json["result"][0]["cached_dttm"] > answer.json["result"][0]["cached_dttm"]


@pytest.mark.parametrize("gateway", [{"data_ttl_s": 1, "data_stale_s": 0}], indirect=True)
async def test_rows_that_grew_old_between_two_looks_come_for_their_ticket(gateway):
    url = (await gateway.post("/api/v1/chart/data", json=BODY)).json["result_url"]
    read_at = datetime.fromisoformat((await _rows(gateway, url)).json["result"][0]["cached_dttm"])
    for _ in range(400):
        if (datetime.now(UTC) - read_at).total_seconds() > 1.1:  # fresh no more
            break
        await asyncio.sleep(0.05)
    assert (await gateway.get(url)).status_code == 200


async def test_a_ticket_holds_for_whom_it_was_issued_to(gateway):
    url = (await gateway.post("/api/v1/chart/data", json=BODY)).json["result_url"]
    await _rows(gateway, url)
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
