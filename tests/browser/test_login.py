"""Signing in and out, in a real browser."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect

from tests.harness.person import PASSWORD

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _sign_in(page: Any, username: str, password: str) -> None:
    await page.get_by_label("User name").fill(username)
    await page.get_by_label("Password").fill(password)
    await page.keyboard.press("Enter")


async def test_who_is_not_signed_in_gets_the_form_and_then_the_page_that_was_asked_for(visitor: Any, look: Any) -> None:
    page, shop = visitor.page, f"{visitor.stack.url}/{visitor.stack.ids['shop']}/"
    await page.goto(shop)
    await expect(page.get_by_role("heading", name="Vitrine")).to_be_visible()
    await expect(page.get_by_label("User name")).to_be_focused()
    await look(page, "login")
    await _sign_in(page, "hugo", PASSWORD)
    await page.wait_for_url(shop)
    await expect(page.get_by_role("heading", name="The shop")).to_be_visible()


async def test_a_wrong_password_is_told_as_an_unknown_user_is(visitor: Any, look: Any) -> None:
    visitor.allow("401")  # the browser logs the answer's status
    page, told = visitor.page, []
    for username in ("hugo", "nobody-at-all"):
        await page.goto(f"{visitor.stack.url}/login/")
        await _sign_in(page, username, "not the password")
        alert = page.get_by_role("alert")
        await expect(alert).to_be_visible()
        told.append(await alert.inner_text())
    assert told[0] == told[1]
    assert await page.get_by_label("Password").get_attribute("aria-describedby") == "login-error"
    await look(page, "login-wrong")


async def test_logging_out_ends_the_session(visitor: Any) -> None:
    page = visitor.page
    await visitor.log_in("hugo")
    await visitor.open()
    await page.get_by_role("button", name="Log out").click()
    await page.wait_for_url(f"{visitor.stack.url}/login/**")
    await page.goto(f"{visitor.stack.url}/")
    await expect(page.get_by_label("Password")).to_be_visible()
    assert not [c for c in await visitor.context.cookies() if c["name"] == "vitrine_session" and c["value"]]
