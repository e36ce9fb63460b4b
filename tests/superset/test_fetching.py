"""What is asked of Superset while pictures are made: no file a second time, nothing twice for one picture."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from services.renderer.pool import BrowserPool
from shared.catalog.superset.catalog import SupersetCatalog
from shared.settings import Settings
from shared.targets import Size, Target
from tests.harness import Superset, wait_until_async
from tests.superset.conftest import Rendering, chart, dashboard
from tests.superset.test_rendering import DASHBOARDS

pytestmark = pytest.mark.asyncio(loop_scope="session")
TITLES = [title for title in DASHBOARDS if title != "deck.gl Demo"]  # what it asks for most are tiles of elsewhere
THUMBNAIL = Size(800, 600)
# Of a browser: method, path, the page that asked.
ASKED = re.compile(r'"([A-Z]+) (\S+) HTTP/1\.1" \d+ \d+ "http://[^/"]*(\S*)" "[^"]*HeadlessChrome')


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def render(
    superset: Superset, settings_of: Callable[..., Settings], catalog: SupersetCatalog
) -> AsyncIterator[Rendering]:
    """In a browser of its own, which is not recycled meanwhile, and has fetched nothing so far."""
    pool = BrowserPool(settings_of(superset), catalog.hosts)
    await pool.start()
    yield Rendering(pool, catalog)
    await pool.drain()


async def asked_for(
    render: Rendering, superset: Superset, *targets: Target, thumbnail: Size | None = THUMBNAIL
) -> list[list[tuple[str, str, str]]]:
    """Of each target's render, until its page is cleared for the next."""
    found = []
    for target in targets:
        before = len(superset.processes[0].log)
        await render(target, thumbnail=thumbnail)
        await wait_until_async(lambda: not render.pool._background, 20, "the page to be cleared")
        found.append(ASKED.findall(superset.processes[0].log[before:]))
    return found


def files(pictures: list[list[tuple[str, str, str]]]) -> list[str]:
    return [path for asked in pictures for _, path, _ in asked if path.startswith("/static/")]


def twice(asked: list[str]) -> list[str]:
    return [one for one, count in Counter(asked).items() if count > 1]


@pytest.mark.parametrize("thumbnail", [THUMBNAIL, None])
async def test_a_page_that_draws_dashboard_after_dashboard_fetches_nothing_twice(render, superset, ids, thumbnail):
    titles = [*TITLES, *TITLES[:2]]
    pictures = await asked_for(render, superset, *(dashboard(ids[title]) for title in titles), thumbnail=thumbnail)
    assert twice(files(pictures)) == []
    for title, asked in zip(titles, pictures, strict=True):
        assert twice([f"{method} {path}" for method, path, _ in asked]) == [], title
        queries = len([path for _, path, _ in asked if "/chart/data" in path or "/explore_json/" in path])
        least = DASHBOARDS[title] if thumbnail is None else 1  # it may ask for what it shows alone
        assert least <= queries <= DASHBOARDS[title], title
        assert [path for _, path, page in asked if page.startswith("/vitrine-idle/")] == [], "between two pictures"


async def test_pages_that_are_loaded_one_after_another_fetch_no_file_twice(render, superset, ids):
    """Superset lets its files be kept for a year, but anew for each session cookie."""
    charts = [chart(ids[title]) for title in ("Total Revenue", "Genders by State", "Total Revenue")]
    pictures = await asked_for(render, superset, *charts)
    assert twice(files(pictures)) == []
    assert files(pictures[-1:]) == []
