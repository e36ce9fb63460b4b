"""Queries of people, and of charts in the background: one row from the request to its one end."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Double, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.metadata.models.base import Base, BigId

_RUNNING = text("server_id IS NOT NULL")
_OF_CHARTS = text("chart_key IS NOT NULL")


class Query(Base):
    """A query, its state, and the lease of the worker that has it. Times are Unix seconds on the database's clock."""

    __tablename__ = "queries"
    __table_args__ = (
        Index(None, "username", "created_at"),
        Index(None, "status", "lease_until"),
        # Of those whose session may be left running; most have none.
        Index("ix_queries_left_running", "id", postgresql_where=_RUNNING, sqlite_where=_RUNNING),
        Index("ix_queries_chart_key", "chart_key", postgresql_where=_OF_CHARTS, sqlite_where=_OF_CHARTS),
        {"sqlite_autoincrement": True},  # an id is never used again: messages carry it
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    client_id: Mapped[str] = mapped_column(String(64), unique=True)
    username: Mapped[str] = mapped_column(String(150))  # "": the operator
    database_id: Mapped[int | None] = mapped_column(ForeignKey("databases.id", ondelete="SET NULL"), index=True)
    database_name: Mapped[str] = mapped_column(String(100))
    catalog: Mapped[str | None] = mapped_column(String(256))
    schema: Mapped[str | None] = mapped_column(String(256))
    tab: Mapped[str] = mapped_column(String(256), default="")
    sql_editor_id: Mapped[str] = mapped_column(String(256), default="")
    sql: Mapped[str] = mapped_column(Text)  # "": of a chart
    chart: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))  # shared/sqllab/charts.py
    chart_key: Mapped[str | None] = mapped_column(String(64))  # under which its rows are kept
    row_limit: Mapped[int]
    limiting_factor: Mapped[str] = mapped_column(String(20))
    run_async: Mapped[bool]
    queue: Mapped[str] = mapped_column(String(50))
    correlation_id: Mapped[str] = mapped_column(String(64), index=True)

    status: Mapped[str] = mapped_column(String(20), default="pending")  # shared/sqllab/states.py
    code: Mapped[str] = mapped_column(String(50), default="")
    reason: Mapped[str] = mapped_column(Text, default="")
    progress: Mapped[int] = mapped_column(default=0)  # percent
    rows: Mapped[int | None]  # of the result set
    statements: Mapped[int] = mapped_column(default=0)
    statements_done: Mapped[int] = mapped_column(default=0)
    executed_sql: Mapped[str | None] = mapped_column(Text)
    ruled: Mapped[bool | None]  # whether executed_sql holds row-level rules, which are for administrators
    results_key: Mapped[str | None] = mapped_column(String(64), index=True)  # only once its rows were read back
    extra: Mapped[dict[str, Any]] = mapped_column(default=dict)  # columns, bytes, truncated; position of an error

    owner: Mapped[str] = mapped_column(String(200), default="")
    epoch: Mapped[int] = mapped_column(default=0)  # grows with each hand that takes it: the fencing token
    lease_until: Mapped[float] = mapped_column(Double, default=0.0)
    server_id: Mapped[str | None] = mapped_column(String(200))  # its session in the database, while that may be running
    stop_asked_by: Mapped[str | None] = mapped_column(String(150))

    created_at: Mapped[float] = mapped_column(Double, index=True)
    changed_at: Mapped[float] = mapped_column(Double, index=True)
    deadline_at: Mapped[float] = mapped_column(Double)
    published_at: Mapped[float | None] = mapped_column(Double)  # None: in no queue yet
    publications: Mapped[int] = mapped_column(default=0)
    started_at: Mapped[float | None] = mapped_column(Double)
    ended_at: Mapped[float | None] = mapped_column(Double)
