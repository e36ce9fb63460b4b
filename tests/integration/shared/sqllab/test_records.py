"""The rows of queries on both databases: one end each, whoever ends it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text, update

from shared.errors import InvalidInput
from shared.metadata.engine import open_metadata, sessions, upgrade
from shared.metadata.models import Database, Query
from shared.settings import Settings
from shared.sqllab.records import End, Hold, Limits, Order, Queries, Refusal
from shared.sqllab.states import ENDS, FOLLOWS, QueryState
from shared.sqllab.sweeping import Sweeper

LIMITS = Limits(rate=100, lease_s=30)
DONE = End(QueryState.SUCCESS, rows=2, results_key="k")
_numbers = itertools.count(1)


@pytest.fixture(params=["sqlite", "postgresql"])
def factory(request: Any, tmp_path: Any) -> Iterator[Any]:
    is_sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path / 'm.sqlite'}" if is_sqlite else request.getfixturevalue("postgresql").url
    engine = open_metadata(Settings(secret_key="f3b1c9d27a8e4650b1c2d3e4f5a69788", metadata_url=url))
    upgrade(engine)
    made = sessions(engine)
    with made.begin() as session:
        session.add(Database(id=1, name="shop", url="sqlite:///shop.sqlite", query_concurrency=3))
    yield made
    engine.dispose()


class Desk:
    """Who asks, works and sweeps."""

    def __init__(self, factory: Any) -> None:
        self.factory = factory
        self.queries = Queries(factory)
        self.sweeper = Sweeper(factory, self.queries)
        with factory() as session:
            self.database = session.get(Database, 1)

    def ask(self, rate: int = 100, *, to_publish: bool = False, **changes: Any) -> Query:
        values: dict[str, Any] = {
            "client_id": f"c{next(_numbers)}",
            "username": "ada",
            "database": self.database,
            "sql": "SELECT 1",
            "queue": "vitrine_sql_long_v1",
            "correlation_id": "c",
            "timeout_s": 60,
            "row_limit": 10,
            "limiting_factor": "DROPDOWN",
            "run_async": True,
        }
        made = self.queries.make(Order(**values | changes), rate=rate, to_publish=to_publish)
        assert made is not None
        return made

    def claim(self, query: Query, owner: str = "worker", limits: Limits = LIMITS) -> Hold:
        hold = self.queries.claim(query.id, owner, limits)
        assert isinstance(hold, Hold)
        return hold

    def look(self, query: Query) -> Query:
        return self.queries.find(Query.id == query.id)

    def lapse(self, query: Query) -> None:
        """As time does."""
        with self.factory.begin() as session:
            session.execute(update(Query).where(Query.id == query.id).values(lease_until=1.0))

    def age(self, query: Query, seconds: float) -> None:
        earlier = ["created_at", "deadline_at", "published_at"]
        values = {name: getattr(Query, name) - seconds for name in earlier}
        with self.factory.begin() as session:
            session.execute(update(Query).where(Query.id == query.id).values(values))


@pytest.fixture
def desk(factory: Any) -> Desk:
    return Desk(factory)


def test_a_query_goes_its_way_and_ends_once(desk: Desk) -> None:
    query = desk.ask()
    hold = desk.claim(query)
    assert 55 < hold.left_s <= 60
    assert desk.queries.move(hold, QueryState.RUNNING, server_id="7")
    assert desk.queries.move(hold, QueryState.FETCHING)
    assert desk.queries.end(hold, DONE)
    assert not desk.queries.end(hold, End(QueryState.FAILED, "internal", "late"))
    ended = desk.look(query)
    assert (ended.status, ended.rows, ended.results_key, ended.server_id) == ("success", 2, "k", None)
    assert (ended.ended_at or 0) >= (ended.started_at or 0) >= ended.created_at


def test_only_one_of_many_claims_is_granted(desk: Desk) -> None:
    query = desk.ask()
    came: list[object] = []

    def claim(owner: str) -> None:
        came.append(desk.queries.claim(query.id, owner, LIMITS))

    threads = [threading.Thread(target=claim, args=(f"worker-{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(one, Hold) for one in came) == 1
    assert came.count(Refusal.GONE) == 5


def test_a_database_takes_as_many_as_it_allows_in_the_whole_fleet(desk: Desk) -> None:
    queries = [desk.ask() for _ in range(8)]
    came: list[object] = []

    def claim(query: Query) -> None:
        came.append(desk.queries.claim(query.id, f"worker-{query.id}", LIMITS))

    threads = [threading.Thread(target=claim, args=(query,)) for query in queries]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held = [one for one in came if isinstance(one, Hold)]
    assert (len(held), came.count(Refusal.BUSY)) == (3, 5)
    assert desk.queries.end(held[0], End(QueryState.FAILED, "query_failed", "no such table"))
    waiting = next(query for query in queries if desk.look(query).status == "pending")
    assert isinstance(desk.queries.claim(waiting.id, "another", LIMITS), Hold)


def test_an_actor_begins_no_more_than_its_rate_in_a_second(desk: Desk) -> None:
    limits = Limits(rate=2, lease_s=30)
    desk.claim(desk.ask(), limits=limits)
    desk.claim(desk.ask(), limits=limits)
    query = desk.ask()
    assert desk.queries.claim(query.id, "worker", limits) is Refusal.RATE
    assert desk.look(query).status == "pending"


def test_a_person_asks_no_more_than_their_rate_in_a_second(desk: Desk) -> None:
    desk.ask(rate=2)
    desk.ask(rate=2)
    order = Order("x", "ada", desk.database, "SELECT 1", "q", "c", 60, 10, "DROPDOWN", True)
    assert desk.queries.make(order, rate=2) is None
    desk.ask(rate=2, username="nora")


def test_a_client_id_names_one_query(desk: Desk) -> None:
    query = desk.ask()
    with pytest.raises(InvalidInput, match="client_id"):
        desk.ask(client_id=query.client_id)


def test_a_stopped_queued_query_is_never_taken(desk: Desk) -> None:
    query = desk.ask()
    assert desk.queries.stop(query.id, "ada").status == "stopped"
    assert desk.queries.claim(query.id, "worker", LIMITS) is Refusal.GONE
    assert desk.look(query).reason == "Stopped by ada."


def test_a_running_query_is_stopped_by_who_has_it(desk: Desk) -> None:
    query = desk.ask()
    hold = desk.claim(query)
    desk.queries.move(hold, QueryState.RUNNING)
    assert desk.queries.stop(query.id, "ada").status == "running"
    assert desk.queries.in_hand("worker", [query.id])[query.id].stop_asked_by == "ada"


def test_a_dead_workers_query_fails_with_a_reason_and_its_late_word_does_not_count(desk: Desk) -> None:
    query = desk.ask()
    hold = desk.claim(query, "host:1:abc")
    desk.queries.move(hold, QueryState.RUNNING, server_id="7")
    assert desk.sweeper.end_what_lapsed() == 0
    desk.lapse(query)
    assert desk.sweeper.end_what_lapsed() == 1
    ended = desk.look(query)
    assert (ended.status, ended.code) == ("failed", "worker_lost")
    assert "host:1:abc" in ended.reason
    assert not desk.queries.end(hold, DONE)
    assert not desk.queries.move(hold, QueryState.FETCHING)
    assert ended.server_id == "7"


def test_what_a_dead_worker_left_in_the_database_is_told_until_it_is_gone(desk: Desk) -> None:
    query = desk.ask()
    desk.queries.move(desk.claim(query), QueryState.RUNNING, server_id="7")
    desk.lapse(query)
    desk.sweeper.end_what_lapsed()
    assert [one.id for one in desk.sweeper.left_running()] == [query.id]
    desk.sweeper.killed(query)
    assert desk.sweeper.left_running() == []


def test_one_that_never_reached_the_database_is_put_back_and_published_again(desk: Desk) -> None:
    query = desk.ask()
    hold = desk.claim(query)
    desk.lapse(query)
    assert desk.sweeper.end_what_lapsed() == 1
    assert desk.look(query).status == "pending"
    assert not desk.queries.move(hold, QueryState.RUNNING)  # it woke up too late
    desk.age(query, 5)
    assert [one.id for one in desk.sweeper.unpublished()] == [query.id]
    assert desk.claim(query, "another").epoch > hold.epoch


def test_a_stop_that_a_dead_worker_did_not_hear_ends_it_as_stopped(desk: Desk) -> None:
    query = desk.ask()
    desk.claim(query)
    desk.queries.stop(query.id, "ada")
    desk.lapse(query)
    desk.sweeper.end_what_lapsed()
    assert desk.look(query).status == "stopped"


def test_nothing_is_pending_for_ever(desk: Desk) -> None:
    query = desk.ask(timeout_s=30)
    desk.queries.published(query.id)
    desk.age(query, 31)
    desk.sweeper.end_what_lapsed()
    ended = desk.look(query)
    assert (ended.status, ended.reason) == ("timed_out", "It was not begun within 30 seconds.")


def test_a_message_that_the_broker_may_have_lost_is_sent_again_less_and_less_often(desk: Desk) -> None:
    query = desk.ask()
    assert desk.sweeper.unpublished() == []  # whoever made it is publishing it
    desk.age(query, 3)
    assert [one.id for one in desk.sweeper.unpublished()] == [query.id]
    desk.queries.published(query.id)
    assert desk.sweeper.unpublished() == []
    desk.age(query, 11)
    assert [one.id for one in desk.sweeper.unpublished()] == [query.id]
    desk.queries.published(query.id)
    desk.age(query, 11)
    assert desk.sweeper.unpublished() == []


def test_a_query_whose_message_was_to_follow_is_sent_again_later_than_one_without(desk: Desk) -> None:
    query = desk.ask(to_publish=True)
    assert query.publications == 1
    desk.age(query, 3)
    assert desk.sweeper.unpublished() == []
    desk.age(query, 8)
    assert [one.id for one in desk.sweeper.unpublished()] == [query.id]


def test_a_beat_keeps_what_its_owner_has(desk: Desk) -> None:
    query = desk.ask()
    desk.claim(query)
    desk.lapse(query)
    desk.queries.beat("worker", 30)
    assert desk.sweeper.end_what_lapsed() == 0


def test_a_database_that_is_taken_off_the_catalog_leaves_the_history(desk: Desk) -> None:
    query = desk.ask()
    with desk.factory.begin() as session:
        session.execute(text("DELETE FROM databases"))
    assert (desk.look(query).database_id, desk.look(query).database_name) == (None, "shop")


def test_every_state_leads_to_an_end() -> None:
    for state in QueryState:
        seen, front = {state}, {state}
        while front:
            front = {later for earlier in front for later in FOLLOWS[earlier]} - seen
            seen |= front
        assert seen & ENDS
    assert not any(FOLLOWS[state] for state in ENDS)
