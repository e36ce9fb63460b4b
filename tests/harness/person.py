"""Somebody who uses a running gateway over HTTP, as Superset's front end would."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import httpx
from PIL import Image

from tests.harness.errors import HarnessError
from tests.harness.polling import wait_until

PASSWORD = "an apple a day"
PICTURE_S = 45  # to wait for a picture, on a loaded machine


class Person:
    """Logged in; `ids` maps the slugs of the catalog to paths such as `chart/1`."""

    def __init__(self, url: str, username: str, ids: Mapping[str, str]) -> None:
        self.username = username
        self._ids = ids
        self.client = httpx.Client(base_url=url, timeout=30, follow_redirects=True)
        answer = self.client.post("/api/v1/security/login", json={"username": username, "password": PASSWORD})
        if answer.status_code != 200:
            raise HarnessError(f"{username} may not log in: {answer.status_code} {answer.text}")
        self.token: str = answer.json()["access_token"]
        self.client.headers["Authorization"] = f"Bearer {self.token}"

    def api(self, slug: str, rest: str = "") -> str:
        """The path of a target in the API: `/api/v1/chart/1/…`."""
        return f"/api/v1/{self._ids.get(slug, slug)}/{rest}"

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.client.get(path, **options)

    def post(self, path: str, json: object, **options: Any) -> httpx.Response:
        return self.client.post(path, json=json, **options)

    def thumbnail_url(self, slug: str) -> str:
        """As the lists tell it."""
        url: str = self.get(self.api(slug)).json()["result"]["thumbnail_url"]
        return url

    def ask(self, slug: str, **headers: str) -> httpx.Response:
        """GET of the thumbnail under its current digest: 200, 202, 304, 404, 503 …"""
        return self.get(self.api(slug, "thumbnail/x/"), headers=headers)

    def status(self, slug: str) -> dict[str, Any]:
        """Of the thumbnail; asks for nothing."""
        document: dict[str, Any] = self.get(self.api(slug, "thumbnail/")).json()
        return document

    def refresh(self, slug: str, *, force: bool = True) -> httpx.Response:
        return self.post(self.api(slug, "thumbnail/"), {"force": force})

    def picture(self, slug: str, timeout_s: float = PICTURE_S, *, fresh: bool = False) -> httpx.Response:
        """Polls as a client does, until there is a picture; `fresh`: one that is not marked stale."""

        def ready() -> httpx.Response | None:
            self.last = self.ask(slug)
            is_stale = self.last.headers.get("X-Vitrine-Stale") == "1"
            return self.last if self.last.status_code == 200 and not (fresh and is_stale) else None

        return self._poll(ready, timeout_s, f"a picture of {slug}")

    def newer(self, slug: str, than: httpx.Response, timeout_s: float = PICTURE_S) -> httpx.Response:
        """Polls until the picture was rendered later than `than`."""

        def ready() -> httpx.Response | None:
            self.last = self.ask(slug)
            return self.last if rendered_at(self.last) > rendered_at(than) else None

        return self._poll(ready, timeout_s, f"a newer picture of {slug}")

    def fetch(self, path: str, timeout_s: float = PICTURE_S) -> httpx.Response:
        """Polls a download until it is there: 404 is 'not ready yet'."""

        def ready() -> httpx.Response | None:
            self.last = self.get(path)
            return self.last if self.last.status_code == 200 else None

        return self._poll(ready, timeout_s, path)

    def until_status(self, slug: str, word: str, timeout_s: float = PICTURE_S) -> dict[str, Any]:
        """Polls the status of the thumbnail until it is `word`."""

        def reached() -> dict[str, Any] | None:
            document = self.status(slug)
            return document if document.get("task_status") == word else None

        return wait_until(reached, timeout_s, lambda: f"{word} of {slug}; it is {self.status(slug)}", interval_s=0.1)

    def _poll(self, ready: Any, timeout_s: float, what: str) -> httpx.Response:
        def told() -> str:
            return f"{what}; the last answer is {self.last.status_code} {self.last.headers} {self.last.content[:500]!r}"

        answer: httpx.Response = wait_until(ready, timeout_s, told, ignoring=(httpx.TransportError,), interval_s=0.2)
        return answer

    last: httpx.Response


def rendered_at(answer: httpx.Response) -> str:
    """When its picture was rendered, comparable; "" when it is none."""
    return str(answer.headers.get("X-Vitrine-Rendered-At", ""))


def image_of(answer: httpx.Response) -> Image.Image:
    """The decoded picture, as RGB."""
    return Image.open(io.BytesIO(answer.content)).convert("RGB")
