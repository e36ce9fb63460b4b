"""The operations page: what lives, what waits, why a picture is missing, and what an admin can do about it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.async_api import expect

from tests.harness.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")
RENDER_MS = 60_000
QUEUE, BULK = "vitrine_render_v1", "vitrine_bulk_v1"


async def _ops(visitor: Any, username: str = "ada") -> Any:
    await visitor.log_in(username)
    await visitor.page.goto(f"{visitor.stack.url}/ops/")
    await visitor.page.wait_for_selector("html[data-vitrine=laid-out]")
    return visitor.page


async def _confirm(page: Any, words: str) -> None:
    await expect(page.locator("dialog")).to_be_visible()
    await page.locator("dialog").get_by_role("button", name=words, exact=True).click()


async def _find(page: Any, **fields: str) -> Any:
    for name, value in fields.items():
        field = page.locator(f"#find-renders [name={name}]")
        await (field.select_option(value) if name in ("state", "hours") else field.fill(value))
    await page.locator("#find-renders").get_by_role("button", name="Find").click()
    return page.locator("#renders tbody tr")


async def test_an_admin_finds_the_page_in_the_header_and_it_is_live(visitor: Any, look: Any) -> None:
    visitor.stack.login("hugo").picture("total")
    await visitor.log_in("ada")
    await visitor.open()
    await visitor.page.get_by_role("link", name="Operations").click()
    page = visitor.page
    await expect(page.locator("#live")).to_contain_text("Live")
    first = await page.locator("#live").text_content()
    await expect(page.locator("#live")).not_to_have_text(first)  # the next overview came
    for service in ("gateway", "renderer", "warming"):
        row = page.locator("#processes tbody tr", has=page.get_by_role("cell", name=service, exact=True)).first
        await expect(row).to_contain_text("alive")
    renderer = page.locator("#processes tbody tr", has_text="renderer").first
    await expect(renderer).to_contain_text(re.compile(r"\d+\.\d+\.\d+.* old"))  # its browser's version and age
    await expect(page.locator("#queues tbody tr").first).to_contain_text(QUEUE)
    await expect(page.locator("#store tbody tr").first).to_contain_text("up")
    await expect(page.locator("#renders tbody tr").first).to_contain_text("updated")
    await look(page, "ops")


async def test_to_others_it_does_not_exist(visitor: Any) -> None:
    visitor.allow("404")
    await visitor.log_in("hugo")
    await visitor.open()
    await expect(visitor.page.get_by_role("link", name="Operations")).to_have_count(0)
    for path in ("/ops/", "/api/v1/ops", f"/api/v1/ops/queues/{QUEUE}/dead_letters"):
        answer = visitor.stack.login("hugo").get(path)
        assert answer.status_code == 404
        assert answer.text.count(QUEUE) == 0
    answer = await visitor.page.goto(f"{visitor.stack.url}/ops/")
    assert answer.status == 404


async def test_a_failed_render_tells_why_with_its_page_its_console_and_its_steps(visitor: Any, look: Any) -> None:
    hugo = visitor.stack.login("hugo")
    hugo.refresh("broken")
    hugo.until_status("broken", "Error")
    page = await _ops(visitor)
    rows = await _find(page, state="failed", target=visitor.stack.ids["broken"], user="hugo")
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
    rows = await _find(page, state="", target="", user="", correlation_id=correlation_id)
    await expect(rows).to_have_count(1)


async def test_a_dead_letter_is_replayed_after_it_was_confirmed_and_another_removed(visitor: Any, look: Any) -> None:
    hugo = visitor.stack.login("hugo")
    hugo.refresh("broken")
    hugo.until_status("broken", "Error")
    page = await _ops(visitor)
    row = page.locator("#queues tbody tr", has_text=QUEUE)
    await row.get_by_role("button", name="Dead letters").click()
    letter = page.locator(".letter").last
    await expect(letter).to_contain_text("chart_failed")
    await look(page, "ops-letters")
    before = await page.locator(".letter").count()
    await letter.get_by_role("button", name="Replay").click()
    await _confirm(page, "Cancel")
    await expect(page.locator(".letter")).to_have_count(before)
    await letter.get_by_role("button", name="Replay").click()
    await _confirm(page, "Replay")
    await expect(page.locator("#notice")).to_contain_text("1 replayed")
    await expect(page.locator(".letter")).to_have_count(before - 1)
    # It went where nobody waits for a render, failed again, and died again.
    await page.locator("#queues tbody tr", has_text=BULK).get_by_role("button", name="Dead letters").click()
    await expect(page.locator(".letter").last).to_contain_text("chart_failed")
    await page.locator("#letters").get_by_role("button", name="Remove all").click()
    await _confirm(page, "Remove")
    await expect(page.locator("#letters")).to_contain_text("There are none")
    assert "operator_action" in visitor.stack.gateway.log


async def test_a_render_in_hand_is_cancelled(visitor: Any, look: Any) -> None:
    sven = visitor.stack.login("sven")
    page = await _ops(visitor)
    with visitor.stack.proxy.hold("/data/") as held:
        sven.refresh("plain")
        held.wait()
        work = page.locator("#processes li", has_text="as sven")
        await expect(work).to_be_visible(timeout=RENDER_MS)
        await look(page, "ops-in-hand")
        await work.get_by_role("button", name="Cancel").click()
        await look(page, "ops-sure")
        await _confirm(page, "Cancel the render")
        document = sven.until_status("plain", "Error")
    assert document["code"] == "cancelled"
    rows = await _find(page, state="failed", user="sven")
    await expect(rows.first).to_contain_text("cancelled")


def _insert_query(visitor: Any, **changes: str) -> None:
    """One of nora's that waits."""
    columns = {"client_id": "'c1'", "username": "'nora'", "database_name": "'shop'", "sql": "'SELECT 42 AS answer'"}
    columns |= {"tab": "''", "sql_editor_id": "''", "row_limit": "1", "limiting_factor": "''", "run_async": "1"}
    columns |= {"queue": "'vitrine_sql_long_v1'", "correlation_id": "'of-nora'", "status": "'pending'", "code": "''"}
    columns |= dict.fromkeys(("progress", "statements", "statements_done", "epoch", "lease_until", "publications"), "0")
    columns |= {"reason": "''", "owner": "''", "extra": "'{}'"}
    columns |= dict.fromkeys(("created_at", "changed_at"), "unixepoch()") | {"deadline_at": "unixepoch() + 3600"}
    columns |= changes
    visitor.stack.execute(f"INSERT INTO queries ({', '.join(columns)}) VALUES ({', '.join(columns.values())})")


