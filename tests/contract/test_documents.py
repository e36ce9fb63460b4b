"""The documents say what is: generated pages are fresh, links and paths lead somewhere, examples hold."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.catalog.yaml import read_catalog
from shared.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
DECISIONS = ROOT / "docs" / "adr"
HEADINGS = ["Context", "Options weighed", "Decision", "Consequences", "How it is proved"]
FOLDERS = "bench|deploy|docs|proto|scripts|services|shared|tests"  # a path of ours begins with one of them
NOT_OURS = {"node_modules", "var"}
SOURCE_ENDINGS = "csv|json|js|md|proto|py|sh|svg|yaml"


def documents() -> list[Path]:
    """Every Markdown file of the repository, vendored licences aside."""
    folders = [path for path in ROOT.iterdir() if path.is_dir() and path.name[0] != "." and path.name not in NOT_OURS]
    found = [*ROOT.glob("*.md"), *(path for folder in folders for path in folder.rglob("*.md"))]
    return sorted(path.relative_to(ROOT) for path in found if "vendor" not in path.parts)


def prose(document: Path) -> str:
    """Its text without blocks of code."""
    return re.sub(r"```.*?```", "", (ROOT / document).read_text(encoding="utf-8"), flags=re.DOTALL)


def anchors(document: Path) -> set[str]:
    """The anchors of its headings, as code hosts make them."""
    titles = re.findall(r"^#+ (.+)$", prose(document), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(document: Path) -> Iterator[str]:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(document)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name) if name else document
        if not (ROOT / target).exists() or (anchor and anchor not in anchors(target)):
            yield link


decisions = sorted(path.name for path in DECISIONS.glob("[0-9]*.md"))


def test_generated_pages_are_not_stale(tmp_path: Path) -> None:
    command = [sys.executable, "scripts/settings_reference.py", str(tmp_path)]
    subprocess.run(command, check=True, cwd=ROOT, env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)})
    fresh = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    kept = {name: (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8") for name in fresh}
    assert kept == fresh, "run: make docs"


@pytest.mark.parametrize("document", documents(), ids=str)
def test_relative_links_lead_somewhere(document: Path) -> None:
    assert list(broken_links(document)) == []


@pytest.mark.parametrize("document", documents(), ids=str)
def test_paths_that_a_document_names_exist(document: Path) -> None:
    pattern = rf"`((?:{FOLDERS})/(?:[\w./-]+\.(?:{SOURCE_ENDINGS})|[\w/-]+/?))`"
    named = set(re.findall(pattern, prose(document)))
    assert sorted(path for path in named if not (ROOT / path).exists()) == []


@pytest.mark.parametrize("document", documents(), ids=str)
def test_settings_that_a_document_names_exist(document: Path) -> None:
    named = re.findall(rf"{PREFIX}([A-Z0-9_]+[A-Z0-9])", (ROOT / document).read_text(encoding="utf-8"))
    fields = {name.upper() for name in Settings.model_fields}
    known = fields | {f"{name}_FILE" for name in fields} | {"SETTINGS_FILE"}
    assert sorted(set(named) - known) == []


def test_every_decision_is_in_the_index() -> None:
    index = (DECISIONS / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| (\d{4}) \| \[(.+)\]\((.+)\) \|$", index, flags=re.MULTILINE)
    titles = [(DECISIONS / name).read_text(encoding="utf-8").splitlines()[0] for name in decisions]
    assert [name for _, _, name in listed] == decisions
    assert [f"# {number}: {title}" for number, title, _ in listed] == titles


@pytest.mark.parametrize("decision", decisions)
def test_a_decision_weighs_its_options_and_names_its_proof(decision: str) -> None:
    text = (DECISIONS / decision).read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, flags=re.MULTILINE) == HEADINGS
    assert "- **Do nothing**" in text
    proof = text.partition("## How it is proved")[2]
    assert re.search(r"`(tests/|make |\.ci/)", proof), "it names no test, bench or run"


def test_every_alert_has_its_section_in_the_runbook() -> None:
    rules = (ROOT / "deploy" / "monitoring" / "alerts.yml").read_text(encoding="utf-8")
    alerts = set(re.findall(r"^ +- alert: (\w+)$", rules, flags=re.MULTILINE))
    runbook = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8").partition("## Alerts")[2]
    assert alerts == set(re.findall(r"^### (.+)$", runbook, flags=re.MULTILINE))


def test_the_example_catalog_is_valid(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "catalog.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    (tmp_path / "catalog.yaml").write_text(example, encoding="utf-8")
    (tmp_path / "sales.csv").write_text("region,month,amount\nNorth,2026-01-01,12.5\n", encoding="utf-8")
    assert [str(problem) for problem in read_catalog(tmp_path / "catalog.yaml")[1]] == []
