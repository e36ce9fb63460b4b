"""The SQL page: run, watch, stop, rows, errors at their place, completion, history."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import expect

pytestmark = pytest.mark.asyncio(loop_scope="session")
QUERY_MS = 60_000  # of a query, on a loaded machine
MANY = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {}) SELECT n, {} FROM c"


@pytest.fixture(scope="module", autouse=True)
def _querying(stack: Any) -> Any:
    stack.start("querying")
    yield
    stack.stop("querying")


async def _open(visitor: Any, username: str = "hugo") -> Any:
    await visitor.log_in(username)
    await visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await visitor.page.goto(f"{visitor.stack.url}/sql/")
    await visitor.page.wait_for_selector("html[data-vitrine=laid-out]")
    return visitor.page


async def _write(page: Any, sql: str) -> None:
    """Pasted, as the editor completes brackets and words for those who type."""
    await page.locator("#editor .cm-content").click()
    await page.keyboard.press("ControlOrMeta+a")
    await page.evaluate("text => navigator.clipboard.writeText(text)", sql)
    await page.keyboard.press("ControlOrMeta+v")


async def _run(page: Any, sql: str, state: str = "success") -> None:
    await _write(page, sql)
    await page.keyboard.press("ControlOrMeta+Enter")
    await expect(page.locator("#status")).to_have_attribute("data-state", state, timeout=QUERY_MS)


def _cell(page: Any, row: int, column: int) -> Any:
    return page.locator(f".grid-body [data-row='{row}'][data-column='{column}']")


async def test_a_query_is_run_by_the_keyboard_and_shows_its_rows(visitor: Any, look: Any) -> None:
    page = await _open(visitor, "nora")
    sql = "SELECT region, sum(amount) AS total, NULL AS none FROM sales GROUP BY 1 ORDER BY 1"
    await _run(page, sql)
    await expect(page.locator("#status")).to_contain_text("1 row")  # her rule leaves her the North
    await expect(_cell(page, 0, 0)).to_have_text("North")
    await expect(_cell(page, 0, 1)).to_have_css("text-align", "right")
    await expect(_cell(page, 0, 2)).to_have_class(re.compile("null"))
    await look(page, "sql")
    async with page.expect_download() as downloading:
        await page.get_by_role("link", name="CSV").click()
    text = Path(await (await downloading.value).path()).read_text()
    assert text.splitlines()[0] == '"region","total","none"'
    assert len(text.splitlines()) == 2


async def test_an_error_is_shown_at_its_place(visitor: Any, look: Any) -> None:
    page = await _open(visitor)
    await _run(page, "SELECT 1;\nSELECT *\nFROM nowhere.sales -- 😀", "failed")
    await expect(page.locator("#editor .cm-lintRange-error")).to_have_text("nowhere.sales")
    await expect(page.locator("#place")).to_have_text("Show its place: line 3, column 6")
    await look(page, "sql-error")
    await _write(page, "SELECT 1;\nSELECT nope FROM sales")
    await page.locator("#editor .cm-line").nth(1).click(click_count=3)
    await page.keyboard.press("ControlOrMeta+Enter")
    await expect(page.locator("#notice")).to_contain_text("nope", timeout=QUERY_MS)
    await expect(page.locator("#editor .cm-lintRange-error")).to_contain_text("nope")


async def test_a_hundred_thousand_rows_scroll_and_are_copied(visitor: Any, look: Any) -> None:
    page = await _open(visitor)
    await page.select_option("#limit", "100000")
    await _run(page, MANY.format(200_000, "'name ' || n AS name"))
    await expect(page.locator("#notice")).to_contain_text("These are the first 100,000 rows")
    grid = page.locator(".grid")
    await expect(grid).to_have_attribute("aria-rowcount", "100001")
    await grid.evaluate("grid => { grid.scrollTop = grid.scrollHeight; }")
    await expect(_cell(page, 99_999, 1)).to_have_text("name 100000")
    await look(page, "sql-many")
    assert await page.locator(".grid-body > *").count() < 100
    await _cell(page, 99_998, 0).click()
    await _cell(page, 99_999, 1).click(modifiers=["Shift"])
    await page.keyboard.press("ControlOrMeta+c")
    assert await page.evaluate("navigator.clipboard.readText()") == "99999\tname 99999\n100000\tname 100000"
    await page.get_by_role("button", name="Copy").click()
    await expect(page.locator("#copy")).to_have_text("Copied 2 rows")
    await page.keyboard.press("ArrowUp")


async def test_a_running_query_tells_its_state_without_polling_and_is_stopped(visitor: Any) -> None:
    page = await _open(visitor)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await _write(page, MANY.format("1e12", "1").replace("SELECT n, 1", "SELECT count(*)"))
    await page.keyboard.press("ControlOrMeta+Enter")
    await expect(page.locator("#status")).to_have_attribute("data-state", "running", timeout=QUERY_MS)
    await expect(page.locator("#status")).to_contain_text(re.compile(r"\d s"))
    await page.get_by_role("button", name="Stop").click()
    await expect(page.locator("#status")).to_have_attribute("data-state", "stopped", timeout=QUERY_MS)
    await expect(page.get_by_role("button", name="Run")).to_be_visible()
    assert [url for url in asked if "/query/" in url and "/stop" not in url] == []


async def test_tables_and_their_columns_are_completed(visitor: Any) -> None:
    page = await _open(visitor)
    await _write(page, "SELECT * FROM ")
    await page.keyboard.type("sal", delay=60)
    suggestion = page.locator("#editor .cm-tooltip-autocomplete [role=option]").filter(has_text="sales")
    await expect(suggestion.first).to_be_visible()
    await suggestion.first.click()
    async with page.expect_response(re.compile("table_metadata.*sales")):
        await page.keyboard.type(" WHERE sales.", delay=60)
    await page.keyboard.type("prod", delay=60)
    await expect(page.locator("#editor .cm-tooltip-autocomplete [role=option]").first).to_have_text("product")


async def test_a_query_of_the_history_is_opened_again_and_a_result_that_is_gone_says_so(visitor: Any) -> None:
    page = await _open(visitor, "sven")
    await _run(page, "SELECT 'first' AS word")
    await _run(page, "SELECT 'second' AS word")
    await page.reload()
    await expect(_cell(page, 0, 0)).to_have_text("second", timeout=QUERY_MS)
    older = page.locator(".past").nth(1)
    await older.click()
    await expect(_cell(page, 0, 0)).to_have_text("first")
    await expect(page.locator("#editor .cm-content")).to_have_text("SELECT 'first' AS word")
    await expect(older).to_have_attribute("aria-current", "true")
    _lose_results(visitor.stack)
    visitor.allow("410")
    await page.locator(".past").first.click()
    await expect(page.locator("#notice")).to_contain_text("Its rows are gone")


async def test_who_may_query_nothing_is_told_so(visitor: Any) -> None:
    page = await _open(visitor, "guy")
    await expect(page.locator("#notice")).to_contain_text("No database to query")
    await expect(page.get_by_role("button", name="Run")).to_be_disabled()


def _lose_results(stack: Any) -> None:
    """As when their time is over, or Memcached needs the room."""
    place = urlsplit(stack.environment["VITRINE_STORE_URL"])
    with socket.create_connection((place.hostname, place.port), timeout=10) as memcached:
        memcached.sendall(b"flush_all\r\n")
        assert memcached.recv(100) == b"OK\r\n"
