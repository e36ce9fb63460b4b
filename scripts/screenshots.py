"""The pictures of the documents, taken from the demo: docs/gallery.png, dashboard.png, sql.png, ops.png and
ops-render.png. `make screenshots`.

Starts `vitrine demo` in a folder of its own (or in VITRINE_STATE_DIR, whose pictures it then keeps, and whose last hour
the operations page then shows), logs in with a real Chromium as a person does, waits for every picture in the window,
and ends the demo again.
"""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from tests.harness import find_chromium  # noqa: E402  # as `make` finds it; the tests are no installed package

USER = "ada"
DASHBOARD = "Health and wealth of nations"
DATABASE = "demo-duckdb"
SQL = """-- From where do flights arrive late, and how late is the worst tenth?
SELECT airports.city, airports.state, count(*) AS flights, median(flights.delay) AS median_min,
       round(quantile_cont(flights.delay, 0.9), 1) AS worst_tenth_min, max(flights.day) AS last_day
FROM flights
JOIN airports ON airports.iata = flights.origin
GROUP BY 1, 2
HAVING count(*) > 50
ORDER BY worst_tenth_min DESC"""
WINDOW = (1600, 1100)
TALL_WINDOW = (1600, 1430)
MAX_BYTES = 600_000
PATIENCE_MS = 60_000
STOP_S = 60

# Every card in the window shows its picture, whole, and nothing shimmers.
GALLERY_READY = """() => {
  const isSeen = (element) => {
    const box = element.getBoundingClientRect();
    return box.bottom > 0 && box.top < innerHeight;
  };
  const isWhole = (image) => image.complete && image.naturalWidth > 0;
  const cards = [...document.querySelectorAll('.cards > li')].filter(isSeen);
  return cards.length > 0 && cards.every((card) => [...card.querySelectorAll('img')].some(isWhole))
    && ![...document.querySelectorAll('.shimmer')].some(isSeen);
}"""
DASHBOARD_READY = """() => document.documentElement.dataset.vitrine === 'laid-out'
  && !document.querySelector('.chart-holder[data-state=pending]')"""

# Asks for pictures that are there already, so that the renderer has work in hand.
AT_WORK = """async (wanted) => {
  const headers = { 'Content-Type': 'application/json', 'X-Requested-With': 'screenshots' };
  const ask = (path) => fetch(path, { method: 'POST', headers, body: '{"force": true}' });
  for (const [kind, count] of Object.entries(wanted)) {
    const { ids } = await (await fetch(`/api/v1/${kind}/?q=(page_size:${count})`)).json();
    await Promise.all(ids.map((id) => ask(`/api/v1/${kind}/${id}/thumbnail/`)));
  }
}"""
# The scheduler has taken samples, and the renderer has some renders behind it and others in hand.
OPERATIONS_READY = """() => document.querySelectorAll('.curve path[d^=M]').length > 2
  && document.getElementById('live').dataset.state === 'live'
  && /(dashboard|chart).[0-9]+ as .* [1-9][0-9]* renders/.test(document.getElementById('processes').textContent)"""
IDLE = """() => /Waiting\\s+0\\s+0 in hand/.test(document.getElementById('tiles').innerText)"""


def main() -> int:
    docs = ROOT / "docs"
    with _demo() as (url, password), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--font-render-hinting=none"])
        page = browser.new_page(
            viewport={"width": WINDOW[0], "height": WINDOW[1]}, device_scale_factor=1, reduced_motion="reduce"
        )
        page.set_default_timeout(PATIENCE_MS)
        _log_in(page, url, password)
        page.wait_for_function(GALLERY_READY)
        page.wait_for_function("() => document.getElementById('status').textContent.includes('fresh')")
        _save(page, docs / "gallery.png")
        page.get_by_role("link", name=DASHBOARD).first.click()
        page.wait_for_function(DASHBOARD_READY)
        _save(page, docs / "dashboard.png")
        _query(page, url)
        _save(page, docs / "sql.png")
        _operate(page, url)
        _save(page, docs / "ops.png")
        _open_render(page, url)
        _save(page, docs / "ops-render.png")
        browser.close()
    return 0


