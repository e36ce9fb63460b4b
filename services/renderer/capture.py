"""One render, from a page's description to its pictures: a flat list of named, timed steps under one deadline."""

from __future__ import annotations

import asyncio
import base64
import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from playwright.async_api import Error as PlaywrightError

from services.renderer import image
from services.renderer.evidence import Evidence
from services.renderer.guard import guard
from services.renderer.image import Clip, clip_for
from services.renderer.lease import Lease
from services.renderer.pool import BrowserPool
from services.renderer.readiness import Ready, check_charts
from services.renderer.timeline import Timeline, remaining_s
from services.renderer.visit import CALL_S, check_place, navigate, sign_in, until_ready, viewport_height
from shared.catalog.port import Page
from shared.errors import BrowserCrashed, DeadlineExceeded, EgressDenied, NotReady, PageRefused
from shared.targets import Format, Size, TargetKind

CAPTURE_S = 60.0  # for one strip
MAX_PIXELS = 64_000_000  # of one picture: decoded it takes four bytes each, twice while strips are joined
STRIP_PX = 8_192  # height of one strip of a page that is taller than one surface of the browser
MAX_PDF_PX = 19_000  # a PDF page of 14,400 points is as long as readers take
PDF_ASPECT = 1.414  # of the pages of a longer PDF
SCROLL = "top => window.scrollTo({top, behavior: 'instant'})"
SCROLLED = "() => window.scrollY"
HEIGHT = "() => Math.max(document.documentElement.scrollHeight, document.body.scrollHeight)"
Proof = Callable[..., Awaitable[Ready]]  # `until_ready` of this render


@dataclass(frozen=True, slots=True)
class Rendered:
    """`pictures`: each asked format → its bytes. `final_url`: where the page stood when it was captured."""

    pictures: dict[Format, bytes]
    ready: Ready
    final_url: str


async def render(
    pool: BrowserPool,
    page_spec: Page,
    *,
    executor: str,
    window: Size,
    thumbnail: Size | None,
    formats: Sequence[Format],
    deadline: datetime,
    kind: TargetKind,
    timeline: Timeline,
    evidence: Evidence | None = None,
) -> Rendered:
    """Render one page as `executor`, in the browser context of whoever is signed in there (Page.identity).

    With `thumbnail` the window as it opens, scaled to it; without, the whole page.

    Raises, each with a sentence for people: BrowserUnavailable, BrowserCrashed, EgressDenied, NavigationFailed,
    PageRefused, LoginPage, NotReady, ChartFailed, BlankPicture, DeadlineExceeded.
    """
    if not pool.egress.navigable(page_spec.url):
        raise EgressDenied("The page's address is not among the hosts that pages may reach; see VITRINE_EGRESS_HOSTS.")
    async with AsyncExitStack() as stack:
        with timeline.step("leased"):
            identity = f"{executor}/{page_spec.identity}" if page_spec.identity else executor
            lease = await stack.enter_async_context(pool.lease(identity, deadline))
            await stack.enter_async_context((evidence or Evidence()).on_failure(lease))
        with timeline.step("signed_in"):
            await _sign_in(lease, page_spec, window)
        with timeline.step("navigated"):
            await navigate(lease, page_spec, pool.egress, deadline)
        with timeline.step("ready"):
            full = thumbnail is None
            prove = partial(until_ready, lease, page_spec, pool.egress, window=window, full=full, deadline=deadline)
            ready = await prove()
            check_charts(ready, kind, page_spec.readiness)
        with timeline.step("captured"):
            pictures = await _capture(lease, ready, prove, window, thumbnail, formats, deadline)
            check_place(lease, page_spec, pool.egress)
        return Rendered(pictures, ready, lease.page.url)


async def _sign_in(lease: Lease, page_spec: Page, window: Size) -> None:
    try:
        await sign_in(lease, page_spec, window)
        await guard(lease, page_spec)
    except (TimeoutError, PlaywrightError) as error:
        raise BrowserCrashed("The browser did not take the executor's sign-in; it hangs.") from error


