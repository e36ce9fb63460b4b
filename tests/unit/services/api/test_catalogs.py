"""Several catalogs behind one API: plain ids are the default catalog's, all others say whose they are."""

from __future__ import annotations

from dataclasses import replace

import pytest
import pytest_asyncio
from falcon import testing

from services.api.app import create_app
from shared.catalog.superset.client import Credential
from shared.identity import OPERATOR, Principal
from shared.metadata.models import Database, Query
from shared.targets import TargetKind
from tests.unit.services.api.conftest import Gateway

FILE = """\
pages:
  - {id: queue, title: The queue, url: "http://flower.example:5555/", tags: [ops]}
  - {id: secret, title: Of the bosses, url: "http://flower.example:5555/tasks", roles: [boss]}
"""
QUERY = {
    "database_name": "shop",
    "sql": "SELECT 1",
    "row_limit": 10,
    "limiting_factor": "DROPDOWN",
    "run_async": True,
    "queue": "q",
    "correlation_id": "c",
    "created_at": 1.0,
    "changed_at": 1.0,
    "deadline_at": 2.0,
    "extra": {},
}


@pytest_asyncio.fixture
async def paged(make_services, publisher, tmp_path):
    file = tmp_path / "pages.yaml"
    file.write_text(FILE)
    services = make_services(pages_file=file)
    async with testing.ASGIConductor(create_app(services)) as conductor:
        yield Gateway(services, conductor, publisher, services.store)


async def test_lists_hold_the_targets_of_all_catalogs_page_by_page(paged):
    whole = (await paged.get("/api/v1/dashboard/?page_size=100")).json
    assert whole["ids"][-1] == "pages:queue"
    assert all(isinstance(number, int) for number in whole["ids"][:-1])
    pages = [(await paged.get(f"/api/v1/dashboard/?page={page}&page_size=1")).json for page in range(whole["count"])]
    assert [page["ids"][0] for page in pages] == whole["ids"]


async def test_a_thumbnail_of_another_catalog_is_asked_for_under_its_own_name(paged):
    listed = (await paged.get("/api/v1/dashboard/pages:queue")).json["result"]
    assert listed["thumbnail_url"].startswith("/api/v1/dashboard/pages:queue/thumbnail/")
    assert (await paged.get(listed["thumbnail_url"])).status_code == 202
    request = paged.publisher.published[-1]
    assert (str(request.target), request.executor) == ("pages/dashboard/queue", "reader")
    nia = (await paged.get("/api/v1/dashboard/pages:queue", "nia")).json["result"]
    assert nia["thumbnail_url"] == listed["thumbnail_url"], "one picture for everybody"


@pytest.mark.parametrize("number", ["pages:secret", "pages:nothing", "other:1", "pages:", "native:999"])
async def test_what_one_may_not_see_and_what_is_not_there_are_404(paged, number):
    for rest in ("", "/thumbnail/", "/thumbnail/x/"):
        assert (await paged.get(f"/api/v1/dashboard/{number}{rest}")).status_code == 404, rest


async def test_a_principal_of_another_catalog_is_nobody_in_ours(paged):
    stranger = Principal("ada", frozenset({"Admin"}), "superset")
    catalog = paged.services.catalog
    assert catalog.list(Principal("ada", frozenset({"Admin"})), TargetKind.DASHBOARD)[0] > 0
    assert catalog.list(stranger, TargetKind.DASHBOARD) == (0, [])
    assert catalog.list(stranger, TargetKind.CHART) == (0, [])


async def test_a_view_state_of_such_a_page_is_its_parameters(paged):
    path = "/api/v1/dashboard/pages:queue/cache_dashboard_screenshot/"
    asked = await paged.post(path, json={"urlParams": [["range", "1h"]]})
    assert asked.status_code == 202
    assert paged.publisher.published[-1].view_state.url_params == (("range", "1h"),)
    refused = await paged.post(path, json={"dataMask": [1]})
    assert (refused.status_code, refused.json["field"]) == (400, "dataMask")


class SomeSuperset:
    """Knows everybody: a token is the user's name, and `boss` is its Admin."""

    def identify(self, credential: Credential) -> Principal:
        roles = frozenset({"Admin" if credential.bearer == "boss" else "Gamma"})
        return Principal("ada" if credential.bearer == "boss" else credential.bearer, roles, "superset", credential)


@pytest_asyncio.fixture
async def beside_superset(make_services, publisher):
    services = replace(make_services(), superset=SomeSuperset())
    with services.sessions.begin() as session:
        shop = session.query(Database).first()
        for username in ("ben", "ada", OPERATOR.username):
            session.add(Query(client_id=f"of-{username}", username=username, database_id=shop.id, **QUERY))
    async with testing.ASGIConductor(create_app(services)) as conductor:
        yield Gateway(services, conductor, publisher, services.store)


@pytest.mark.parametrize("token", ["ben", "boss"])
async def test_a_namesake_or_admin_of_superset_has_none_of_our_queries(beside_superset, token):
    headers = {"Authorization": f"Bearer {token}"}
    for path in ("/api/v1/query/", "/api/v1/query/updated_since?q=(last_updated_ms:0)"):
        assert (await beside_superset.get(path, "", headers=headers)).json["result"] == [], path
        assert (await beside_superset.get(path, "ben")).json["result"] != [], path
    for client_id in ("of-ben", "of-ada", "of-"):
        asked = {"json": {"client_id": client_id}, "headers": headers}
        assert (await beside_superset.post("/api/v1/query/stop", "", **asked)).status_code == 404, client_id
        assert (await beside_superset.get(f"/api/v1/query/{client_id}", "", headers=headers)).status_code == 404
        export = await beside_superset.get(f"/api/v1/sqllab/export/{client_id}/", "", headers=headers)
        assert export.status_code == 404


async def test_an_admin_of_superset_is_no_admin_of_ours(beside_superset):
    boss = {"Authorization": "Bearer boss"}
    for path in ("/ops/", "/api/v1/ops", "/api/v1/ops/renders/x/screenshot"):
        assert (await beside_superset.get(path, "", headers=boss)).status_code == 404, path
    for path in ("/api/v1/warmup/runs", "/api/v1/schedules"):
        assert (await beside_superset.get(path, "", headers=boss)).status_code == 403, path
    assert (await beside_superset.get("/api/v1/ops", "ada")).status_code == 200
    page = await beside_superset.get("/", "", headers=boss | {"Accept": "text/html"})
    assert "/ops/" not in page.text
    me = (await beside_superset.get("/api/v1/me/", "", headers=boss)).json["result"]
    assert me["name"] == "ada", "our ada's full name is not theirs"
