"""A dashboard's and a chart's own page: tabs, filters, view state, and the truth about each chart."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, unquote

import pytest
from playwright.async_api import expect

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _state(page: Any) -> dict[str, Any]:
    """The view state in the address."""
    fragment = await page.evaluate("location.hash")
    return json.loads(unquote(fragment.removeprefix("#state="))) if fragment else {}


async def _open(visitor: Any, slug: str, fragment: str = "") -> Any:
    await visitor.log_in("hugo")
    await visitor.open(slug, fragment)
    return visitor.page


async def test_a_tab_shows_its_charts_and_stands_in_the_address(visitor: Any, look: Any) -> None:
    page = await _open(visitor, "shop")
    await visitor.drawn("by-product")
    await visitor.drawn("total")
    await look(page, "dashboard")
    await page.get_by_role("tab", name="Where").click()
    await expect(await visitor.drawn("regions")).to_contain_text("North")
    await expect(visitor.holder("by-product")).to_have_count(0)
    assert (await _state(page))["activeTabs"] == ["where"]
    await page.reload()
    await visitor.drawn("regions")
    await expect(page.get_by_role("tab", name="Where")).to_have_attribute("aria-selected", "true")


async def test_a_filter_changes_the_rows_and_the_address_and_a_reload_keeps_it(visitor: Any, look: Any) -> None:
    page = await _open(visitor, "shop")
    total = await visitor.drawn("total")
    whole = await total.text_content()
    await page.get_by_role("button", name="Product:").click()
    await page.get_by_role("checkbox", name="tea").check()
    await expect(total).not_to_have_text(whole)
    filtered = await (await visitor.drawn("total")).text_content()
    assert filtered != whole
    assert (await _state(page))["dataMask"] == {"product": {"filterState": {"value": ["tea"]}}}
    await look(page, "dashboard-filtered")
    await page.reload()
    assert await (await visitor.drawn("total")).text_content() == filtered
    await page.get_by_role("button", name="Product: tea").click()
    await page.get_by_role("button", name="Clear").click()
    await expect(await visitor.drawn("total")).to_have_text(whole)


async def test_a_failed_and_an_empty_chart_say_so_beside_a_drawn_one(visitor: Any, look: Any) -> None:
    visitor.allow("Failed to load resource")  # the browser logs the answer of the query that fails
    page = await _open(visitor, "mixed")
    await visitor.drawn("regions")
    await expect(await visitor.drawn("nothing", "empty")).to_contain_text("No rows")
    failed = await visitor.drawn("broken", "failed")
    await expect(failed).to_contain_text("This chart could not be drawn")
    await expect(failed).to_contain_text("integer overflow")
    await expect(failed.get_by_role("button", name="Try again")).to_be_visible()
    assert "overflow" in (await failed.get_attribute("data-reason") or "")
    await look(page, "dashboard-mixed")


async def test_an_empty_dashboard_says_so(visitor: Any) -> None:
    page = await _open(visitor, "empty")
    await expect(page.get_by_text("Nothing here yet")).to_be_visible()


async def test_a_view_state_that_cannot_be_honoured_is_refused_and_not_half_shown(visitor: Any) -> None:
    await visitor.log_in("hugo")
    wrong = quote(json.dumps({"dataMask": {"colour": {"filterState": {"value": ["red"]}}}}))
    page = visitor.page
    await page.goto(f"{visitor.stack.url}/{visitor.stack.ids['shop']}/#state={wrong}")
    await page.wait_for_selector("html[data-vitrine=failed]")
    await expect(page.get_by_text("This view cannot be shown")).to_be_visible()
    await expect(page.locator(".chart-holder")).to_have_count(0)


async def test_the_rows_of_a_chart_can_be_looked_at(visitor: Any) -> None:
    page = await _open(visitor, "shop")
    await visitor.drawn("by-product")
    await page.get_by_role("button", name="Rows of Sales by product").click()
    dialog = page.get_by_role("dialog", name="Rows of Sales by product")
    await expect(dialog.get_by_role("cell", name="coffee")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)


@pytest.mark.parametrize("slug", ["by-product", "total", "regions"])
async def test_a_chart_s_own_page_draws_it_alone(visitor: Any, slug: str, look: Any) -> None:
    page = await _open(visitor, slug)
    await visitor.drawn(slug)
    await expect(page.locator(".chart-holder")).to_have_count(1)
    await look(page, f"chart-{slug}")


async def test_people_see_their_own_rows_only(visitor: Any) -> None:
    await visitor.log_in("nora")
    await visitor.open("regions")
    holder = await visitor.drawn("regions")
    await expect(holder).to_contain_text("North")
    await expect(holder).not_to_contain_text("South")


async def test_the_page_of_what_one_may_not_see_is_a_404_without_a_word_of_it(visitor: Any) -> None:
    visitor.allow("404")
    await visitor.log_in("nora")
    answer = await visitor.page.goto(f"{visitor.stack.url}/{visitor.stack.ids['draft']}/")
    assert answer.status == 404
    await expect(visitor.page.get_by_text("Secret draft")).to_have_count(0)


@pytest.mark.parametrize("path", ["/docs/", "/login/"])
async def test_other_pages_keep_their_policy_too(visitor: Any, path: str, look: Any) -> None:
    await visitor.page.goto(visitor.stack.url + path, wait_until="networkidle")
    await look(visitor.page, f"page{path.replace('/', '-')}")
    assert visitor.complaints == []