async def _capture(
    lease: Lease,
    ready: Ready,
    prove: Proof,
    window: Size,
    thumbnail: Size | None,
    formats: Sequence[Format],
    deadline: datetime,
) -> dict[Format, bytes]:
    try:
        async with asyncio.timeout(remaining_s(deadline)):
            height = max(ready.height, window.height)
            clip = Clip(window.width, height, 1) if thumbnail is None else clip_for(window, thumbnail)
            if clip.width * clip.height > MAX_PIXELS:
                size = f"{clip.width:.0f}x{clip.height:.0f}"
                raise PageRefused(f"The page is {size} pixels, more than {MAX_PIXELS:,}; ask for a narrower window.")
            bitmaps = [f for f in formats if f is not Format.PDF]
            pictures: dict[Format, bytes] = {}
            if bitmaps:
                strips = await _strips(lease, clip, prove, as_is=bitmaps == [Format.PNG])
                pictures = await asyncio.to_thread(_encode, strips, clip, thumbnail, bitmaps)
            if thumbnail is None:
                await _check_height(lease, height)
            if Format.PDF in formats:
                pictures[Format.PDF] = await _pdf(lease, window.width, height, deadline)
    except TimeoutError:
        if remaining_s(deadline) > 0:  # one call of the browser took too long, not the whole of it
            raise BrowserCrashed("The browser did not answer while the picture was taken; it hangs.") from None
        raise DeadlineExceeded("The deadline passed while the picture was taken.") from None
    except PlaywrightError as error:
        raise BrowserCrashed(
            f"The browser could not take the picture: {error.message.splitlines()[0][:200]}."
        ) from error
    return pictures


async def _strips(lease: Lease, clip: Clip, prove: Proof, *, as_is: bool) -> list[bytes]:
    """The clip as PNG strips: one surface of the browser is at most 16,384 px tall. `as_is`: small files, served so.

    The browser's own way to go beyond the viewport (captureBeyondViewport) is not used: it resizes the page while it
    captures, and charts draw themselves anew under it. A longer page is scrolled, and proved ready again.
    """
    view = viewport_height(lease)
    is_long = clip.height > view
    # What is out of view is not painted: of a page that scrolled, to its view state's anchor say, this is the picture.
    first = 0 if is_long else await lease.call(lease.page.evaluate(SCROLLED), CALL_S)
    step = min(STRIP_PX, view) if is_long else STRIP_PX
    strips = []
    for top in range(0, math.ceil(clip.height), step):
        height = min(step, clip.height - top)
        if is_long:
            # The strip in the middle of the view: what is fixed to the window's edges stays out of it.
            await lease.call(lease.page.evaluate(SCROLL, max(0, round(top + (height - view) / 2))), CALL_S)
            await prove(may_grow=False)
        part = {"x": 0, "y": first + top, "width": clip.width, "height": height, "scale": clip.scale}
        options = {"format": "png", "optimizeForSpeed": not as_is, "clip": part}
        taken = await lease.call(lease.cdp.send("Page.captureScreenshot", options), CAPTURE_S)
        strips.append(base64.b64decode(taken["data"]))
    return strips


def _encode(strips: list[bytes], clip: Clip, thumbnail: Size | None, formats: Sequence[Format]) -> dict[Format, bytes]:
    """Check, scale and encode; what the browser encoded already stays as it is. Raises BlankPicture."""
    picture = image.stitch([image.decode(strip) for strip in strips])
    image.check_size(picture, *clip.pixels, tolerance=1 if thumbnail else 0)
    image.check_not_blank(picture)
    final = image.scale(picture, thumbnail) if thumbnail else picture
    if len(strips) == 1 and final is picture and list(formats) == [Format.PNG]:
        return {Format.PNG: strips[0]}
    return {f: image.encode(final, f) for f in formats}


async def _check_height(lease: Lease, height: int) -> None:
    """Raises NotReady when the page became longer or shorter while it was captured."""
    now = int(await lease.call(lease.page.evaluate(HEIGHT), CALL_S))
    if now != height:
        raise NotReady(f"The page changed its height from {height} to {now} px while it was captured.")


async def _pdf(lease: Lease, width: int, height: int, deadline: datetime) -> bytes:
    """A vector PDF that looks like the screen: one long page, or sheets when it is too long for one."""
    await lease.call(lease.page.emulate_media(media="screen"), CALL_S)
    sheet = height if height <= MAX_PDF_PX else round(width * PDF_ASPECT)
    printing = lease.page.pdf(width=f"{width}px", height=f"{sheet}px", print_background=True, tagged=True)
    return await lease.call(printing, remaining_s(deadline))
