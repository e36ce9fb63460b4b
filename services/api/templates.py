"""The HTML pages' templates. Titles, names and errors are data: everything is escaped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from services.api.static import StaticFiles

ROOT = Path(__file__).parent / "pages" / "templates"


class Templates:
    """Renders a page by its template's name. Static files are linked under the version's folder, cached for ever."""

    def __init__(self, asset_version: str) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(ROOT), autoescape=select_autoescape(default=True), undefined=StrictUndefined
        )
        self._environment.globals.update(
            asset_version=asset_version,
            static_root=f"/static/{asset_version}",
            api_docs_url="/docs/",
            document_url="/api/v1/_openapi",
        )

    def render(self, name: str, **variables: Any) -> str:
        return self._environment.get_template(name).render(variables)

    def error_page(self, *, status: int, title: str, detail: str, code: str, correlation_id: str) -> str:
        return self.render(
            "error.html", status=status, title=title, detail=detail, code=code, correlation_id=correlation_id, user=None
        )


@dataclass(frozen=True, slots=True)
class Pages:
    """Part of Services: what our pages are made of."""

    static: StaticFiles
    templates: Templates


def open_pages() -> Pages:
    """Reads the static files."""
    static = StaticFiles()
    return Pages(static, Templates(static.version))
