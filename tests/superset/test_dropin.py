"""Superset's own front end, unmodified and without its Celery, with Vitrine behind its routes of pictures."""

from __future__ import annotations

import io
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from PIL import Image
from playwright.async_api import Page, Response, async_playwright

from tests.harness import Superset, wait_until, wait_until_async
from tests.harness.nginx import Nginx
from tests.harness.process import run_folder
from tests.harness.stack import Stack
from tests.harness.superset import PASSWORD, READER, SECRET_KEY

pytestmark = pytest.mark.asyncio(loop_scope="session")
PICTURES_S = 240  # for all dashboards, on a loaded machine
CARDS_S = 60  # for the answers of one visit
PICTURED = """() => [...document.querySelectorAll('[data-test=styled-card] img, .ant-card img')]
  .filter(image => image.src.startsWith('blob:') && image.naturalWidth === 800).length"""
BACKGROUNDS = """() => [...document.querySelectorAll('*')].filter(element =>
  getComputedStyle(element).backgroundImage.includes('blob:')).length"""
# The widths of all pictures that are shown, as images or backgrounds: 0 for one that is none.
WIDTHS = """() => {
  const of = element => element.src || getComputedStyle(element).backgroundImage;
  const found = [...document.querySelectorAll('*')].map(element => /blob:[^"')]+/.exec(of(element))).filter(Boolean);
  const width = url => new Promise(done => {
    const image = new Image();
    image.onload = image.onerror = () => done(image.naturalWidth);
    image.src = url;
  });
  return Promise.all([...new Set(found.map(match => match[0]))].map(width));
}"""


@pytest.fixture(scope="module")
def site(superset: Superset) -> Iterator[Nginx]:
    """One origin: nginx before Superset and an embedded Vitrine."""
    settings: dict[str, Any] = {
        "superset_url": superset.url,
        "superset_username": READER,
        "superset_passwords": json.dumps({READER: PASSWORD}),
        "superset_secret_key": SECRET_KEY,
        "default_catalog": "superset",
        "access_cache_s": 2,
        "refresh_interval_s": 30,  # each looks at every digest: Superset has other things to do here
    }
    with Stack(**settings) as stack, Nginx(superset=superset.port, vitrine=stack.port) as nginx:
        stack.start("up")
        yield nginx


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def ann(site: Nginx, chromium_path: Path) -> AsyncIterator[Page]:
    """Her browser, logged in on Superset's own page."""
    async with async_playwright() as playwright:
        sandbox = os.geteuid() != 0
        browser = await playwright.chromium.launch(executable_path=chromium_path, chromium_sandbox=sandbox)
        page = await browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(60_000)
        await page.goto(f"{site.url}/login/")
        await page.fill("#username", "ann")
        await page.fill("input[type=password]", PASSWORD)
        await page.click("[data-test=login-button]")
        await page.wait_for_url("**/superset/welcome/**")
        yield page
        await browser.close()


def person(site: Nginx, superset: Superset, username: str) -> httpx.Client:
    """Signed in at Superset, asking through nginx."""
    client = superset.person(username)
    client.base_url = httpx.URL(site.url)
    return client


def _ends(answers: list[Response]) -> int:
    """How many pictures were answered for, redirects aside."""
    return sum(answer.status != 302 for answer in answers)


async def test_the_cards_of_the_dashboard_list_show_our_pictures(ann, site, ids):
    answers: list[Response] = []
    ann.on("response", lambda answer: answers.append(answer) if "/thumbnail/" in answer.url else None)

    async def all_pictured() -> bool:
        answers.clear()
        await ann.goto(f"{site.url}/dashboard/list/?viewMode=card", wait_until="networkidle")
        # A busy page is quiet for a moment before it asks for its pictures.
        await wait_until_async(lambda: _ends(answers) >= 9, CARDS_S, "an answer for every card")
        return sum(answer.status == 200 for answer in answers) >= 9

    await wait_until_async(all_pictured, PICTURES_S, "a picture on every card", interval_s=2)
    assert await ann.evaluate(PICTURED) + await ann.evaluate(BACKGROUNDS) >= 9
    shown = [answer for answer in answers if answer.status == 200]
    assert {answer.headers["content-type"] for answer in shown} == {"image/png"}
    assert all(answer.headers["x-cache"] == "HIT" for answer in shown)


@pytest.mark.parametrize(("item", "head"), [("Download as Image", b"\x89PNG"), ("Export to PDF", b"%PDF")])
async def test_a_dashboard_is_downloaded_through_our_routes(ann, site, ids, item, head):
    await ann.goto(f"{site.url}/superset/dashboard/{ids['Sales Dashboard']}/")
    await ann.wait_for_selector("[data-test-chart-id] canvas")
    await ann.click("[data-test=actions-trigger]")
    await wait_until_async(lambda: _unfold(ann, item), 60, "the menu to unfold")
    async with ann.expect_download(timeout=PICTURES_S * 1000) as download:
        await ann.click(f"text={item}")
    saved = await (await download.value).path()
    assert saved.read_bytes().startswith(head)


async def _unfold(page: Page, item: str) -> bool:
    await page.hover("text=Download")
    return await page.is_visible(f"text={item}")


