"""The gallery: live pictures, Refresh, reasons, search, keyboard and screen reader."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import expect

pytestmark = pytest.mark.asyncio(loop_scope="session")
PICTURE_MS = 45_000  # until a picture is rendered and the gallery asks for it


async def _gallery(visitor: Any, username: str = "hugo", fragment: str = "") -> Any:
    await visitor.log_in(username)
    await visitor.open(fragment=fragment)
    return visitor.page


async def _is_decoded(card: Any) -> bool:
    """Whether the browser could read the picture that the card shows."""
    width: int = await card.locator("img").evaluate("image => image.complete ? image.naturalWidth : 0")
    return width > 0


async def test_a_card_shimmers_while_its_picture_is_rendered_and_then_shows_it(visitor: Any, look: Any) -> None:
    with visitor.stack.proxy.hold("/data/"):
        page = await _gallery(visitor, "nora")
        card = visitor.card("shop")
        await expect(card.locator(".shimmer")).to_be_visible()
        await expect(card.locator(".status-word")).to_have_text(re.compile("Pending|Computing"))
        await look(page, "gallery-pending")
    await expect(card).to_have_attribute("data-state", "ready", timeout=PICTURE_MS)
    await expect(card.locator(".shimmer")).to_have_count(0)
    assert await _is_decoded(card)
    await expect(card.locator("img")).to_have_attribute("alt", "Picture of The shop")
    await expect(card).to_contain_text("rendered")
    await look(page, "gallery")


async def test_refresh_makes_a_newer_picture_and_shows_the_old_one_meanwhile(visitor: Any) -> None:
    old = visitor.stack.login("hugo").picture("plain").headers["X-Vitrine-Rendered-At"]
    page = await _gallery(visitor)
    card = visitor.card("plain")
    await expect(card).to_have_attribute("data-state", "ready", timeout=PICTURE_MS)
    source = await card.locator("img").get_attribute("src")
    with visitor.stack.proxy.hold("/data/"):
        await page.get_by_role("button", name="Refresh the picture of Plain sales").click()
        await expect(card.get_by_role("img", name="Rendering a new picture")).to_be_visible()
        assert await _is_decoded(card)
    await expect(card.locator("img")).not_to_have_attribute("src", source, timeout=PICTURE_MS)
    await expect(card.get_by_role("img", name="Rendering a new picture")).to_be_hidden()
    assert visitor.stack.login("hugo").ask("plain").headers["X-Vitrine-Rendered-At"] > old


async def test_a_failed_card_shows_its_reason_and_offers_to_try_again(visitor: Any, look: Any) -> None:
    page = await _gallery(visitor, fragment="#charts")
    card = visitor.card("broken")
    await expect(card).to_have_attribute("data-state", "error", timeout=PICTURE_MS)
    await expect(card).to_contain_text("integer overflow")
    await expect(card.get_by_role("button", name="Try again")).to_be_visible()
    await look(page, "gallery-charts")


async def test_tab_reaches_a_card_and_enter_opens_it(visitor: Any) -> None:
    page = await _gallery(visitor)
    await page.get_by_role("searchbox").focus()
    for _ in range(12):
        await page.keyboard.press("Tab")
        focused = await page.evaluate("document.activeElement.closest('.card h2 a')?.getAttribute('href') ?? ''")
        if focused:
            break
    assert focused, "no card was reached"
    outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none", "what has the focus is not marked"
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{visitor.stack.url}{focused}")


async def test_the_arrow_keys_choose_between_dashboards_and_charts(visitor: Any) -> None:
    page = await _gallery(visitor)
    await page.get_by_role("tab", name="Dashboards").focus()
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_role("tab", name="Charts")).to_be_focused()
    await expect(page.get_by_role("tab", name="Charts")).to_have_attribute("aria-selected", "true")
    await expect(visitor.card("by-product")).to_be_visible()
    assert page.url.endswith("#charts")


async def test_search_filters_by_title_and_tag_and_says_when_nothing_matches(visitor: Any) -> None:
    page = await _gallery(visitor)
    search = page.get_by_role("searchbox", name="Search titles and tags")
    await search.fill("plain")
    await expect(page.locator(".card:visible")).to_have_count(1)
    await search.fill("weekly")
    await expect(visitor.card("shop")).to_be_visible()
    await expect(page.locator(".card:visible")).to_have_count(1)
    await search.fill("no such thing")
    await expect(page.get_by_text("No dashboards match")).to_be_visible()
    await page.get_by_role("button", name="Clear the search").click()
    await expect(visitor.card("plain")).to_be_visible()


async def test_landmarks_roles_and_names_are_there_for_screen_readers(visitor: Any) -> None:
    page = await _gallery(visitor)
    assert await page.get_attribute("html", "lang") == "en"
    for role, name in (("navigation", "Main"), ("tablist", "What to show"), ("heading", "Gallery"), ("main", None)):
        await expect(page.get_by_role(role, **({"name": name} if name else {})).first).to_be_visible()
    await expect(page.get_by_role("status")).to_contain_text("pictures", timeout=PICTURE_MS)
    await expect(page.locator("#cards")).to_have_attribute("aria-labelledby", "tab-dashboards")
    unnamed = await page.evaluate(
        "[...document.querySelectorAll('button, a[href]:not([aria-hidden=true]), input')].filter(e => e.offsetParent"
        " && !(e.innerText.trim() || e.ariaLabel || e.title || e.labels?.length)).map(e => e.outerHTML)"
    )
    assert unnamed == []


async def test_a_user_without_rights_sees_that_there_is_nothing(visitor: Any) -> None:
    page = await _gallery(visitor, "guy")
    await page.get_by_role("tab", name="Charts").click()
    await expect(page.get_by_text("No charts yet")).to_be_visible()


@pytest.mark.parametrize("width", [390, 1280])
async def test_nothing_is_wider_than_the_window(visitor: Any, look: Any, width: int) -> None:
    await visitor.page.set_viewport_size({"width": width, "height": 844})
    page = await _gallery(visitor)
    await expect(visitor.card("shop")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await look(page, f"gallery-{width}")
