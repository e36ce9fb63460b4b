"""Logging in to a page's application through its form, as a browser without scripts would."""

from __future__ import annotations

from collections.abc import Mapping
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx

from shared.errors import CatalogSignIn, CatalogUnavailable

TIMEOUT_S = 20.0


class _Fields(HTMLParser):
    """Action and hidden fields of the first form that has a password, else of the page's hidden inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.hidden: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and not self.action:
            self.action = given.get("action", "")
        if tag == "input" and given.get("type") == "hidden" and given.get("name"):
            self.hidden.setdefault(given["name"], given.get("value", ""))


def log_in(url: str, fields: Mapping[str, str], page_url: str) -> dict[str, str]:
    """The cookies of a session that opens `page_url`. Raises CatalogSignIn when there is none, CatalogUnavailable."""
    try:
        with httpx.Client(timeout=TIMEOUT_S, trust_env=False) as client:
            page = client.get(url)
            form = _Fields()
            form.feed(page.text)
            target = urljoin(url, form.action or url)
            if urlsplit(target)[:2] != urlsplit(url)[:2]:
                raise CatalogSignIn(f"The form at {url} sends passwords to another origin; it was not sent.")
            answer = client.post(target, data={**form.hidden, **fields}, headers={"Referer": url})
            opened = client.get(page_url)
            cookies = dict(client.cookies)
    except httpx.HTTPError as error:
        raise CatalogUnavailable(f"The log-in at {url} cannot be reached: {type(error).__name__}.") from error
    if answer.status_code >= 500:
        raise CatalogUnavailable(f"The log-in at {url} answered {answer.status_code}.")
    back = opened.is_redirect and urlsplit(urljoin(page_url, opened.headers["Location"])).path == urlsplit(url).path
    if answer.status_code >= 400 or opened.status_code in (401, 403) or back or not cookies:
        raise CatalogSignIn(f"The log-in at {url} gave no session: correct the fields or their secrets.")
    return cookies
