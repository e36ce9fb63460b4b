"""A real Chromium before a running stack. Whatever a page logs as an error, or does against its CSP, fails the test."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from tests.harness import Memcached, RabbitMQ
from tests.harness.stack import Stack

TIMEOUT_S = 300
STEP_MS = 20_000  # for one step of a test, on a loaded machine
expect.set_options(timeout=STEP_MS)
# Reported to the test through a function that the page cannot see past its own Content-Security-Policy.
WATCH_CSP = """document.addEventListener('securitypolicyviolation', event =>
  console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));"""


_shared: list[Stack] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> Generator[None]:
    """The stack ends with this folder's last test, not with the run: others want the machine for themselves."""
    yield
    if nextitem is None or not nextitem.path.is_relative_to(Path(__file__).parent):
        for stack in _shared:
            stack.kill()


@pytest.fixture(scope="session")
def stack(rabbitmq_server: RabbitMQ) -> Iterator[Stack]:
    vhost = rabbitmq_server.create_vhost()
    with Memcached() as memcached, Stack(broker_url=vhost.url, store_url=memcached.url) as stack:
        _shared.append(stack)
        yield stack.start()
    rabbitmq_server.delete_vhost(vhost)


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def browser(chromium_path: Path) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        sandbox = os.geteuid() != 0
        browser = await playwright.chromium.launch(executable_path=chromium_path, chromium_sandbox=sandbox)
        yield browser
        await browser.close()


class Visitor:
    """A browser window; `complaints` are the errors that its pages logged. `allow` names those that a test wants."""

    def __init__(self, stack: Stack, context: BrowserContext, page: Page) -> None:
        self.stack = stack
        self.context = context
        self.page = page
        self.complaints: list[str] = []
        self.allowed: list[str] = []
        page.on("console", lambda message: self._note(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self._note(f"{error}"))

    def allow(self, text: str) -> None:
        self.allowed.append(text)

    def _note(self, text: str) -> None:
        if not any(allowed in text for allowed in self.allowed):
            self.complaints.append(text)

    async def log_in(self, username: str) -> None:
        """As if through the form: its own test goes through it."""
        token = self.stack.login(username).token
        await self.context.add_cookies([{"name": "vitrine_session", "value": token, "url": self.stack.url}])

    async def open(self, slug: str = "", fragment: str = "") -> None:
        """The gallery, or the page of a target, until it says that it is laid out."""
        path = f"/{self.stack.ids[slug]}/" if slug else "/"
        await self.page.goto(self.stack.url + path + fragment)
        await self.page.wait_for_selector("html[data-vitrine=laid-out]")

    def card(self, slug: str) -> Any:
        kind, number = self.stack.ids[slug].split("/")
        return self.page.locator(f".card[data-kind={kind}][data-id='{number}']")

    def holder(self, slug: str) -> Any:
        return self.page.locator(f".chart-holder[data-chart-id='{self.stack.ids[slug].split('/')[1]}']")

    async def drawn(self, slug: str, state: str = "drawn") -> Any:
        holder = self.holder(slug)
        await holder.and_(self.page.locator(f"[data-state={state}]")).wait_for()
        return holder


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(stack: Stack, browser: Browser) -> AsyncIterator[Visitor]:
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(STEP_MS)
    await context.add_init_script(WATCH_CSP)
    visitor = Visitor(stack, context, await context.new_page())
    yield visitor
    await context.close()
    assert visitor.complaints == []


@pytest.fixture
def look(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., Any]:
    """`await look(page, name)`: a picture for people, in the folder that the variable LOOK names, if it is set."""

    async def take(page: Page, name: str) -> None:
        folder = os.environ.get("LOOK")
        if folder:
            await page.screenshot(path=Path(folder, f"{name}.png"), full_page=True)

    return take
