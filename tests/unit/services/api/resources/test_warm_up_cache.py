"""Superset's warm_up_cache: asked, carried out by a warmer, read back."""

import asyncio

import pytest

from services.renderer.warming import open_warmer
from shared.metadata.models import Chart, Dashboard, Dataset, WarmupRun

CHART, DATASET = "/api/v1/chart/warm_up_cache", "/api/v1/dataset/warm_up_cache"
WARM = [{"chart_id": 1, "viz_error": None, "viz_status": "success"}]


@pytest.fixture
def worker(gateway, monkeypatch):
    """The publisher plays the warming process, beside the request as that does."""
    services = gateway.services
    catalogs = {"native": services.catalog}
    warmer = open_warmer(services.settings, services.sessions, services.store, catalogs, services.requests)
    tasks = set()

    async def carry_out(run_id):
        for number in await warmer.decide(run_id):
            await warmer.one(run_id, number, wait_s=1)

    async def publish(request):
        tasks.add(asyncio.create_task(carry_out(request.run_id)))

    monkeypatch.setattr(gateway.publisher, "publish_warm", publish)


async def warm(gateway, path=CHART, **body):
    return await gateway.ask("PUT", path, "ada", json=body)


async def test_a_chart_is_warm_for_everybody_once_it_is_answered(gateway, worker):
    answer = await warm(gateway, chart_id=1, dashboard_id=None, extra_filters="[]")
    assert (answer.status_code, answer.json["result"]) == (200, WARM)
    for name in ("ada", "ben", "nia"):
        assert (await gateway.get("/api/v1/chart/1/data/", name)).headers["X-Cache"] == "HIT"
    with gateway.services.sessions() as session:
        assert session.query(WarmupRun).one().username == "ada"


async def test_within_a_dashboard_it_is_warm_under_the_defaults_of_its_filters(gateway, worker):
    with gateway.services.sessions.begin() as session:
        board = session.get(Dashboard, 1)
        board.filters = [{**board.filters[0], "default": ["north"]}]
    assert (await warm(gateway, chart_id=1, dashboard_id=1)).json["result"] == WARM
    assert (await gateway.get("/api/v1/chart/1/data/?dashboard_id=1", "ben")).headers["X-Cache"] == "HIT"
    assert (await gateway.get("/api/v1/chart/1/data/", "ben")).headers["X-Cache"] == "MISS"


async def test_every_chart_of_a_table_is_warmed(gateway, worker):
    answer = await warm(gateway, DATASET, db_name="shop", table_name="sales")
    assert (answer.status_code, answer.json["result"]) == (200, WARM)
    assert (await warm(gateway, DATASET, db_name="shop", table_name="nope")).status_code == 404


async def test_a_table_in_a_schema_is_found_by_its_bare_name_as_superset_s_clients_write_it(gateway, worker):
    with gateway.services.sessions.begin() as session:
        session.get(Dataset, 1).table = "main.sales"
        session.get(Dataset, 1).name = "sold"
    for name in ("sales", "main.sales", "sold"):
        answer = await warm(gateway, DATASET, db_name="shop", table_name=name, extra_filters='[{"col": "x"}]')
        assert (answer.status_code, [one["chart_id"] for one in answer.json["result"]]) == (200, [1])
    assert (await warm(gateway, DATASET, db_name="shop", table_name="ales")).status_code == 404


async def test_what_fails_says_why(gateway, worker):
    with gateway.services.sessions.begin() as session:
        session.get(Chart, 1).sql = "SELECT nope FROM sales"
    (result,) = (await warm(gateway, chart_id=1)).json["result"]
    assert (result["viz_status"], "nope" in result["viz_error"]) == ("failed", True)


@pytest.mark.parametrize("gateway", [{"query_timeout_s": 0.1}], indirect=True)
async def test_what_nobody_warms_is_no_success(gateway, monkeypatch):
    monkeypatch.setattr("services.api.resources.warm_up_cache.SPARE_S", 1)
    (result,) = (await warm(gateway, chart_id=1)).json["result"]
    assert (result["viz_status"], "not warm in time" in result["viz_error"]) == (None, True)


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 400, "chart_id"),
        ({"chart_id": "x"}, 400, "chart_id"),
        ({"chart_id": 1, "dashboard_id": 1, "extra_filters": '[{"col": "region"}]'}, 400, "extra_filters"),
        ({"chart_id": 999}, 404, None),
        ({"chart_id": 1, "dashboard_id": 999}, 404, None),
    ],
)
async def test_what_cannot_be_warmed_is_refused(gateway, body, status, field):
    answer = await warm(gateway, **body)
    assert (answer.status_code, answer.json.get("field")) == (status, field)
    assert gateway.publisher.warm == []


async def test_it_is_not_for_everybody(gateway):
    assert (await gateway.ask("PUT", CHART, "ben", json={"chart_id": 1})).status_code == 403
