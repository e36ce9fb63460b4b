"""What becomes of due times: with the clock in the test's hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.scheduler import warmups
from services.scheduler.leader import Leader
from services.scheduler.warmups import WarmupFires, judge
from shared.errors import DatabaseUnavailable
from shared.metadata.engine import open_engine, sessions, upgrade
from shared.metadata.models import Fire, WarmupRun, WarmupSchedule

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def schedule(**changes):
    values: dict[str, Any] = {
        "name": "s", "strategy": "dummy", "parameters": {}, "warms": ["data"], "cron": None, "interval_s": 60,
        "timezone": "UTC", "misfire_grace_s": 300, "coalesce": True, "overlap": "skip", "jitter_s": 0,
        "budget_s": 60, "enabled": True, "source": "api", "considered_until": NOON,
    }  # fmt: skip
    return WarmupSchedule(**{**values, **changes})


def fates(row, now):
    return [due.fate.value for due in judge(row, now)]


def test_nothing_is_due_before_its_time():
    assert fates(schedule(), NOON + timedelta(seconds=59)) == []
    assert fates(schedule(), NOON + MINUTE) == ["fired"]


def test_of_those_that_were_missed_the_last_one_stands_for_all():
    assert fates(schedule(), NOON + 3 * MINUTE) == ["coalesced", "coalesced", "fired"]
    assert fates(schedule(coalesce=False), NOON + 3 * MINUTE) == ["fired"] * 3


def test_what_is_later_than_the_grace_is_a_misfire():
    assert fates(schedule(misfire_grace_s=60), NOON + 4 * MINUTE) == ["misfired", "misfired", "coalesced", "fired"]
    assert fates(schedule(misfire_grace_s=30, interval_s=3600), NOON + timedelta(hours=1, seconds=31)) == ["misfired"]


def test_jitter_delays_each_due_time_the_same_for_every_scheduler():
    rows = [schedule(jitter_s=50) for _ in range(2)]
    delays = [[warmups.jitter(row, NOON + n * MINUTE).total_seconds() for n in range(20)] for row in rows]
    assert delays[0] == delays[1]
    assert len(set(delays[0])) > 10
    assert all(0 <= delay < 50 for delay in delays[0])


def test_an_interval_of_days_begins_at_midnight_in_its_time_zone_also_when_clocks_change():
    row = schedule(interval_s=86_400, timezone="Europe/Berlin", coalesce=False, misfire_grace_s=10**6)
    row.considered_until = datetime(2026, 10, 24, 12, tzinfo=UTC)
    found = [due.at for due in judge(row, datetime(2026, 10, 26, 12, tzinfo=UTC))]
    assert [(at.day, at.hour) for at in found] == [(24, 22), (25, 23)]  # UTC+2, then UTC+1
    weekly = schedule(interval_s=7 * 86_400, timezone="Asia/Tokyo", misfire_grace_s=10**6)
    weekly.considered_until = datetime(2026, 11, 20, tzinfo=UTC)
    assert [due.at for due in judge(weekly, NOON)] == [datetime(2026, 11, 25, 15, tzinfo=UTC)]


def test_a_cron_expression_is_meant_in_its_time_zone_also_when_clocks_change():
    row = schedule(cron="30 7 * * *", interval_s=None, timezone="Europe/Berlin", coalesce=False, misfire_grace_s=10**6)
    row.considered_until = datetime(2026, 10, 24, 0, tzinfo=UTC)
    found = [due.at for due in judge(row, datetime(2026, 10, 26, 0, tzinfo=UTC))]
    assert [at.hour for at in found] == [5, 6]  # UTC+2, then UTC+1


@pytest.fixture
def factory(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path / 'm.sqlite'}")
    upgrade(engine)
    yield sessions(engine)
    engine.dispose()


class Scheduler:
    """A leader over the database, whose clock the test moves."""

    def __init__(self, factory, monkeypatch):
        self.factory = factory
        self.now = NOON
        self.token = Leader(factory, 60).campaign() or 0
        self.fires = WarmupFires(factory)
        monkeypatch.setattr(warmups, "database_instant", lambda _: self.now)

    def act(self, after=MINUTE, token=None):
        self.now += after
        return self.fires.act(token or self.token)

    def put(self, **changes):
        with self.factory.begin() as session:
            session.add(schedule(**changes))

    def rows(self):
        with self.factory() as session:
            return [(fire.due_at, fire.outcome) for fire in session.query(Fire).order_by(Fire.due_at)]

    def end(self, run_id):
        with self.factory.begin() as session:
            session.query(WarmupRun).filter_by(id=run_id).update({"finished_at": self.now, "status": "Done"})


@pytest.fixture
def scheduler(factory, monkeypatch):
    return Scheduler(factory, monkeypatch)


def test_a_due_time_fires_once_and_its_ids_are_derived(scheduler):
    scheduler.put()
    (run,) = scheduler.act()
    assert scheduler.act(timedelta()) == []
    assert (run.schedule, run.due_at, run.id) == ("s", NOON + MINUTE, warmups.run_of(schedule(), NOON + MINUTE).id)


def test_an_outrun_token_can_fire_nothing(scheduler, factory):
    scheduler.put()
    assert scheduler.act(token=scheduler.token + 1) == []
    assert scheduler.rows() == []


def test_a_clock_that_jumps_back_and_forth_fires_nothing_twice(scheduler):
    scheduler.put(coalesce=False, overlap="replace", misfire_grace_s=10**6)
    for jump in (5, -3, 1, -120, 121, 2, -1, 4):
        scheduler.act(jump * MINUTE)
    fires = scheduler.rows()
    assert [at for at, _ in fires] == [NOON + n * MINUTE for n in range(1, len(fires) + 1)]
    assert {outcome for _, outcome in fires} == {"fired"}


def test_progress_written_by_a_clock_that_was_years_ahead_does_not_stop_a_schedule_for_years(scheduler):
    scheduler.put(considered_until=NOON + timedelta(days=1000))
    scheduler.act(timedelta())
    assert len(scheduler.act()) == 1


def test_a_progress_that_was_not_written_does_not_fire_again(scheduler, factory):
    scheduler.put()
    scheduler.act()
    with factory.begin() as session:
        session.query(WarmupSchedule).update({"considered_until": NOON})
    assert scheduler.act(timedelta()) == []
    assert len(scheduler.rows()) == 1


def test_skip_leaves_out_what_comes_while_the_run_before_is_going(scheduler):
    scheduler.put()
    (run,) = scheduler.act()
    assert scheduler.act() == []
    scheduler.end(run.id)
    assert len(scheduler.act()) == 1
    assert [outcome for _, outcome in scheduler.rows()] == ["fired", "overlapped", "fired"]


def test_queue_fires_when_the_run_before_has_ended(scheduler):
    scheduler.put(overlap="queue")
    (run,) = scheduler.act()
    assert scheduler.act() == []
    assert [outcome for _, outcome in scheduler.rows()] == ["fired", "queued"]
    scheduler.end(run.id)
    (queued,) = scheduler.act(timedelta(seconds=1))
    assert queued.due_at == NOON + 2 * MINUTE
    assert [outcome for _, outcome in scheduler.rows()] == ["fired", "fired"]


def test_replace_stops_the_run_before(scheduler, factory):
    scheduler.put(overlap="replace")
    (first,) = scheduler.act()
    assert len(scheduler.act()) == 1
    with factory() as session:
        assert session.get(WarmupRun, first.id).code == "replaced"


def test_an_outrun_leader_that_still_acts_does_not_stop_what_its_successor_fired(scheduler, factory):
    scheduler.put(overlap="replace")
    (first,) = scheduler.act()
    assert scheduler.act(token=scheduler.token + 1) == []
    with factory() as session:
        assert session.get(WarmupRun, first.id).finished_at is None


def test_a_disabled_schedule_does_not_fire(scheduler):
    scheduler.put(enabled=False)
    assert scheduler.act() == []


def test_without_a_database_nothing_fires(scheduler, factory, monkeypatch):
    scheduler.put()

    def gone(*_):
        raise DatabaseUnavailable("gone")

    monkeypatch.setattr(warmups, "holds_lead", gone)
    with pytest.raises(DatabaseUnavailable):
        scheduler.act()
    assert scheduler.rows() == []


def test_a_schedule_that_cannot_be_read_any_more_keeps_no_other_from_firing(scheduler):
    scheduler.put(name="a", parameters={"no": "such parameter"})
    scheduler.put(name="b")
    assert [run.schedule for run in scheduler.act()] == ["b"]
