"""What a failing render leaves behind for whoever asks why: the page as it was, and what it wrote to its console."""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from playwright.async_api import ConsoleMessage, Request
from playwright.async_api import Error as PlaywrightError

from services.renderer.lease import Lease
from shared.errors import VitrineError

SHOT_S = 3.0
MAX_SHOT_BYTES = 400_000
MAX_LINES = 50
MAX_LINE = 300


@dataclass(slots=True)
class Evidence:
    """Empty unless the render failed while it had a page."""

    screenshot: bytes | None = None  # JPEG of the window
    console: tuple[str, ...] = ()

    @asynccontextmanager
    async def on_failure(self, lease: Lease) -> AsyncIterator[None]:
        """Inside, the page's console is listened to; a failure is written down and passed on."""
        lines: deque[str] = deque(maxlen=MAX_LINES)

        def on_console(message: ConsoleMessage) -> None:
            lines.append(f"{message.type}: {message.text}"[:MAX_LINE])

        def on_error(error: PlaywrightError) -> None:
            lines.append(f"uncaught: {error.message}"[:MAX_LINE])

        def on_failed(request: Request) -> None:
            lines.append(f"request failed: {request.failure} {request.url}"[:MAX_LINE])

        page = lease.page
        page.on("console", on_console)
        page.on("pageerror", on_error)
        page.on("requestfailed", on_failed)
        try:
            yield
        except VitrineError:
            self.console = tuple(lines)
            self.screenshot = await _shot(lease)
            raise
        finally:
            page.remove_listener("console", on_console)
            page.remove_listener("pageerror", on_error)
            page.remove_listener("requestfailed", on_failed)


async def _shot(lease: Lease) -> bytes | None:
    """The window as it is now; None when the page does not answer, which is why it failed, often."""
    options = {"format": "jpeg", "quality": 45, "optimizeForSpeed": True}
    try:
        taken = await lease.call(lease.cdp.send("Page.captureScreenshot", options), SHOT_S)
    except (VitrineError, PlaywrightError, TimeoutError):
        return None
    body = base64.b64decode(taken["data"])
    return body if len(body) <= MAX_SHOT_BYTES else None
