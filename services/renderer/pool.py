"""The browser pool: start, lease, drain. Browsers are recycled and relaunched without a failed render.

A worn browser (renders or memory) is *retired*: it takes no new lease, the next lease starts its successor, and it is
closed when its last lease ends. A dead one is replaced by the next lease. Slots come back whatever happens to a render.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, get_args

import structlog

from services.renderer import chromium, processes
from services.renderer.browser import WEIGH_EVERY, RunningBrowser
from services.renderer.egress import Egress, pair_of, parse_pair, resolver_rules
from services.renderer.lease import Lease
from services.renderer.memory import allowance_mib
from services.renderer.timeline import remaining_s
from shared import metrics
from shared.errors import BrowserUnavailable, DeadlineExceeded
from shared.settings import Settings

log = structlog.get_logger(__name__)
CLEAN_UP_S = 0.8  # after an interrupt dramatiq gives a coroutine 1.0 s
BULK_NICE = 10  # a tenth of a core where a viewer's render wants it too; all of it where none does
RESOLVE_S = 3.0  # between two looks whether hosts are still where the browser was told
Reason = Literal["first", "recycle", "crash"]


@dataclass(slots=True)
class PoolStats:
    """Counted since the start of the process."""

    leases: int = 0  # now
    renders: int = 0
    starts: int = 0
    recycled: int = 0
    crashes: int = 0
    memory_mib: float = 0.0  # of the current browser when it was last weighed
    browser_since: float = 0.0  # Unix seconds


class BrowserPool:
    """`hosts`: HOST:PORT pairs that any page may reach; by default the gateway's and those of the settings.

    `nice`: how far its browser stands behind others who want the same cores (nice(1)).
    """

    def __init__(self, settings: Settings, hosts: frozenset[str] | None = None, *, nice: int = 0) -> None:
        self._settings = settings
        self._nice = nice
        self._allowance_mib = allowance_mib()
        self._size = settings.render_threads
        gateway = pair_of(settings.renderer_url)
        defaults = (*settings.egress_hosts, *([gateway] if gateway else []))
        self.egress = Egress(hosts if hosts is not None else defaults)
        self.chosen: chromium.ChosenBrowser | None = None
        self._sandbox = False
        self._slots = asyncio.Semaphore(self._size)
        self._launching = asyncio.Lock()
        self._browser: RunningBrowser | None = None
        self._places: Mapping[str, str] = {}  # HOST:PORT → the address that the browser was told
        self._resolved_at = 0.0
        self._started = self._draining = False
        self._stats = PoolStats()
        self._background: set[asyncio.Task[Any]] = set()
        metrics.begin(metrics.BROWSER_STARTS, get_args(Reason))

    @property
    def stats(self) -> dict[str, float]:
        """PoolStats as a dictionary, for the log and for tests."""
        return asdict(self._stats)

    async def start(self, *, lazily: bool = False) -> None:
        """Find and start a browser; `lazily`: start it at the first lease.

        Raises BrowserUnavailable with the reason and how to mend it.
        """
        await asyncio.to_thread(processes.sweep)
        self.chosen = await asyncio.to_thread(chromium.find_chromium, self._settings)
        self._sandbox = await asyncio.to_thread(chromium.sandbox_works, self._settings)
        self._started = True
        if lazily:
            return
        await self._current()
        log.info(
            "browser_pool_started",
            browser=str(self.chosen.path),
            version=self.chosen.version,
            sandbox=self._sandbox,
            webgl=str(self.chosen.webgl_driver or "chromium"),
        )

    async def drain(self) -> None:
        """Take no more leases, wait for the running ones, close the browser. Safe to call twice, or without a start."""
        self._draining = True
        if self._browser is not None:
            self._browser.retired = True  # nobody needs it lighter
        for _ in range(self._size):
            await self._slots.acquire()
        while self._background:  # pages being cleared, retired browsers being closed
            await asyncio.wait(set(self._background))
        if self._browser is not None:
            await self._browser.close()
            self._browser = None
        for _ in range(self._size):
            self._slots.release()

    @asynccontextmanager
    async def lease(self, executor: str, deadline: datetime) -> AsyncIterator[Lease]:
        """A page of the executor's own context, at most `render_threads` at a time.

        Raises BrowserUnavailable when none became free before `deadline` (aware), or no browser started;
        BrowserCrashed when it died while the page was opened; DeadlineExceeded when the deadline has passed already.
        """
        await self._slot(deadline)
        browser, lease, ok, is_slot_free = None, None, False, True
        try:
            browser = await self._current()
            browser.leases += 1
            self._stats.leases += 1
            try:
                lease = await browser.take(executor)
                yield lease
                ok = True
            finally:
                browser.leases -= 1
                self._stats.leases -= 1
                if lease is not None:
                    lease.tainted |= not ok
                    is_slot_free = False  # before its page is clear: a further page would be opened for who comes next
                await self._end(browser, lease)
        finally:
            if is_slot_free:
                self._slots.release()

    async def _slot(self, deadline: datetime) -> None:
        if not self._started or self._draining:
            raise BrowserUnavailable("The browser pool is not running: the renderer is starting or shutting down.")
        remaining = remaining_s(deadline)
        if remaining <= 0:
            raise DeadlineExceeded("The deadline passed before a browser page was asked for.")
        try:
            async with asyncio.timeout(remaining):
                await self._slots.acquire()
        except TimeoutError:
            raise BrowserUnavailable(
                "No browser page became free before the deadline; add renderers or ask for less at once."
            ) from None
        if self._draining:
            self._slots.release()
            raise BrowserUnavailable("The renderer is shutting down.")

    async def _end(self, browser: RunningBrowser, lease: Lease | None) -> None:
        """Give the page back, and its slot then; go on without waiting for that after CLEAN_UP_S."""
        browser.renders += 1
        self._stats.renders += 1
        if browser.renders >= self._settings.browser_renders:
            browser.retired = True
        if lease is not None:
            browser.leases += 1  # it is not closed under the page that is being cleared
            cleared = self._spawn(self._clear(browser, lease))
            cleared.add_done_callback(lambda _: self._slots.release())
            await asyncio.wait({cleared}, timeout=CLEAN_UP_S)
        if browser.renders >= browser.weigh_at and browser.is_alive:
            browser.weigh_at = browser.renders + WEIGH_EVERY  # so that two renders that end together weigh it once
            self._spawn(self._weigh(browser))
        self._close_if_done(browser)

    async def _clear(self, browser: RunningBrowser, lease: Lease) -> None:
        try:
            if not self._draining:  # else it is closed with its browser
                await browser.give_back(lease)
        finally:
            browser.leases -= 1
            self._close_if_done(browser)

    async def _weigh(self, browser: RunningBrowser) -> None:
        """Retire a browser that is too heavy twice: in between its pages let go of what nobody uses any more."""
        self._stats.memory_mib = memory = await browser.memory_mib()
        limit = self._settings.browser_memory_mib or self._allowance_mib
        if memory <= limit:
            browser.heavy_since = None
        elif browser.heavy_since is not None:
            log.info("browser_too_heavy", memory_mib=round(memory), limit_mib=limit)
            browser.retired = True
            self._close_if_done(browser)
        elif not browser.retired:
            browser.weigh_at = sys.maxsize  # not before they are done
            try:
                await browser.lighten()
            finally:
                browser.weigh_at = browser.renders + 2 * self._size  # by then most lent ones have been given back

    def _close_if_done(self, browser: RunningBrowser) -> None:
        if browser is not self._browser and not browser.leases and browser.is_alive:
            self._spawn(browser.close())

    async def _current(self) -> RunningBrowser:
        """The browser that takes new leases, started anew when it is retired or dead. Raises BrowserUnavailable."""
        async with self._launching:
            old = self._browser
            if old is not None and old.is_alive and not old.retired and not await self._has_moved():
                return old
            reason: Reason = "first" if old is None else "recycle" if old.is_alive else "crash"
            if old is not None and reason == "crash":
                log.warning("browser_lost", reason=old.lost.result() if old.lost.done() else "closing")
                self._stats.crashes += 1
                self._spawn(old.close())
            self._browser = await self._launch()
            self._stats.starts += 1
            self._stats.browser_since = time.time()
            metrics.BROWSER_STARTS.labels(reason).inc()
            if old is not None and reason == "recycle":
                self._stats.recycled += 1
                log.info("browser_recycled", renders=old.renders)
                self._close_if_done(old)
            return self._browser

    async def _has_moved(self) -> bool:
        """Whether a host is elsewhere by now than the browser was told: containers are replaced under a name."""
        if time.monotonic() - self._resolved_at < RESOLVE_S:
            return False
        self._resolved_at = time.monotonic()
        found = await asyncio.to_thread(_addresses, self.egress.pairs)
        moved = sorted(pair for pair, told in self._places.items() if told and found[pair] and told not in found[pair])
        if moved:
            log.info("hosts_moved", hosts=moved)
        return bool(moved)

    async def _launch(self) -> RunningBrowser:
        found = await asyncio.to_thread(_addresses, self.egress.pairs)
        self._places = {pair: addresses[0] if addresses else "" for pair, addresses in found.items()}
        self._resolved_at = time.monotonic()
        return await self._launch_sandboxed(resolver_rules(self._places))

    async def _launch_sandboxed(self, rules: str) -> RunningBrowser:
        try:
            return await self._launch_with(rules, sandbox=self._sandbox)
        except BrowserUnavailable:
            if not self._sandbox or self._settings.chromium_sandbox == "on":
                raise
        # auto: the probe said that the sandbox works, the browser says that it does not.
        browser = await self._launch_with(rules, sandbox=False)
        self._sandbox = False
        chromium.warn_no_sandbox("the browser started only without it")
        return browser

    async def _launch_with(self, rules: str, *, sandbox: bool) -> RunningBrowser:
        assert self.chosen is not None, "start() finds the browser"
        contexts = self._settings.browser_contexts
        return await RunningBrowser.launch(
            self.chosen, sandbox=sandbox, rules=rules, egress=self.egress, max_contexts=contexts, nice=self._nice
        )

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(coroutine)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task


def _addresses(pairs: frozenset[str]) -> Mapping[str, list[str]]:
    """HOST:PORT → its addresses, the one to use first; none for a name that does not resolve now."""
    return {pair: _resolved(*parse_pair(pair)) for pair in pairs}


def _resolved(host: str, port: int) -> list[str]:
    try:
        # IPv4 first: a page's server on this machine rarely listens on ::1, whatever `localhost` means.
        found = sorted(
            socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), key=lambda entry: entry[0] != socket.AF_INET
        )
    except OSError as error:
        log.warning("egress_host_unresolved", host=host, reason=str(error))
        return []
    return [str(entry[4][0]) for entry in found]
