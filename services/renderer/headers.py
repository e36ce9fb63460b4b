"""A page's own headers (a bearer token, say): with each request to its own origin, and with no other.

Each hop of a redirect is decided anew here, which Playwright's routes do not do: what they add to a request goes along
to wherever the answer sends it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from playwright.async_api import Error as PlaywrightError

from services.renderer.egress import origin_of
from services.renderer.lease import Lease
from shared.catalog.port import Page
from shared.errors import VitrineError

log = structlog.get_logger(__name__)
CALL_S = 5.0


async def send_headers(lease: Lease, spec: Page) -> None:
    """From now on, for this render only: the page is not used again."""
    if not spec.headers:
        return
    assert spec.reads is None, "its requests pass guard.py; nobody could say which of the two lets them go on"
    lease.tainted = True
    lease.cdp.on("Fetch.requestPaused", lambda paused: lease.spawn(_go_on(lease, spec, paused)))
    await lease.call(lease.cdp.send("Fetch.enable", {"patterns": [{"urlPattern": "*"}]}), CALL_S)


async def _go_on(lease: Lease, spec: Page, paused: dict[str, Any]) -> None:
    request = paused["request"]
    pairs = [{"name": name, "value": value} for name, value in headers_of(spec, request["url"], request["headers"])]
    try:
        await lease.call(
            lease.cdp.send("Fetch.continueRequest", {"requestId": paused["requestId"], "headers": pairs}), CALL_S
        )
    except (PlaywrightError, TimeoutError, VitrineError) as error:
        # The page went away, or went on, under its request; who renders it sees that by other means.
        log.debug("headers_too_late", reason=str(error).split("\n", 1)[0])


def headers_of(spec: Page, url: str, sent: Mapping[str, str]) -> list[tuple[str, str]]:
    """What a request goes on with: ours to the page's own origin, and elsewhere without any that it had from us."""
    ours = {name.lower() for name in spec.headers}
    others = [(name, value) for name, value in sent.items() if name.lower() not in ours]
    return [*others, *spec.headers.items()] if origin_of(url) == origin_of(spec.url) else others
