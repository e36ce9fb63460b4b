import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.samples.catalog import World, make_world, open_world


@pytest.fixture(scope="session")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample catalog, loaded once; tests take copies."""
    folder = tmp_path_factory.mktemp("loaded")
    make_world(folder).close()
    return folder


@pytest.fixture
def world(loaded: Path, tmp_path: Path) -> Iterator[World]:
    shutil.copytree(loaded, tmp_path, dirs_exist_ok=True)
    made = open_world(tmp_path)
    yield made
    made.close()