@contextmanager
def _demo() -> Iterator[tuple[str, str]]:
    """The demo's URL and USER's password, while it serves. Its own words go to standard error."""
    with tempfile.TemporaryDirectory(prefix="vitrine-screenshots-") as folder:
        environment = {"VITRINE_STATE_DIR": folder, **os.environ, "PYTHONUNBUFFERED": "1"}
        demo = subprocess.Popen(
            [sys.executable, "-m", "services.cli", "demo"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
        )
        try:
            yield _read(demo)
        finally:
            demo.send_signal(signal.SIGINT)
            demo.communicate(timeout=STOP_S)


def _read(demo: subprocess.Popen[str]) -> tuple[str, str]:
    assert demo.stdout
    url = ""
    for line in demo.stdout:
        print(line, end="", file=sys.stderr)
        if found := re.search(r"The gallery is at\s+(\S+)", line):
            url = found.group(1)
        elif url and (found := re.match(rf"\s+{USER}\s+(\S+)$", line)):
            return url, found.group(1)
    raise SystemExit(f"screenshots: the demo ended with {demo.wait()} before it served the gallery")


def _log_in(page: Page, url: str, password: str) -> None:
    page.goto(f"{url}/")
    page.get_by_label("User name").fill(USER)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{url}/")


def _query(page: Page, url: str) -> None:
    page.goto(f"{url}/sql/")
    draft = json.dumps({"sql": SQL})
    page.evaluate("([key, draft]) => sessionStorage.setItem(key, draft)", [f"vitrine.sql.{USER}", draft])
    page.reload()
    page.get_by_label("Database").select_option(label=DATABASE)
    page.locator("#run:enabled").click()
    page.wait_for_selector("#status[data-state=success]")
    page.wait_for_selector(".grid-body [data-row='9']")


def _operate(page: Page, url: str) -> None:
    """The operations page over the last hour, while pictures are rendered."""
    page.set_viewport_size({"width": TALL_WINDOW[0], "height": TALL_WINDOW[1]})
    page.goto(f"{url}/ops/")
    page.locator("#hours").select_option("1")
    page.evaluate(AT_WORK, {"dashboard": 12, "chart": 25})
    page.wait_for_function(OPERATIONS_READY)


def _open_render(page: Page, url: str) -> None:
    """Renders that wait, are in hand, and ended; the last that ended is opened with its steps."""
    page.wait_for_function(IDLE)
    page.set_viewport_size({"width": WINDOW[0], "height": WINDOW[1]})
    page.evaluate(AT_WORK, {"dashboard": 7})
    page.goto(f"{url}/ops/")
    page.locator("#renders tbody tr", has_text="updated").first.locator("button.link").click()
    page.wait_for_selector("#renders .waterfall")
    page.evaluate("document.querySelector('[aria-labelledby=renders-title]').scrollIntoView()")


def _save(page: Page, path: Path) -> None:
    """The window as a PNG, packed well. Raises SystemExit when it is too large to keep in the repository."""
    page.mouse.move(0, WINDOW[1] - 1)  # nothing hovered
    page.evaluate("document.activeElement?.blur()")
    with Image.open(io.BytesIO(page.screenshot())) as picture:
        # In its own colours: a palette turns the pale greys pink, and spares 0.2 MB.
        picture.convert("RGB").save(path, "PNG", optimize=True)
    print(f"{path.relative_to(ROOT)}: {picture.width}×{picture.height}, {path.stat().st_size // 1000} kB")
    if path.stat().st_size > MAX_BYTES:
        raise SystemExit(f"screenshots: {path} has more than {MAX_BYTES} bytes")


if __name__ == "__main__":
    sys.exit(main())
