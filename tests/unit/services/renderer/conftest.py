import pytest

from tests.samples.warm import open_workshop


@pytest.fixture
def workshop(tmp_path):
    made = open_workshop(tmp_path)
    yield made
    made.world.close()
