"""Renders on the operations page: why a picture is missing, what is being drawn, and what waits, also of warm-ups."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser.operating import confirm, find_renders, open_ops
from tests.harness.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")
RENDER_MS = 60_000
QUEUE = "vitrine_render_v1"


async def test_a_failed_render_tells_why_with_its_page_its_console_and_its_steps(visitor: Any, look: Any) -> None:
    hugo = visitor.stack.login("hugo")
    hugo.refresh("broken")
    hugo.until_status("broken", "Error")
    page = await open_ops(visitor)
    rows = await find_renders(page, state="failed", target=visitor.stack.ids["broken"], user="hugo")
    await expect(rows.first).to_contain_text("chart_failed")
    await rows.first.get_by_role("button").click()
    detail = page.locator(".detail")
    await expect(detail).to_contain_text("integer overflow")
    await expect(detail.locator(".waterfall")).to_have_attribute(
        "aria-label", re.compile("queued .* navigated .* ready")
    )
    picture = detail.get_by_alt_text("Screenshot of the page at the failure")
    await expect(picture).to_be_visible()
    assert await picture.evaluate("image => image.decode().then(() => image.naturalWidth)") >= 800
    await expect(detail.locator(".console")).to_contain_text("422")  # the data that the chart did not get
    await look(page, "ops-failure")
    correlation_id = await detail.locator("dd code").nth(1).text_content()
    rows = await find_renders(page, state="", target="", user="", correlation_id=correlation_id)
    await expect(rows).to_have_count(1)


async def test_a_render_in_hand_is_cancelled(visitor: Any, look: Any) -> None:
    sven = visitor.stack.login("sven")
    page = await open_ops(visitor)
    with visitor.stack.proxy.hold("/data/") as held:
        sven.refresh("plain")
        held.wait()
        work = page.locator("#processes li", has_text="as sven")
        await expect(work).to_be_visible(timeout=RENDER_MS)
        await look(page, "ops-in-hand")
        await work.get_by_role("button", name="Cancel").click()
        await look(page, "ops-sure")
        await confirm(page, "Cancel the render")
        document = sven.until_status("plain", "Error")
    assert document["code"] == "cancelled"
    rows = await find_renders(page, state="failed", user="sven")
    await expect(rows.first).to_contain_text("cancelled")


async def test_a_render_that_ended_is_asked_for_again(visitor: Any) -> None:
    hugo = visitor.stack.login("hugo")
    first = hugo.picture("total")
    page = await open_ops(visitor)
    rows = await find_renders(page, state="updated", target=visitor.stack.ids["total"], user="hugo")
    await rows.first.get_by_role("button").click()
    again = page.locator(".detail").get_by_role("button", name="Render again")
    await again.click()
    await confirm(page, "Cancel")
    await expect(page.locator("#notice")).to_be_empty()
    await again.click()
    await confirm(page, "Render again")
    await expect(page.locator("#notice")).to_contain_text("It is asked for again")
    hugo.newer("total", than=first)


class ManyRenders:
    """Sixty that wait, and none of nobody's; the first ones are told when they shall be."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.asked, self.told = asyncio.Event(), asyncio.Event()
        self.told.set()

    async def answer(self, route: Any) -> None:
        first, nobody = "page=0" in route.request.url, "user=nobody" in route.request.url
        self.asked.set()
        if first:
            await self.told.wait()
        about: dict[str, Any] = {
            "status": "Pending",
            "catalog": "native",
            "kind": "chart",
            "executor": "ann",
            "origin": "viewer",
        }
        about |= {"correlation_id": "c", "deadline": "2031-01-01T00:00:00Z", "finished_at": None}
        lines = [{**about, "id": f"r{n}", "target_id": f"{n}", "queued_s": 1, "seconds": 1} for n in range(25)]
        await route.fulfill(json={"count": 0 if nobody else 60, "result": [] if nobody else lines})

    async def renew(self) -> asyncio.Task[Any]:
        """Begun, and not told yet."""
        self.asked.clear()
        self.told.clear()
        module = "import(document.querySelector('link[href*=ops-renders]').href)"
        renewing = asyncio.create_task(self.page.evaluate(f"{module}.then((renders) => renders.renewRenders())"))
        await asyncio.wait_for(self.asked.wait(), 10)
        return renewing

    async def tell(self, renewing: asyncio.Task[Any]) -> None:
        self.told.set()
        await renewing


