"""Fires of warm-up schedules: each due time is dealt with once, whatever number of schedulers runs and whoever dies.

What becomes of a due time (fired, misfired, coalesced, overlapped, queued) is a row; the run that it makes and the
schedule's progress are written in the same transaction, which checks the leader's token. Ids of run and message are
derived from schedule and due time. Times are the database's: a scheduler's own clock may jump.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from itertools import islice

import structlog
from sqlalchemy import Select, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from services.scheduler.leader import holds_lead
from shared.errors import InvalidInput
from shared.metadata.clock import database_instant
from shared.metadata.engine import writing
from shared.metadata.models import Fire, WarmupRun, WarmupSchedule
from shared.warmup import strategies
from shared.warmup.due import due_times
from shared.warmup.runs import From, Order, Runs
from shared.warmup.schedules import fire_name

log = structlog.get_logger(__name__)
AT_ONCE = 500  # due times of one schedule that are looked at in one go
MAX_QUEUED = 10
SANE = timedelta(days=1)  # further ahead than this, the progress of a schedule was written by a clock that was wrong


class Fate(StrEnum):
    """What becomes of a due time."""

    FIRED = "fired"
    MISFIRED = "misfired"  # too late, by more than the grace
    COALESCED = "coalesced"  # a later one that was missed as well stands for it
    OVERLAPPED = "overlapped"  # the run before is still going
    QUEUED = "queued"  # it will fire when the run before has ended


@dataclass(frozen=True, slots=True)
class Due:
    at: datetime
    fate: Fate


class WarmupFires:
    """Synchronous; raises DatabaseUnavailable. Nothing is written unless `token` still leads."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions
        self._runs = Runs(sessions)

    def act(self, token: int) -> list[WarmupRun]:
        """Deals with everything that is due; the runs that are to be published."""
        with self._sessions() as session:
            now = database_instant(session)
            rows = session.scalars(select(WarmupSchedule).where(WarmupSchedule.enabled, ~WarmupSchedule.paused)).all()
        made: list[WarmupRun] = []
        for row in rows:
            try:
                made += self._one(row, now, token)
            except InvalidInput as error:  # written by another version of us; the others must fire all the same
                log.error("schedule_invalid", schedule=row.name, reason=error.message)
        return made

    def _one(self, row: WarmupSchedule, now: datetime, token: int) -> Iterator[WarmupRun]:
        if row.considered_until > now + SANE:
            log.warning("schedule_progress_reset", schedule=row.name, considered_until=row.considered_until.isoformat())
            row.considered_until = now
            self._move(row.name, now, token)
        going = bool(self._going(row))
        if row.overlap == "queue" and not going and (queued := self._queued(row)):
            yield from self._claim(row, Due(queued[0].due_at, Fate.FIRED), token, was_queued=True)
            going = True
        for due in judge(row, now):
            fate = due.fate
            if fate is Fate.FIRED and going:
                fate = self._when_going(row)
            made = list(self._claim(row, Due(due.at, fate), token))
            going = going or bool(made)
            yield from made

    def _when_going(self, row: WarmupSchedule) -> Fate:
        """What the overlap policy makes of a due time while the run before is still going."""
        match row.overlap:
            case "replace":
                return Fate.FIRED  # the run before is stopped in the transaction that makes the new one
            case "queue" if len(self._queued(row)) < MAX_QUEUED:
                return Fate.QUEUED
            case _:
                return Fate.OVERLAPPED

    def _claim(self, row: WarmupSchedule, due: Due, token: int, *, was_queued: bool = False) -> Iterator[WarmupRun]:
        run = run_of(row, due.at) if due.fate is Fate.FIRED else None
        fire = {"token": token, "outcome": due.fate.value, "run_id": run.id if run else None}
        try:
            with writing(self._sessions) as session:
                if not holds_lead(session, token):
                    return
                now = database_instant(session)
                if was_queued:
                    this = (Fire.schedule == fire_name(row.name)) & (Fire.due_at == due.at)
                    session.execute(update(Fire).where(this, Fire.outcome == Fate.QUEUED.value).values(fire))
                else:
                    key = {"schedule": fire_name(row.name), "due_at": due.at, "claimed_at": now}
                    session.add(Fire(**key, **fire, correlation_id=correlation_id(row.name, due.at)))
                    mine = WarmupSchedule.name == row.name
                    session.execute(update(WarmupSchedule).where(mine).values(considered_until=due.at))
                if run is not None:
                    if row.overlap == "replace":
                        self._replace(session, row, due.at)
                    run.created_at = now
                    session.add(run)
        except IntegrityError:  # dealt with: by a leader whose progress was not written, or before a clock jumped
            self._move(row.name, due.at, token)
            return
        log.info(
            "fired", schedule=row.name, due_at=due.at.isoformat(), fate=due.fate.value, run_id=run.id if run else ""
        )
        if run is not None:
            yield run

    def _replace(self, session: Session, row: WarmupSchedule, due_at: datetime) -> None:
        """Stops its runs that are going, in the transaction that checked the lead: not one that a successor made."""
        for run_id in session.scalars(_going(row)).all():
            told = f"The fire of {due_at:%Y-%m-%d %H:%M:%S} UTC replaced it."
            self._runs.stop(run_id, "replaced", told, session=session)

    def _move(self, name: str, to: datetime, token: int) -> None:
        """The schedule's progress, without a fire."""
        with writing(self._sessions) as session:
            if holds_lead(session, token):
                mine = WarmupSchedule.name == name
                session.execute(update(WarmupSchedule).where(mine).values(considered_until=to))

    def published(self, run_id: str) -> None:
        with writing(self._sessions) as session:
            mine = (Fire.run_id == run_id) & Fire.published_at.is_(None)
            session.execute(update(Fire).where(mine).values(published_at=database_instant(session)))

    def _going(self, row: WarmupSchedule) -> Sequence[str]:
        """Its runs that have not ended."""
        with self._sessions() as session:
            return session.scalars(_going(row)).all()

    def _queued(self, row: WarmupSchedule) -> Sequence[Fire]:
        with self._sessions() as session:
            mine = (Fire.schedule == fire_name(row.name)) & (Fire.outcome == Fate.QUEUED.value)
            return session.scalars(select(Fire).where(mine).order_by(Fire.due_at)).all()


