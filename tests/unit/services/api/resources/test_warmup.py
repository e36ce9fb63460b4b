import shutil

import pytest

from shared.identity import Audience, Scope
from shared.metadata.models import Dataset, ViewLog, WarmupRun

RUNS = "/api/v1/warmup/runs"
EVENT = "/api/v1/events/data-changed"
SALES = {"database": "shop", "tables": ["sales"], "id": "load-1"}


def service(gateway, *scopes):
    token = gateway.services.tokens.issue("guy", Audience.SERVICE, 60, scopes)
    return {"Authorization": f"Bearer {token}"}


async def test_a_run_is_published_once_and_its_report_can_be_read(gateway):
    asked = await gateway.post(RUNS, "ada", json={"strategy": "top_n_dashboards", "parameters": {"top_n": 3}})
    (message,) = gateway.publisher.warm
    assert (asked.status_code, asked.json["id"], message.number) == (202, message.run_id, 0)
    found = (await gateway.get(asked.json["url"], "ada")).json["result"]
    assert (found["status"], found["parameters"]["top_n"], found["username"]) == ("Pending", 3, "ada")
    assert (await gateway.get(RUNS, "ada")).json["count"] == 1
    assert (await gateway.get(f"{RUNS}/latest", "ada")).json["result"]["id"] == message.run_id


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "strategy"),
        ({"strategy": "nope"}, "strategy"),
        ({"strategy": "dummy", "parameters": {"x": 1}}, "parameters.x"),
        ({"strategy": "dummy", "warms": ["tea"]}, "warms"),
        ({"strategy": "dummy", "warms": []}, "warms"),
        ({"strategy": "dummy", "budget_s": 0}, "budget_s"),
        ({"strategy": "dummy", "surprise": 1}, "surprise"),
        ({"strategy": "dummy", "budget_s": True}, "budget_s"),
    ],
)
async def test_a_wrong_order_is_400_and_names_the_field(gateway, body, field):
    answer = await gateway.post(RUNS, "ada", json=body)
    assert (answer.status_code, answer.json["field"]) == (400, field)
    assert gateway.publisher.warm == []


async def test_without_a_broker_there_is_no_run(gateway):
    gateway.publisher.down = True
    assert (await gateway.post(RUNS, "ada", json={"strategy": "dummy"})).status_code == 503
    with gateway.services.sessions() as session:
        assert session.query(WarmupRun).one().status == "Failed"


async def test_warm_up_is_for_admins_and_programs_with_the_scope(gateway):
    for path in (RUNS, "/api/v1/warmup/strategies", "/api/v1/warmup/pauses", "/api/v1/warmup/backoffs"):
        assert (await gateway.get(path, "ben")).status_code == 403
        assert (await gateway.get(path, "", headers=service(gateway, Scope.EVENTS))).status_code == 403
        assert (await gateway.get(path, "", headers=service(gateway, Scope.WARM_UP))).status_code == 200
        assert (await gateway.get(path, "ada")).status_code == 200


async def test_a_service_token_opens_nothing_else(gateway):
    headers = service(gateway, *Scope)
    for path in ("/api/v1/chart/", "/api/v1/chart/1/data/", "/api/v1/me/"):
        assert (await gateway.get(path, "", headers=headers)).status_code == 403


async def test_an_event_raises_the_version_once_and_warms_what_depends_on_it(gateway):
    headers = service(gateway, Scope.EVENTS)
    first, second = [await gateway.post(EVENT, "", headers=headers, json=SALES) for _ in range(2)]
    assert (first.status_code, first.json["charts"], first.json["dashboards"]) == (202, [1], [1])
    assert (first.json["repeated"], second.json["repeated"]) == (False, True)
    assert [message.run_id for message in gateway.publisher.warm] == [first.json["run_id"]]
    with gateway.services.sessions() as session:
        assert session.query(Dataset).one().data_version == 2


async def test_rows_from_before_an_event_are_not_served_after_it(gateway):
    for expected in ("MISS", "HIT"):
        assert (await gateway.get("/api/v1/chart/1/data/")).headers["X-Cache"] == expected
    await gateway.post(EVENT, "ada", json=SALES)
    assert (await gateway.get("/api/v1/chart/1/data/")).headers["X-Cache"] == "MISS"


