"""Warm-up: its runs, what became of each thing they warmed, schedules, back-off, pauses, data-changed events."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column

from shared.metadata.models.base import Base, now


class WarmupRun(Base):
    """One carrying out of a strategy."""

    __tablename__ = "warmup_runs"
    __table_args__ = (Index(None, "schedule", "due_at"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    strategy: Mapped[str] = mapped_column(String(50))
    parameters: Mapped[dict[str, Any]]
    warms: Mapped[list[Any]]  # of "data", "pictures"
    force: Mapped[bool] = mapped_column(default=False)
    origin: Mapped[str] = mapped_column(String(20))  # operator, schedule, event
    username: Mapped[str] = mapped_column(String(150), default="")  # who asked for it
    schedule: Mapped[str | None] = mapped_column(String(200))
    due_at: Mapped[datetime | None]
    correlation_id: Mapped[str] = mapped_column(String(100), index=True)
    budget_s: Mapped[int]
    status: Mapped[str] = mapped_column(String(20), default="Pending", index=True)  # Pending, Running, Done, Failed
    code: Mapped[str] = mapped_column(String(50), default="")
    reason: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(default=now, index=True)
    published_at: Mapped[datetime | None]  # None: not yet in the queue; the scheduler sweeps such runs
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class WarmupOutcome(Base):
    """One thing that a run warms, as one group of viewers sees it, and what became of it."""

    __tablename__ = "warmup_outcomes"

    run_id: Mapped[str] = mapped_column(ForeignKey("warmup_runs.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    what: Mapped[str] = mapped_column(String(20))  # data, options, picture
    catalog: Mapped[str] = mapped_column(String(50))
    target_kind: Mapped[str] = mapped_column(String(20))
    target_id: Mapped[str] = mapped_column(String(200))
    title: Mapped[str] = mapped_column(String(200), default="")
    dashboard_id: Mapped[str | None] = mapped_column(String(200))  # the dashboard through which a chart is seen
    filter_id: Mapped[str] = mapped_column(String(100), default="")  # of options
    view_state: Mapped[dict[str, Any]] = mapped_column(default=dict)  # ViewState.as_json(), {} for the empty one
    executor: Mapped[str] = mapped_column(String(150))
    viewers: Mapped[int] = mapped_column(default=1)  # how many people it serves
    database: Mapped[str] = mapped_column(String(200), default="")
    key: Mapped[str] = mapped_column(String(100), index=True)
    outcome: Mapped[str] = mapped_column(String(20), default="")  # warmed, already_warm, failed, skipped; "": not yet
    code: Mapped[str] = mapped_column(String(50), default="")
    reason: Mapped[str] = mapped_column(Text, default="")
    seconds: Mapped[float] = mapped_column(default=0.0)
    finished_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]  # unused until then, it was warmed for nobody
    used_at: Mapped[datetime | None]  # when somebody was first served what was warmed


class Backoff(Base):
    """What failed to be warmed and is left alone for 2^n minutes (kindness.Subject)."""

    __tablename__ = "warmup_backoffs"

    catalog: Mapped[str] = mapped_column(String(50), primary_key=True)
    target_kind: Mapped[str] = mapped_column(String(20), primary_key=True)
    target_id: Mapped[str] = mapped_column(String(200), primary_key=True)  # and as whom, in what: Subject.key
    failures: Mapped[int]
    retry_at: Mapped[datetime]
    code: Mapped[str] = mapped_column(String(50))
    reason: Mapped[str] = mapped_column(Text)


class Pause(Base):
    """The switch: nothing is warmed from this database until the row is gone."""

    __tablename__ = "warmup_pauses"

    catalog: Mapped[str] = mapped_column(String(50), primary_key=True)
    database: Mapped[str] = mapped_column(String(200), primary_key=True)
    username: Mapped[str] = mapped_column(String(150), default="")
    reason: Mapped[str] = mapped_column(Text, default="")
    paused_at: Mapped[datetime] = mapped_column(default=now)


class WarmupSchedule(Base):
    """When a strategy is carried out. Either `cron` or `interval_s`; a row with source "file" belongs to the file."""

    __tablename__ = "warmup_schedules"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    strategy: Mapped[str] = mapped_column(String(50))
    parameters: Mapped[dict[str, Any]]
    warms: Mapped[list[Any]]
    cron: Mapped[str | None] = mapped_column(String(200))
    interval_s: Mapped[int | None]
    timezone: Mapped[str] = mapped_column(String(100), default="UTC")
    misfire_grace_s: Mapped[int]
    coalesce: Mapped[bool]
    overlap: Mapped[str] = mapped_column(String(20))  # skip, queue, replace
    jitter_s: Mapped[int]
    budget_s: Mapped[int]
    enabled: Mapped[bool]
    paused: Mapped[bool] = mapped_column(
        default=False, server_default=false()
    )  # by an operator, whatever the file says
    source: Mapped[str] = mapped_column(String(20))  # file, api
    username: Mapped[str] = mapped_column(String(150), default="")
    changed_on: Mapped[datetime] = mapped_column(default=now)
    considered_until: Mapped[datetime] = mapped_column(default=now)  # due times up to here are dealt with


class DataEvent(Base):
    """A data-changed event, once. `request` is what was sent, `answer` what was answered."""

    __tablename__ = "data_events"

    id: Mapped[str] = mapped_column(String(200), primary_key=True)
    at: Mapped[datetime] = mapped_column(default=now, index=True)
    username: Mapped[str] = mapped_column(String(150))
    request: Mapped[dict[str, Any]]
    answer: Mapped[dict[str, Any]]