async def test_a_query_for_the_rows_of_a_chart_is_said_to_be_one(visitor: Any) -> None:
    chart = {"chart": """'{"chart_id": "3"}'""", "chart_key": "'k'", "sql": "''"}
    _insert_query(visitor, client_id="'c0'", correlation_id="'of-chart'", **chart)
    page = await _ops(visitor)
    row = page.locator("#queries tbody tr", has_text="of-chart")
    await expect(row).to_contain_text("for chart 3")
    await row.get_by_role("button").click()
    await expect(page.locator("#queries .console")).to_have_text("It is built when the query runs.")


async def test_a_query_that_waits_is_found_and_stopped(visitor: Any, look: Any) -> None:
    _insert_query(visitor)
    page = await _ops(visitor)
    row = page.locator("#queries tbody tr", has_text="of-nora")
    await row.get_by_role("button").click()
    await expect(page.locator("#queries .console")).to_have_text("SELECT 42 AS answer")
    await look(page, "ops-query")
    await page.locator("#queries").get_by_role("button", name="Stop").click()
    await _confirm(page, "Stop it")
    await expect(page.locator("#notice")).to_contain_text("It is stopped")
    await page.locator("#find-queries [name=state]").select_option("stopped")
    await page.locator("#find-queries").get_by_role("button", name="Find").click()
    await expect(row.first).to_contain_text("stopped")


async def test_a_schedule_is_paused_resumed_and_run_now(visitor: Any) -> None:
    ada = visitor.stack.login("ada")
    body = {"strategy": "dummy", "interval": "1d", "name": "nightly"}
    assert ada.client.put("/api/v1/schedules/nightly", json=body).status_code == 200
    page = await _ops(visitor)
    row = page.locator("#schedules tbody tr", has_text="nightly")
    await row.get_by_role("button", name="Pause").click()
    await _confirm(page, "Pause")
    await expect(row).to_contain_text("paused")
    await row.get_by_role("button", name="Resume").click()
    await expect(row.get_by_role("button", name="Pause")).to_be_visible()
    await row.get_by_role("button", name="Run now").click()
    await _confirm(page, "Run now")
    await expect(page.locator("#warmups tbody tr").first).to_contain_text("nightly")
    assert ada.client.delete("/api/v1/schedules/nightly").status_code == 204


