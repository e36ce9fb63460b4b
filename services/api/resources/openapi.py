"""The API's document, and a page to read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from falcon.asgi import Request, Response
from ruamel.yaml import YAML

from services.api.middleware import DOCS_CSP
from services.api.services import Services

FILE = Path(__file__).parent.parent / "openapi.yaml"


def load_document() -> dict[str, Any]:
    document: dict[str, Any] = YAML(typ="safe").load(FILE.read_text())
    return document


class OpenApi:
    """GET /api/v1/_openapi."""

    def __init__(self) -> None:
        self._document = load_document()

    async def on_get(self, req: Request, resp: Response) -> None:
        resp.media = self._document
        resp.set_header("Cache-Control", "no-cache")


class Docs:
    """GET /docs/."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response) -> None:
        resp.content_type = "text/html; charset=utf-8"
        resp.text = self._services.pages.templates.render("openapi.html", user=None)
        resp.set_header("Content-Security-Policy", DOCS_CSP)
        resp.set_header("Cache-Control", "no-cache")
