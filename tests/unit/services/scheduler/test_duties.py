"""Duties of the leader: the database's clock counts, and no change of the schedules file is lost."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.scheduler.duties import Prune, ScheduleFile, WarmUpSchedules
from services.scheduler.warmups import WarmupFires
from shared.errors import DatabaseUnavailable
from shared.metadata import clock
from shared.metadata.engine import open_engine, sessions, upgrade
from shared.metadata.models import ViewLog
from shared.metadata.retention import Retention
from shared.warmup import schedules as written
from shared.warmup.runs import From, Order, Runs
from shared.warmup.schedules import Schedules
from shared.warmup.strategies import make
from tests.samples.catalog import make_settings

ONE = "schedules: [{name: one, strategy: dummy, interval: 1h}]"
TWO = "schedules: [{name: two, strategy: dummy, interval: 1h}]"


@pytest.fixture
def factory(tmp_path: Path) -> Any:
    engine = open_engine(f"sqlite:///{tmp_path / 'm.sqlite'}")
    upgrade(engine)
    return sessions(engine)


@pytest.fixture
def behind(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """The database's clock, against which ours is a year ahead."""
    now = datetime.now(UTC) - timedelta(days=365)
    monkeypatch.setattr(clock, "database_seconds", lambda _: now.timestamp())
    return now


async def test_what_is_old_is_told_by_the_database_s_clock(tmp_path: Path, factory: Any, behind: datetime) -> None:
    with factory.begin() as session:
        session.add(ViewLog(at=behind, username="a", target_kind="chart", target_id="1", source="page"))
    prune = Prune(Retention(factory, make_settings(tmp_path, keep_views_days=30)), lambda: clock.instant(factory))
    assert (await prune.run("c"))["view_log"] == 0


def test_a_run_just_made_is_not_taken_for_one_that_was_never_published(factory: Any, behind: datetime) -> None:
    runs = Runs(factory)
    run = runs.make(Order(make("dummy", {}), ("data",), From.OPERATOR, "c", budget_s=60))
    assert run.created_at == behind
    assert runs.unpublished() == []


def test_a_new_schedule_begins_now_by_the_database_s_clock(tmp_path: Path, factory: Any, behind: datetime) -> None:
    path = tmp_path / "schedules.yaml"
    path.write_text(ONE)
    ScheduleFile(path, Schedules(factory, make_settings(tmp_path))).follow()
    (row,) = Schedules(factory, make_settings(tmp_path)).all()
    assert row.considered_until == behind


class BadDatabase:
    """Does not answer once."""

    def __init__(self, schedules: Schedules) -> None:
        self._schedules = schedules
        self.is_down = False

    def load(self, path: Path) -> int:
        if self.is_down:
            self.is_down = False
            raise DatabaseUnavailable("down")
        return self._schedules.load(path)


def test_a_change_of_the_file_is_not_lost_while_the_database_is_down(tmp_path: Path, factory: Any) -> None:
    path, schedules = tmp_path / "schedules.yaml", Schedules(factory, make_settings(tmp_path))
    bad = BadDatabase(schedules)
    file = ScheduleFile(path, bad)  # type: ignore[arg-type]
    path.write_text(ONE)
    file.follow()
    change(path, TWO)
    bad.is_down = True
    with pytest.raises(DatabaseUnavailable):
        file.follow()
    file.follow()
    assert [row.name for row in schedules.all()] == ["two"]


def test_a_file_that_is_refused_or_gone_is_told_once_and_followed_again(
    tmp_path: Path, factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, schedules = tmp_path / "schedules.yaml", Schedules(factory, make_settings(tmp_path))
    file, read = ScheduleFile(path, schedules), written.read
    reads: list[Path] = []

    def counted(path: Path) -> Any:
        reads.append(path)
        return read(path)

    monkeypatch.setattr(written, "read", counted)
    file.follow()
    path.write_text("schedules: nonsense")
    for _ in range(3):
        file.follow()
    assert len(reads) == 1
    change(path, ONE)
    file.follow()
    assert [row.name for row in schedules.all()] == ["one"]


def change(path: Path, text: str) -> None:
    """At another time, however coarse the file system's clock is."""
    path.write_text(text)
    later = path.stat().st_mtime + 10
    os.utime(path, (later, later))


async def test_a_leader_that_was_held_up_publishes_nothing_that_its_successor_did(factory: Any) -> None:
    runs, sent = Runs(factory), []
    made = [runs.make(Order(make("dummy", {}), ("data",), From.SCHEDULE, "c0ffee", 60)) for _ in range(3)]

    class HeldUp(WarmupFires):
        def act(self, token: int) -> Any:
            return made

    class Publisher:
        async def publish(self, run: Any) -> None:
            sent.append(run.id)
            for one in made:  # meanwhile, the successor sweeps
                runs.published(one.id)

    await WarmUpSchedules(HeldUp(factory), runs, Publisher(), None, lambda: datetime.now(UTC)).act(1)  # type: ignore[arg-type]
    assert sent == [made[0].id]
