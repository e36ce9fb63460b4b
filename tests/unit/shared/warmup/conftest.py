import shutil

import pytest

from tests.samples.catalog import make_world, open_world
from tests.samples.warm import Workshop


@pytest.fixture(scope="session")
def loaded(tmp_path_factory):
    """The sample catalog, loaded once; tests take copies."""
    folder = tmp_path_factory.mktemp("loaded")
    make_world(folder).close()
    return folder


@pytest.fixture
def workshop(loaded, tmp_path):
    shutil.copytree(loaded, tmp_path, dirs_exist_ok=True)
    world = open_world(tmp_path)
    yield Workshop(world)
    world.close()
