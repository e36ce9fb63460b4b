"""What the operations page shows: processes that live, curves, what a failed render saw, what is to be cancelled."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Double, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from shared.metadata.models.base import Base, BigId, now


class Heartbeat(Base):
    """A process of ours that lives, or did a moment ago."""

    __tablename__ = "heartbeats"

    id: Mapped[str] = mapped_column(String(300), primary_key=True)  # service:host:pid
    service: Mapped[str] = mapped_column(String(20))  # one of shared.heartbeats.SERVICES
    host: Mapped[str] = mapped_column(String(200))
    pid: Mapped[int]
    version: Mapped[str] = mapped_column(String(50))
    started_at: Mapped[datetime]
    seen_at: Mapped[float] = mapped_column(Double)  # Unix seconds on the database's own clock
    details: Mapped[dict[str, Any]]  # memory_mib, work: [{id, what, since, …}], browser: {…}, …


class Sample(Base):
    """The values of all curves at one time."""

    __tablename__ = "samples"

    slot: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)  # Unix seconds, a whole step
    at: Mapped[datetime] = mapped_column(index=True)
    readings: Mapped[dict[str, Any]]  # name of a curve → number


class Evidence(Base):
    """What the page of a failed render looked like and wrote to its console. Few, and for some days."""

    __tablename__ = "render_evidence"

    render_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    at: Mapped[datetime] = mapped_column(default=now, index=True)
    screenshot: Mapped[bytes | None] = mapped_column(LargeBinary)  # JPEG
    console: Mapped[list[Any]] = mapped_column(default=list)  # lines


class Cancellation(Base):
    """A render that an operator does not want any more, by its request's id."""

    __tablename__ = "cancellations"

    request_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    at: Mapped[datetime] = mapped_column(default=now, index=True)
    username: Mapped[str] = mapped_column(String(150))
