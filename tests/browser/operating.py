"""An admin at the operations page."""

from __future__ import annotations

from typing import Any

from playwright.async_api import expect


async def open_ops(visitor: Any, username: str = "ada") -> Any:
    await visitor.log_in(username)
    await visitor.page.goto(f"{visitor.stack.url}/ops/")
    await visitor.page.wait_for_selector("html[data-vitrine=laid-out]")
    return visitor.page


async def confirm(page: Any, words: str) -> None:
    await expect(page.locator("dialog")).to_be_visible()
    await page.locator("dialog").get_by_role("button", name=words, exact=True).click()


async def find_renders(page: Any, **fields: str) -> Any:
    for name, value in fields.items():
        field = page.locator(f"#find-renders [name={name}]")
        await (field.select_option(value) if name in ("state", "hours") else field.fill(value))
    await page.locator("#find-renders").get_by_role("button", name="Find").click()
    return page.locator("#renders tbody tr")
