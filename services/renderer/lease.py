"""A borrowed page: every call on it is bounded, and ends at once when page, browser or driver dies under it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from playwright.async_api import BrowserContext, CDPSession, Page
from playwright.async_api import Error as PlaywrightError

from shared.catalog.port import Page as PageSpec
from shared.errors import BrowserCrashed

T = TypeVar("T")
GONE = (
    "has been closed",
    "Target closed",
    "Target crashed",
    "Page crashed",
    "Connection closed",
    "has been disconnected",
    "Session closed",
)


@dataclass(slots=True, eq=False)
class Lease:
    """A page of the executor's own context, for one render."""

    page: Page
    cdp: CDPSession
    context: BrowserContext
    executor: str
    lost: asyncio.Future[str]  # set, with the reason, when page, browser or driver dies
    given: dict[tuple[str, str], str]  # host and name of each cookie that the context was given → its value then
    denied: list[str] = field(default_factory=list)  # main-frame URLs that egress refused, in this lease
    broken_off: str = ""  # the network's word for why the page's document ended before its end, in this lease
    uses: int = 0  # renders of this page so far
    uncollected: int = 0  # renders since it last was made to collect its garbage
    collected_at: float = 0.0  # monotonic: when that was
    tainted: bool = False  # the page is not fit for another render
    spec: PageSpec | None = None  # what is rendered, or was last: its application need not be loaded again
    is_guarded: bool = False  # its requests pass services/renderer/guard.py
    background: set[asyncio.Task[None]] = field(default_factory=set)

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run beside the render; nobody waits for it."""
        task = asyncio.ensure_future(coroutine)
        self.background.add(task)
        task.add_done_callback(self.background.discard)

    async def call(self, awaitable: Awaitable[T], timeout_s: float) -> T:
        """See `bounded`."""
        return await bounded(awaitable, timeout_s, self.lost)

    async def collect_garbage(self, timeout_s: float) -> None:
        """Have the page let go of what nobody uses any more; raises as `call`."""
        began = time.monotonic()
        await self.call(self.cdp.send("HeapProfiler.collectGarbage"), timeout_s)
        self.uncollected, self.collected_at = 0, began


async def bounded(awaitable: Awaitable[T], timeout_s: float, lost: asyncio.Future[str] | None = None) -> T:
    """Await one call of Playwright, whose own time limits do not always fire.

    Raises TimeoutError, BrowserCrashed (also for Playwright's ways of saying so), and Playwright's Error for the rest.
    """
    call = asyncio.ensure_future(awaitable)
    call.add_done_callback(_retrieve)
    either: set[asyncio.Future[Any]] = {call} if lost is None else {call, lost}
    try:
        await asyncio.wait(either, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if call.done() and (lost is None or not lost.done()):
            return call.result()
        if lost is not None and lost.done():
            raise BrowserCrashed(f"{lost.result()}; the render is tried again with a new one.")
        raise TimeoutError(f"The browser did not answer within {timeout_s:.1f} s.")
    except PlaywrightError as error:
        if any(word in error.message for word in GONE):
            raise BrowserCrashed("The browser or its page went away under the render.") from error
        raise
    finally:
        call.cancel()


def _retrieve(call: asyncio.Future[Any]) -> None:
    """Look at the outcome of a call that nobody waits for any more, or asyncio would log it as never retrieved."""
    if not call.cancelled():
        call.exception()
