"""Pages that a file lists, on the way to servers that it does not list."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.renderer import capture
from services.renderer.pool import BrowserPool
from services.renderer.timeline import Timeline
from shared.catalog.pages.catalog import PagesCatalog
from shared.errors import EgressDenied
from shared.settings import Settings
from shared.targets import Format, Size, Target, TargetKind, ViewState
from tests.sites import Site, Trap

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("page", ["escape", "redirect"])
async def test_a_page_of_a_file_reaches_the_hosts_that_the_file_lists(
    make_settings: Callable[..., Settings], site: Site, trap: Trap, tmp_path: Path, page: str
) -> None:
    file = tmp_path / "pages.yaml"
    url = site.url(page, port=trap.port, to=f"http://127.0.0.1:{trap.port}/")
    file.write_text(json.dumps({"pages": [{"id": "bait", "title": "Bait", "url": url}]}))  # JSON is YAML
    settings = make_settings(pages_file=file, base_url="http://127.0.0.1:9")
    with closing(PagesCatalog(settings)) as catalog:
        pool = BrowserPool(settings, catalog.hosts)
        await pool.start()
        spec = catalog.page(Target("pages", TargetKind.DASHBOARD, "bait"), "reader", ViewState(), nonce="n")
        with pytest.raises(EgressDenied) if page == "redirect" else nullcontext():
            await capture.render(
                pool,
                spec,
                executor="pages/reader",
                window=Size(800, 600),
                thumbnail=Size(400, 300),
                formats=(Format.PNG,),
                deadline=datetime.now(UTC) + timedelta(seconds=40),
                kind=TargetKind.DASHBOARD,
                timeline=Timeline(),
            )
        await pool.drain()
    assert f"/{page}" in site.paths()
    assert trap.caught == []
