"""What happened to queries, for people and programs that ask. Synchronous; raises DatabaseUnavailable."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session, sessionmaker

from shared.metadata.clock import database_seconds
from shared.metadata.models import Query
from shared.sqllab.charts import is_analysts
from shared.sqllab.records import END_WORDS

MOST = 1000  # of one answer
OVERLAP_S = 2.0  # a transaction may be written later than it says


class History:
    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions

    def page(self, where: Sequence[ColumnElement[bool]], *, offset: int, limit: int) -> tuple[int, Sequence[Query]]:
        """How many there are, and some of them, newest first."""
        with self._sessions() as session:
            count = session.scalar(select(func.count()).select_from(Query).where(*where)) or 0
            newest = select(Query).where(*where).order_by(Query.created_at.desc(), Query.id.desc())
            return count, session.scalars(newest.offset(offset).limit(limit)).all()

    def since(self, where: Sequence[ColumnElement[bool]], seconds: float) -> Sequence[Query]:
        """Those that changed at or after then (Unix seconds), oldest change first."""
        with self._sessions() as session:
            found = select(Query).where(Query.changed_at >= seconds, *where)
            return session.scalars(found.order_by(Query.changed_at).limit(MOST)).all()

    def changed(self, since: float) -> tuple[float, Sequence[Query]]:
        """Now, on the database's clock, and what changed since then, or a little before: 0: a little before now.

        Of queries that people wrote: those for charts are many, and nobody listens to them.
        """
        with self._sessions() as session:
            now = database_seconds(session)
            recent = select(Query).where(Query.changed_at >= (since or now) - OVERLAP_S, is_analysts())
            return now, session.scalars(recent.order_by(Query.changed_at).limit(MOST)).all()

    def ended_of(self, ids: Sequence[int]) -> Sequence[Query]:
        """Those of them that have ended."""
        with self._sessions() as session:
            return session.scalars(select(Query).where(Query.id.in_(ids), Query.status.in_(END_WORDS))).all()
