"""The browser: found, its sandbox, and a page drawn with the right colours and letters."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from services.cli.checks.finding import Finding, ok, warn
from services.renderer import image
from services.renderer.chromium import find_chromium, sandbox_works
from services.renderer.glyphs import SAMPLES, problems_of
from services.renderer.pool import BULK_NICE, BrowserPool
from services.renderer.webgl import MEND
from shared.errors import BlankPicture
from shared.settings import Settings
from shared.targets import Size

PAGE = '<body style="margin:0;background:#fff"><div style="background:#0a7;width:400px;height:300px"></div></body>'
GREEN = (0, 170, 119)
WEBGL = """() => {
  const context = document.createElement("canvas").getContext("webgl2");
  const named = context && context.getExtension("WEBGL_debug_renderer_info");
  return context ? context.getParameter(named ? named.UNMASKED_RENDERER_WEBGL : context.RENDERER) : "";
}"""
WINDOW = Size(400, 300)
RENDER_S = 30
FONTS = "fonts-liberation fonts-dejavu-core fonts-noto-core fonts-noto-cjk fonts-noto-color-emoji"


def browser(settings: Settings) -> Iterator[Finding]:
    chosen = find_chromium(settings)
    found = f"{chosen.version} ({chosen.origin}) at {chosen.path}"
    if sandbox_works(settings):
        yield ok("browser", f"{found}; sandbox on")
    else:
        mend = "Run the renderer as a plain user (in a container: with a seccomp profile that allows user namespaces)."
        yield warn("browser", f"{found}; its sandbox is off", mend)


def render(settings: Settings) -> Iterator[Finding]:
    asyncio.run(_draw(settings, BULK_NICE))  # that it starts, and draws
    picture, missing, renderer = asyncio.run(_draw(settings))
    drawn = image.decode(picture)
    colour = drawn.getpixel((200, 150))
    if not isinstance(colour, tuple) or max(abs(a - b) for a, b in zip(colour, GREEN, strict=True)) > 3:
        raise BlankPicture(f"The test page's green came out as {colour}.")
    image.check_size(drawn, WINDOW.width, WINDOW.height)
    yield ok("render", f"a test page was drawn, {len(picture):,} bytes, colours right")
    if renderer:
        yield ok("webgl", f"maps are drawn by {renderer}")
    else:
        yield warn("webgl", "the browser has no WebGL: maps will be blank", f"{MEND}, or VITRINE_WEBGL_DRIVER=chromium")
    if missing:
        yield warn("fonts", "; ".join(missing), f"apt-get install {FONTS}")
    else:
        yield ok("fonts", f"there are letters for {', '.join(SAMPLES)}")


async def _draw(settings: Settings, nice: int = 0) -> tuple[bytes, list[str], str]:
    pool = BrowserPool(settings, nice=nice)
    await pool.start()
    try:
        async with pool.lease("doctor", datetime.now(UTC) + timedelta(seconds=RENDER_S)) as lease:
            return await asyncio.wait_for(_look(lease.page), RENDER_S)
    except TimeoutError:
        raise BlankPicture(f"A test page was not drawn within {RENDER_S} s.") from None
    finally:
        await pool.drain()


async def _look(page: Any) -> tuple[bytes, list[str], str]:
    """A picture, what letters are missing, and what draws WebGL."""
    await page.set_viewport_size({"width": WINDOW.width, "height": WINDOW.height})
    await page.set_content(PAGE)
    picture = await page.screenshot()
    return picture, await problems_of(page), await page.evaluate(WEBGL)
