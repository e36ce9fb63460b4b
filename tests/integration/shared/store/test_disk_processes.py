"""The store on disk, shared by real processes."""

import sys
from collections.abc import Callable
from pathlib import Path

from shared.store.disk import Disk
from tests.harness import ManagedProcess, wait_until

ROOT = Path(__file__).parents[4]
CLAIMANT = """
import asyncio, sys
from pathlib import Path
from shared.store.disk import Disk

async def main(path, name):
    disk = Disk(Path(path))
    for number in range(200):
        if await disk.add(f"claim{number}", name.encode(), 60):
            found = await disk.gets("count")
            while not (await disk.add("count", b"1", 60) if found is None
                       else await disk.cas("count", b"%d" % (int(found[0]) + 1), found[1], 60)):
                found = await disk.gets("count")
    await disk.set(f"done{name}", b"", 60)
    await disk.close()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_processes_that_claim_at_once_win_each_key_once_and_lose_no_count(
    tmp_path: Path, spawn: Callable[..., ManagedProcess]
) -> None:
    path = tmp_path / "store.sqlite"
    names = ["a", "b", "c", "d"]
    processes = [spawn([sys.executable, "-c", CLAIMANT, str(path), name], cwd=ROOT) for name in names]
    wait_until(lambda: not any(process.running for process in processes), 60, "the claimants to end")
    disk = Disk(path)
    assert await disk.get_many([f"done{name}" for name in names]) == {f"done{name}": b"" for name in names}
    assert await disk.get("count") == b"200"
    winners = await disk.get_many([f"claim{number}" for number in range(200)])
    assert len(winners) == 200
    await disk.close()


async def test_a_process_killed_in_mid_write_leaves_a_store_that_works(
    tmp_path: Path, spawn: Callable[..., ManagedProcess]
) -> None:
    path = tmp_path / "store.sqlite"
    writer = CLAIMANT.split("    for number")[0] + "    while True: await disk.set('k', b'v' * 900_000, 60)\n"
    process = spawn([sys.executable, "-c", f"{writer}\nasyncio.run(main(*sys.argv[1:]))", str(path), "a"], cwd=ROOT)
    wait_until(lambda: path.exists() and path.stat().st_size > 900_000, 20, "the first writes")
    process.kill_tree()
    disk = Disk(path)
    assert await disk.get("k") == b"v" * 900_000
    await disk.set("k", b"new", 60)
    assert await disk.get("k") == b"new"
    await disk.close()
