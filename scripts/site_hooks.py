"""For MkDocs (mkdocs.yml): what a page links to outside docs/ is no part of the site, and is named by its path."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1] / "docs"
LINK = re.compile(r"\[([^\]]*)\]\(((?:\.\./)+[^)#\s]+)(?:#[^)\s]*)?\)")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """A link to a file that is not there stays a link, which the strict build reports."""
    folder = DOCS / Path(page.file.src_uri).parent

    def named(link: re.Match[str]) -> str:
        target = Path(os.path.normpath(folder / link[2]))
        if target.is_relative_to(DOCS) or not target.exists():
            return link[0]
        path = target.relative_to(DOCS.parent)
        return f"`{path}`" if link[1].strip("`") == str(path) else f"{link[1]} (`{path}`)"

    return LINK.sub(named, markdown)
