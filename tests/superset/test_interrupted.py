"""What happens to a Superset while a render goes on: each has a name, and the last good picture stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio

from services.renderer.pool import BrowserPool
from shared.catalog.superset.catalog import SupersetCatalog
from shared.catalog.superset.client import Credential
from shared.errors import BY_CODE
from shared.requests import Plan
from shared.settings import Settings
from shared.store.pictures import State, Status
from tests.harness import Superset, wait_until_async
from tests.harness.superset import PASSWORD, READER
from tests.sites.proxy import FaultProxy
from tests.superset.conftest import dashboard
from tests.superset.kept import Kept
from tests.superset.samples import add_dashboard

pytestmark = pytest.mark.asyncio(loop_scope="session")
BACK_S = 120  # for the circuit to close again, on a loaded machine


@dataclass
class World:
    """Ours, behind a proxy before Superset."""

    catalog: SupersetCatalog
    proxy: FaultProxy
    kept: Kept

    @asynccontextmanager
    async def drawing(self, plan: Plan, fragment: str) -> AsyncIterator[asyncio.Task[State]]:
        """A render that waits, until the block ends, where it asks for what has the `fragment` in its path."""
        with self.proxy.hold(fragment) as held:
            drawing = asyncio.create_task(self.kept.draw(plan))
            await asyncio.to_thread(held.wait)
            yield drawing


@asynccontextmanager
async def open_world(superset: Superset, settings_of: Callable[..., Settings], **changes: Any) -> AsyncIterator[World]:
    with closing(FaultProxy(superset.url)) as proxy:
        settings = settings_of(superset, superset_url=proxy.url, **changes)
        with closing(SupersetCatalog(settings)) as catalog:
            pool = BrowserPool(settings, catalog.hosts)
            await pool.start()
            yield World(catalog, proxy, Kept(settings, catalog, pool))
            await pool.drain()


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def world(superset: Superset, settings_of: Callable[..., Settings]) -> AsyncIterator[World]:
    async with open_world(superset, settings_of) as world:
        yield world


ENDS: dict[str, Callable[[httpx.Client, str], httpx.Response]] = {
    "deleted": lambda admin, path: admin.delete(path),
    "unpublished": lambda admin, path: admin.put(path, json={"published": False}),
}


@pytest.mark.parametrize("end", ENDS)
async def test_a_dashboard_that_goes_in_mid_render(world, admin, made, end):
    number = add_dashboard(admin, "Brief", [made["Genders"]], {})
    path = f"/api/v1/dashboard/{number}"
    plan = world.kept.plan(dashboard(number), "ann")
    assert (await world.kept.draw(plan)).status is Status.UPDATED
    good = await world.kept.picture(plan)
    async with world.drawing(plan, f"{path}?q=(columns") as drawing:  # of the page; we ask in other words before it
        ENDS[end](admin, path).raise_for_status()
    state = await drawing
    assert (state.status, state.code) == (Status.ERROR, "page_refused")
    assert await world.kept.picture(plan) == good

    async def is_gone() -> bool:
        return (await world.kept.draw(plan)).code == "not_found"

    await wait_until_async(is_gone, 10, "the next render to know it before it opens the page")
    assert await world.kept.picture(plan) == good


async def test_data_that_do_not_come_in_time(world, made, monkeypatch):
    plan = world.kept.plan(dashboard(made["Filtered"]), "ann")
    assert (await world.kept.draw(plan)).status is Status.UPDATED
    good = await world.kept.picture(plan)
    hurried = world.kept._renders._settings.model_copy(update={"render_deadline_s": 6})
    monkeypatch.setattr(world.kept._renders, "_settings", hurried)
    async with world.drawing(plan, "/api/v1/chart/data") as drawing:
        state = await drawing
    assert (state.status, state.code) == (Status.ERROR, "not_ready")
    assert "never finished drawing" in state.reason
    assert await world.kept.picture(plan) == good


async def test_a_superset_that_is_restarted_in_mid_render(world, superset, made):
    plan = world.kept.plan(dashboard(made["Filtered"]), "ann")
    assert (await world.kept.draw(plan)).status is Status.UPDATED
    good = await world.kept.picture(plan)
    async with world.drawing(plan, "/api/v1/chart/data") as drawing:
        superset.kill9()
    state = await drawing
    assert (state.status, state.code) == (Status.ERROR, "catalog_unavailable")
    assert BY_CODE[state.code].transient, "a worker tries it again"
    assert await world.kept.picture(plan) == good
    await asyncio.to_thread(superset.start)

    async def is_drawn() -> bool:
        return (await world.kept.draw(plan)).status is Status.UPDATED

    await wait_until_async(is_drawn, BACK_S, "a picture after the restart", interval_s=1)
    assert (await world.kept.picture(plan)).head.generation > good.head.generation


@pytest.fixture
def dan_again(superset: Superset, admin: httpx.Client) -> Iterator[None]:
    """As he was, whatever became of the test."""
    yield
    who = f"/api/v1/security/users/{superset.user_ids['dan']}"
    admin.put(who, json={"active": True, "password": PASSWORD}).raise_for_status()


@pytest.mark.usefixtures("dan_again")
async def test_a_password_that_was_changed_is_named_and_not_tried_again_and_again(superset, settings_of, admin, made):
    passwords = {READER: PASSWORD, "dan": PASSWORD}
    async with open_world(superset, settings_of, superset_secret_key="", superset_passwords=passwords) as world:
        target = dashboard(made["Filtered"])
        plan = world.kept.plan(target, "dan")
        assert (await world.kept.draw(plan)).status is Status.UPDATED
        good = await world.kept.picture(plan)
        body = {"password": "a-pear-a-day"}
        admin.put(f"/api/v1/security/users/{superset.user_ids['dan']}", json=body).raise_for_status()
        end_session(world.catalog, "dan")
        before = superset.processes[0].log.count('"POST /login/')
        for _ in range(3):
            state = await world.kept.draw(plan)
            assert (state.status, state.code) == (Status.ERROR, "catalog_sign_in")
            assert "password of 'dan'" in state.reason
            assert PASSWORD not in state.reason
        assert superset.processes[0].log.count('"POST /login/') == before + 1, "accounts get locked"
        assert await world.kept.picture(plan) == good


@pytest.mark.usefixtures("dan_again")
async def test_a_session_that_ends_in_mid_render_is_renewed_within_it(world, superset, admin, made):
    target = dashboard(made["Filtered"])
    plan = world.kept.plan(target, "dan")
    assert (await world.kept.draw(plan)).status is Status.UPDATED
    with ExitStack() as until_active:
        async with world.drawing(plan, "/api/v1/chart/data") as drawing:
            set_active(superset, admin, "dan", False)
            asked_anew = until_active.enter_context(world.proxy.hold(f"/api/v1/dashboard/{target.id}?q=%28columns"))
        await asyncio.to_thread(asked_anew.wait)
        set_active(superset, admin, "dan", True)
    state = await drawing
    assert (state.status, state.reason) == (Status.UPDATED, "")


@pytest.mark.usefixtures("dan_again")
async def test_a_user_who_is_deactivated_in_mid_render(world, superset, admin, made):
    target = dashboard(made["Filtered"])
    plan = world.kept.plan(target, "dan")
    assert (await world.kept.draw(plan)).status is Status.UPDATED
    good = await world.kept.picture(plan)
    async with world.drawing(plan, "/api/v1/chart/data") as drawing:
        set_active(superset, admin, "dan", False)
    state = await drawing
    set_active(superset, admin, "dan", True)
    assert (state.status, state.code) == (Status.ERROR, "catalog_sign_in")
    assert "or the user is inactive" in state.reason
    assert await world.kept.picture(plan) == good


def set_active(superset: Superset, admin: httpx.Client, username: str, active: bool) -> None:
    """Superset ends the sessions of a user who is not."""
    admin.put(f"/api/v1/security/users/{superset.user_ids[username]}", json={"active": active}).raise_for_status()


def end_session(catalog: SupersetCatalog, username: str) -> None:
    """As if Superset had ended it: it does not know the cookie that we have in hand."""
    catalog._sessions.forget(username)
    catalog._sessions._kept.get(username, lambda: Credential(cookie="ended"))
