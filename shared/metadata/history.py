"""Renders, and queries, for whoever asks why: found by state, target, user and age."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session, sessionmaker

from shared.errors import NotFound
from shared.metadata import waiting
from shared.metadata.clock import database_seconds
from shared.metadata.models import Evidence, OpenRender, Query, RenderRecord
from shared.metadata.waiting import COMPUTING, PENDING, Open

OF_ALL = ("catalog", "target_kind", "target_id", "executor", "correlation_id")
OF_ENDED = ("status", "code")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look for; empty: all. `status`: Pending, Computing, Updated or Error. `target_kind`, `target_id`: of a
    target.
    """

    status: str = ""
    catalog: str = ""
    target_kind: str = ""
    target_id: str = ""
    executor: str = ""
    code: str = ""
    correlation_id: str = ""
    hours: float = 24.0

    def conditions(self) -> list[ColumnElement[bool]]:
        """Of renders that ended."""
        return [RenderRecord.started_at >= self._since, *self._exactly(RenderRecord, OF_ALL + OF_ENDED)]

    def open_conditions(self) -> list[ColumnElement[bool]]:
        """Of renders that have not ended."""
        return [OpenRender.asked_at >= self._since, *self._exactly(OpenRender, OF_ALL)]

    @property
    def _since(self) -> datetime:
        return datetime.now(UTC) - timedelta(hours=self.hours)

    def _exactly(self, table: type[RenderRecord | OpenRender], names: tuple[str, ...]) -> Iterator[ColumnElement[bool]]:
        for name in names:
            if value := getattr(self, name):
                yield getattr(table, name) == value


def find(
    sessions: sessionmaker[Session], wanted: Wanted, *, offset: int = 0, limit: int = 25
) -> tuple[int, list[Open | RenderRecord]]:
    """How many there are, and one page of them: those that have not ended before those that have, each newest first."""
    if wanted.status in (PENDING, COMPUTING):
        if wanted.code:  # which only an end has
            return 0, []
        count, still = waiting.find(
            sessions, wanted.open_conditions(), status=wanted.status, offset=offset, limit=limit
        )
        return count, [*still]
    if wanted.status or wanted.code:
        count, ended = _ended(sessions, wanted, offset, limit)
        return count, [*ended]
    open_count, still = waiting.find(sessions, wanted.open_conditions(), offset=offset, limit=limit)
    count, ended = _ended(sessions, wanted, max(0, offset - open_count), limit - len(still))
    told = {one.row.id for one in still}  # one that ended between the two looks is told once
    return open_count + count, [*still, *(record for record in ended if record.id not in told)]


def _ended(
    sessions: sessionmaker[Session], wanted: Wanted, offset: int, limit: int
) -> tuple[int, Sequence[RenderRecord]]:
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
