"""Retention: rows that only tell of the past are removed when they are older than the settings keep them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.orm.attributes import InstrumentedAttribute

from shared.metadata.engine import writing
from shared.metadata.models import (
    Backoff,
    Cancellation,
    DataEvent,
    Evidence,
    Fire,
    OpenRender,
    Query,
    RenderRecord,
    Sample,
    ViewLog,
    WarmupRun,
)
from shared.settings import Settings

BATCH = 2000  # rows of one transaction: nobody waits long for its locks
FORGET_BACKOFFS = timedelta(days=30)
FORGET_CANCELLATIONS = timedelta(days=2)  # longer than any message waits


class Retention:
    """Synchronous; raises DatabaseUnavailable."""

    def __init__(self, sessions: sessionmaker[Session], settings: Settings) -> None:
        self._sessions = sessions
        records_s = max(settings.keep_render_records_days * 86_400, settings.picture_ttl_s)  # refresh reads them
        self._rules: dict[str, tuple[InstrumentedAttribute[Any], InstrumentedAttribute[datetime], timedelta]] = {
            "view_log": (ViewLog.id, ViewLog.at, timedelta(days=settings.keep_views_days)),
            "warmup_runs": (WarmupRun.id, WarmupRun.created_at, timedelta(days=settings.keep_warmups_days)),
            "data_events": (DataEvent.id, DataEvent.at, timedelta(days=settings.keep_warmups_days)),
            "samples": (Sample.slot, Sample.at, timedelta(hours=settings.keep_samples_hours)),
            "render_evidence": (Evidence.render_id, Evidence.at, timedelta(days=settings.keep_evidence_days)),
            "cancellations": (Cancellation.request_id, Cancellation.at, FORGET_CANCELLATIONS),
            "open_renders": (OpenRender.id, OpenRender.deadline, timedelta()),
            "render_records": (RenderRecord.id, RenderRecord.started_at, timedelta(seconds=records_s)),
        }
        self._keep_fires = timedelta(days=settings.keep_warmups_days)
        self._keep_queries = timedelta(days=settings.keep_queries_days)

    def prune(self, now: datetime) -> dict[str, int]:
        """How many rows of each table were removed. Outcomes go with their runs."""
        removed = {table: self._rows(*rule, now) for table, rule in self._rules.items()}
        with writing(self._sessions) as session:
            gone = session.execute(delete(Fire).where(Fire.due_at < now - self._keep_fires))
            session.execute(delete(Backoff).where(Backoff.retry_at < now - FORGET_BACKOFFS))
        return {**removed, "fires": _count(gone), "queries": self._queries(now)}

    def _queries(self, now: datetime) -> int:
        """Their times are numbers, on the database's clock."""
        until, total = (now - self._keep_queries).timestamp(), 0
        while True:
            with writing(self._sessions) as session:
                old = select(Query.id).where(Query.created_at < until, Query.ended_at.is_not(None)).limit(BATCH)
                count = _count(session.execute(delete(Query).where(Query.id.in_(old.scalar_subquery()))))
            total += count
            if count < BATCH:
                return total

    def _rows(
        self,
        key: InstrumentedAttribute[Any],
        at: InstrumentedAttribute[datetime],
        keep: timedelta,
        now: datetime,
    ) -> int:
        total = 0
        while True:
            with writing(self._sessions) as session:
                old = select(key).where(at < now - keep).order_by(at).limit(BATCH)
                count = _count(session.execute(delete(key.class_).where(key.in_(old.scalar_subquery()))))
            total += count
            if count < BATCH:
                return total


def _count(done: Any) -> int:
    return max(int(done.rowcount), 0)
