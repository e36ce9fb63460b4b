"""Checks every picture of every demo user from outside: over HTTP as the gallery gets it, and the words on the page
itself.
"""

from __future__ import annotations

import asyncio
import json
import sys
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

from services.renderer import image
from services.renderer.pool import BrowserPool
from shared import logs
from shared.catalog.native import COOKIE
from shared.errors import VitrineError
from shared.identity import Audience, Tokens
from shared.settings import Settings, load
from shared.targets import Size

PAGE_S = 60
TOKEN_S = 600


def verify(url: str, passwords: dict[str, str], environment: dict[str, str]) -> int:
    """0 when every thumbnail of every user is a true picture and every page shows its words; prints each that is
    not.
    """
    settings = load(secret_key=environment["VITRINE_SECRET_KEY"], base_url=url, internal_url=None)
    logs.configure(settings.model_copy(update={"log_level": "warning"}), "cli")
    sizes = {"dashboard": settings.dashboard_thumbnail, "chart": settings.chart_thumbnail}
    pictures, problems = 0, []
    titles: dict[str, list[str]] = {}
    for username, password in passwords.items():
        token = _post(f"{url}/api/v1/security/login", {"username": username, "password": password, "provider": "db"})[
            "access_token"
        ]
        for kind, size in sizes.items():
            for item in _all(url, kind, token):
                pictures += 1
                titles[item["url"]] = [item.get("dashboard_title") or item["slice_name"]]
                problem = _picture_problem(url + (item["thumbnail_url"] or ""), token, size)
                if problem:
                    problems.append(f"{username}: {kind} {item['id']}: {problem}")
    token = Tokens(environment["VITRINE_SECRET_KEY"]).issue(next(iter(passwords)), Audience.PAGE, TOKEN_S)
    problems += asyncio.run(_page_problems(settings, url, titles, token))
    for problem in problems:
        print(f"✗ {problem}", file=sys.stderr)
    print(f"{pictures} pictures and {len(titles)} pages checked, {len(problems)} problems")
    return 1 if problems or not pictures else 0


def _all(url: str, kind: str, token: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    while True:
        page = json.loads(_get(f"{url}/api/v1/{kind}/?page={len(items) // 100}&page_size=100", token)[1])
        items += page["result"]
        if len(items) >= page["count"] or not page["result"]:
            return items


def _picture_problem(url: str, token: str, size: Size) -> str | None:
    try:
        content_type, body = _get(url, token)
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}"
    if not content_type.startswith("image/"):
        return f"no picture but {body[:300]!r}"
    try:
        picture = image.decode(body)
        image.check_size(picture, size.width, size.height)
        image.check_not_blank(picture)
    except VitrineError as error:
        return error.message
    return None


async def _page_problems(settings: Settings, url: str, titles: dict[str, list[str]], token: str) -> list[str]:
    """Opens each page as people do and looks for its title and for charts that are not drawn."""
    pool = BrowserPool(settings)
    await pool.start()
    problems: list[str] = []
    try:
        for path, words in titles.items():
            deadline = datetime.now(UTC) + timedelta(seconds=PAGE_S)
            async with pool.lease("verify", deadline) as lease:
                page = lease.page
                await lease.context.add_cookies([{"name": COOKIE, "value": token, "url": url}])
                try:
                    await page.goto(url + path)
                    await page.wait_for_selector("html[data-vitrine=laid-out]")
                    await page.wait_for_selector(".chart-holder[data-state=pending]", state="detached")
                    text = await page.inner_text("body")
                    failed = await page.locator(".chart-holder[data-state=failed]").count()
                except Exception as error:  # noqa: BLE001 — whatever the browser has to say of this page is its problem, told below
                    problems.append(f"{path}: {str(error).splitlines()[0]}")
                    continue
                missing = [word for word in words if word not in text]
                problems += [f"{path}: {word!r} is not on the page" for word in missing]
                problems += [f"{path}: {failed} charts failed"] if failed else []
    finally:
        await pool.drain()
    return problems


def _post(url: str, body: dict[str, str]) -> dict[str, Any]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310 — our own http URL
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
        answer: dict[str, Any] = json.load(response)
        return answer


def _get(url: str, token: str) -> tuple[str, bytes]:
    """Content type and body."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310 — our own http URL
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
        return response.headers.get("Content-Type", ""), response.read()