async def test_a_list_that_is_renewed_takes_nothing_from_who_reads_it(visitor: Any) -> None:
    visitor.allow("404")  # what is opened is made up
    page = await open_ops(visitor)
    many = ManyRenders(page)
    await page.route(re.compile(r"/ops/renders\?"), many.answer)
    rows = await find_renders(page, state="waiting")
    await expect(rows).to_have_count(25)
    renewing = await many.renew()
    await page.locator("#more-renders").click()
    await expect(rows).to_have_count(50)
    await many.tell(renewing)
    await expect(rows).to_have_count(50)
    await expect(page.locator("#found-renders")).to_have_text("50 of 60")
    await find_renders(page)
    await expect(rows).to_have_count(25)
    renewing = await many.renew()
    await rows.first.get_by_role("button").first.click()
    await many.tell(renewing)
    await expect(page.locator("#renders .opened")).to_have_count(1)
    await rows.first.get_by_role("button", name="Cancel").click()
    await confirm(page, "Cancel")  # declined
    await expect(page.locator("dialog")).to_be_hidden()
    await expect(page.locator("#renders .opened")).to_have_count(1)


async def test_what_is_searched_for_is_shown_also_while_something_is_pressed(visitor: Any) -> None:
    page = await open_ops(visitor)
    await page.route(re.compile(r"/ops/renders\?"), ManyRenders(page).answer)
    rows = await find_renders(page, state="waiting")
    await expect(rows).to_have_count(25)
    await page.mouse.move(5, 5)
    await page.mouse.down()
    await page.locator("#find-renders [name=user]").fill("nobody")
    await page.evaluate("document.getElementById('find-renders').requestSubmit()")
    await expect(rows).to_have_text(["No render fits."])
    await page.mouse.up()


@pytest.fixture
def without_renderer(stack: Stack) -> Iterator[None]:
    """So that things wait."""
    stack.stop("renderer")
    yield
    stack.start("renderer")


@pytest.mark.usefixtures("without_renderer")
async def test_a_render_that_waits_appears_is_cancelled_and_disappears(visitor: Any, look: Any) -> None:
    sven = visitor.stack.login("sven")
    page = await open_ops(visitor)
    rows = await find_renders(page, state="waiting", user="sven")
    await expect(rows).to_have_text(["No render fits."])
    assert sven.refresh("total").status_code == 202
    assert sven.refresh("plain").status_code == 202
    await expect(rows).to_have_count(2)  # by itself: the page is live
    row = rows.filter(has_text=visitor.stack.ids["plain"].replace("/", " "))
    await expect(row).to_contain_text(re.compile(r"^by \d.*sven *viewer *waiting"))
    await look(page, "ops-waiting-render")
    await row.get_by_role("button").first.click()
    await expect(page.locator("#renders .detail")).to_contain_text("Deadline")
    await row.get_by_role("button", name="Cancel").click()
    await confirm(page, "Cancel the render")
    await expect(page.locator("#notice")).to_contain_text("It is cancelled")
    await expect(rows).to_have_count(1)
    await expect(row).to_have_count(0)
    assert sven.status("plain")["code"] == "cancelled"
    rows = await find_renders(page, state="failed", user="sven")
    await expect(rows.first).to_contain_text("cancelled")


@pytest.mark.usefixtures("without_renderer")
async def test_what_waits_is_purged_and_a_warm_up_that_waits_is_stopped(visitor: Any, look: Any) -> None:
    nora, ada = visitor.stack.login("nora"), visitor.stack.login("ada")
    assert nora.refresh("plain").status_code == 202
    assert ada.post("/api/v1/warmup/runs", {"strategy": "dummy"}).status_code == 202
    page = await open_ops(visitor)
    queue = page.locator("#queues tbody tr", has_text=QUEUE)
    await expect(queue.get_by_role("cell", name="none")).to_be_visible()  # nobody consumes it
    await look(page, "ops-waiting")
    await queue.get_by_role("button", name="Purge").click()
    await confirm(page, "Purge")
    await expect(page.locator("#notice")).to_contain_text("1 messages were removed")
    await expect(queue.get_by_role("button", name="Purge")).to_have_count(0)
    run = page.locator("#warmups tbody tr").first
    await run.get_by_role("button", name="Stop").click()
    await confirm(page, "Stop it")
    await expect(run).to_contain_text("ada stopped it")
    await expect(run.get_by_role("button", name="Stop")).to_have_count(0)
