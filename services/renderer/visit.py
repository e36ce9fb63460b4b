"""The page's side of a render: sign in, navigate, wait until readiness is proved; each raises the error that fits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from datetime import datetime
from itertools import pairwise
from urllib.parse import urlsplit

import structlog
from playwright.async_api import Error as PlaywrightError

from services.renderer import readiness
from services.renderer.egress import Egress, origin_of, pair_of
from services.renderer.headers import send_headers
from services.renderer.lease import Lease
from services.renderer.readiness import Grow, Ready, Waiting
from services.renderer.timeline import remaining_s
from shared import metrics
from shared.catalog.port import Page, Readiness
from shared.errors import DeadlineExceeded, EgressDenied, LoginPage, NavigationFailed, PageRefused
from shared.targets import MAX_DIMENSION_PX, Size

log = structlog.get_logger(__name__)
CALL_S = 5.0  # for a call that needs nothing of the page's own script
RESIZE_S = 15.0  # for a new size of what is still shown from the render before: it may be busy drawing
NAVIGATION_S = 60.0  # for the first byte of the page
IN_APP_S = 10.0  # for an open page to show another target; then it is loaded
MAX_GROWS = 4
HASTEN = "ahead => window.__vitrine_hasten__ && window.__vitrine_hasten__(ahead)"
FIRST = Waiting((readiness.Blocker("loading"),))
RETRY_STATUS = (408, 425, 429)  # 4xx that say: not now
REFUSED_BY_NETWORK = {
    "ERR_CONNECTION_REFUSED": "nothing listens at its address",
    "ERR_NAME_NOT_RESOLVED": "its host name does not resolve",
    "ERR_CONNECTION_TIMED_OUT": "its host does not answer",
    "ERR_CONNECTION_RESET": "its server broke the connection off",
    "ERR_EMPTY_RESPONSE": "its server closed the connection without an answer",
    "ERR_ADDRESS_UNREACHABLE": "its host cannot be reached",
    "ERR_SSL": "its TLS connection failed",
    "ERR_CERT": "its TLS certificate is not valid",
}


async def sign_in(lease: Lease, spec: Page, window: Size) -> None:
    """Set the window, and cookies and headers for the page's own origin: they go nowhere else."""
    await _resize(lease, window.width, window.height, RESIZE_S)
    origin = origin_of(spec.url)
    secure = spec.url.startswith("https:")
    # What was given once stays as the site renewed it since: files that vary by cookie are not fetched anew.
    # The ports of a host share their cookies.
    given = {(urlsplit(origin).hostname or "", name): value for name, value in spec.cookies.items()}
    if spec.cookies and not (given.items() <= lease.given.items() and await _holds(lease, origin, spec.cookies)):
        cookies = [
            {"name": name, "value": value, "url": f"{origin}/", "httpOnly": True, "secure": secure, "sameSite": "Lax"}
            for name, value in spec.cookies.items()
        ]
        await lease.call(lease.context.add_cookies(cookies), CALL_S)  # type: ignore[arg-type]  # SetCookieParam is private
        lease.given.update(given)
    await send_headers(lease, spec)


async def _holds(lease: Lease, origin: str, names: Iterable[str]) -> bool:
    """Whether the site took none of these cookies away."""
    held = await lease.call(lease.context.cookies(origin), CALL_S)
    return set(names) <= {cookie.get("name") for cookie in held}


async def navigate(lease: Lease, spec: Page, egress: Egress, deadline: datetime) -> None:
    """Open the page, up to its first byte, in the application that is open already where there is one.

    Raises NavigationFailed (unreachable, 5xx, no answer in time), PageRefused (4xx, or no page), LoginPage (401),
    EgressDenied.
    """
    limit = min(NAVIGATION_S, remaining_s(deadline))
    if limit <= 0:
        raise DeadlineExceeded("The deadline passed before the page was opened.")
    held, lease.spec = lease.spec, spec
    shown = await _show(lease, spec, held, limit)
    status = shown or await _load(lease, spec, egress, min(limit, remaining_s(deadline)))
    metrics.PAGE_OPENS.labels("in_app" if shown else "loaded").inc()
    check_place(lease, spec, egress)
    if status == 401:
        raise LoginPage("The page answered 401 Unauthorized: the executor is not signed in.")
    if status >= 500 or status in RETRY_STATUS:
        raise NavigationFailed(f"The page answered with status {status}.")
    if status >= 400:
        raise PageRefused(f"The page answered with status {status}; it does not exist, or the executor may not see it.")
    await _hasten(lease, spec)


async def _hasten(lease: Lease, spec: Page) -> None:
    if spec.is_hasty:
        await lease.call(lease.page.evaluate(HASTEN, spec.draws_ahead), CALL_S)


async def _show(lease: Lease, spec: Page, held: Page | None, limit_s: float) -> int:
    """The status of what the page shows now in place of what it `held`; 0 when it must be loaded."""
    if held is None or spec.in_app is None or spec.in_app != held.in_app:
        return 0
    try:
        asked = lease.page.evaluate(readiness.opening(spec.in_app.open), spec.url)
        return int(await lease.call(asked, min(limit_s, IN_APP_S)))
    except (TimeoutError, PlaywrightError) as error:
        log.info("page_loaded_instead", app=spec.in_app.name, reason=str(error).split("\n", 1)[0])
        return 0


