"""What is left of queries when their database does not answer."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from shared.errors import DatabaseUnavailable
from shared.metadata.engine import open_metadata, sessions, upgrade
from shared.metadata.models import Database, Query
from shared.settings import Settings
from shared.sqllab.care import Care
from shared.sqllab.records import Hold, Limits, Order, Queries
from shared.sqllab.states import QueryState


class Desk:
    """Its databases, its queue and what is done in them, in order."""

    def __init__(self, folder: Path) -> None:
        self.done: list[str] = []
        self.silent = {"away"}
        self.engine = open_metadata(Settings(secret_key="f3b1c9d27a8e4650b1c2d3e4f5a69788", state_dir=folder))
        upgrade(self.engine)
        self.factory = sessions(self.engine)
        with self.factory.begin() as session:
            session.add_all([Database(name=name, url="sqlite:///x.sqlite") for name in ("away", "here")])
        with self.factory() as session:
            self.databases = {one.name: one for one in session.query(Database)}
        self.queries = Queries(self.factory)
        parts: Any = self
        self.care = Care(parts, self.factory, parts)
        self._numbers = itertools.count(1)

    def ask(self, database: str) -> Query:
        place, client_id = self.databases[database], f"c{next(self._numbers)}"
        order = Order(client_id, "ada", place, "SELECT 1", "q", "c", 60, 10, "DROPDOWN", True)
        made = self.queries.make(order, rate=100)
        assert made is not None
        return made

    def leave(self, database: str) -> None:
        """A query whose worker died while it ran."""
        query = self.ask(database)
        hold = self.queries.claim(query.id, "dead", Limits(100, 30))
        assert isinstance(hold, Hold)
        self.queries.move(hold, QueryState.RUNNING, server_id=str(query.id))
        with self.factory.begin() as session:
            session.execute(update(Query).where(Query.id == query.id).values(lease_until=1.0))

    def lose(self, database: str) -> None:
        """A query whose message never came to the queue."""
        query = self.ask(database)
        with self.factory.begin() as session:
            session.execute(update(Query).where(Query.id == query.id).values(created_at=Query.created_at - 10))

    async def publish_query(self, request: Any) -> None:
        self.done.append("published")

    def of(self, database: Database) -> Any:
        return _Engine(self, database.name)


class _Engine:
    def __init__(self, desk: Desk, name: str) -> None:
        self._desk, self._name = desk, name

    def kill(self, server_id: str) -> bool:
        self._desk.done.append(self._name)
        if self._name in self._desk.silent:
            raise DatabaseUnavailable("It does not answer.")
        return True


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.engine.dispose()


async def test_a_database_that_does_not_answer_delays_nobody(desk: Desk) -> None:
    for name in ("away", "away", "here", "away"):
        desk.leave(name)
    desk.lose("here")
    await desk.care.once()
    assert desk.done == ["published", "away", "here"]


async def test_it_is_left_alone_for_a_while_and_then_asked_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.leave("away")
    await desk.care.once()
    await desk.care.once()
    assert desk.done == ["away"]
    for silent in desk.care._silent.values():
        silent.until = 0.0  # as time does
    desk.silent.clear()
    await desk.care.once()
    assert desk.done == ["away", "away"]
    await desk.care.once()
    assert desk.done == ["away", "away"], "it is killed"
