"""An open page that shows another target in place of its last one: the same picture as of a page that is loaded."""

from __future__ import annotations

import asyncio
import random
import secrets
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from services.cli.parts import open_parts
from services.renderer import browser, capture
from services.renderer.pool import BrowserPool
from services.renderer.timeline import Timeline
from shared import metrics
from shared.catalog.native import NativeCatalog
from shared.catalog.port import Page
from shared.errors import NavigationFailed, PageRefused
from shared.settings import Settings
from shared.targets import Format, Size, Target, TargetKind, ViewState
from tests.harness import ManagedProcess, free_port
from tests.harness.process import run_folder
from tests.harness.stack import COMMANDS

ROOT = Path(__file__).parents[4]
USER = "ada"
Picture = tuple[str, bytes]


class Demo:
    """The demo catalog behind a gateway, and a pool that renders its targets."""

    def __init__(self, settings: Settings, gateway: ManagedProcess, catalog: NativeCatalog, pool: BrowserPool) -> None:
        self.settings, self.gateway, self.catalog, self.pool = settings, gateway, catalog, pool

    def targets(self) -> list[Target]:
        ada = self.catalog.principal(USER)
        return [info.target for kind in TargetKind for info in self.catalog.list(ada, kind)[1]]

    async def picture(self, target: Target, *, loaded: bool = False, state: ViewState = ViewState()) -> Picture:
        """Title and PNG; `loaded`: by a page that is loaded for it."""
        spec = self.catalog.page(target, USER, state, nonce=uuid.uuid4().hex)
        return await self.render(replace(spec, in_app=None) if loaded else spec, target.kind)

    async def show(self, path: str) -> Picture:
        """A page of the gateway that the catalog would not name."""
        spec = self.catalog.page(chart(), USER, ViewState(), nonce="")
        return await self.render(replace(spec, url=self.settings.base_url + path), TargetKind.CHART)

    async def render(self, spec: Page, kind: TargetKind) -> Picture:
        rendered = await capture.render(
            self.pool,
            spec,
            executor=USER,
            window=Size(1600, 1200) if kind is TargetKind.DASHBOARD else Size(800, 600),
            thumbnail=Size(800, 600),
            formats=(Format.PNG,),
            deadline=datetime.now(UTC) + timedelta(seconds=300),
            kind=kind,
            timeline=Timeline(),
        )
        return rendered.ready.title, rendered.pictures[Format.PNG]

    async def pictures(self, targets: Sequence[Target], *, loaded: bool = False) -> dict[Target, Picture]:
        """Of all, two at a time."""
        made = await asyncio.gather(*(self.picture(target, loaded=loaded) for target in targets))
        return dict(zip(targets, made, strict=True))

    async def in_page(self, script: str) -> None:
        """Runs a script in the page that waits for its next render."""
        assert self.pool._browser is not None
        lease = self.pool._browser._identities[USER].idle[-1]
        await lease.page.evaluate(script)


def opened(way: str) -> float:
    """How many pages were opened so by this process."""
    return metrics.PAGE_OPENS.labels(way)._value.get()


@pytest.fixture(scope="module")
def served(chromium_path: Path) -> Iterator[tuple[Settings, ManagedProcess]]:
    """A gateway over the demo catalog."""
    folder = run_folder() / "in-app"
    folder.mkdir()
    bind = f"127.0.0.1:{free_port()}"
    values: dict[str, Any] = {
        "secret_key": secrets.token_hex(32),
        "state_dir": folder,
        "bind": bind,
        "base_url": f"http://{bind}",
        "chromium": chromium_path,
        "render_threads": 2,
    }
    environment = {f"VITRINE_{name.upper()}": str(value) for name, value in values.items()}
    for words in (("db", "upgrade"), ("catalog", "load", "deploy/demo")):
        command = [sys.executable, "-m", "services.cli", *words]
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    gateway = ManagedProcess(COMMANDS["gateway"], folder=folder, name="gateway", env=environment, cwd=ROOT).start()
    gateway.wait_for_http(f"http://{bind}/healthz", 60)
    yield Settings(**values), gateway
    gateway.stop()


@pytest_asyncio.fixture
async def demo(served: tuple[Settings, ManagedProcess]) -> AsyncIterator[Demo]:
    settings, gateway = served
    catalog = open_parts(settings).catalogs["native"]
    assert isinstance(catalog, NativeCatalog)
    pool = BrowserPool(settings)
    await pool.start()
    yield Demo(settings, gateway, catalog, pool)
    await pool.drain()
    catalog.close()


def chart(number: str = "1") -> Target:
    return Target("native", TargetKind.CHART, number)


@pytest.mark.timeout(400)
async def test_every_target_of_the_demo_looks_the_same_shown_in_an_open_page_as_loaded(demo: Demo) -> None:
    targets = demo.targets()
    loaded = await demo.pictures(targets, loaded=True)
    random.Random(7).shuffle(targets)
    before = opened("loaded")
    shown = await demo.pictures(targets)
    assert [str(target) for target in targets if shown[target] != loaded[target]] == []
    assert opened("loaded") - before < 0.1 * len(targets)


async def test_a_view_state_looks_the_same_shown_in_an_open_page_as_loaded(demo: Demo) -> None:
    dashboards = [target for target in demo.targets() if target.kind is TargetKind.DASHBOARD]
    titles = {(await demo.picture(target))[0]: target for target in dashboards}
    earth = next(target for title, target in titles.items() if "arth" in title)
    state = ViewState.of({"magnitude": {"filterState": {"value": [6, 9]}}})
    plain = await demo.picture(earth)
    shown = await demo.picture(earth, state=state)
    assert shown == await demo.picture(earth, state=state, loaded=True)
    assert shown != plain == await demo.picture(earth)


async def test_a_target_that_does_not_exist_is_refused_in_an_open_page_too(demo: Demo) -> None:
    good = await demo.picture(chart())
    with pytest.raises(PageRefused, match="404"):
        await demo.show("/chart/987654/?standalone=1&render=x")
    assert await demo.picture(chart()) == good


async def test_a_page_with_other_files_than_the_gateway_has_now_is_loaded_anew(demo: Demo) -> None:
    good = await demo.picture(chart())
    await demo.in_page("document.querySelector('script[type=module]').setAttribute('src', '/of/an/older/version.js')")
    before = opened("loaded")
    assert await demo.picture(chart()) == good
    assert opened("loaded") == before + 1


async def test_an_open_page_whose_gateway_is_away_fails_as_one_that_is_loaded_and_recovers(demo: Demo) -> None:
    good = await demo.picture(chart())
    demo.gateway.stop()
    with pytest.raises(NavigationFailed, match="nothing listens"):
        await demo.picture(chart())
    demo.gateway.start()
    demo.gateway.wait_for_http(f"{demo.settings.base_url}/healthz", 60)
    assert await demo.picture(chart()) == good


async def test_an_open_page_is_loaded_anew_now_and_then(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "RELOAD_EVERY", 3)
    before = opened("loaded"), opened("in_app")
    for _ in range(7):
        await demo.picture(chart())
    assert (opened("loaded") - before[0], opened("in_app") - before[1]) == (3, 4)
