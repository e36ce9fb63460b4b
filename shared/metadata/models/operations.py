"""What happened: views, renders, the scheduler's lease and its fires."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Double, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from shared.metadata.models.base import Base, BigId, now


class ViewLog(Base):
    """Somebody looked at a target. Renders are not views: they would feed the ranking that makes them."""

    __tablename__ = "view_log"
    __table_args__ = (Index(None, "target_kind", "target_id", "at"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime] = mapped_column(default=now, index=True)
    username: Mapped[str] = mapped_column(String(150))
    catalog: Mapped[str] = mapped_column(String(50), default="native")
    target_kind: Mapped[str] = mapped_column(String(20))
    target_id: Mapped[str] = mapped_column(String(200))
    dashboard_id: Mapped[str | None] = mapped_column(String(200))  # the dashboard through which a chart was seen
    source: Mapped[str] = mapped_column(String(50))  # page, data (its rows, with the view state), …
    view_state: Mapped[dict[str, Any] | None] = mapped_column(JSON)  # ViewState.as_json(); None: not known


class _Asked:
    """What a render request asked for, as rows tell it."""

    correlation_id: Mapped[str] = mapped_column(String(100), index=True)
    catalog: Mapped[str] = mapped_column(String(50))
    target_kind: Mapped[str] = mapped_column(String(20))
    target_id: Mapped[str] = mapped_column(String(200))
    executor: Mapped[str] = mapped_column(String(150))
    key: Mapped[str] = mapped_column(String(100), index=True)
    generation: Mapped[int] = mapped_column(BigInteger)
    origin: Mapped[str] = mapped_column(String(20))
    sizes: Mapped[dict[str, Any]] = mapped_column(default=dict)  # window, thumbnail, bytes of each format


class OpenRender(_Asked, Base):
    """One render that was asked for and has not ended; `id` is the request's id.

    Written before the request is published, so that nobody takes it before; removed with the record of its end. A row
    past its deadline tells nothing.
    """

    __tablename__ = "open_renders"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    asked_at: Mapped[datetime]
    deadline: Mapped[datetime] = mapped_column(index=True)
    owner: Mapped[str | None] = mapped_column(String(300))
    # host:pid of the renderer that has it in hand; "": one had it, and it waits again; None: nobody said that he has


class RenderRecord(_Asked, Base):
    """One render from request to end; `id` is the request's id."""

    __tablename__ = "render_records"
    __table_args__ = (Index(None, "target_kind", "target_id", "started_at"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    status: Mapped[str] = mapped_column(String(20), index=True)  # Updated, Error
    code: Mapped[str] = mapped_column(String(50), default="")
    reason: Mapped[str] = mapped_column(Text, default="")
    timeline: Mapped[list[Any]] = mapped_column(default=list)  # [{"step", "seconds"}]
    failed_charts: Mapped[list[Any]] = mapped_column(default=list)  # [{"id", "reason"}]
    started_at: Mapped[datetime] = mapped_column(default=now, index=True)
    finished_at: Mapped[datetime | None]


class SchedulerLease(Base):
    """Who leads. `token` grows with each take-over: the fencing epoch."""

    __tablename__ = "scheduler_lease"

    name: Mapped[str] = mapped_column(String(50), primary_key=True)
    holder: Mapped[str] = mapped_column(String(200))
    token: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[float] = mapped_column(Double)  # Unix seconds on the database's own clock


class Fire(Base):
    """One due time of one schedule, fired once: the primary key says so."""

    __tablename__ = "fires"

    schedule: Mapped[str] = mapped_column(String(200), primary_key=True)
    due_at: Mapped[datetime] = mapped_column(primary_key=True)
    token: Mapped[int] = mapped_column(BigInteger)
    claimed_at: Mapped[datetime] = mapped_column(default=now)
    published_at: Mapped[datetime | None]
    correlation_id: Mapped[str] = mapped_column(
        String(64)
    )  # derived from schedule and due time: a swept fire carries the same
    outcome: Mapped[str] = mapped_column(
        String(20), default="fired", server_default="fired"
    )  # fired, misfired, coalesced, overlapped
    run_id: Mapped[str | None] = mapped_column(String(32))  # the warm-up run that it made
