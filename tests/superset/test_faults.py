"""A Superset that dies, hangs, answers 500 or loses its sessions: each has a name, and the last good picture stays."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from services.renderer.pool import BrowserPool
from shared.catalog.superset.catalog import SupersetCatalog
from shared.errors import CatalogUnavailable, LoginPage, NavigationFailed, NotFound
from shared.settings import Settings
from shared.targets import ViewState
from tests.harness import Superset, wait_until
from tests.harness.stack import Stack
from tests.harness.superset import PASSWORD, READER, SECRET_KEY
from tests.sites.proxy import FaultProxy
from tests.superset.conftest import Rendering, dashboard

pytestmark = pytest.mark.asyncio(loop_scope="session")
PICTURE_S = 240  # on a loaded machine


@pytest.fixture
def fragile(superset: Superset, settings_of: Callable[..., Settings]) -> Iterator[tuple[SupersetCatalog, FaultProxy]]:
    """A catalog that reaches Superset through a proxy which can break what passes."""
    with closing(FaultProxy(superset.url)) as proxy:
        settings = settings_of(superset, superset_url=proxy.url, superset_timeout_s=2)
        with closing(SupersetCatalog(settings)) as catalog:
            yield catalog, proxy


def circuit() -> float | None:
    return REGISTRY.get_sample_value("vitrine_catalog_circuit_open", {"catalog": "superset"})


FAULTS = {
    "500": lambda proxy: proxy.answer("/", 500),
    "no answer": lambda proxy: proxy.hold("/"),
    "hung up": lambda proxy: proxy.answer("/", -1),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_superset_that_does_not_answer_is_unavailable_and_left_alone(fragile, ids, fault):
    catalog, proxy = fragile
    target = dashboard(ids["Misc Charts"])
    catalog.facts(target, "admin")
    with FAULTS[fault](proxy) as broken:
        for _ in range(4):
            catalog._rows.forget(("admin", target.kind, target.id))
            with pytest.raises(CatalogUnavailable):
                catalog.facts(target, "admin")
        assert circuit() == 1
        hits, began = broken.hits, time.monotonic()
        with pytest.raises(CatalogUnavailable, match="left alone"):
            catalog.list(catalog.principal("admin"), target.kind)
        assert (broken.hits, time.monotonic() - began < 1) == (hits, True), "an open circuit asks nothing"
    wait_until(lambda: _answers(catalog), 90, "the circuit to close again", ignoring=(CatalogUnavailable,))
    assert circuit() == 0


@pytest.mark.parametrize("fault", ["500", "hung up"])
async def test_a_page_that_does_not_open_is_tried_again_later(fragile, pool, ids, fault):
    catalog, proxy = fragile
    render = Rendering(BrowserPool(pool._settings, catalog.hosts), catalog)
    await render.pool.start()
    spec = catalog.page(dashboard(ids["Misc Charts"]), "admin", ViewState(), nonce="n")
    with FAULTS[fault](proxy), pytest.raises(NavigationFailed) as raised:
        await render(dashboard(ids["Misc Charts"]), spec=spec)
    assert raised.value.transient
    await render.pool.drain()


@pytest.mark.parametrize("status", [-1, 500, 502])
async def test_data_that_cannot_be_had_is_an_outage_and_no_picture(fragile, pool, ids, status):
    catalog, proxy = fragile
    render = Rendering(BrowserPool(pool._settings, catalog.hosts), catalog)
    await render.pool.start()
    spec = catalog.page(dashboard(ids["Sales Dashboard"]), "admin", ViewState(), nonce="n")
    with proxy.answer("/api/v1/chart/data", status), pytest.raises(CatalogUnavailable, match="could not reach"):
        await render(dashboard(ids["Sales Dashboard"]), spec=spec)
    await render.pool.drain()


async def test_the_last_good_picture_stays_while_superset_is_down(superset, ids):
    path = f"/api/v1/dashboard/{ids['USA Births Names']}/thumbnail/"
    with (
        closing(FaultProxy(superset.url)) as proxy,
        closing(superset.person("ann")) as ann,
        Stack(**settings_before(proxy.url)) as stack,
    ):
        stack.start("up")
        ann.base_url = httpx.URL(stack.url)
        wait_until(lambda: picture(ann, path).status_code == 200, PICTURE_S, "a picture", interval_s=1)
        good = picture(ann, path)
        with proxy.answer("/", 500) as down:
            assert ann.post(path, json={"force": True}).status_code == 202
            down.wait()
            wait_until(lambda: ann.get(path).json()["code"] == "catalog_unavailable", PICTURE_S, "the render to fail")
            kept = picture(ann, path)
    assert (kept.status_code, kept.headers["content-type"]) == (200, "image/png")
    assert kept.content == good.content


def picture(person: httpx.Client, path: str) -> httpx.Response:
    return person.get(f"{path}x/", follow_redirects=True)


def settings_before(url: str) -> dict[str, Any]:
    """Of an embedded Vitrine that remembers for the whole test who may see what: it cannot ask meanwhile."""
    return {
        "superset_url": url,
        "superset_username": READER,
        "superset_passwords": json.dumps({READER: PASSWORD}),
        "superset_secret_key": SECRET_KEY,
        "default_catalog": "superset",
        "access_cache_s": 300,
    }


async def test_a_session_that_ends_before_the_render_is_renewed_by_the_next_try(catalog, render, ids):
    target = dashboard(ids["Misc Charts"])
    spec = catalog.page(target, "ann", ViewState(), nonce="n")
    with pytest.raises(LoginPage):
        await render(target, "ann", spec=replace(spec, cookies={"session": "ended"}))
    assert catalog.renew("ann")
    assert (await render(target, "ann")).ready.holders == 3


async def test_a_dashboard_deleted_meanwhile_is_not_found(catalog, admin):
    made = admin.post("/api/v1/dashboard/", json={"dashboard_title": "Brief", "published": True}).json()["id"]
    target = dashboard(str(made))
    catalog.facts(target, "admin")
    assert admin.delete(f"/api/v1/dashboard/{made}").status_code == 200
    with pytest.raises(NotFound, match="There is no such dashboard"):  # at once, whatever is remembered of its row
        catalog.page(target, "admin", ViewState(), nonce="n")
    wait_until(lambda: _is_gone(catalog, target), 10, "the deletion to be seen")


def _answers(catalog: SupersetCatalog) -> bool:
    return bool(catalog._read(lambda who: catalog._client.get("/api/v1/me/", who)))


def _is_gone(catalog: SupersetCatalog, target: Any) -> bool:
    try:
        catalog.facts(target, "admin")
    except NotFound:
        return True
    return False
