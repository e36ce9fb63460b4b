"""Fires: each due time of a schedule happens once, whatever number of schedulers runs and whoever dies.

A fire is a row, unique by (schedule, due time), inserted in a transaction that checks the leader's fencing token. A
fire that was claimed but not finished (its scheduler died in between) is found by `unfinished` and carried out by the
next leader.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from services.scheduler.leader import holds_lead
from shared.metadata.clock import database_instant, instant
from shared.metadata.engine import writing
from shared.metadata.models import Fire


@dataclass(frozen=True, slots=True)
class Schedule:
    """A named interval; its due times are the multiples of the interval since the Unix epoch, the same for every
    scheduler.
    """

    name: str
    interval_s: float

    def due_at(self, now: datetime) -> datetime:
        """The latest due time that is not after `now`."""
        return datetime.fromtimestamp(now.timestamp() // self.interval_s * self.interval_s, UTC)

    def correlation_id(self, due_at: datetime) -> str:
        """Derived, so that a fire which is swept after a crash carries the id that it was claimed with."""
        return uuid.uuid5(uuid.NAMESPACE_URL, f"vitrine:fire:{self.name}:{due_at.isoformat()}").hex


class Fires:
    """The rows of fires. Methods are synchronous and raise DatabaseUnavailable when the database is gone."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions

    def claim(self, schedule: Schedule, due_at: datetime, token: int) -> bool:
        """True if this fire is ours to carry out; False if it was claimed before or the lead was lost."""
        try:
            with writing(self._sessions) as session:
                if not holds_lead(session, token):
                    return False
                now = database_instant(session)
                fire = {"schedule": schedule.name, "due_at": due_at, "token": token, "claimed_at": now}
                session.execute(insert(Fire).values(**fire, correlation_id=schedule.correlation_id(due_at)))
        except IntegrityError:
            return False
        return True

    def finish(self, schedule: Schedule, due_at: datetime) -> None:
        with writing(self._sessions) as session:
            this = (Fire.schedule == schedule.name) & (Fire.due_at == due_at)
            session.execute(update(Fire).where(this).values(published_at=database_instant(session)))

    def unfinished(self, schedule: Schedule, token: int) -> list[datetime]:
        """Due times claimed under an older token and never finished: their scheduler died."""
        with self._sessions() as session:
            left = (Fire.schedule == schedule.name) & (Fire.published_at.is_(None)) & (Fire.token < token)
            return list(session.scalars(select(Fire.due_at).where(left).order_by(Fire.due_at)))

    def now(self) -> datetime:
        """On the database's clock: the schedulers' own may jump."""
        return instant(self._sessions)
