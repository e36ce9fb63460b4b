"""What one may not see looks like what does not exist, on every route."""

import asyncio
import re

import pytest

from services.api.app import routes
from shared.errors import DatabaseUnavailable
from shared.metadata.models import Dashboard

OWN = {"Origin": "http://falconframework.org"}


def _object_routes(services):
    for template, resource, _ in routes(services):
        if "{target_id}" in template:
            for method in ("GET", "POST"):
                if hasattr(resource, f"on_{method.lower()}"):
                    yield method, template


def _told(answer):
    body = {**answer.json, "correlation_id": ""} if "json" in answer.headers["Content-Type"] else answer.text
    if isinstance(body, str):
        body = body.replace(answer.headers["X-Correlation-ID"], "")
    headers = {
        name: value for name, value in answer.headers.items() if name not in ("X-Correlation-ID", "x-correlation-id")
    }
    return answer.status_code, body, headers


@pytest.mark.parametrize("username", ["ben", "nia", "guy"])
async def test_a_foreign_object_looks_exactly_like_one_that_does_not_exist(gateway, username):
    seen = 0
    for method, template in _object_routes(gateway.services):
        if "chart" in template and username != "guy":
            continue  # the only chart is theirs to see; dashboard 2 is a draft of ada's
        foreign = 2 if "dashboard" in template and username != "guy" else 1
        paths = [template.format(target_id=number, digest="d" * 32, cache_key="k" * 64) for number in (foreign, 999)]
        answers = [await gateway.ask(method, path, username) for path in paths]
        assert answers[0].status_code == 404, paths[0]
        assert _told(answers[0]) == _told(answers[1]), template
        seen += 1
    assert seen > 5
    assert gateway.publisher.published == []


@pytest.mark.parametrize("number", ["0", "-1", "x", "1x", "٣", "9" * 30, "1%00", "1%2F..", "%27"])
async def test_what_can_be_no_id_is_404(gateway, number):
    for method, template in _object_routes(gateway.services):
        path = re.sub(r"{[^}]*}", "k", template.replace("{target_id}", number))
        assert (await gateway.ask(method, path)).status_code == 404, path


async def test_lists_hold_only_what_one_may_see(gateway):
    titles = {}
    for username in ("ada", "ben", "guy"):
        answer = await gateway.get("/api/v1/dashboard/", username)
        titles[username] = {entry["dashboard_title"] for entry in answer.json["result"]}
        assert answer.json["count"] == len(titles[username])
    assert titles == {"ada": {"Shop", "Draft"}, "ben": {"Shop"}, "guy": set()}


@pytest.mark.parametrize("gateway", [{"access_cache_s": 0}], indirect=True)
async def test_a_withdrawn_permission_holds_at_once_without_the_cache(gateway):
    url = await gateway.thumbnail_url("dashboard", username="nia")
    with gateway.services.sessions.begin() as session:
        session.get_one(Dashboard, 1).published = False
    assert (await gateway.get(url, "nia")).status_code == 404


async def test_many_who_ask_at_once_share_one_look(gateway, monkeypatch):
    access, catalog = gateway.services.access, gateway.services.catalog
    looks = []
    look = catalog.info

    def counted(principal, target):
        looks.append(target)
        return look(principal, target)

    monkeypatch.setattr(catalog, "info", counted)
    url = await gateway.thumbnail_url()
    looks.clear()
    await asyncio.gather(*(gateway.get(url) for _ in range(20)))
    assert looks == []  # the list's look is still remembered
    access._seen._entries.clear()
    await asyncio.gather(*(gateway.get(url) for _ in range(20)))
    assert len(looks) == 1


async def test_a_database_that_does_not_answer_is_503(gateway, monkeypatch):
    def down(principal, target):
        raise DatabaseUnavailable("The metadata database does not answer.")

    monkeypatch.setattr(gateway.services.catalog, "info", down)
    answer = await gateway.get("/api/v1/chart/1")
    assert (answer.status_code, answer.json["code"]) == (503, "database_unavailable")
    assert answer.headers["Retry-After"]
