"""What holds in a whole fleet: real processes over one real Memcached."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import ManagedProcess, Memcached, wait_until

ROOT = Path(__file__).parents[4]
PROCESSES = 4
MEMBER = """
import asyncio, os, sys
from pathlib import Path
from shared.catalog.queries import DataQuery
from shared.chart_data import ChartData
from shared.store.data import DataEntries
from shared.store.memcached import open_memcached
from shared.store.memcached_async import open_memcached_async
from shared.store.slots import Slots

async def ask(kv, note):
    async def read(query):
        note(query.key)
        await asyncio.sleep(0.5)
        return query.key.encode()

    data = ChartData(DataEntries(kv, "p_", stale_s=60), read, query_timeout_s=10)
    keys = ["everybody", "who-sees-girls-only"] * 10
    queries = [DataQuery(key, "SELECT 1", (), "db", "sqlite:///x", ttl_s=60) for key in keys]
    answers = await asyncio.gather(*(data.get(query) for query in queries))
    assert [answer.entry.body.decode() for answer in answers] == keys
    await data.close()

async def warm(kv, note):
    async def one():
        async with Slots(kv, "p_").hold("native/shop", 2, wait_s=60) as held:
            note("took" if held else "gave up")
            await asyncio.sleep(0.2)
            note("left")

    await asyncio.gather(*(one() for _ in range(3)))

async def main(work, opener, port, folder, name):
    path = Path(folder)
    file = os.open(path / "notes", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    kv = {"pymemcache": open_memcached, "async": open_memcached_async}[opener]([("127.0.0.1", int(port))])
    (path / f"here-{name}").touch()
    while not (path / "go").exists():
        await asyncio.sleep(0.01)
    await {"ask": ask, "warm": warm}[work](kv, lambda words: os.write(file, f"{words}\\n".encode()))
    await kv.close()

asyncio.run(main(*sys.argv[1:]))
"""


def notes_of(
    work: str, client: str, memcached: Memcached, folder: Path, spawn: Callable[..., ManagedProcess]
) -> list[str]:
    """What the processes noted, in order, that began to `work` in the same instant."""
    command = [sys.executable, "-c", MEMBER, work, client, str(memcached.port), str(folder)]
    members = [spawn([*command, str(number)], cwd=ROOT) for number in range(PROCESSES)]
    wait_until(lambda: len(list(folder.glob("here-*"))) == PROCESSES, 60, "the processes to start")
    (folder / "go").touch()
    wait_until(lambda: not any(member.running for member in members), 60, "the processes to end")
    assert [member.returncode for member in members] == [0] * PROCESSES
    return (folder / "notes").read_text().splitlines()


def test_eighty_who_ask_in_four_processes_cost_one_query_for_each_set_of_rules(
    client: str, own_memcached: Memcached, tmp_path: Path, spawn: Callable[..., ManagedProcess]
) -> None:
    noted = notes_of("ask", client, own_memcached, tmp_path, spawn)
    assert sorted(noted) == ["everybody", "who-sees-girls-only"]


@pytest.mark.timeout(180)
def test_a_database_has_no_more_queries_of_warm_up_than_it_takes_in_all_processes_together(
    client: str, own_memcached: Memcached, tmp_path: Path, spawn: Callable[..., ManagedProcess]
) -> None:
    noted = notes_of("warm", client, own_memcached, tmp_path, spawn)
    at_once = [noted[: number + 1].count("took") - noted[: number + 1].count("left") for number in range(len(noted))]
    assert (noted.count("took"), noted.count("gave up")) == (3 * PROCESSES, 0)
    assert max(at_once) == 2
