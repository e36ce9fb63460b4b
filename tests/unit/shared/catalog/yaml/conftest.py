from collections.abc import Callable
from pathlib import Path

import pytest

from shared.catalog.yaml import read_catalog
from tests.samples.catalog import CATALOG, write_files

Check = Callable[..., list[str]]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """The problems of the sample after an edit, without the folder's name."""

    def problems(old: str = "", new: str = "", text: str = CATALOG) -> list[str]:
        assert old in text
        path = write_files(tmp_path, text.replace(old, new, 1) if old else text)
        return [str(problem).replace(f"{path}:", "") for problem in read_catalog(path)[1]]

    return problems