async def test_curves_are_drawn_from_what_the_scheduler_keeps(visitor: Any, look: Any) -> None:
    visitor.stack.start("scheduler")
    page = await _ops(visitor)
    row = page.locator("#processes tbody tr", has=page.get_by_role("cell", name="scheduler", exact=True))
    await expect(row).to_contain_text("leads")
    store = page.get_by_role("img", name=re.compile("^Store:"))  # not "From asked to stored"
    await expect(store.locator("path")).to_have_attribute("d", re.compile("^M"), timeout=120_000)
    await look(page, "ops-curves")
    visitor.stack.stop("scheduler")
    await expect(row).to_have_count(0)  # it took its row away


@pytest.mark.parametrize("width", [390, 1280])
async def test_nothing_is_wider_than_the_window(visitor: Any, look: Any, width: int) -> None:
    await visitor.page.set_viewport_size({"width": width, "height": 844})
    page = await _ops(visitor)
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await look(page, f"ops-{width}")


async def test_a_render_that_ended_is_asked_for_again(visitor: Any) -> None:
    hugo = visitor.stack.login("hugo")
    first = hugo.picture("total")
    page = await _ops(visitor)
    rows = await _find(page, state="updated", target=visitor.stack.ids["total"], user="hugo")
    await rows.first.get_by_role("button").click()
    again = page.locator(".detail").get_by_role("button", name="Render again")
    await again.click()
    await _confirm(page, "Cancel")
    await expect(page.locator("#notice")).to_be_empty()
    await again.click()
    await _confirm(page, "Render again")
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
    page = await _ops(visitor)
    many = ManyRenders(page)
    await page.route(re.compile(r"/ops/renders\?"), many.answer)
    rows = await _find(page, state="waiting")
    await expect(rows).to_have_count(25)
    renewing = await many.renew()
    await page.locator("#more-renders").click()
    await expect(rows).to_have_count(50)
    await many.tell(renewing)
    await expect(rows).to_have_count(50)
    await expect(page.locator("#found-renders")).to_have_text("50 of 60")
    await _find(page)
    await expect(rows).to_have_count(25)
    renewing = await many.renew()
    await rows.first.get_by_role("button").first.click()
    await many.tell(renewing)
    await expect(page.locator("#renders .opened")).to_have_count(1)
    await rows.first.get_by_role("button", name="Cancel").click()
    await _confirm(page, "Cancel")  # declined
    await expect(page.locator("dialog")).to_be_hidden()
    await expect(page.locator("#renders .opened")).to_have_count(1)


async def test_what_is_searched_for_is_shown_also_while_something_is_pressed(visitor: Any) -> None:
    page = await _ops(visitor)
    await page.route(re.compile(r"/ops/renders\?"), ManyRenders(page).answer)
    rows = await _find(page, state="waiting")
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
    page = await _ops(visitor)
    rows = await _find(page, state="waiting", user="sven")
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
    await _confirm(page, "Cancel the render")
    await expect(page.locator("#notice")).to_contain_text("It is cancelled")
    await expect(rows).to_have_count(1)
    await expect(row).to_have_count(0)
    assert sven.status("plain")["code"] == "cancelled"
    rows = await _find(page, state="failed", user="sven")
    await expect(rows.first).to_contain_text("cancelled")


@pytest.mark.usefixtures("without_renderer")
async def test_what_waits_is_purged_and_a_warm_up_that_waits_is_stopped(visitor: Any, look: Any) -> None:
    nora, ada = visitor.stack.login("nora"), visitor.stack.login("ada")
    assert nora.refresh("plain").status_code == 202
    assert ada.post("/api/v1/warmup/runs", {"strategy": "dummy"}).status_code == 202
    page = await _ops(visitor)
    queue = page.locator("#queues tbody tr", has_text=QUEUE)
    await expect(queue.get_by_role("cell", name="none")).to_be_visible()  # nobody consumes it
    await look(page, "ops-waiting")
    await queue.get_by_role("button", name="Purge").click()
    await _confirm(page, "Purge")
    await expect(page.locator("#notice")).to_contain_text("1 messages were removed")
    await expect(queue.get_by_role("button", name="Purge")).to_have_count(0)
    run = page.locator("#warmups tbody tr").first
    await run.get_by_role("button", name="Stop").click()
    await _confirm(page, "Stop it")
    await expect(run).to_contain_text("ada stopped it")
    await expect(run.get_by_role("button", name="Stop")).to_have_count(0)
