"""What the keeper does with queries whose lease went to somebody else, and came back."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from services.renderer.query_keeper import Keeper, Verdict
from shared.metadata.models import Query
from shared.sqllab.records import Hold, Look
from tests.harness.polling import wait_until


class Rows:
    """The rows of queries, of which the keeper sees one: in our hand, in this epoch."""

    def __init__(self) -> None:
        self.epoch = 1
        self.noted: list[dict[str, Any]] = []

    def beat(self, owner: str, lease_s: float) -> None:
        """Taken."""

    def in_hand(self, owner: str, ids: Iterable[int]) -> dict[int, Look]:
        return {number: Look(self.epoch, None) for number in ids}

    def note(self, hold: Hold, **values: Any) -> None:
        self.noted.append(values)


@pytest.fixture
def rows() -> Rows:
    return Rows()


@pytest.fixture
def keeper(rows: Rows) -> Iterator[Keeper]:
    queries: Any = rows
    made = Keeper(queries, lease_s=30, handoff_s=30)
    made.start()
    yield made
    made.stop()


def test_a_query_that_came_back_to_us_is_kept_beside_what_is_left_of_the_first_time(keeper: Keeper, rows: Rows) -> None:
    first, second = (Hold(Query(id=7), keeper.owner, epoch, 30) for epoch in (1, 2))
    cancelled = threading.Event()
    with keeper.keeping(first) as old:
        old.cancel = cancelled.set
        rows.epoch = 2
        with keeper.keeping(second) as new:
            assert cancelled.wait(10)
            assert (old.verdict, new.verdict) == (Verdict.LOST, None)


def test_the_end_of_the_first_time_does_not_end_the_keeping_of_the_second(keeper: Keeper, rows: Rows) -> None:
    first, second = (Hold(Query(id=7), keeper.owner, epoch, 30) for epoch in (1, 2))
    keeping = keeper.keeping(first)
    keeping.__enter__()
    with keeper.keeping(second) as new:
        rows.epoch = 2
        keeping.__exit__(None, None, None)
        rows.epoch = 3  # somebody else has it
        wait_until(lambda: new.verdict, 10, "the keeper to look at the second one still")
    assert new.verdict is Verdict.LOST


def test_rows_that_flow_for_long_are_told_as_fetching(keeper: Keeper, rows: Rows) -> None:
    with keeper.keeping(Hold(Query(id=7), keeper.owner, 1, 30)) as running:
        running.is_fetching, running.rows = True, 5
        wait_until(lambda: rows.noted, 10, "a note of its progress")
    assert rows.noted[0] == {"rows": 5, "progress": 0, "statements_done": 0, "status": "fetching"}
