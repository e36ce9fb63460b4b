"""A site of bad pages, a trap beside it, and browser pools."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from services.renderer import capture
from services.renderer.pool import BrowserPool
from services.renderer.timeline import Timeline
from shared.catalog.port import Page, Readiness
from shared.settings import Settings
from shared.targets import Format, Size, TargetKind
from tests.sites import Site, Trap

RULE = Readiness(
    root='html[data-vitrine="laid-out"]',
    failed_root='html[data-vitrine="failed"]',
    holder=".chart-holder",
    terminal='[data-state="drawn"],[data-state="empty"],[data-state="failed"]',
    failed='[data-state="failed"]',
    empty='[data-state="empty"]',
    spinner=".shimmer",
    login='form[action="/login/"]',
)


class Rendering:
    """A pool and a site, and one short call to render a page of it. What was rendered last is kept in `timeline`."""

    def __init__(self, pool: BrowserPool, site: Site) -> None:
        self.pool = pool
        self.site = site
        self.timeline = Timeline()

    async def __call__(self, page: str, **options: Any) -> capture.Rendered:
        spec = Page(page if ":" in page else self.site.url(page, **options.pop("query", {})), RULE)
        named = ("cookies", "headers", "identity", "hosts", "readiness")
        spec = replace(spec, **{name: options.pop(name) for name in named if name in options})
        self.timeline = Timeline()
        defaults: dict[str, Any] = {
            "executor": "ann",
            "window": Size(800, 600),
            "thumbnail": Size(400, 300),
            "formats": (Format.PNG,),
            "deadline": datetime.now(UTC) + timedelta(seconds=options.pop("seconds", 20)),
            "kind": TargetKind.DASHBOARD,
            "timeline": self.timeline,
        }
        return await capture.render(self.pool, spec, **(defaults | options))


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


@pytest.fixture
def trap() -> Iterator[Trap]:
    trap = Trap()
    yield trap
    trap.close()


@pytest.fixture(scope="session")
def make_settings(site: Site, chromium_path: Path) -> Callable[..., Settings]:
    def make(**changes: Any) -> Settings:
        defaults: dict[str, Any] = {
            "secret_key": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4",
            "base_url": f"http://{site.host}",
            "chromium": chromium_path,
        }
        return Settings(**(defaults | changes))

    return make


@pytest_asyncio.fixture
async def make_pool(make_settings: Callable[..., Settings]) -> AsyncIterator[Callable[..., Any]]:
    """`await make_pool(browser_renders=3)`: a started pool with those settings, drained at the end."""
    pools = []

    async def make(*, nice: int = 0, lazily: bool = False, **changes: Any) -> BrowserPool:
        pool = BrowserPool(make_settings(**changes), nice=nice)
        pools.append(pool)
        await pool.start(lazily=lazily)
        return pool

    yield make
    for pool in pools:
        await pool.drain()


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def shared_pool(make_settings: Callable[..., Settings]) -> AsyncIterator[BrowserPool]:
    """For tests that do not break the browser."""
    pool = BrowserPool(make_settings())
    await pool.start()
    yield pool
    await pool.drain()


@pytest_asyncio.fixture(loop_scope="session")
async def render(shared_pool: BrowserPool, site: Site) -> Rendering:
    """`await render("slow-chart", thumbnail=None)`."""
    return Rendering(shared_pool, site)
