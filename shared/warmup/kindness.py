"""Kindness to databases: which charts are left alone for a while, which databases are switched off.

Synchronous; raises DatabaseUnavailable.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from shared.catalog.port import Catalog
from shared.errors import NotFound
from shared.metadata.engine import raced, writing
from shared.metadata.models import Backoff, Database, Pause
from shared.targets import Target

NATIVE = "native"
MAX_DOUBLINGS = 10  # 2^10 minutes: 17 hours


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

    def backoff(self, target: Target) -> Backoff | None:
        with self._sessions() as session:
            return session.get(Backoff, _key(target))

    def backoffs(self) -> Sequence[Backoff]:
        with self._sessions() as session:
            return session.scalars(select(Backoff).order_by(Backoff.retry_at)).all()

    def failed(self, target: Target, code: str, reason: str) -> datetime:
        """The target is left alone for 2^n minutes after its n-th failure in a row; until when."""
        return raced(lambda: self._failed(target, code, reason))

    def _failed(self, target: Target, code: str, reason: str) -> datetime:
        with writing(self._sessions) as session:
            row = session.get(Backoff, _key(target))
            failures = row.failures + 1 if row else 1
            retry_at = datetime.now(UTC) + timedelta(minutes=2 ** min(failures, MAX_DOUBLINGS))
            catalog, kind, number = _key(target)
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

    def succeeded(self, target: Target) -> None:
        if self.backoff(target) is None:
            return  # as nearly always: a look is cheaper than a write
        with writing(self._sessions) as session:
            row = session.get(Backoff, _key(target))
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


def _key(target: Target) -> tuple[str, str, str]:
    return target.catalog, target.kind.value, target.id
