"""Render records: how each render ended, for operators, reports and the scheduler's refresh."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog
from sqlalchemy import delete, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from shared.errors import DatabaseUnavailable, VitrineError
from shared.messages.render import RenderRequest
from shared.metadata.engine import raced, writing
from shared.metadata.models import Evidence, OpenRender, RenderRecord
from shared.targets import Size, Target, TargetKind

log = structlog.get_logger(__name__)


class HasSteps(Protocol):
    """A render's timeline as its record needs it."""

    def as_json(self) -> list[dict[str, str | float]]: ...


class Seen(Protocol):
    """What a failed render saw: a JPEG of the page, lines of its console."""

    @property
    def screenshot(self) -> bytes | None: ...

    @property
    def console(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class Rendered:
    """A thumbnail that exists, or did: enough to plan it again."""

    target: Target
    executor: str
    key: str
    window: Size
    thumbnail: Size


class RenderRecords:
    """Reads and writes render records. `ended` never fails a render: a picture that is stored stays good without its
    record.
    """

    def __init__(self, sessions: sessionmaker[Session], keep_evidence: int = 0) -> None:
        self._sessions = sessions
        self._keep_evidence = keep_evidence  # of so many failures at most

    async def ended(
        self,
        request: RenderRequest,
        timeline: HasSteps,
        *,
        started: datetime,
        error: VitrineError | None = None,
        failed_charts: tuple[tuple[str, str], ...] = (),
        seen: Seen | None = None,
        once: bool = False,
    ) -> None:
        """`once`: a record that is there already stays as it is."""
        record = RenderRecord(
            id=request.id,
            status="Error" if error else "Updated",
            code=error.code if error else "",
            reason=error.message if error else "",
            timeline=timeline.as_json(),
            failed_charts=[{"id": chart, "reason": reason} for chart, reason in failed_charts],
            started_at=started,
            finished_at=datetime.now(UTC),
            **asked(request),
        )
        try:
            await asyncio.to_thread(raced, lambda: self._write(record, seen, once=once))
        except (DatabaseUnavailable, SQLAlchemyError) as error:
            log.warning("render_record_lost", request_id=request.id, error=type(error).__name__, exc_info=error)

    def _write(self, record: RenderRecord, seen: Seen | None, *, once: bool) -> None:
        with writing(self._sessions) as session:
            # In the order of an operator's cancel: in the other one, each would wait for the other.
            session.execute(delete(OpenRender).where(OpenRender.id == record.id))
            if once and session.get(RenderRecord, record.id) is not None:
                return
            session.merge(record)  # a redelivered request has its record already
            if self._keep_evidence and seen is not None and (seen.screenshot or seen.console):
                at = record.finished_at or datetime.now(UTC)
                evidence = {"at": at, "screenshot": seen.screenshot, "console": list(seen.console)}
                session.merge(Evidence(render_id=record.id, **evidence))
                session.flush()
                newest = select(Evidence.at).order_by(Evidence.at.desc()).offset(self._keep_evidence).limit(1)
                session.execute(delete(Evidence).where(Evidence.at <= newest.scalar_subquery()))

    def latest(self, key: str, *, status: str = "") -> RenderRecord | None:
        """The newest record of a key; `status`: only of renders that ended so (Updated, Error)."""
        query = select(RenderRecord).where(RenderRecord.key == key).order_by(RenderRecord.started_at.desc()).limit(1)
        with self._sessions() as session:
            return session.scalar(query.where(RenderRecord.status == status) if status else query)

    def thumbnails(self, since: datetime) -> list[Rendered]:
        """Each thumbnail rendered at least once since then: one entry a key, newest first."""
        latest = (
            select(func.max(RenderRecord.started_at).label("at"), RenderRecord.key)
            .where(RenderRecord.started_at >= since)
            .group_by(RenderRecord.key)
            .subquery()
        )
        same = (RenderRecord.key == latest.c.key) & (RenderRecord.started_at == latest.c.at)
        query = select(RenderRecord).join(latest, same).order_by(RenderRecord.started_at.desc())
        with self._sessions() as session:
            records = session.scalars(query).all()
        return [_rendered(record) for record in records if record.sizes.get("thumbnail")]


def asked(request: RenderRequest) -> dict[str, Any]:
    """The columns that tell what was asked for, of a record and of a render that has not ended."""
    return {
        "correlation_id": request.correlation_id,
        "catalog": request.target.catalog,
        "target_kind": request.target.kind.value,
        "target_id": request.target.id,
        "executor": request.executor,
        "key": request.key,
        "generation": request.generation,
        "origin": request.origin.value,
        "sizes": _sizes(request),
    }


def _sizes(request: RenderRequest) -> dict[str, Any]:
    thumbnail = [request.thumbnail.width, request.thumbnail.height] if request.thumbnail else None
    # A picture of another state than the one a target opens with is made on demand only.
    kept_fresh = thumbnail if request.view_state.is_empty else None
    return {"window": [request.window.width, request.window.height], "thumbnail": kept_fresh}


def _rendered(record: RenderRecord) -> Rendered:
    window, thumbnail = record.sizes["window"], record.sizes["thumbnail"]
    target = Target(record.catalog, TargetKind(record.target_kind), record.target_id)
    return Rendered(target, record.executor, record.key, Size(*window), Size(*thumbnail))
