import pytest

from shared.store.memory import Memory
from shared.store.pictures import Pictures


@pytest.fixture
def kv() -> Memory:
    return Memory()


@pytest.fixture
def pictures(kv: Memory) -> Pictures:
    return Pictures(kv, "p_", ttl_s=3600, fresh_s=600)
