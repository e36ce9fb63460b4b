"""One running browser with its own Playwright driver: its contexts and warm pages, and the news of its death.

A context belongs to one executor for its whole life: cookies, storage and HTTP cache never meet another identity.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import time
from collections.abc import Awaitable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog
from playwright.async_api import Browser, BrowserContext, Page, Playwright, Request, async_playwright
from playwright.async_api import Error as PlaywrightError

from services.renderer import chromium, processes, readiness
from services.renderer.chromium import ChosenBrowser
from services.renderer.egress import Egress
from services.renderer.lease import Lease, bounded
from shared.errors import BrowserCrashed, BrowserUnavailable, VitrineError

T = TypeVar("T")
log = structlog.get_logger(__name__)
START_S = 30.0
PAGE_S = 10.0  # to open a context or a page
CLOSE_S = 5.0
RESET_S = 5.0  # to clear a page after a render: it may be busy; one that takes longer is closed
COLLECT_EVERY = 8  # renders of a page that is left: V8 keeps dead ones of 25 MB each until it must; 40 ms end that
SETTLE_MS = 1_000  # for what a page still asks for; one that asks on is loaded anew
WEIGH_EVERY = 10  # renders between two looks at the browser's memory
RELOAD_EVERY = 256  # renders of one page in one application, before it is loaded anew


@dataclass(slots=True, eq=False)
class _Identity:
    """One executor's context and its pages that are not lent."""

    context: BrowserContext
    used: int
    idle: list[Lease] = field(default_factory=list)
    lent: int = 0
    given: dict[tuple[str, str], str] = field(default_factory=dict)  # see Lease


