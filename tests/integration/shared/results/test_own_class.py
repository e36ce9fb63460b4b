"""A results backend of one's own, as docs/queries.md says: a package that is installed, named by the URL's scheme."""

import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from shared.errors import InvalidInput
from shared.results import open_results
from shared.results.sets import ResultSets
from shared.settings import load
from tests.unit.shared.results.conftest import keep, rows

PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "vitrine-results-shelf"
version = "1"

[project.entry-points."vitrine.results"]
shelf = "shelf:open_shelf"
broken = "shelf:broken"
half = "shelf:Half"

[tool.setuptools]
py-modules = ["shelf"]
"""
OTHERS = """
class Half:
    def __init__(self, url, settings):
        pass

    def get(self, name):
        return None


def broken(url, settings):
    raise RuntimeError("the shelf fell down")
"""
DOCUMENT = Path(__file__).parents[4] / "docs" / "queries.md"


def example() -> str:
    """The class that the document shows."""
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), flags=re.DOTALL)
    return code


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which that package is installed, by pip, from source."""
    source, site = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    (source / "pyproject.toml").write_text(PROJECT)
    (source / "shelf.py").write_text(example() + OTHERS)
    options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, "--target", site, source], check=True)
    return site


def open_own(url: str) -> ResultSets:
    return open_results(load(secret_key="J3n-8sWq0!zR5tYv2xLp7Kd4Hf6Gb9Mc", results_url=url))


def test_its_class_keeps_result_sets(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(site)
    results = open_own(f"shelf://{tmp_path}")
    keep(results, rows(10_000))
    assert results.page("k", 9_990, 20) == pa.Table.from_batches([rows(10, 9_990)])
    assert results.check() == f"a shelf in {tmp_path}"
    assert sorted(path.name.partition("~")[0] for path in tmp_path.iterdir()) == ["k", "k"]
    results.delete("k")
    assert list(tmp_path.iterdir()) == []
    results.close()


@pytest.mark.parametrize(
    ("scheme", "why"),
    [
        ("broken", "shelf:broken could not be opened: RuntimeError: the shelf fell down"),
        ("half", "shelf:Half is no results backend: it has no max_item_bytes, put, delete"),
        ("unknown", "unknown:// is no results backend; there are .*, broken://, half://, shelf://"),
    ],
)
def test_what_is_wrong_with_it_is_told(site: Path, monkeypatch: pytest.MonkeyPatch, scheme: str, why: str) -> None:
    monkeypatch.syspath_prepend(site)
    with pytest.raises(InvalidInput, match=f"VITRINE_RESULTS_URL: {why}"):
        open_own(f"{scheme}://x")
