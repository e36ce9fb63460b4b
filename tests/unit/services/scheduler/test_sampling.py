"""Samples, and the curves that are read from them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.orm import Session, sessionmaker

from services.scheduler.sampling import sample
from shared.metadata.engine import open_engine, sessions, upgrade
from shared.metadata.models import RenderRecord, Sample
from shared.queue import RENDER_QUEUE
from shared.queue_watch import QueueState
from shared.samples import MAX_POINTS, STEP_S, curves
from shared.store.port import NodeStats

QUEUES = [QueueState(RENDER_QUEUE, 7, 2)]
NODES = [NodeStats("m:1", True, 10, 5000, 9000, 0, 30, 10), NodeStats("m:2", up=False)]


@pytest.fixture
def factory(tmp_path: Path) -> Iterator[sessionmaker[Session]]:
    engine = open_engine(f"sqlite:///{tmp_path / 'm.sqlite'}")
    upgrade(engine)
    yield sessions(engine)
    engine.dispose()


def record(number: int, finished_at: datetime, status: str) -> RenderRecord:
    about = {"correlation_id": "c", "catalog": "native", "target_kind": "chart", "target_id": "1", "executor": "a"}
    steps = [{"step": "queued", "seconds": 1.0}, {"step": "captured", "seconds": 0.5}]
    return RenderRecord(
        id=str(number),
        **about,
        key="k",
        generation=1,
        origin="viewer",
        status=status,
        timeline=steps,
        started_at=finished_at - timedelta(seconds=2),
        finished_at=finished_at,
    )


def test_one_step_has_one_sample_whoever_takes_it(factory: sessionmaker[Session]) -> None:
    taken = [sample(factory, QUEUES, NODES, []) for _ in range(3)]
    with factory() as session:
        assert session.query(Sample).count() == sum(taken)  # 1, or 2 when a step ended meanwhile
        readings = session.query(Sample).first().readings  # type: ignore[union-attr]
    assert (readings[f"ready {RENDER_QUEUE}"], readings["dead_letters"]) == (7, 2)
    assert (readings["store_items"], readings["hits"], readings["misses"]) == (10, 30, 10)


def test_what_ended_in_the_step_before_is_counted(factory: sessionmaker[Session]) -> None:
    now = datetime.now(UTC).timestamp()
    starts = [datetime.fromtimestamp((now // STEP_S + offset) * STEP_S, UTC) for offset in (-1, 0, 1)]
    with factory.begin() as session:
        ended = [
            (start + timedelta(seconds=n), status) for start in starts for n, status in enumerate(("Updated", "Error"))
        ]
        session.add_all(record(number, at, status) for number, (at, status) in enumerate(ended))
    assert sample(factory, [], [], [])
    with factory() as session:
        readings = session.query(Sample).one().readings
    assert (readings["renders_updated"], readings["renders_failed"], readings["render_s"]) == (1, 1, 1.5)
    assert f"ready {RENDER_QUEUE}" not in readings  # the queues were not seen


def test_curves_have_few_points_counts_added_up_and_gaps_where_nothing_was_seen(factory: sessionmaker[Session]) -> None:
    begin = int(datetime.now(UTC).timestamp()) // 3600 * 3600 - 3600 * 23
    slots = [begin + STEP_S * number for number in range(60 * 2 * 4)]
    with factory.begin() as session:
        for slot in slots:
            readings = {"renders_updated": 2, "dead_letters": 4} | ({"render_s": 1.0} if slot == begin else {})
            session.add(Sample(slot=slot, at=datetime.fromtimestamp(slot, UTC), readings=readings))
    told = curves(factory, 24)
    assert len(told["at"]) <= MAX_POINTS
    steps = told["step_s"] // STEP_S
    assert told["curves"]["renders_updated"][0] == 2 * steps
    assert sum(told["curves"]["renders_updated"]) == 2 * len(slots)
    assert set(told["curves"]["dead_letters"]) == {4}
    assert told["curves"]["render_s"][:2] == [1.0, None]


def test_without_samples_there_are_no_curves(factory: sessionmaker[Session]) -> None:
    assert curves(factory, 6)["at"] == []
