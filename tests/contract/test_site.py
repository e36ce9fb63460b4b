"""The documentation as a site: it builds without a warning, and needs nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOADED = re.compile(r"<(?:script|img|iframe|link)\b[^>]*?\b(?:src|href)=[\"']?((?:https?:)?//[^\"'\s>]+)")
LINKS_ONLY = re.compile(r"<link\b[^>]*\brel=[\"']?(?:canonical|next|prev)\b[^>]*>")


def build(source: Path, site: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", str(source / "mkdocs.yml")]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(
        [*command, "--site-dir", str(site)], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.timeout(300)
def test_it_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    done = build(ROOT, tmp_path)
    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 40
    loaded = {url for page in pages for url in LOADED.findall(LINKS_ONLY.sub("", page.read_text(encoding="utf-8")))}
    assert loaded == set()
    styles = "".join(path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.css"))
    assert re.findall(r"@import[^;]*//|url\([\"']?(?:https?:)?//", styles) == []


@pytest.mark.timeout(300)
def test_a_page_without_a_place_and_a_link_to_nothing_are_named(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").replace("scripts/", f"{ROOT}/scripts/")
    (tmp_path / "mkdocs.yml").write_text(text.partition("\nnav:")[0] + "\nnav: [index.md]\n")
    (tmp_path / "docs" / "index.md").write_text("[there](new.md#nowhere)")
    (tmp_path / "docs" / "new.md").write_text("# New")
    (tmp_path / "docs" / "favicon.svg").write_text("<svg/>")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode == 1
    assert 'not included in the "nav"' in done.stderr.replace("'", '"')
    assert "new.md" in done.stderr
    assert "#nowhere" in done.stderr