class RunningBrowser:
    """Made by `launch`. `lost` is set, with the reason, when browser or driver dies: every lease then ends so too."""

    def __init__(
        self, playwright: Playwright, browser: Browser, launcher: processes.Launcher, egress: Egress, max_contexts: int
    ) -> None:
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.leases = 0
        self.renders = 0
        self.weigh_at = WEIGH_EVERY  # the count of renders at which it is weighed next
        self.retired = self._closing = False
        self.heavy_since: float | None = None  # monotonic; whatever page did not collect its garbage since then does
        self._playwright = playwright
        self._browser = browser
        self._launcher = launcher
        self._egress = egress
        self._max_contexts = max_contexts
        self._identities: dict[str, _Identity] = {}
        self._opening = asyncio.Lock()
        self._clock = itertools.count()
        self._script = readiness.init_script()
        self._watched: list[int] = []
        self._background: set[asyncio.Task[None]] = set()

    @classmethod
    async def launch(
        cls, chosen: ChosenBrowser, *, sandbox: bool, rules: str, egress: Egress, max_contexts: int, nice: int = 0
    ) -> RunningBrowser:
        """Raises BrowserUnavailable with the browser's own words. A failed or cancelled start leaves nothing behind."""
        launcher = await asyncio.to_thread(processes.Launcher, chosen.path, nice=nice)
        playwright: Playwright | None = None
        try:
            playwright = await asyncio.wait_for(async_playwright().start(), START_S)
            opening = chromium.start(playwright, launcher.script, chosen, sandbox=sandbox, rules=rules, limit_s=START_S)
            browser = await asyncio.wait_for(opening, START_S)
        except BaseException as error:  # also a cancelled start must leave no process
            launcher.end()
            if playwright is not None:
                with contextlib.suppress(Exception):  # it is being thrown away; the reason to tell is the first one
                    await asyncio.wait_for(playwright.stop(), CLOSE_S)
            if isinstance(error, (PlaywrightError, TimeoutError, OSError)):
                raise BrowserUnavailable(
                    f"{chosen.path} did not start: {_last_words(error)} {chromium.MEND}"
                ) from error
            raise
        running = cls(playwright, browser, launcher, egress, max_contexts)
        running._watch()
        return running

    @property
    def pid(self) -> int:
        """Process id of the browser; 0 when it did not say."""
        return found.browser if (found := self._launcher.processes()) else 0

    @property
    def driver_pid(self) -> int:
        return found.driver if (found := self._launcher.processes()) else 0

    @property
    def is_alive(self) -> bool:
        return not self.lost.done() and not self._closing

    async def take(self, executor: str) -> Lease:
        """A page of the executor's own context: a warm one where there is one. Raises BrowserCrashed."""
        async with self._opening:  # so that two leases of a new executor do not make two contexts
            identity = self._identities.get(executor) or await self._identify(executor)
            identity.used = next(self._clock)
            identity.lent += 1
        try:
            while identity.idle:
                lease = identity.idle.pop()
                if not lease.lost.done() and not lease.page.is_closed():
                    lease.denied, lease.broken_off = [], ""
                    return lease
            return await self._open(identity, executor)
        except BaseException:  # whatever ended it, a cancellation too: the page is not lent
            identity.lent -= 1
            raise

    async def give_back(self, lease: Lease) -> None:
        """After a render: clear the page for the next one, or close it. Never raises."""
        identity = self._identities[lease.executor]
        try:
            if not lease.tainted and not lease.lost.done() and self.is_alive:
                async with asyncio.timeout(RESET_S):
                    await self._clear(lease)
                identity.idle.append(lease)
                return
        except (VitrineError, PlaywrightError, TimeoutError) as error:  # it is closed below
            log.info("page_not_cleared", reason=_last_words(error))
        finally:
            identity.lent -= 1
        identity.given.clear()  # what failed may have ended the session
        await self._discard(lease)
        await self._evict()

    async def _clear(self, lease: Lease) -> None:
        """What can show another target keeps its code; anything else, and that too now and then, goes wholly."""
        lease.uses += 1
        lease.uncollected += 1
        in_app = lease.spec.in_app if lease.spec is not None and lease.uses % RELOAD_EVERY else None
        if in_app is not None:
            await lease.call(lease.page.evaluate(in_app.clear), RESET_S)
        if in_app is None or not await lease.call(lease.page.evaluate(readiness.SETTLED, SETTLE_MS), RESET_S):
            await lease.call(lease.page.goto("about:blank", wait_until="commit"), RESET_S)
            lease.spec = None
        # An application that stays may be large: collecting takes long then, and V8 knows when it is due.
        is_left = lease.spec is None and lease.uncollected >= COLLECT_EVERY
        if is_left or (self.heavy_since is not None and lease.collected_at <= self.heavy_since):
            await lease.collect_garbage(RESET_S)

    async def lighten(self) -> None:
        """Have idle pages let go of what nobody uses any more, one after the other; then lent ones when given back."""
        await self._collect(since := time.monotonic())
        self.heavy_since = since
        await self._collect(since)  # what was given back meanwhile

    async def _collect(self, since: float) -> None:
        for identity, lease in [(owner, idle) for owner in self._identities.values() for idle in owner.idle]:
            is_idle = lease in identity.idle and self.is_alive and not self.retired  # it may be lent by now
            if is_idle and lease.collected_at <= since:
                with contextlib.suppress(VitrineError, PlaywrightError, TimeoutError):  # who takes it learns of it
                    await lease.collect_garbage(RESET_S)

    async def memory_mib(self) -> float:
        return await asyncio.to_thread(processes.memory_mib, self.pid)

    async def close(self) -> None:
        """End browser and driver, gently where they answer, and in any case. Never raises."""
        self._closing = True
        for end in (self._browser.close, self._playwright.stop):
            try:
                await bounded(end(), CLOSE_S)
            except (VitrineError, PlaywrightError, TimeoutError, OSError) as error:
                log.info("browser_close_forced", reason=str(error).split("\n", 1)[0])
        self._unwatch()
        await asyncio.to_thread(self._launcher.end)
        if not self.lost.done():
            self.lost.set_result("The browser was closed")

    async def _identify(self, executor: str) -> _Identity:
        await self._evict(keep=self._max_contexts - 1)
        context = await self._bounded(
            self._browser.new_context(
                service_workers="block",
                accept_downloads=False,
                permissions=[],
                reduced_motion="reduce",
                color_scheme="light",
                locale="en-US",
                timezone_id="UTC",
                ignore_https_errors=False,
            )
        )
        await self._bounded(context.add_init_script(self._script))
        identity = self._identities[executor] = _Identity(context, next(self._clock))
        return identity

    async def _open(self, identity: _Identity, executor: str) -> Lease:
        page = await self._bounded(identity.context.new_page())
        cdp = await self._bounded(identity.context.new_cdp_session(page))
        lease = Lease(page, cdp, identity.context, executor, asyncio.get_running_loop().create_future(), identity.given)
        page.on("crash", lambda _: _tell(lease.lost, "The page's renderer process died"))
        page.on("popup", self._close_popup)  # an open one puts its opener in the background, where it draws slowly
        page.on("requestfailed", lambda request: self._note_failed(lease, request))
        self.lost.add_done_callback(lambda lost: _tell(lease.lost, lost.result()))
        return lease

    def _close_popup(self, popup: Page) -> None:
        self._spawn(bounded(popup.close(), CLOSE_S))

    def _note_failed(self, lease: Lease, request: Request) -> None:
        if not request.is_navigation_request() or request.frame != lease.page.main_frame:
            return
        if not self._egress.navigable(request.url):
            lease.denied.append(request.url)
        elif request.failure and "ERR_ABORTED" not in request.failure:  # aborted: a download, or another navigation
            lease.broken_off = request.failure

    async def _discard(self, lease: Lease) -> None:
        """Close a page; Chromium kills the renderer process of one that does not answer, after 0.5 s."""
        if not lease.lost.done():
            lease.lost.set_result("The page was closed")
        if not self.is_alive:
            return
        try:
            await bounded(lease.page.close(), CLOSE_S, self.lost)
        except (VitrineError, PlaywrightError, TimeoutError) as error:
            log.warning("page_would_not_close", reason=str(error).split("\n", 1)[0])
            self.retired = True  # its process may spin on: only the end of the browser is sure to end it

    async def _evict(self, keep: int | None = None) -> None:
        """Close the least recently used contexts that lend nothing, until at most `keep` are left."""
        keep = self._max_contexts if keep is None else keep
        for executor, identity in sorted(self._identities.items(), key=lambda item: item[1].used):
            if len(self._identities) <= keep:
                return
            is_kept = self._identities.get(executor) is identity  # not so when somebody else evicted meanwhile
            if is_kept and not identity.lent and self.is_alive:
                del self._identities[executor]
                with contextlib.suppress(VitrineError, PlaywrightError, TimeoutError):  # else it is retired or lost
                    await bounded(identity.context.close(), CLOSE_S, self.lost)

    async def _bounded(self, awaitable: Awaitable[T]) -> T:
        try:
            return await bounded(awaitable, PAGE_S, self.lost)
        except (TimeoutError, PlaywrightError) as error:
            self.retired = True
            raise BrowserCrashed(f"The browser would not open a page: {_last_words(error)}") from error

    def _watch(self) -> None:
        """Learn at once of the death of browser or driver; Playwright itself does not tell of its driver's."""
        self._browser.on("disconnected", lambda _: _tell(self.lost, "The browser died"))
        if not hasattr(os, "pidfd_open"):  # no Linux: the event above must do
            return
        for pid, what in ((self.pid, "The browser died"), (self.driver_pid, "Playwright's driver died")):
            try:
                watched = os.pidfd_open(pid)
            except OSError:
                _tell(self.lost, what)
                return
            self._watched.append(watched)
            asyncio.get_running_loop().add_reader(watched, self._on_death, watched, what)

    def _on_death(self, watched: int, what: str) -> None:
        asyncio.get_running_loop().remove_reader(watched)
        _tell(self.lost, what)

    def _unwatch(self) -> None:
        for watched in self._watched:
            asyncio.get_running_loop().remove_reader(watched)
            os.close(watched)
        self._watched.clear()

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(coroutine)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # gone already is as good


def _tell(lost: asyncio.Future[str], reason: str) -> None:
    if not lost.done():
        lost.set_result(reason)


def _last_words(error: BaseException) -> str:
    """The line of a failure that tells the most: of a browser that did not start, what it wrote last."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "[err]" in line]
    return (telling or lines or [type(error).__name__])[-1 if telling else 0][:300].rstrip(".") + "."