async def test_an_event_counts_though_the_broker_is_down(gateway):
    gateway.publisher.down = True
    assert (await gateway.post(EVENT, "ada", json=SALES)).status_code == 202
    with gateway.services.sessions() as session:
        assert session.query(WarmupRun).one().published_at is None  # the scheduler will send it


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (SALES | {"tables": ["nope"]}, 400, "tables"),
        (SALES | {"database": "nope"}, 404, "database"),
        ({"database": "shop"}, 400, "tables"),
    ],
)
async def test_a_wrong_event_names_the_field(gateway, body, status, field):
    answer = await gateway.post(EVENT, "ada", json=body)
    assert (answer.status_code, answer.json["field"]) == (status, field)


async def test_a_database_is_paused_and_resumed(gateway):
    place = "/api/v1/warmup/pauses/shop"
    assert (await gateway.ask("PUT", place, "ada", json={"reason": "load"})).status_code == 200
    (pause,) = (await gateway.get("/api/v1/warmup/pauses", "ada")).json["result"]
    assert (pause["database"], pause["reason"], pause["paused_by"]) == ("shop", "load", "ada")
    assert (await gateway.ask("DELETE", place, "ada")).status_code == 200
    assert (await gateway.ask("DELETE", place, "ada")).status_code == 404
    assert (await gateway.ask("PUT", "/api/v1/warmup/pauses/nope", "ada")).status_code == 404


async def test_ids_that_there_are_not_are_400_and_named_before_there_is_a_run(gateway):
    for strategy, field, parameters in (
        ("ids", "charts", {"charts": [1, 998, 999]}),
        ("native_filter_options", "dashboard_ids", {"dashboard_ids": ["1", "998", "999"]}),
        ("ids", "charts", {"charts": ["998", "999", *map(str, [1] * 200)]}),
    ):
        body = {"strategy": strategy, "parameters": parameters}
        answers = [
            await gateway.post(RUNS, "ada", json=body),
            await gateway.post("/api/v1/schedules", "ada", json={"name": "s", "interval": "1h", **body}),
        ]
        for answer in answers:
            assert (answer.status_code, answer.json["field"]) == (400, f"parameters.{field}")
            assert "with id 998, 999." in answer.json["detail"]
    assert gateway.publisher.warm == []


async def test_a_repeated_event_asks_nothing_of_a_database_that_is_down_by_then(gateway):
    first = await gateway.post(EVENT, "ada", json=SALES)
    shutil.move(gateway.services.settings.state_dir / "shop.sqlite", gateway.services.settings.state_dir / "gone")
    assert (await gateway.post(EVENT, "ada", json=SALES | {"id": "load-2"})).status_code == 503
    again = await gateway.post(EVENT, "ada", json=SALES)
    assert (again.status_code, again.json["run_id"], again.json["repeated"]) == (202, first.json["run_id"], True)


async def test_what_cannot_be_paused_is_told_with_what_can(gateway):
    nothing = await gateway.ask("PUT", "/api/v1/warmup/pauses/nosuch", "ada")
    assert (nothing.status_code, nothing.json["field"]) == (404, "database")
    assert "known: shop" in nothing.json["detail"]
    for method in ("PUT", "DELETE"):
        wrong = await gateway.ask(method, "/api/v1/warmup/pauses/shop?catalog=superset", "ada")
        assert (wrong.status_code, wrong.json["field"]) == (400, "catalog")
        assert "known: native" in wrong.json["detail"]


async def test_an_event_of_a_catalog_that_there_is_not_names_those_that_there_are(gateway):
    answer = await gateway.post(EVENT, "ada", json=SALES | {"catalog": "superset"})
    assert (answer.status_code, answer.json["field"]) == (400, "catalog")
    assert "known: native" in answer.json["detail"]


async def test_an_opening_of_a_dashboard_is_logged_once_with_its_state(gateway):
    mask = "%7B%22region%22%3A%7B%22filterState%22%3A%7B%22value%22%3A%5B%22north%22%5D%7D%7D%7D"
    for _ in range(2):
        await gateway.get(f"/api/v1/chart/1/data/?dashboard_id=1&data_mask={mask}")
    await gateway.ask("GET", "/api/v1/chart/1/data/?dashboard_id=1", "", headers=gateway.bearer("ben", Audience.PAGE))
    while gateway.services.background:
        await next(iter(gateway.services.background))
    with gateway.services.sessions() as session:
        (view,) = session.query(ViewLog).filter_by(source="data")
    assert view.view_state["dataMask"] == {"region": {"filterState": {"value": ["north"]}}}