def _going(row: WarmupSchedule) -> Select[str]:
    return select(WarmupRun.id).where(WarmupRun.schedule == row.name, WarmupRun.finished_at.is_(None))


def judge(row: WarmupSchedule, now: datetime) -> list[Due]:
    """What becomes of each due time that has come, looked at by itself: misfired, coalesced or to be fired."""
    ripe = []
    for due_at in islice(due_times(row, row.considered_until), AT_ONCE):
        if due_at + jitter(row, due_at) > now:
            break
        ripe.append(due_at)
    grace = timedelta(seconds=row.misfire_grace_s)
    good = [due_at for due_at in ripe if now - due_at - jitter(row, due_at) <= grace]
    fired = set(good[-1:] if row.coalesce else good)
    return [Due(at, Fate.FIRED if at in fired else Fate.COALESCED if at in good else Fate.MISFIRED) for at in ripe]


def jitter(row: WarmupSchedule, due_at: datetime) -> timedelta:
    """How long after its due time it fires: the same for every scheduler, different for each due time."""
    if not row.jitter_s:
        return timedelta()
    digest = sha256(f"{row.name} {due_at.isoformat()}".encode()).digest()
    return timedelta(seconds=int.from_bytes(digest[:8], "big") % (row.jitter_s * 1000) / 1000)


def correlation_id(name: str, due_at: datetime) -> str:
    return uuid.uuid5(uuid.NAMESPACE_URL, f"vitrine:fire:{fire_name(name)}:{due_at.isoformat()}").hex


def run_of(row: WarmupSchedule, due_at: datetime) -> WarmupRun:
    """The run of one due time: whoever makes it makes the same."""
    order = Order(
        strategy=strategies.make(row.strategy, row.parameters),
        warms=tuple(row.warms),
        origin=From.SCHEDULE,
        correlation_id=correlation_id(row.name, due_at),
        budget_s=row.budget_s,
        schedule=row.name,
        due_at=due_at,
        id=uuid.uuid5(uuid.NAMESPACE_URL, f"vitrine:run:{row.name}:{due_at.isoformat()}").hex,
    )
    return order.row()
