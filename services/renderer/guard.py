"""Between a page and its own server: only what reads goes through. A write is answered in the browser, with success,
so that the page goes on as if it had written.
"""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import urlsplit

import structlog
from playwright.async_api import Error as PlaywrightError

from services.renderer.egress import origin_of
from services.renderer.lease import Lease
from shared.catalog.port import Page
from shared.errors import VitrineError

log = structlog.get_logger(__name__)
CALL_S = 5.0
READING = ("GET", "HEAD", "OPTIONS")
# What scripts send; documents, images and the like are never paused. A form that is submitted is a navigation, which
# nothing in a render does.
PATTERNS = [{"urlPattern": "*", "resourceType": kind} for kind in ("Fetch", "XHR", "Ping")]
WRITTEN = {"result": {}, "key": "vitrine", "id": 0, "message": "OK"}  # what the answers to writes have in common


async def guard(lease: Lease, spec: Page) -> None:
    """From now on the page's requests pass here, as `lease.spec` says; once for each page."""
    if spec.reads is None or lease.is_guarded:
        return
    lease.is_guarded = True
    lease.cdp.on("Fetch.requestPaused", lambda paused: lease.spawn(_decide(lease, paused)))
    await lease.call(lease.cdp.send("Fetch.enable", {"patterns": PATTERNS}), CALL_S)


async def _decide(lease: Lease, paused: dict[str, Any]) -> None:
    request, number = paused["request"], paused["requestId"]
    try:
        answer = answer_to(lease.spec, request["method"], request["url"])
        if answer is None:
            await lease.call(lease.cdp.send("Fetch.continueRequest", {"requestId": number}), CALL_S)
            return
        log.debug("answered_in_browser", method=request["method"], path=urlsplit(request["url"]).path)
        filled = {
            "requestId": number,
            "responseCode": 200,
            "responseHeaders": [{"name": "Content-Type", "value": "application/json"}],
            "body": base64.b64encode(json.dumps(answer).encode()).decode(),
        }
        await lease.call(lease.cdp.send("Fetch.fulfillRequest", filled), CALL_S)
    except (PlaywrightError, TimeoutError, VitrineError) as error:
        # The page went away, or went on, under its request; who renders it sees that by other means.
        log.debug("guard_too_late", reason=str(error).split("\n", 1)[0])


def answer_to(spec: Page | None, method: str, url: str) -> Any | None:
    """The JSON with which the browser itself answers; None: the request goes through."""
    if spec is None or spec.reads is None or origin_of(url) != origin_of(spec.url):
        return None
    path = urlsplit(url).path
    if method in READING:
        return spec.answers.get(path)
    return None if method == "POST" and path in spec.reads else WRITTEN
