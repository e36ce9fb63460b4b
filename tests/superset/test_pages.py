"""Pages of two applications that are not ours: Flower behind a password, Superset behind its log-in form."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from services.renderer import capture
from services.renderer.image import decode
from services.renderer.pool import BrowserPool
from services.renderer.timeline import Timeline
from shared.catalog.pages.catalog import PagesCatalog
from shared.errors import CatalogSignIn, EgressDenied, LoginPage, NotReady
from shared.settings import Settings
from shared.targets import Format, Size, Target, TargetKind, ViewState
from tests.harness import ManagedProcess, Superset, free_port
from tests.harness.process import run_folder
from tests.harness.superset import PASSWORD, installed

pytestmark = pytest.mark.asyncio(loop_scope="session")
FILE = """\
pages:
  - id: flower
    title: Flower
    url: {flower}/{{view}}
    parameters: {{view: workers}}
    ready: table.dataTable
    sign_in:
      headers: {{Authorization: "Basic ${{FLOWER}}"}}
  - id: flower-nobody
    title: Flower without a sign-in
    url: {flower}/workers
    ready: table.dataTable
  - id: sales
    title: Superset's sales
    url: {superset}/superset/dashboard/1/?standalone=1
    ready: "[data-test=grid-container]"
    expression: document.querySelectorAll("canvas").length >= 4
    spinner: "[data-test=loading-indicator]"
    sign_in:
      form: {{url: "{superset}/login/", fields: {{username: ann, password: "${{ANN}}"}}}}
  - id: sales-nobody
    title: The same without a sign-in
    url: {superset}/superset/dashboard/1/?standalone=1
  - id: wrong
    title: Superset with a wrong password
    url: {superset}/superset/dashboard/1/
    sign_in:
      form: {{url: "{superset}/login/", fields: {{username: ann, password: "${{FLOWER}}"}}}}
  - id: never
    title: Never ready
    url: {flower}/workers
    expression: "false"
    sign_in:
      headers: {{Authorization: "Basic ${{FLOWER}}"}}
"""


@pytest.fixture(scope="module")
def flower() -> Iterator[str]:
    port = free_port()
    program = installed() / "venv" / "bin" / "celery"
    options = ["--broker=memory://", "flower", "--address=127.0.0.1", f"--port={port}", "--basic-auth=ann:an-apple"]
    home = {"HOME": str(run_folder()), "PATH": "/usr/bin:/bin"}
    process = ManagedProcess([program, *options], folder=run_folder(), name="flower", env=home)
    with process:
        process.wait_for_http(f"http://127.0.0.1:{port}/healthcheck", 60)
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def pages(flower: str, superset: Superset, tmp_path_factory: pytest.TempPathFactory, chromium_path: Path) -> Settings:
    file = tmp_path_factory.mktemp("pages") / "pages.yaml"
    file.write_text(FILE.format(flower=flower, superset=superset.url))
    secrets = {"FLOWER": base64.b64encode(b"ann:an-apple").decode(), "ANN": PASSWORD}
    values: dict[str, Any] = {"secret_key": "5d1c7f22d04e4f6ab8d3e5a1c7f02946", "chromium": chromium_path}
    return Settings(**values, pages_file=file, pages_secrets=secrets)


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def draw(pages: Settings) -> AsyncIterator[Callable[..., Any]]:
    """`await draw("flower")`: the screenshot of a page of the file."""
    with closing(PagesCatalog(pages)) as catalog:
        pool = BrowserPool(pages, catalog.hosts)
        await pool.start()

        async def draw(name: str, *, seconds: float = 90, through: BrowserPool = pool, **parameters: str) -> Any:
            state = ViewState.of(None, None, None, [[key, value] for key, value in parameters.items()])
            page = catalog.page(Target("pages", TargetKind.DASHBOARD, name), "reader", state, nonce="n")
            return await capture.render(
                through,
                page,
                executor="pages/reader",
                window=Size(1200, 800),
                thumbnail=None,
                formats=(Format.PNG,),
                deadline=datetime.now(UTC) + timedelta(seconds=seconds),
                kind=TargetKind.DASHBOARD,
                timeline=Timeline(),
            )

        yield draw
        await pool.drain()


async def test_flower_is_drawn_signed_in_by_a_header(draw, tmp_path):
    done = await draw("flower")
    assert (done.ready.title, done.ready.holders) == ("Flower", 1)
    assert decode(done.pictures[Format.PNG]).width == 1200
    assert (await draw("flower", view="tasks")).final_url.endswith("/tasks")


async def test_superset_is_drawn_signed_in_by_its_form(draw):
    done = await draw("sales", seconds=200)
    assert (done.ready.title, done.ready.failed) == ("Sales Dashboard", ())


async def test_a_page_without_a_sign_in_is_not_drawn_with_another_s_session(draw):
    await draw("sales", seconds=200)
    with pytest.raises(LoginPage):
        await draw("sales-nobody")


async def test_what_went_wrong_has_a_name(draw):
    with pytest.raises(LoginPage, match="401"):
        await draw("flower-nobody")
    with pytest.raises(CatalogSignIn, match="gave no session"):
        await draw("wrong")
    with pytest.raises(NotReady, match="expression never became true"):
        await draw("never", seconds=8)


async def test_only_the_listed_hosts_can_be_reached(draw, pages):
    narrow = BrowserPool(pages, frozenset({"127.0.0.1:9"}))
    await narrow.start()
    with pytest.raises(EgressDenied):
        await draw("flower", through=narrow)
    await narrow.drain()
