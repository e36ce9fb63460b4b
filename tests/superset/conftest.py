"""One Superset for the whole lane, with its people; and ours behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from services.renderer import capture
from services.renderer.lease import Lease
from services.renderer.pool import BrowserPool
from services.renderer.timeline import Timeline
from shared.catalog.superset.catalog import SupersetCatalog
from shared.settings import Settings
from shared.targets import Format, Size, Target, TargetKind, ViewState
from tests.harness import HarnessError, Superset
from tests.harness.superset import ADMIN, PASSWORD, PEOPLE, READER, SECRET_KEY
from tests.superset.samples import make_samples

SECRET = "5d1c7f22d04e4f6ab8d3e5a1c7f02946"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.timeout(1200))


@pytest.fixture(scope="session")
def superset() -> Iterator[Superset]:
    try:
        server = Superset().start()
        server.add_people()
    except HarnessError as error:
        pytest.fail(str(error), pytrace=False)
    with closing(server):
        yield server


@pytest.fixture(scope="session")
def admin(superset: Superset) -> Iterator[httpx.Client]:
    with closing(superset.person(ADMIN)) as client:
        yield client


@pytest.fixture(scope="session")
def settings_of(chromium_path: Path) -> Callable[..., Settings]:
    """`settings_of(superset, superset_secret_key="", …)`: those of a Vitrine in front of it."""

    def make(superset: Superset, **changes: Any) -> Settings:
        values: dict[str, Any] = {
            "secret_key": SECRET,
            "chromium": chromium_path,
            "superset_url": superset.url,
            "superset_username": READER,
            "superset_passwords": {READER: PASSWORD},
            "superset_secret_key": SECRET_KEY,
            **changes,
        }
        return Settings(**values)

    return make


@pytest.fixture(scope="session")
def catalog(superset: Superset, settings_of: Callable[..., Settings]) -> Iterator[SupersetCatalog]:
    with closing(SupersetCatalog(settings_of(superset))) as catalog:
        yield catalog


@pytest.fixture
def make_catalog(superset: Superset, settings_of: Callable[..., Settings]) -> Iterator[Callable[..., SupersetCatalog]]:
    """`make_catalog(superset_secret_key="")`: with other settings."""
    made: list[SupersetCatalog] = []

    def make(**changes: Any) -> SupersetCatalog:
        made.append(SupersetCatalog(settings_of(superset, **changes)))
        return made[-1]

    yield make
    for catalog in made:
        catalog.close()


@pytest.fixture(scope="session")
def ids(admin: httpx.Client) -> dict[str, str]:
    """Title → id, of dashboards and charts."""
    found: dict[str, str] = {}
    for kind, title in (("chart", "slice_name"), ("dashboard", "dashboard_title")):
        for page in (0, 1):
            query = f"(columns:!(id,{title}),page:{page},page_size:100)"
            rows = admin.get(f"/api/v1/{kind}/", params={"q": query}).json()["result"]
            found |= {row[title]: str(row["id"]) for row in rows}
    return found


@pytest.fixture(scope="session")
def made(admin: httpx.Client) -> dict[str, str]:
    """Title → id of charts and dashboards that the examples lack."""
    return make_samples(admin)


def dashboard(number: str) -> Target:
    return Target("superset", TargetKind.DASHBOARD, number)


def chart(number: str) -> Target:
    return Target("superset", TargetKind.CHART, number)


class Rendering:
    """`await render(target)`: through the renderer's own code, as it would come from the queue."""

    def __init__(self, pool: BrowserPool, catalog: SupersetCatalog) -> None:
        self.pool = pool
        self.catalog = catalog
        self.timeline = Timeline()
        self.watch: Callable[[Lease], Awaitable[None]] | None = None  # looks at the page, once, when it is captured

    async def __call__(self, target: Target, executor: str = ADMIN, **options: Any) -> capture.Rendered:
        state = options.pop("view_state", ViewState())
        spec = options.pop("spec", None) or self.catalog.page(target, executor, state, nonce=datetime.now().isoformat())
        self.timeline = Timeline()
        is_dashboard = target.kind is TargetKind.DASHBOARD
        values: dict[str, Any] = {
            "executor": f"superset/{executor}",
            "window": Size(1600, 1200) if is_dashboard else Size(800, 600),
            "thumbnail": Size(800, 600),
            "formats": (Format.PNG,),
            "deadline": datetime.now(UTC) + timedelta(seconds=options.pop("seconds", 120)),
            "kind": target.kind,
            "timeline": self.timeline,
        }
        watch, self.watch = self.watch, None
        return await capture.render(_Watched(self.pool, watch), spec, **(values | options))  # type: ignore[arg-type]


class _Watched:
    """A pool whose leases are looked at before they are given back."""

    def __init__(self, pool: BrowserPool, watch: Callable[[Lease], Awaitable[None]] | None) -> None:
        self.egress = pool.egress
        self._pool = pool
        self._watch = watch

    @asynccontextmanager
    async def lease(self, executor: str, deadline: datetime) -> AsyncIterator[Lease]:
        async with self._pool.lease(executor, deadline) as lease:
            yield lease
            if self._watch is not None:
                await self._watch(lease)


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def pool(
    superset: Superset, settings_of: Callable[..., Settings], catalog: SupersetCatalog
) -> AsyncIterator[BrowserPool]:
    pool = BrowserPool(settings_of(superset), catalog.hosts)
    await pool.start()
    yield pool
    await pool.drain()


@pytest_asyncio.fixture(loop_scope="session")
async def render(pool: BrowserPool, catalog: SupersetCatalog) -> Rendering:
    return Rendering(pool, catalog)


__all__ = ["PEOPLE", "Rendering", "chart", "dashboard"]
