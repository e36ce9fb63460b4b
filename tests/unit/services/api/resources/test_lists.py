from datetime import datetime

import pytest
from sqlalchemy import event, select

from shared.identity import parse_executors
from shared.metadata.engine import writing
from shared.metadata.models import Chart, Dashboard, User


async def test_a_dashboard_is_listed_as_superset_lists_it(gateway):
    answer = await gateway.get("/api/v1/dashboard/")
    assert (answer.json["count"], answer.json["ids"]) == (1, [1])
    [item] = answer.json["result"]
    assert datetime.fromisoformat(item.pop("changed_on_utc")).tzinfo
    assert item.pop("thumbnail_url").startswith("/api/v1/dashboard/1/thumbnail/")
    assert item == {
        "id": 1,
        "dashboard_title": "Shop",
        "url": "/dashboard/1/",
        "changed_by": None,
        "tags": [],
        "owners": [{"username": "ben", "name": "Ben Analyst"}],
        "description": "All of it",
        "published": True,
    }


async def test_a_chart_is_listed_as_superset_lists_it(gateway):
    [item] = (await gateway.get("/api/v1/chart/")).json["result"]
    assert (item["slice_name"], item["tags"], item["changed_by"]) == ("Sales <by> region", [{"name": "money"}], "ben")
    one = await gateway.get("/api/v1/chart/1")
    assert one.json == {"id": 1, "result": item}


async def test_each_user_gets_their_own_thumbnail_url(gateway):
    urls = {await gateway.thumbnail_url(username=username) for username in ("ada", "ben", "nia")}
    assert len(urls) == 3


@pytest.mark.parametrize("gateway", [{"thumbnail_executors": parse_executors("CREATOR")}], indirect=True)
async def test_without_an_executor_there_is_no_thumbnail_url(gateway):
    [item] = (await gateway.get("/api/v1/chart/")).json["result"]
    assert item["thumbnail_url"] is None
    answer = await gateway.get(f"/api/v1/chart/1/thumbnail/{'0' * 32}/")
    assert (answer.status_code, answer.json["code"]) == (422, "executor_not_found")


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("page=0&page_size=1", [2]),
        ("page=1&page_size=1", [1]),
        ("q=(page:1,page_size:1)", [1]),
        ("q=(page:0,page_size:-1,columns:!(id))", [2, 1]),
        ("q=(page:5,page_size:100)", []),
        ("page_size=100000", [2, 1]),
    ],
)
async def test_pages_of_the_list(gateway, query, ids):
    answer = await gateway.get(f"/api/v1/dashboard/?{query}", "ada")
    assert (answer.json["count"], answer.json["ids"]) == (2, ids)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page=x", "page"),
        ("page=-1", "page"),
        ("page_size=0", "page_size"),
        ("q=(page:!t)", "page"),
        ("q=(page:1.5)", "page"),
        ("q=(page_size:!n)", "page_size"),
        ("q=(((", "q"),
        ("q=abc", "q"),
        (f"page={'9' * 50}", "page"),
    ],
)
async def test_a_bad_page_is_400_with_the_field_named(gateway, query, field):
    answer = await gateway.get(f"/api/v1/chart/?{query}")
    assert (answer.status_code, answer.json["field"]) == (400, field)


def _multiply(services, numbers):
    """More charts and dashboards, of different owners."""
    with writing(services.sessions) as session:
        chart = session.get(Chart, 1)
        people = session.scalars(select(User).order_by(User.id)).all()
        for number in numbers:
            shared = {"title": f"Copy {number}", "owners": [people[number % len(people)]]}
            drawn = {name: getattr(chart, name) for name in ("database", "sql", "kind", "spec", "datasets")}
            copy = Chart(slug=f"copy-{number}", **shared, **drawn)
            laid = {"layout": {"tabs": []}, "filters": [], "published": True, "charts": [copy]}
            session.add(Dashboard(slug=f"copy-{number}", **shared, **laid))


@pytest.mark.parametrize("kind", ["chart", "dashboard"])
@pytest.mark.parametrize("gateway", [{"thumbnail_executors": parse_executors("OWNER,CURRENT_USER")}], indirect=True)
async def test_a_longer_page_needs_no_more_queries(gateway, kind):
    asked, token = [], gateway.bearer("ben")  # one token: who it is of is looked up once
    event.listen(gateway.services.engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
    needed = []
    for numbers in (range(10), range(10, 80)):
        _multiply(gateway.services, numbers)
        await gateway.get(f"/api/v1/{kind}/1", "", headers=token)
        asked.clear()
        listed = (await gateway.get(f"/api/v1/{kind}/?page_size=100", "", headers=token)).json["result"]
        assert len(listed) == numbers.stop + 1
        assert len({entry["thumbnail_url"] for entry in listed}) > numbers.stop / 2
        needed.append(len(asked))
    assert needed[0] == needed[1] < 20
