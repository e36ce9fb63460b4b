"""Which query reads a chart's rows, on both databases: one for all who ask at once, and the right one for each."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import update

from shared.metadata.engine import open_metadata, sessions, upgrade
from shared.metadata.models import Database, Query
from shared.settings import Settings
from shared.sqllab.charts import ChartQueries, ChartWish, is_nothing_to
from shared.sqllab.history import History
from shared.sqllab.records import End, Hold, Limits, Order, Queries
from shared.sqllab.states import QueryState

LIMITS = Limits(rate=100, lease_s=30)
DONE = End(QueryState.SUCCESS, rows=2)
_numbers = itertools.count(1)


class Desk:
    """Who asks and works."""

    def __init__(self, factory: Any) -> None:
        self.factory = factory
        self.queries = Queries(factory)
        self.charts = ChartQueries(factory)
        with factory() as session:
            self.database = session.get(Database, 1)

    def ask(self, key: str = "k", newer_than: float = 0.0, username: str = "ada", rate: int = 100) -> Query:
        order = Order(
            client_id=f"c{next(_numbers)}",
            username=username,
            database=self.database,
            sql="",
            queue="vitrine_sql_charts_v1",
            correlation_id="c",
            timeout_s=60,
            row_limit=10,
            limiting_factor="NOT_LIMITED",
            run_async=True,
            chart=ChartWish("1", newer_than=newer_than).as_json(),
            chart_key=key,
        )
        made = self.queries.make(order, rate=rate, to_publish=True)
        assert made is not None
        return made

    def claim(self, query: Query) -> Hold:
        hold = self.queries.claim(query.id, "worker", LIMITS)
        assert isinstance(hold, Hold)
        return hold

    def newest(self, key: str, client_id: str, asked_at: float) -> int | None:
        found = self.charts.newest(key, client_id, asked_at)
        return found.id if found is not None else None

    def work(self, query: Query, end: End | None = DONE) -> None:
        hold = self.claim(query)
        assert self.queries.move(hold, QueryState.RUNNING)
        assert end is None or self.queries.end(hold, end)

    def wish(self, query: Query) -> ChartWish:
        return ChartWish.of(self.queries.find(Query.id == query.id).chart or {})


@pytest.fixture(params=["sqlite", "postgresql"])
def desk(request: Any, tmp_path: Any) -> Iterator[Desk]:
    is_sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path / 'm.sqlite'}" if is_sqlite else request.getfixturevalue("postgresql").url
    engine = open_metadata(Settings(secret_key="f3b1c9d27a8e4650b1c2d3e4f5a69788", metadata_url=url))
    upgrade(engine)
    with sessions(engine).begin() as session:
        session.add(Database(id=1, name="shop", url="sqlite:///shop.sqlite"))
    yield Desk(sessions(engine))
    engine.dispose()


def test_of_many_who_ask_at_once_for_the_same_rows_all_get_one_query(desk: Desk) -> None:
    came: list[int] = []
    threads = [threading.Thread(target=lambda: came.append(desk.ask().id)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(came) == 8
    assert len(set(came)) == 1


def test_other_rows_and_rows_whose_query_has_ended_are_another_query(desk: Desk) -> None:
    first = desk.ask()
    assert desk.ask("other").id != first.id
    desk.work(first)
    assert desk.ask().id != first.id


def test_one_that_is_being_stopped_is_not_joined(desk: Desk) -> None:
    first = desk.ask()
    desk.work(first, end=None)
    desk.queries.stop(first.id, "ada")
    assert desk.ask().id != first.id


def test_joining_costs_none_of_what_a_person_may_ask_for_in_a_second(desk: Desk) -> None:
    first = desk.ask(rate=1)
    assert [desk.ask(rate=1).id for _ in range(5)] == [first.id] * 5


def test_rows_that_must_be_newer_are_those_of_a_query_that_is_not_sent_yet(desk: Desk) -> None:
    first = desk.ask()
    assert desk.ask(newer_than=100.0).id == first.id
    assert desk.ask(newer_than=50.0).id == first.id
    assert desk.wish(first).newer_than == 100.0, "it hears of the newest"
    desk.work(first, end=None)
    second = desk.ask(newer_than=200.0)
    assert second.id != first.id
    assert desk.ask().id == second.id


def test_while_rows_are_read_all_who_need_newer_ones_wait_as_one_query_that_nobody_has_in_hand(desk: Desk) -> None:
    first = desk.ask()
    hold = desk.claim(first)
    later: set[int] = set()
    for number in range(4):
        query = desk.ask(newer_than=100.0 + number)
        later.add(query.id)
        assert desk.queries.claim(query.id, "worker", LIMITS) == "busy"
    assert len(later) == 1
    assert desk.wish(query).newer_than == 103.0
    desk.claim(desk.ask("other"))
    assert desk.queries.end(hold, End(QueryState.FAILED, "query_failed"))
    desk.claim(query)


def test_a_dead_worker_s_query_keeps_nobody_from_the_same_rows(desk: Desk) -> None:
    desk.claim(desk.ask())
    second = desk.ask(newer_than=100.0)
    with desk.factory.begin() as session:
        session.execute(update(Query).where(Query.id != second.id).values(lease_until=1.0))
    desk.claim(second)


def test_a_query_in_hand_hears_what_was_asked_until_then(desk: Desk) -> None:
    first = desk.ask()
    desk.ask(newer_than=100.0)
    assert ChartWish.of(desk.claim(first).query.chart or {}).newer_than == 100.0


def test_whoever_asked_is_told_of_the_newest_query_since_theirs_and_of_none_before(desk: Desk) -> None:
    old = desk.ask()
    desk.work(old, End(QueryState.FAILED, "query_failed", "no such column"))
    mine = desk.ask()
    assert desk.newest("k", mine.client_id, mine.created_at) == mine.id
    desk.work(mine)
    later = desk.ask()
    assert desk.newest("k", mine.client_id, mine.created_at) == later.id
    assert desk.newest("other", mine.client_id, mine.created_at) is None


def test_a_name_of_no_query_is_told_of_what_goes_on_or_was_asked_for_since(desk: Desk) -> None:
    old = desk.ask()
    assert desk.newest("k", "unknown", old.created_at + 10) == old.id
    desk.work(old)
    assert desk.newest("k", "unknown", old.created_at + 10) is None
    assert desk.newest("k", "unknown", old.created_at - 1) == old.id


def test_what_is_somebody_s_own_end_is_nothing_to_others(desk: Desk) -> None:
    query = desk.ask()
    desk.queries.stop(query.id, "ada")
    stopped = desk.queries.find(Query.id == query.id)
    assert is_nothing_to(stopped, "nora", query.created_at)
    assert not is_nothing_to(stopped, "ada", query.created_at)
    with desk.factory.begin() as session:
        session.execute(update(Query).values(code="query_failed"))
    assert not is_nothing_to(desk.queries.find(Query.id == query.id), "nora", query.created_at)


def test_whoever_listens_to_changes_is_not_told_of_charts(desk: Desk) -> None:
    desk.ask()
    history = History(desk.factory)
    assert list(history.changed(0.0)[1]) == []
    assert len(history.since([], 0.0)) == 1


def test_charts_count_in_what_a_database_takes_at_once(desk: Desk) -> None:
    with desk.factory.begin() as session:
        session.execute(update(Database).values(query_concurrency=1))
    first, second = desk.ask("one"), desk.ask("two")
    desk.work(first, end=None)
    assert desk.queries.claim(second.id, "worker", LIMITS) == "busy"
