"""A metadata database that is away for a moment does not end a query."""

from __future__ import annotations

import pytest

from services.renderer import query_patience
from services.renderer.query_keeper import Running, Verdict
from services.renderer.query_patience import Patience
from shared.errors import DatabaseUnavailable
from shared.metadata.models import Query
from shared.sqllab.records import Hold


class Away:
    """Answers from its `answers_at`-th try on."""

    def __init__(self, answers_at: int) -> None:
        self.answers_at = answers_at
        self.tries = 0

    def __call__(self) -> str:
        self.tries += 1
        if self.tries < self.answers_at:
            raise DatabaseUnavailable("away")
        return "here"


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Running:
    monkeypatch.setattr(query_patience, "TRY_AGAIN_S", 0.01)
    return Running(Hold(Query(id=7), "us", 1, 60), lambda: None)


def test_it_is_waited_for(running: Running) -> None:
    assert Patience(running, 30)(Away(3)) == "here"


def test_no_longer_than_a_lease(running: Running) -> None:
    with pytest.raises(DatabaseUnavailable):
        Patience(running, 0.05)(Away(10**6))


def test_not_for_a_query_that_must_not_go_on_save_to_write_that_down(running: Running) -> None:
    running.verdict = Verdict.STOPPED
    with pytest.raises(DatabaseUnavailable):
        Patience(running, 30)(away := Away(2))
    assert away.tries == 1
    assert Patience(running, 30)(Away(2), at_its_end=True) == "here"
