"""Waiting for queries: ends and changes, whoever writes them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.api.blocking import Blocking
from services.api.query_watch import OWN_LISTENERS, Listener, QueryWatch, listening_pause_s, waiting_pause_s
from shared.errors import TooManyRequests
from shared.metadata.engine import open_metadata, sessions, upgrade
from shared.metadata.models import Database, Query
from shared.settings import Settings
from shared.sqllab.history import History
from shared.sqllab.records import End, Hold, Limits, Order, Queries
from shared.sqllab.states import QueryState
from tests.harness.polling import wait_until_async


class Desk:
    def __init__(self, folder: Path) -> None:
        self.engine = open_metadata(Settings(secret_key="f3b1c9d27a8e4650b1c2d3e4f5a69788", state_dir=folder))
        upgrade(self.engine)
        factory = sessions(self.engine)
        with factory.begin() as session:
            session.add(Database(id=1, name="shop", url="sqlite:///shop.sqlite"))
        with factory() as session:
            self.database = session.get(Database, 1)
        self.queries = Queries(factory)
        self.blocking = Blocking()
        self.watch = QueryWatch(History(factory), self.blocking, 100)

    def ask(self, client_id: str, username: str = "ada") -> Query:
        database: Any = self.database
        made = self.queries.make(
            Order(client_id, username, database, "SELECT 1", "q", "c", 60, 10, "DROPDOWN", True), rate=100
        )
        assert made is not None
        return made

    def end(self, query: Query) -> None:
        hold = self.queries.claim(query.id, "worker", Limits(100, 30))
        assert isinstance(hold, Hold)
        self.queries.move(hold, QueryState.RUNNING)
        assert self.queries.end(hold, End(QueryState.SUCCESS))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.blocking.close()
    made.engine.dispose()


async def test_the_end_of_a_query_is_told_to_whom_waits_for_it(desk: Desk) -> None:
    first, second = desk.ask("a"), desk.ask("b")
    waiting = [asyncio.create_task(desk.watch.ended(query.id, 30)) for query in (first, second)]
    await asyncio.to_thread(desk.end, second)
    ended = await waiting[1]
    assert ended is not None
    assert (ended.client_id, ended.status) == ("b", "success")
    assert not waiting[0].done()
    await asyncio.to_thread(desk.end, first)
    assert (await waiting[0]) is not None
    await desk.watch.close()


async def test_who_waits_too_long_is_told_nothing(desk: Desk) -> None:
    assert await desk.watch.ended(desk.ask("a").id, 0.1) is None
    await desk.watch.close()


async def test_changes_are_told_once_each_to_their_owner_and_to_the_admin(desk: Desk) -> None:
    old = desk.ask("old")
    ada, admin = await desk.watch.listen("ada"), await desk.watch.listen(None)
    await ada.next(0.5)
    seen: dict[str, list[tuple[str, str]]] = {"ada": [], "admin": []}
    queries = [desk.ask("mine"), desk.ask("hers", "nora")]
    for query in queries:
        await asyncio.to_thread(desk.end, query)
    while len(seen["admin"]) < 2 or not seen["ada"]:
        seen["ada"] += [(one.client_id, one.status) for one in await ada.next(0.5)]
        seen["admin"] += [(one.client_id, one.status) for one in await admin.next(0.5)]
    await asyncio.to_thread(desk.end, old)
    while ("old", "success") not in seen["ada"]:
        seen["ada"] += [(one.client_id, one.status) for one in await ada.next(0.5)]
    assert seen["ada"].count(("mine", "success")) == 1
    assert {client_id for client_id, _ in seen["ada"]} == {"mine", "old"}
    assert {client_id for client_id, _ in seen["admin"]} == {"mine", "hers"}
    await desk.watch.close()


def test_nobody_hears_of_what_the_operator_asked(desk: Desk) -> None:
    queries = [desk.ask("operator-s", ""), desk.ask("hers", "nora")]
    heard = {name: [Listener(name).hears_of(query) for query in queries] for name in (None, "", "nora")}
    assert heard == {None: [True, True], "": [False, False], "nora": [False, True]}


async def test_a_change_right_after_one_began_to_listen_is_told(desk: Desk) -> None:
    query = desk.ask("mine")
    listener = await desk.watch.listen("ada")
    desk.end(query)  # before the first look behind it
    told: list[Query] = []
    for _ in range(20):
        told += await listener.next(0.25)
        if told:
            break
    assert [(one.client_id, one.status) for one in told] == [("mine", "success")]
    await desk.watch.close()


@pytest.mark.parametrize(("unchanged_s", "pause_s"), [(0, 0.03), (1, 0.1), (2, 0.2), (3600, 0.3)])
def test_looks_follow_one_another_closely_after_a_change_and_seldom_without_one(
    unchanged_s: float, pause_s: float
) -> None:
    assert listening_pause_s(unchanged_s) == pytest.approx(pause_s)


async def test_one_that_nobody_has_any_more_takes_no_room(desk: Desk) -> None:
    for _ in range(OWN_LISTENERS + 1):
        desk.watch.check_room("ada")
        await desk.watch.listen("ada")  # its answer never began
    await desk.watch.close()


async def test_nobody_looks_while_nobody_listens(desk: Desk) -> None:
    listener = await desk.watch.listen("ada")
    await listener.next(0.1)
    desk.watch.leave(listener)
    await wait_until_async(lambda: all(task.done() for task in desk.watch.tasks), 5, "the end of the looking")


async def test_a_person_has_so_many_listeners(desk: Desk) -> None:
    listeners = []
    for _ in range(OWN_LISTENERS):
        desk.watch.check_room("ada")
        listeners.append(await desk.watch.listen("ada"))
    with pytest.raises(TooManyRequests):
        desk.watch.check_room("ada")
    desk.watch.check_room("nora")
    desk.watch.leave(listeners.pop())
    desk.watch.check_room("ada")
    await desk.watch.close()


@pytest.mark.parametrize(("waited_s", "pause_s"), [(0, 0.02), (0.012, 0.008), (0.03, 0.005), (1, 0.1), (60, 0.25)])
def test_the_end_of_a_query_is_looked_for_ever_more_rarely(waited_s: float, pause_s: float) -> None:
    assert waiting_pause_s(waited_s) == pytest.approx(pause_s)
