"""A query of the command line, where nobody else works: it begins as soon as its database has room."""

from __future__ import annotations

import contextlib
import itertools
import signal
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from services.cli.query_run import Desk, run_here
from shared.metadata.engine import open_metadata, sessions, upgrade
from shared.metadata.models import Database, Query
from shared.settings import Settings
from shared.sqllab.records import End, Hold, Limits, Order, Queries
from shared.sqllab.states import QueryState
from tests.harness.polling import wait_until

_numbers = itertools.count(1)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    sqlite3.connect(tmp_path / "shop.sqlite").close()
    (tmp_path / "shop.sqlite").touch()
    settings = Settings(secret_key="f3b1c9d27a8e4650b1c2d3e4f5a69788", state_dir=tmp_path)
    engine = open_metadata(settings)
    upgrade(engine)
    factory = sessions(engine)
    with factory.begin() as session:
        session.add(Database(name="shop", url="sqlite:///shop.sqlite", expose_in_sqllab=True, query_concurrency=1))
    yield Desk(settings, factory, Queries(factory))
    engine.dispose()


def order(desk: Desk) -> Order:
    with desk.sessions() as session:
        database = session.query(Database).one()
    return Order(f"c{next(_numbers)}", "", database, "SELECT 1 AS one", "q", "c", 60, 10, "DROPDOWN", False)


def held(desk: Desk) -> Hold:
    """A query of somebody else, that takes the one place there is."""
    hold = desk.queries.claim(desk.make(order(desk)).id, "another", Limits(100, 300))
    assert isinstance(hold, Hold)
    desk.queries.move(hold, QueryState.RUNNING)
    return hold


def refused(desk: Desk) -> int:
    """How many a look found no room for."""
    with desk.sessions() as session:
        return session.query(Query).where(Query.published_at.is_not(None)).count()


def test_it_waits_for_room_and_then_runs(desk: Desk) -> None:
    hold = held(desk)

    def make_room() -> None:
        wait_until(lambda: refused(desk), 30, "it to be refused")
        desk.queries.end(hold, End(QueryState.SUCCESS))

    elsewhere = threading.Thread(target=make_room)
    elsewhere.start()
    assert run_here(desk, order(desk)).status == "success"
    elsewhere.join(30)
    assert desk.queries.find(Query.id == hold.query.id).status == "success"


def test_ctrl_c_is_heeded_wherever_it_comes(desk: Desk) -> None:
    """Also where a KeyboardInterrupt would be swallowed: in the midst of a look at the database."""
    look, looks = desk.queries.find, itertools.count()

    def interrupted(*where: Any) -> Query:
        if next(looks) == 1:
            with contextlib.suppress(KeyboardInterrupt):  # as a library might
                signal.raise_signal(signal.SIGINT)
        return look(*where)

    desk.queries.find = interrupted  # type: ignore[method-assign]
    hold = held(desk)  # no room: it would wait for ever
    assert run_here(desk, order(desk)).status == "stopped"
    assert look(Query.id == hold.query.id).status == "running"


def test_what_a_dead_process_held_takes_no_room(desk: Desk) -> None:
    hold = held(desk)
    with desk.sessions.begin() as session:
        session.execute(update(Query).where(Query.id == hold.query.id).values(lease_until=1.0))
    assert run_here(desk, order(desk)).status == "success"
    assert desk.queries.find(Query.id == hold.query.id).code == "worker_lost"
