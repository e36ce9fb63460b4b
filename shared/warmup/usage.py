"""Whether anybody used what was warmed: noted while it is served, written down behind it, once for each key."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from shared.errors import DatabaseUnavailable
from shared.metadata.engine import writing
from shared.metadata.models import WarmupOutcome
from shared.warmup.runs import Came

log = structlog.get_logger(__name__)
GATHER_S = 1.0
MAX_KNOWN = 50_000
SKEW = timedelta(
    seconds=5
)  # between the clock by which something was made and the one by which its outcome was written


class Usage:
    """For one event loop. `note` costs a look into a dict; the database is written to behind the answers."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions
        self._known: dict[str, datetime] = {}  # key → when what was noted of it was made
        self._waiting: dict[str, datetime] = {}
        self._writing: asyncio.Task[None] | None = None

    def note(self, key: str, made_at: datetime) -> None:
        """Somebody was served what is kept under this key, fresh or stale; what is made later is noted again."""
        if self._known.get(key) == made_at:
            return
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[key] = self._waiting[key] = made_at
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_soon())

    async def close(self) -> None:
        if self._writing is not None:
            await asyncio.wait([self._writing], timeout=GATHER_S + 2)

    async def _write_soon(self) -> None:
        await asyncio.sleep(GATHER_S)
        while self._waiting:
            served, self._waiting = self._waiting, {}
            try:
                await asyncio.to_thread(self._write, served, datetime.now(UTC))
            except (DatabaseUnavailable, SQLAlchemyError) as error:  # a use that is not noted hurts nobody
                log.warning("use_not_noted", keys=len(served), error=str(error))

    def _write(self, served: Mapping[str, datetime], now: datetime) -> None:
        """Of the outcomes of a key, those that were written after what was served was made: it is theirs."""
        one = WarmupOutcome
        open_one = (one.outcome == Came.WARMED.value) & one.used_at.is_(None)
        with writing(self._sessions) as session:
            for key, made_at in sorted(served.items()):
                theirs = (one.key == key) & (one.finished_at >= made_at - SKEW)
                session.execute(update(one).where(theirs, open_one).values(used_at=now))