def ask(client: httpx.Client, number: str) -> httpx.Response:
    return client.get(f"/api/v1/dashboard/{number}/thumbnail/x/", follow_redirects=True)


async def test_a_session_or_a_token_of_superset_s_opens_what_its_user_may_see(site, superset, catalog, ids):
    births = ids["USA Births Names"]
    with closing(person(site, superset, "ann")) as ann:
        wait_until(lambda: ask(ann, births).status_code == 200, PICTURES_S, "a picture", interval_s=1)
        picture = ask(ann, births)
        assert Image.open(io.BytesIO(picture.content)).size == (800, 600)
        conditional = {"If-None-Match": picture.headers["ETag"]}
        assert ann.get(str(picture.url), headers=conditional).status_code == 304
    with httpx.Client(base_url=site.url, cookies={"session": catalog._sessions.of("ann").cookie}) as by_cookie:
        assert ask(by_cookie, births).content == picture.content
    with closing(person(site, superset, "eve")) as eve:
        assert ask(eve, births).status_code == 404
        assert ask(eve, "4711").status_code == 404
    with httpx.Client(base_url=site.url, cookies={"session": "forged.x.y"}) as nobody:
        assert ask(nobody, births).status_code == 401
    with httpx.Client(base_url=site.url) as nobody:
        assert ask(nobody, births).status_code == 401


async def test_a_cookie_alone_asks_for_nothing_new(site, catalog, ids):
    path = f"/api/v1/dashboard/{ids['Misc Charts']}/cache_dashboard_screenshot/?q=(force:!t)"
    same = {"Sec-Fetch-Site": "same-origin", "Origin": site.url}
    with httpx.Client(base_url=site.url, cookies={"session": catalog._sessions.of("ann").cookie}) as ann:
        assert ann.post(path, json={}, headers=same).status_code == 403
        foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example", "X-CSRFToken": "x"}
        assert ann.post(path, json={}, headers=foreign).status_code == 403
        asked = ann.post(path, json={"activeTabs": [], "dataMask": {}}, headers=same | {"X-CSRFToken": "x"})
    assert asked.status_code == 202
    document: dict[str, Any] = asked.json()
    assert {"cache_key", "dashboard_url", "image_url", "task_updated_at", "task_status"} <= set(document)


async def test_a_permalink_is_the_view_state_of_its_dashboard_only(site, superset, ids):
    coders, births = ids["FCC New Coder Survey 2018"], ids["USA Births Names"]
    with closing(person(site, superset, "admin")) as admin:
        state = {"activeTabs": ["TAB-YT6eNksV-"], "dataMask": {}, "urlParams": []}
        key = admin.post(f"/api/v1/dashboard/{coders}/permalink", json=state).json()["key"]
        path = "/api/v1/dashboard/{}/cache_dashboard_screenshot/"
        asked = admin.post(path.format(coders), json={"permalinkKey": key})
        plain = admin.post(path.format(coders), json={})
        assert (asked.status_code, plain.status_code) == (202, 202)
        assert asked.json()["cache_key"] != plain.json()["cache_key"]
        assert admin.post(path.format(births), json={"permalinkKey": key}).status_code == 400
        # Superset answers 500 for a key that is none: no outage, however often somebody asks.
        wrong = [admin.post(path.format(coders), json={"permalinkKey": f"no-such-key-{n}"}) for n in range(6)]
        assert [answer.status_code for answer in wrong] == [400] * 6
        assert admin.post(path.format(coders), json={"permalinkKey": key}).status_code in (200, 202)


@pytest.mark.parametrize(("path", "least"), [("/superset/welcome/", 1), ("/chart/list/?viewMode=card", 3)])
async def test_the_cards_of_home_and_of_the_chart_list_show_our_pictures(ann, site, path, least):
    """Last: the list asks for so many pictures that others would wait for them."""
    answers: list[Response] = []
    ann.on("response", lambda answer: answers.append(answer) if "/thumbnail/" in answer.url else None)

    async def some_pictured() -> bool:
        answers.clear()
        await ann.goto(f"{site.url}{path}")
        await wait_until_async(lambda: _ends(answers) >= least, CARDS_S, f"our answers to {path}")
        await ann.wait_for_load_state("networkidle")
        return len(await ann.evaluate(WIDTHS)) >= least

    await wait_until_async(some_pictured, PICTURES_S, f"pictures on the cards of {path}", interval_s=2)
    assert set(await ann.evaluate(WIDTHS)) == {800}
    assert {answer.status for answer in answers} <= {200, 202, 302, 304}


async def test_no_log_of_ours_holds_a_secret_or_a_session(superset, catalog):
    """Of whatever these tests did until now, renders with signed sessions among it."""
    logs = [path.read_text(errors="replace") for path in run_folder().glob("stack-*/*.log")]
    assert any("rendered" in text for text in logs)
    cookies = {catalog._sessions.of(name).cookie for name in ("ann", "admin")}
    with closing(superset.person("ann")) as ann:
        bearer = ann.headers["Authorization"].removeprefix("Bearer ")
    for secret in (SECRET_KEY, PASSWORD, *cookies, bearer.rsplit(".", 1)[0]):
        assert not any(secret in text for text in logs)
    assert not any('"_user_id"' in text or "session=" in text or "Bearer ey" in text for text in logs)
