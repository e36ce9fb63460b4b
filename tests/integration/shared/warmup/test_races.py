"""Two who write the same row in the same instant: PostgreSQL lets both begin, and one of them meets the other's row."""

import threading
from datetime import UTC, datetime

import pytest

from shared.errors import InvalidInput
from shared.metadata.engine import open_engine, sessions, upgrade
from shared.metadata.models import Backoff
from shared.settings import Settings
from shared.warmup.inputs import fill
from shared.warmup.kindness import Kindness, Subject
from shared.warmup.schedules import ScheduleForm, Schedules
from tests.samples.catalog import SECRET

FORM = {"name": "mornings", "strategy": "dummy", "interval": "1h"}


@pytest.fixture
def factory(postgresql):
    engine = open_engine(postgresql.url)
    upgrade(engine)
    yield sessions(engine)
    engine.dispose()


def meeting(factory, monkeypatch, write, times=2):
    """What several calls of `write` came to, each of which saw that there was no row before any of them wrote one."""
    seen, ends = threading.Barrier(times), []
    read = factory.class_.get

    def get(session, *identity, **options):
        found = read(session, *identity, **options)
        if found is None and not seen.broken:
            seen.wait(20)
        return found

    def run():
        try:
            ends.append(write())
        except Exception as error:  # noqa: BLE001  # it is what the test looks at
            ends.append(error)

    monkeypatch.setattr(factory.class_, "get", get)
    threads = [threading.Thread(target=run) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return ends


def test_a_schedule_that_two_make_at_once_is_made_by_one_and_the_other_is_told(factory, tmp_path, monkeypatch):
    schedules = Schedules(factory, Settings(secret_key=SECRET, state_dir=tmp_path))
    form = fill(ScheduleForm, FORM)
    ends = meeting(factory, monkeypatch, lambda: schedules.put(form, username="ada", new=True))
    (refused,) = [end for end in ends if isinstance(end, Exception)]
    assert isinstance(refused, InvalidInput)
    assert refused.message == "There is a schedule 'mornings' already."


def test_a_chart_that_fails_in_two_runs_at_once_counts_both_failures(factory, monkeypatch):
    kindness, chart = Kindness(factory, 2), Subject("native", "chart", "1", "data", "ada")
    ends = meeting(factory, monkeypatch, lambda: kindness.failed(chart, "query_failed", "no such column"))
    assert all(isinstance(end, datetime) and end > datetime.now(UTC) for end in ends)
    with factory() as session:
        assert session.query(Backoff).one().failures == 2
