"""Kindness to databases: which charts are left alone for a while, which databases are switched off.

Synchronous; raises DatabaseUnavailable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from shared.catalog.port import Catalog
from shared.errors import NotFound
from shared.keys import content_hash
from shared.metadata.engine import raced, writing
from shared.metadata.models import Backoff, Database, Pause, WarmupOutcome

NATIVE = "native"
MAX_DOUBLINGS = 10  # 2^10 minutes: 17 hours
MAX_NAME = 200  # characters of the column
APART = "\x1f"  # ASCII's unit separator: in no id and no user name


@dataclass(frozen=True, slots=True)
class Subject:
    """What is left alone by itself: one chart's rows under one group's rules may fail while another's are fine."""

    catalog: str
    kind: str
    target_id: str
    what: str = ""  # data, options, picture
    executor: str = ""
    dashboard_id: str = ""  # through which a chart is seen
    filter_id: str = ""  # of options

    @classmethod
    def of(cls, outcome: WarmupOutcome) -> Subject:
        return cls(
            outcome.catalog,
            outcome.target_kind,
            outcome.target_id,
            outcome.what,
            outcome.executor,
            outcome.dashboard_id or "",
            outcome.filter_id,
        )

    @classmethod
    def told(cls, row: Backoff) -> Subject:
        return cls(row.catalog, row.target_kind, *row.target_id.split(APART))

    @property
    def key(self) -> tuple[str, str, str]:
        """Of its row, whose column `target_id` holds all that tells it apart."""
        parts = [self.target_id, self.what, self.executor, self.dashboard_id, self.filter_id]
        name = APART.join(parts)
        if len(name) > MAX_NAME:
            name = APART.join([self.target_id[: MAX_NAME // 2], self.what, content_hash(parts)])
        return self.catalog, self.kind, name


class Kindness:
    def __init__(self, sessions: sessionmaker[Session], limit: int) -> None:
        self._sessions = sessions
        self._limit = limit  # of queries of warm-up at once, where a database does not say

    def limit(self, catalog: str, database: str) -> int:
        if catalog != NATIVE:
            return self._limit
        with self._sessions() as session:
            own = session.scalar(select(Database.warm_concurrency).where(Database.name == database))
        return own or self._limit

    # --- back-off ---

    def backoff(self, subject: Subject) -> Backoff | None:
        with self._sessions() as session:
            return session.get(Backoff, subject.key)

    def backoffs(self) -> Sequence[Backoff]:
        with self._sessions() as session:
            return session.scalars(select(Backoff).order_by(Backoff.retry_at)).all()

    def failed(self, subject: Subject, code: str, reason: str) -> datetime:
        """It is left alone for 2^n minutes after its n-th failure in a row; until when."""
        return raced(lambda: self._failed(subject, code, reason))

    def _failed(self, subject: Subject, code: str, reason: str) -> datetime:
        with writing(self._sessions) as session:
            row = session.get(Backoff, subject.key)
            failures = row.failures + 1 if row else 1
            retry_at = datetime.now(UTC) + timedelta(minutes=2 ** min(failures, MAX_DOUBLINGS))
            catalog, kind, number = subject.key
            session.merge(
                Backoff(
                    catalog=catalog,
                    target_kind=kind,
                    target_id=number,
                    failures=failures,
                    retry_at=retry_at,
                    code=code,
                    reason=reason,
                )
            )
        return retry_at

    def succeeded(self, subject: Subject) -> None:
        if self.backoff(subject) is None:
            return  # as nearly always: a look is cheaper than a write
        with writing(self._sessions) as session:
            row = session.get(Backoff, subject.key)
            if row is not None:
                session.delete(row)

    # --- the switch ---

    def pause(self, catalog: Catalog, database: str, *, username: str, reason: str = "") -> None:
        """Raises NotFound for a database that the catalog does not have, naming those that it has; as the catalog."""
        known = catalog.databases()
        if database not in known:
            told = (
                f"The catalog {catalog.name} has no database {database[:100]!r}; known: {', '.join(known) or 'none'}."
            )
            raise NotFound(told, field="database")
        row = {"catalog": catalog.name, "database": database, "username": username, "reason": reason}

        def write() -> None:
            with writing(self._sessions) as session:
                session.merge(Pause(**row, paused_at=datetime.now(UTC)))

        raced(write)

    def resume(self, database: str, *, catalog: str = NATIVE) -> bool:
        """False if it was not paused."""
        with writing(self._sessions) as session:
            row = session.get(Pause, (catalog, database))
            if row is not None:
                session.delete(row)
        return row is not None

    def paused(self, catalog: str, database: str) -> Pause | None:
        with self._sessions() as session:
            return session.get(Pause, (catalog, database))

    def pauses(self) -> Sequence[Pause]:
        with self._sessions() as session:
            return session.scalars(select(Pause).order_by(Pause.catalog, Pause.database)).all()
