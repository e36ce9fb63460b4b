"""As whom a picture is drawn: each kind of executor, signed in by the key, and that person's rows in the picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from services.renderer.pool import BrowserPool
from shared.catalog.superset.catalog import SupersetCatalog
from shared.errors import ExecutorNotFound
from shared.identity import parse_executors
from shared.requests import Plan, Requests
from shared.settings import Settings
from shared.targets import Target
from tests.harness import Superset
from tests.harness.superset import READER
from tests.superset.conftest import Rendering, dashboard
from tests.superset.samples import add_dashboard

pytestmark = pytest.mark.asyncio(loop_scope="session")
ROWS = {"admin": {"boy", "girl"}, "ann": {"boy", "girl"}, "ben": {"girl"}}  # ben's role has a rule


@pytest.fixture(scope="module")
def owned(superset: Superset, admin: httpx.Client, made: dict[str, str]) -> Callable[..., Target]:
    """`owned(owners, changed_by)`: a dashboard of the sexes in births, which ben created."""

    def make(owners: list[str], changed_by: str) -> Target:
        with closing(superset.person("ben")) as ben:
            number = add_dashboard(admin, f"Of {owners}", [made["Genders"]], {}, author=ben)
        path = f"/api/v1/dashboard/{number}"
        admin.put(path, json={"owners": [superset.user_ids[owner] for owner in owners]}).raise_for_status()
        with closing(superset.person(changed_by)) as editor:
            editor.put(path, json={"dashboard_title": f"Of {owners}, by {changed_by}"}).raise_for_status()
        return dashboard(number)

    return make


@pytest.fixture(scope="module")
def of_two(owned: Callable[..., Target]) -> Target:
    return owned(["ann", "ben"], "ann")


@pytest.fixture(scope="module")
def signed(superset: Superset, settings_of: Callable[..., Settings]) -> Settings:
    """Of an operator who gives the key and no password at all."""
    return settings_of(superset, superset_passwords={}, superset_user_id=superset.user_ids[READER])


@pytest.fixture(scope="module")
def by_key(signed: Settings) -> Iterator[SupersetCatalog]:
    with closing(SupersetCatalog(signed)) as catalog:
        yield catalog


@pytest.fixture
def render(pool: BrowserPool, by_key: SupersetCatalog) -> Rendering:
    return Rendering(pool, by_key)


@pytest.fixture(scope="module")
def planned(signed: Settings, by_key: SupersetCatalog) -> Callable[..., Plan]:
    """`planned(target, "OWNER", "eve")`: the thumbnail that somebody asks for."""
    nowhere: Any = None  # nothing is stored or published here
    requests = Requests(signed, {by_key.name: by_key}, nowhere, nowhere)

    def plan(target: Target, rules: str, asks: str) -> Plan:
        who = by_key.principal(asks)
        return requests.thumbnail(target, who, info=by_key.info(who, target), rules=parse_executors(rules))

    return plan


@pytest.mark.parametrize(
    ("rules", "asks", "executor"),
    [
        ("CURRENT_USER", "ann", "ann"),
        ("CURRENT_USER", "ben", "ben"),
        ("CREATOR", "ann", "ben"),
        ("CREATOR_OWNER", "ann", "ben"),
        ("MODIFIER", "ben", "ann"),
        ("MODIFIER_OWNER", "ben", "ann"),
        ("OWNER", "ben", "ann"),
        ("FIXED:ben", "ann", "ben"),
    ],
)
async def test_the_picture_shows_the_rows_of_its_executor(render, superset, planned, of_two, rules, asks, executor):
    log_ins = superset.processes[0].log.count('"POST /login/')
    plan = planned(of_two, rules, asks)
    assert plan.executor == executor
    assert await rows(render, of_two, plan.executor) == ROWS[executor]
    assert superset.processes[0].log.count('"POST /login/') == log_ins


async def test_an_owner_stands_in_where_who_changed_it_is_none(render, planned, owned):
    of_ben = owned(["ben"], "admin")
    assert planned(of_ben, "OWNER", "ann").executor == "ben"
    assert planned(of_ben, "MODIFIER_OWNER,CREATOR_OWNER", "ann").executor == "ben"
    assert await rows(render, of_ben, planned(of_ben, "MODIFIER", "ann").executor) == ROWS["admin"]
    with pytest.raises(ExecutorNotFound, match="None of the executors MODIFIER_OWNER resolves"):
        planned(of_ben, "MODIFIER_OWNER", "ann")


async def test_whose_rows_differ_have_pictures_of_their_own(planned, of_two):
    keys = {planned(of_two, "CURRENT_USER", asks).key for asks in ("ann", "ben", "admin")}
    assert len(keys) == 3
    assert planned(of_two, "CREATOR", "ann").key == planned(of_two, "CREATOR", "ben").key


async def rows(render: Any, target: Target, executor: str) -> set[str]:
    """Of the sexes, those that the page showed when it was captured."""
    seen: set[str] = set()

    async def watch(lease: Any) -> None:
        words = (await lease.page.inner_text("[data-test=grid-container]")).split()
        seen.update({"boy", "girl"} & set(words))

    render.watch = watch
    await render(target, executor)
    return seen