async def _load(lease: Lease, spec: Page, egress: Egress, limit_s: float) -> int:
    """The status of the page's document; 200 for one that has none, such as a page from the cache."""
    try:
        response = await lease.call(lease.page.goto(spec.url, wait_until="commit", timeout=0), limit_s)
    except TimeoutError:
        raise NavigationFailed(f"The page did not answer within {limit_s:.0f} s; is its server overloaded?") from None
    except PlaywrightError as error:
        check_place(lease, spec, egress)
        raise _navigation_error(error) from error
    return response.status if response is not None else 200


async def until_ready(
    lease: Lease, spec: Page, egress: Egress, *, window: Size, full: bool, deadline: datetime, may_grow: bool = True
) -> Ready:
    """Wait for the proof of readiness; the viewport grows to the whole page where needed, and for `full` stays so.

    Raises NotReady, LoginPage, PageRefused, EgressDenied, BrowserCrashed; NavigationFailed when the document broke off,
    CatalogUnavailable when files of the page were not served just now.
    """
    started, heights = time.monotonic(), [viewport_height(lease)]
    waiting: Waiting | None = FIRST
    while True:
        check_place(lease, spec, egress)
        if lease.broken_off:  # what came of it waits for scripts that never will
            lease.tainted = True
            raise NavigationFailed(f"The page broke off while it was loaded ({lease.broken_off}).")
        left = remaining_s(deadline)
        if left <= 0:
            raise readiness.not_ready(waiting, time.monotonic() - started)
        verdict = await _ask(lease, spec.readiness, full=full, may_grow=may_grow, left=left)
        match verdict:
            case Ready() if not full and heights[-1] != window.height:
                heights.append(window.height)
                may_grow = False
                await _fit(lease, window.width, window.height, deadline)
            case Ready():
                check_place(lease, spec, egress)
                return verdict
            case Grow():
                heights.append(_next_height(heights, verdict.height))
                may_grow = heights[-1] not in (heights[-2], heights[0])
                await _fit(lease, window.width, heights[-1], deadline)
            case None if left < readiness.SCRIPT_SILENT_S and waiting != FIRST:
                pass  # it had little time to answer: what it said before still holds
            case _:
                waiting = verdict


def check_place(lease: Lease, spec: Page, egress: Egress) -> None:
    """Raises EgressDenied when the page went, or tried to go, elsewhere than its origin; NavigationFailed when lost."""
    url = lease.page.url
    if url.startswith("chrome-error:") and not lease.denied:
        raise NavigationFailed("The page left for an address that cannot be reached.")
    is_elsewhere = url.startswith(("http:", "https:")) and origin_of(url) != origin_of(spec.url)
    gone = lease.denied[-1] if lease.denied else url if is_elsewhere else ""
    if gone:
        where = pair_of(gone) or gone.split(":", 1)[0] + ":"
        why = "another origin than its own" if egress.navigable(gone) else "not among the hosts that pages may reach"
        raise EgressDenied(f"The page went to {where}, which is {why}.")


async def _ask(
    lease: Lease, rule: Readiness, *, full: bool, may_grow: bool, left: float
) -> Ready | Grow | Waiting | None:
    """The page's answer; None when its script did not let it answer."""
    slice_ms = min(readiness.SLICE_MS, int(left * 800))  # an answer takes its time on the way
    asked = readiness.question(rule, full=full, may_grow=may_grow, slice_ms=slice_ms)
    try:
        answer = await lease.call(
            lease.page.evaluate(readiness.asking(rule), asked), min(readiness.SCRIPT_SILENT_S, left)
        )
    except TimeoutError:
        return None
    except PlaywrightError:
        # The page navigates by itself, and took the script that was asked with it: ask its successor.
        await asyncio.sleep(0.02)
        return FIRST
    lease.tainted |= bool(answer["unserved"])  # what it lacks it would lack in its next render too
    return readiness.judge(answer, rule)


def _next_height(heights: list[int], wanted: int) -> int:
    """The viewport's next height. A page that grows with its window never fits: it gets its first window back."""
    gaps = [after - before for before, after in pairwise([*heights, wanted])]
    if len(heights) > MAX_GROWS or (len(gaps) > 2 and gaps[-1] > gaps[-2] > gaps[-3]):
        return heights[0]
    return min(max(wanted, heights[-1]), MAX_DIMENSION_PX)


def viewport_height(lease: Lease) -> int:
    return (lease.page.viewport_size or {"height": 0})["height"]


async def _fit(lease: Lease, width: int, height: int, deadline: datetime) -> None:
    """A new size for a page that may be busy drawing: it has until the deadline to take it, as to be ready."""
    try:
        await _resize(lease, width, height, remaining_s(deadline))
    except TimeoutError:
        lease.tainted = True  # and not ready, as whoever waits for it says


async def _resize(lease: Lease, width: int, height: int, limit_s: float) -> None:
    if lease.page.viewport_size != {"width": width, "height": height}:
        await lease.call(lease.page.set_viewport_size({"width": width, "height": height}), limit_s)


def _navigation_error(error: PlaywrightError) -> NavigationFailed | PageRefused:
    message = error.message
    for code, why in REFUSED_BY_NETWORK.items():
        if code in message:
            return NavigationFailed(f"The page could not be opened: {why}.")
    if "Download is starting" in message:
        return PageRefused("The address answers with a file to download, not with a page.")
    if "ERR_TOO_MANY_REDIRECTS" in message:
        return PageRefused("The page redirects in a circle.")
    if "ERR_ABORTED" in message:
        return PageRefused("The address answers with no page (an empty answer or a download).")
    if "ERR_INVALID_AUTH" in message:
        return PageRefused("The page asks for a password in a dialog of the browser.")
    return NavigationFailed(f"The page could not be opened: {message.splitlines()[0][:200].rstrip('.')}.")
