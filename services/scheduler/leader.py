"""Who leads: one row, taken by one conditional UPDATE on the database's own clock, fenced by a token that only grows.

Any number of schedulers may run. A leader that was stopped and resumed finds its token outrun and can claim no fire any
more, because every fire is inserted in a transaction that checks the token (see schedules.py).
"""

from __future__ import annotations

import os
import socket
import uuid

import structlog
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from shared import metrics
from shared.errors import DatabaseUnavailable
from shared.metadata.clock import database_now
from shared.metadata.engine import writing
from shared.metadata.models import SchedulerLease

LEASE = "scheduler"
NONSENSE_S = 3600.0
log = structlog.get_logger(__name__)


def holds_lead(session: Session, token: int) -> bool:
    """Whether `token` leads; then nobody can take the lead before this transaction ends.

    Writing the lease's row takes its lock, on both databases.
    """
    lead = (
        (SchedulerLease.name == LEASE)
        & (SchedulerLease.token == token)
        & (SchedulerLease.expires_at > database_now(session))
    )
    touched = update(SchedulerLease).where(lead).values(token=token).returning(SchedulerLease.token)
    return session.execute(touched).first() is not None


class Leader:
    """Holds the lead, or tries to. `token` is the fencing token while it leads, else None."""

    def __init__(self, sessions: sessionmaker[Session], lease_s: float) -> None:
        self._sessions = sessions
        self._lease_s = lease_s
        self.holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self.token: int | None = None

    def campaign(self) -> int | None:
        """Renew the lead if it is ours, take it if it lapsed. Returns the token, or None while another leads.

        Fails closed: when the database does not answer, we do not lead, and DatabaseUnavailable is raised.
        """
        try:
            with writing(self._sessions) as session:
                token = self._renew(session) or self._take(session)
        except DatabaseUnavailable:
            self._set(None)
            raise
        self._set(token)
        return token

    def resign(self) -> None:
        """Give the lead up at shutdown, so that another takes it at once instead of after the lease."""
        if self.token is None:
            return
        with writing(self._sessions) as session:
            mine = (SchedulerLease.name == LEASE) & (SchedulerLease.holder == self.holder)
            session.execute(update(SchedulerLease).where(mine).values(expires_at=0.0))
        self._set(None)

    def _renew(self, session: Session) -> int | None:
        now = database_now(session)
        mine = (
            (SchedulerLease.name == LEASE) & (SchedulerLease.holder == self.holder) & (SchedulerLease.expires_at > now)
        )
        renewed = session.execute(
            update(SchedulerLease).where(mine).values(expires_at=now + self._lease_s).returning(SchedulerLease.token)
        )
        return renewed.scalar_one_or_none()

    def _take(self, session: Session) -> int | None:
        now = database_now(session)
        # Far ahead, it was written by a clock that was wrong: its holder would lead for ever, dead or not.
        over = (SchedulerLease.expires_at <= now) | (SchedulerLease.expires_at > now + NONSENSE_S)
        lapsed = (SchedulerLease.name == LEASE) & over
        values = {"holder": self.holder, "token": SchedulerLease.token + 1, "expires_at": now + self._lease_s}
        taken = session.execute(
            update(SchedulerLease).where(lapsed).values(values).returning(SchedulerLease.token)
        ).scalar_one_or_none()
        if taken is not None or session.scalar(select(SchedulerLease.name).where(SchedulerLease.name == LEASE)):
            return taken
        try:
            with session.begin_nested():
                session.execute(
                    insert(SchedulerLease).values(
                        name=LEASE, holder=self.holder, token=1, expires_at=now + self._lease_s
                    )
                )
        except IntegrityError:
            return None  # another scheduler was first, in the same instant
        return 1

    def _set(self, token: int | None) -> None:
        if token != self.token:
            log.info("lead_changed", leading=token is not None, token=token, holder=self.holder)
        self.token = token
        metrics.LEADING.set(token is not None)
