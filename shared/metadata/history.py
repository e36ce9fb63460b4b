"""Renders that ended, and queries, for whoever asks why: found by state, target, user and age."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session, sessionmaker

from shared.errors import NotFound
from shared.metadata.clock import database_seconds
from shared.metadata.models import Evidence, Query, RenderRecord


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look for; empty: all. `status`: Updated or Error. `target_kind`, `target_id`: of a target."""

    status: str = ""
    catalog: str = ""
    target_kind: str = ""
    target_id: str = ""
    executor: str = ""
    code: str = ""
    correlation_id: str = ""
    hours: float = 24.0

    def conditions(self) -> list[ColumnElement[bool]]:
        exact = ("status", "catalog", "target_kind", "target_id", "executor", "code", "correlation_id")
        since = datetime.now(UTC) - timedelta(hours=self.hours)
        conditions: list[ColumnElement[bool]] = [RenderRecord.started_at >= since]
        return conditions + [getattr(RenderRecord, name) == value for name in exact if (value := getattr(self, name))]


def find(
    sessions: sessionmaker[Session], wanted: Wanted, *, offset: int = 0, limit: int = 25
) -> tuple[int, Sequence[RenderRecord]]:
    """How many there are, and one page of them, newest first."""
    conditions = wanted.conditions()
    newest = select(RenderRecord).where(*conditions).order_by(RenderRecord.started_at.desc(), RenderRecord.id)
    with sessions() as session:
        count = session.scalar(select(func.count()).select_from(RenderRecord).where(*conditions)) or 0
        return count, session.scalars(newest.offset(offset).limit(limit)).all()


def one(sessions: sessionmaker[Session], render_id: str) -> RenderRecord:
    """Raises NotFound."""
    with sessions() as session:
        record = session.get(RenderRecord, render_id)
    if record is None:
        raise NotFound("There is no record of such a render.")
    return record


def evidence(sessions: sessionmaker[Session], render_id: str) -> Evidence | None:
    with sessions() as session:
        return session.get(Evidence, render_id)


def outcomes(sessions: sessionmaker[Session], hours: float) -> dict[str, int]:
    """How many renders ended in which way: `updated`, or an error's code."""
    query = (
        select(RenderRecord.status, RenderRecord.code, func.count())
        .where(*Wanted(hours=hours).conditions())
        .group_by(RenderRecord.status, RenderRecord.code)
    )
    counts: Counter[str] = Counter()
    with sessions() as session:
        for status, code, count in session.execute(query):
            counts["updated" if status == "Updated" else code or "internal"] += count
    return dict(counts)


@dataclass(frozen=True, slots=True)
class WantedQueries:
    """What to look for among the queries of people; empty: all."""

    status: str = ""
    username: str = ""
    database_name: str = ""
    code: str = ""
    correlation_id: str = ""


def find_queries(
    sessions: sessionmaker[Session], wanted: WantedQueries, hours: float, *, offset: int = 0, limit: int = 25
) -> tuple[int, Sequence[Query]]:
    """How many there are that were asked in the last hours, and one page of them, newest first."""
    with sessions() as session:
        conditions = [Query.created_at >= database_seconds(session) - hours * 3600]
        words = {one.name: getattr(wanted, one.name) for one in fields(wanted)}
        conditions += [getattr(Query, name) == word for name, word in words.items() if word]
        count = session.scalar(select(func.count()).select_from(Query).where(*conditions)) or 0
        newest = select(Query).where(*conditions).order_by(Query.created_at.desc(), Query.id.desc())
        return count, session.scalars(newest.offset(offset).limit(limit)).all()
