"""Half-drawn pictures of a real Superset, counted: each picture is held against the same page a long while later.

A judge of its own opens each page, waits until nothing has changed for some seconds, and looks where the charts are.
A chart counts as half-drawn when its place in the picture holds less than half of the ink that it holds in the end.
"""

from __future__ import annotations

import asyncio
import io
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image
from playwright.async_api import Browser, StorageState, async_playwright
from playwright.async_api import Error as PlaywrightError

from bench.report import Conditions, Report, table
from bench.superset import Ours, Sides, open_sides
from tests.harness.chromium import find_chromium
from tests.harness.superset import ADMIN

WINDOWS = {"dashboard": (1600, 1200), "chart": (800, 600)}
PATHS = {"dashboard": "/superset/dashboard/{}/?standalone=3", "chart": "/explore/?slice_id={}&standalone=true"}
HOLDERS = {"dashboard": "[data-test-chart-id]", "chart": "[data-test=standalone-app]"}
SPINNER = ".loading, [data-test=loading-indicator]"
PLACES = """selector => [...document.querySelectorAll(selector)].map(one => {
  const { x, y, width, height } = one.getBoundingClientRect();
  return [x, y, x + width, y + height];
})"""
STILL_S = 8.0  # without a change, and then it is the end
LONGEST_S = 120.0
JUDGES = 3  # pages at a time
TRIES = 3  # of one page
SMALLEST_PX = 40  # of a chart's place: less of it in the picture says nothing
LEVELS = 10  # of 256: so far from the background is ink
LEAST_INK = 0.004  # a place with less in the end is an empty chart


@dataclass(frozen=True, slots=True)
class End:
    """How a page looks at last, and where its charts are, in pixels of the window."""

    picture: bytes
    places: list[tuple[float, float, float, float]]


def run(*, quick: bool) -> Report:
    conditions = Conditions("each picture once")
    with open_sides() as sides:
        dashboards, charts = (sides.dashboards[:2], sides.charts[:4]) if quick else (sides.dashboards, sides.charts)
        drawn = {(name, "dashboard"): side.render(dashboards).pictures for name, side in sides.all.items()}
        drawn |= {("vitrine", "chart"): _charts(sides.ours, charts)}
        ends = asyncio.run(_ends(sides, dashboards, charts))
    report = Report("half_drawn", "Half-drawn pictures of Superset", "Superset 6.1.0")
    rows = [_row(name, kind, pictures, ends) for (name, kind), pictures in drawn.items()]
    header = ["", "pictures", "not made", "half-drawn", "charts looked at", "half-drawn charts"]
    report.tables.append(table(header, rows))
    report.notes.append(
        f"{conditions}. Aim: no half-drawn picture. The bundled dashboards and charts as `admin`, 800×600 thumbnails. "
        f"Each was held against its page in a browser of its own, {STILL_S:g} s after the last change there: a chart "
        "is half-drawn when its place in the picture has less than half of the ink (pixels unlike the background) that "
        "it has then."
    )
    return report


def _charts(ours: Ours, ids: Sequence[int]) -> dict[int, bytes | None]:
    drawn: dict[int, bytes | None] = {}
    for first in range(0, len(ids), 10):  # no render waits longer in the queue than its deadline
        drawn |= ours.render(ids[first : first + 10], "chart").pictures
    return drawn


def _row(name: str, kind: str, pictures: Mapping[int, bytes | None], ends: Mapping[tuple[str, int], End]) -> list[str]:
    found = [_half_drawn(picture, ends[kind, i], kind) for i, picture in pictures.items() if picture]
    missing = len(pictures) - len(found)
    looked, half = sum(all_ for all_, _ in found), sum(bad for _, bad in found)
    figures = (len(found), missing, sum(bad > 0 for _, bad in found), looked, half)
    return [f"{name}: {kind}s", *(f"{figure}" for figure in figures)]


def _half_drawn(picture: bytes, end: End, kind: str) -> tuple[int, int]:
    """How many charts of the picture were looked at, how many of them are half-drawn."""
    shown = Image.open(io.BytesIO(picture)).convert("L")
    scale = shown.width / WINDOWS[kind][0]
    last = Image.open(io.BytesIO(end.picture)).convert("L")
    last = last.resize((shown.width, round(last.height * scale)), Image.Resampling.LANCZOS)
    looked = half = 0
    for place in end.places:
        left, top, right, bottom = (round(edge * scale) for edge in place)
        box = max(0, left), max(0, top), min(right, shown.width), min(bottom, shown.height, last.height)
        if box[2] - box[0] < SMALLEST_PX or box[3] - box[1] < SMALLEST_PX:
            continue
        wanted = _ink(last.crop(box))
        if wanted >= LEAST_INK:
            looked += 1
            half += _ink(shown.crop(box)) < wanted / 2
    return looked, half


def _ink(place: Image.Image) -> float:
    """The share of pixels that are unlike the most frequent one."""
    histogram = place.histogram()
    background = histogram.index(max(histogram))
    return 1 - sum(histogram[max(0, background - LEVELS) : background + LEVELS + 1]) / sum(histogram)


async def _ends(sides: Sides, dashboards: Sequence[int], charts: Sequence[int]) -> dict[tuple[str, int], End]:
    wanted = [("dashboard", number) for number in dashboards] + [("chart", number) for number in charts]
    turns, origin = asyncio.Semaphore(JUDGES), sides.superset.url
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_chromium(), chromium_sandbox=os.geteuid() != 0)
        session = await _log_in(browser, origin)

        async def judged(kind: str, number: int) -> End:
            async with turns:
                for _ in range(TRIES - 1):
                    try:
                        return await _end(browser, origin, session, kind, number)
                    except PlaywrightError as error:  # its process for graphics died, say, and is started anew
                        print(f"{kind} {number}: looked at again ({error.message.splitlines()[0]})", file=sys.stderr)
                return await _end(browser, origin, session, kind, number)

        found = await asyncio.gather(*(judged(kind, number) for kind, number in wanted))
        await browser.close()
    return dict(zip(wanted, found, strict=True))


async def _log_in(browser: Browser, origin: str) -> StorageState:
    async with await browser.new_context() as context:
        form = await (await context.request.get(f"{origin}/login/")).text()
        fields: dict[str, str | float | bool] = {"username": ADMIN, "password": ADMIN}
        if found := re.search(r'name="csrf_token"[^>]*?value="([^"]+)"', form):
            fields["csrf_token"] = found[1]
        await context.request.post(f"{origin}/login/", form=fields, headers={"Referer": f"{origin}/login/"})
        return await context.storage_state()


async def _end(browser: Browser, origin: str, session: StorageState, kind: str, number: int) -> End:
    width, height = WINDOWS[kind]
    async with await browser.new_context(viewport={"width": width, "height": height}, storage_state=session) as context:
        page = await context.new_page()
        await page.goto(origin + PATHS[kind].format(number), timeout=LONGEST_S * 1000)
        began = still_since = asyncio.get_running_loop().time()
        before = b""
        while True:
            now, picture = asyncio.get_running_loop().time(), await page.screenshot()
            if picture != before or await page.locator(SPINNER).count():
                before, still_since = picture, now
            if now - still_since >= STILL_S or now - began >= LONGEST_S:
                return End(picture, await page.evaluate(PLACES, HOLDERS[kind]))
            await asyncio.sleep(0.5)
