"""The operations page: what lives, what died, and what an admin can do about it. Its renders: test_ops_renders.py."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser.operating import confirm, open_ops

pytestmark = pytest.mark.asyncio(loop_scope="session")
QUEUE, BULK = "vitrine_render_v1", "vitrine_bulk_v1"


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


async def test_a_dead_letter_is_replayed_after_it_was_confirmed_and_another_removed(visitor: Any, look: Any) -> None:
    hugo = visitor.stack.login("hugo")
    hugo.refresh("broken")
    hugo.until_status("broken", "Error")
    page = await open_ops(visitor)
    row = page.locator("#queues tbody tr", has_text=QUEUE)
    await row.get_by_role("button", name="Dead letters").click()
    letter = page.locator(".letter").last
    await expect(letter).to_contain_text("chart_failed")
    await look(page, "ops-letters")
    before = await page.locator(".letter").count()
    await letter.get_by_role("button", name="Replay").click()
    await confirm(page, "Cancel")
    await expect(page.locator(".letter")).to_have_count(before)
    await letter.get_by_role("button", name="Replay").click()
    await confirm(page, "Replay")
    await expect(page.locator("#notice")).to_contain_text("1 replayed")
    await expect(page.locator(".letter")).to_have_count(before - 1)
    # It went where nobody waits for a render, failed again, and died again.
    await page.locator("#queues tbody tr", has_text=BULK).get_by_role("button", name="Dead letters").click()
    await expect(page.locator(".letter").last).to_contain_text("chart_failed")
    await page.locator("#letters").get_by_role("button", name="Remove all").click()
    await confirm(page, "Remove")
    await expect(page.locator("#letters")).to_contain_text("There are none")
    assert "operator_action" in visitor.stack.gateway.log


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
    page = await open_ops(visitor)
    row = page.locator("#queries tbody tr", has_text="of-chart")
    await expect(row).to_contain_text("for chart 3")
    await row.get_by_role("button").click()
    await expect(page.locator("#queries .console")).to_have_text("It is built when the query runs.")


async def test_a_query_that_waits_is_found_and_stopped(visitor: Any, look: Any) -> None:
    _insert_query(visitor)
    page = await open_ops(visitor)
    row = page.locator("#queries tbody tr", has_text="of-nora")
    await row.get_by_role("button").click()
    await expect(page.locator("#queries .console")).to_have_text("SELECT 42 AS answer")
    await look(page, "ops-query")
    await page.locator("#queries").get_by_role("button", name="Stop").click()
    await confirm(page, "Stop it")
    await expect(page.locator("#notice")).to_contain_text("It is stopped")
    await page.locator("#find-queries [name=state]").select_option("stopped")
    await page.locator("#find-queries").get_by_role("button", name="Find").click()
    await expect(row.first).to_contain_text("stopped")


async def test_a_schedule_is_paused_resumed_and_run_now(visitor: Any) -> None:
    ada = visitor.stack.login("ada")
    body = {"strategy": "dummy", "interval": "1d", "name": "nightly"}
    assert ada.client.put("/api/v1/schedules/nightly", json=body).status_code == 200
    page = await open_ops(visitor)
    row = page.locator("#schedules tbody tr", has_text="nightly")
    await row.get_by_role("button", name="Pause").click()
    await confirm(page, "Pause")
    await expect(row).to_contain_text("paused")
    await row.get_by_role("button", name="Resume").click()
    await expect(row.get_by_role("button", name="Pause")).to_be_visible()
    await row.get_by_role("button", name="Run now").click()
    await confirm(page, "Run now")
    await expect(page.locator("#warmups tbody tr").first).to_contain_text("nightly")
    assert ada.client.delete("/api/v1/schedules/nightly").status_code == 204


async def test_curves_are_drawn_from_what_the_scheduler_keeps(visitor: Any, look: Any) -> None:
    visitor.stack.start("scheduler")
    page = await open_ops(visitor)
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
    page = await open_ops(visitor)
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await look(page, f"ops-{width}")
