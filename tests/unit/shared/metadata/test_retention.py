from datetime import UTC, datetime, timedelta

import pytest

from shared.metadata.engine import open_engine, sessions, upgrade
from shared.metadata.models import (
    Cancellation,
    DataEvent,
    Evidence,
    Fire,
    OpenRender,
    Query,
    RenderRecord,
    Sample,
    ViewLog,
    WarmupOutcome,
    WarmupRun,
)
from shared.metadata.retention import Retention
from tests.samples.catalog import make_settings

NOW = datetime.now(UTC)
TABLES = (ViewLog, WarmupRun, WarmupOutcome, RenderRecord, Fire, DataEvent, Sample, Evidence, Cancellation)

QUERY = {"username": "a", "database_name": "d", "sql": "", "row_limit": 1, "limiting_factor": "", "run_async": True,
         "queue": "q", "correlation_id": "c", "changed_at": 0.0, "deadline_at": 0.0}  # fmt: skip


def rows(at, suffix):
    run = {"strategy": "dummy", "parameters": {}, "warms": [], "origin": "event", "correlation_id": "c", "budget_s": 1}
    render = {"correlation_id": "c", "catalog": "native", "target_kind": "chart", "target_id": "1", "executor": "a",
              "key": "k", "generation": 1, "origin": "viewer"}  # fmt: skip
    part = {"what": "data", "catalog": "native", "target_kind": "chart", "target_id": "1", "executor": "a", "key": "k"}
    return [
        ViewLog(at=at, username="a", target_kind="chart", target_id="1", source="page"),
        WarmupRun(id=f"run-{suffix}", created_at=at, **run),
        WarmupOutcome(run_id=f"run-{suffix}", number=1, **part),
        RenderRecord(id=f"render-{suffix}", started_at=at, status="Updated", **render),
        Fire(schedule="s", due_at=at, token=1, claimed_at=at, correlation_id="c"),
        Sample(slot=int(at.timestamp()), at=at, readings={}),
        Evidence(render_id=f"render-{suffix}", at=at, screenshot=b"jpeg", console=[]),
        Cancellation(request_id=f"render-{suffix}", at=at if suffix == "old" else NOW, username="a"),
        Query(client_id=suffix, created_at=at.timestamp(), ended_at=at.timestamp(), **QUERY),
        OpenRender(id=f"open-{suffix}", asked_at=at, deadline=at, **render),
        DataEvent(id=f"event-{suffix}", at=at, username="a", request={}, answer={}),
    ]


@pytest.fixture
def factory(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path / 'm.sqlite'}")
    upgrade(engine)
    yield sessions(engine)
    engine.dispose()


def test_what_is_older_than_the_settings_keep_it_goes_and_the_rest_stays(tmp_path, factory):
    days = {f"keep_{rows}_days": 10 for rows in ("views", "warmups", "render_records", "evidence", "queries")}
    settings = make_settings(tmp_path, **days, keep_samples_hours=240, picture_ttl_s=60)
    with factory.begin() as session:
        for row in (*rows(NOW - timedelta(days=11), "old"), *rows(NOW - timedelta(days=9), "young")):
            session.add(row)
            session.flush()
    removed = Retention(factory, settings).prune(NOW)
    assert removed == {"view_log": 1, "warmup_runs": 1, "data_events": 1, "render_records": 1, "fires": 1} | {
        "samples": 1,
        "queries": 1,
        "render_evidence": 1,
        "cancellations": 1,
        "open_renders": 2,  # both are past their deadline
    }
    with factory() as session:
        assert [session.query(table).count() for table in TABLES] == [1] * len(TABLES)
