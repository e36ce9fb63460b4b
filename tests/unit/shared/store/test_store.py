"""Which adapter the settings choose."""

from pathlib import Path
from typing import Any

import pytest

from shared.errors import InvalidInput, StoreUnavailable
from shared.settings import Settings, load
from shared.store import open_store, pictures_in
from shared.store.disk import Disk
from shared.store.memcached import ThreadedNode
from shared.store.memcached_async import AsyncNode
from shared.store.memory import Memory
from shared.store.nodes import Nodes


def settings(tmp_path: Path, url: str, **others: Any) -> Settings:
    return load(secret_key="J3n-8sWq0!zR5tYv2xLp7Kd4Hf6Gb9Mc", state_dir=tmp_path, store_url=url, **others)


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("memcached://localhost", ["localhost:11211"]),
        ("memcached://127.0.0.1:1234/", ["127.0.0.1:1234"]),
        ("memcached://Cache-a:1, cache-b:2", ["Cache-a:1", "cache-b:2"]),
        ("memcached://[::1]:1234", ["::1:1234"]),
    ],
)
@pytest.mark.parametrize(("side", "kind"), [("renderer", ThreadedNode), ("gateway", AsyncNode)])
async def test_memcached_by_side(tmp_path: Path, url: str, names: list[str], side: Any, kind: type) -> None:
    store = open_store(settings(tmp_path, url), side=side)
    assert isinstance(store, Nodes)
    assert list(store._nodes) == names
    assert {type(node) for node in store._nodes.values()} == {kind}
    await store.close()


async def test_the_disk_store_is_in_the_state_dir(tmp_path: Path) -> None:
    store = open_store(settings(tmp_path, "disk://"), side="gateway")
    assert isinstance(store, Disk)
    await store.set("k", b"v", 60)
    assert (tmp_path / "store.sqlite").is_file()
    await store.close()


def test_memory_is_one_store_for_one_state_dir(tmp_path: Path) -> None:
    renderer = open_store(settings(tmp_path, "memory://"), side="renderer")
    assert isinstance(renderer, Memory)
    assert open_store(settings(tmp_path, "memory://"), side="gateway") is renderer
    assert open_store(settings(tmp_path / "other", "memory://"), side="gateway") is not renderer


@pytest.mark.parametrize(
    "url",
    ["redis://h", "memcached://", "memcached://h:port", "memcached://a:1,", "memcached://u:p@h:1", "disk://x", "x", ""],
)
def test_a_url_that_names_no_store_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(InvalidInput, match="VITRINE_STORE_URL"):
        open_store(settings(tmp_path, url), side="gateway")


async def test_pictures_use_the_prefix_setting(tmp_path: Path) -> None:
    chosen = settings(tmp_path, "memory://", store_prefix="mine_")
    store = open_store(chosen, side="gateway")
    assert isinstance(store, Memory)
    await pictures_in(open_store(chosen, side="gateway"), chosen).head("k")
    assert store.calls[-1] == ("get", "mine_k:head")


async def test_closing_the_pictures_closes_their_store(tmp_path: Path) -> None:
    chosen = settings(tmp_path, "memcached://127.0.0.1:1")
    pictures = pictures_in(open_store(chosen, side="gateway"), chosen)
    await pictures.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await pictures.head("k")
