"""What the store on disk does besides the contract."""

import asyncio
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.errors import StoreUnavailable
from shared.store.disk import PRUNE_EVERY, Disk, _connect


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[Disk]:
    disk = Disk(tmp_path / "deep" / "store.sqlite", max_bytes=4 * 2**20)
    yield disk
    await disk.close()


def rows(path: Path) -> int:
    db = _connect(path)
    try:
        return int(db.execute("SELECT count(*) FROM items").fetchone()[0])
    finally:
        db.close()


async def test_it_survives_a_restart(tmp_path: Path) -> None:
    for value in (None, b"v"):
        disk = Disk(tmp_path / "store.sqlite")
        assert await disk.get("k") == value
        await disk.set("k", b"v", 60)
        await disk.close()


async def test_the_file_is_its_owner_s_alone(disk: Disk, tmp_path: Path) -> None:
    await disk.set("k", b"v", 60)
    files = list((tmp_path / "deep").iterdir())
    assert len(files) > 1
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


async def test_it_stays_within_its_bound_and_keeps_what_lasts_longest(disk: Disk, tmp_path: Path) -> None:
    for number in range(2 * PRUNE_EVERY + 2):
        await disk.set(f"k{number}", bytes(100_000), 60 + number)
    assert await disk.get("k0") is None
    assert await disk.get(f"k{2 * PRUNE_EVERY + 1}") == bytes(100_000)
    assert (tmp_path / "deep" / "store.sqlite").stat().st_size < (4 + PRUNE_EVERY / 10 + 2) * 2**20


async def test_lapsed_rows_are_removed(disk: Disk, tmp_path: Path) -> None:
    for number in range(PRUNE_EVERY):
        await disk.set(f"k{number}", b"v", -1)
    await disk.set("k", b"v", 60)
    assert rows(tmp_path / "deep" / "store.sqlite") == 1


async def test_a_file_that_is_no_database_is_a_named_error(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    path.write_bytes(b"This is no SQLite file. " * 100)
    disk = Disk(path)
    with pytest.raises(StoreUnavailable, match=str(path)):
        await disk.get("k")
    await disk.close()


async def test_a_folder_that_cannot_be_made_is_a_named_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    disk = Disk(tmp_path / "file" / "store.sqlite")
    with pytest.raises(StoreUnavailable, match="rights"):
        await disk.check()
    await disk.close()


async def test_two_stores_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    disks = [Disk(tmp_path / "store.sqlite") for _ in range(8)]
    won = await asyncio.gather(*(disk.add("k", b"v", 60) for disk in disks))
    assert sum(won) == 1
    for disk in disks:
        await disk.close()
