"""Heartbeats: every process of ours says every few seconds that it lives, and what it does, as a row.

The metadata database is the one place that all of them reach, on whatever machine. A row that was not renewed for
SILENT_S is of a process that hangs or died; one that stopped in an orderly way takes its row away.
"""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import delete, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from shared.errors import DatabaseUnavailable
from shared.metadata.clock import database_seconds
from shared.metadata.engine import writing
from shared.metadata.models import Heartbeat

log = structlog.get_logger(__name__)
SERVICES = ("gateway", "renderer", "warming", "querying", "scheduler")
BEAT_S = 5.0
SILENT_S = 20.0
FORGET_S = 600.0
STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class Alive:
    """A process as its last heartbeat told; `silent_s`: since then, on the database's clock."""

    service: str
    host: str
    pid: int
    version: str
    started_at: datetime
    silent_s: float
    details: Mapping[str, Any]

    @property
    def is_silent(self) -> bool:
        return self.silent_s > SILENT_S


class Heart:
    """For one event loop: one that hangs beats no more.

    `describe` tells what the process does; `after` is carried out after each beat.
    """

    def __init__(
        self,
        sessions: sessionmaker[Session],
        service: str,
        describe: Callable[[], Mapping[str, Any]] = dict,
        *,
        after: Callable[[], Awaitable[None]] | None = None,
        every_s: float = BEAT_S,
    ) -> None:
        self._sessions = sessions
        self._service = service
        self._describe = describe
        self._after = after
        self._every_s = every_s
        self._host, self._pid = socket.gethostname()[:200], os.getpid()
        self._id = f"{service}:{self._host}:{self._pid}"
        self._started_at = datetime.now(UTC)
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self.run(self._stop))

    async def stop(self) -> None:
        """Safe without a start."""
        self._stop.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=STOP_S)

    async def run(self, stop: asyncio.Event) -> None:
        """Beats until `stop` is set, and takes its row away then. A database that is down is no reason to stop."""
        while not stop.is_set():
            try:
                await asyncio.to_thread(self._beat, dict(self._describe()))
                if self._after is not None:
                    await self._after()
            except (DatabaseUnavailable, SQLAlchemyError) as error:
                log.warning("heartbeat_missed", error=str(error).splitlines()[0])
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._every_s)
        with suppress(DatabaseUnavailable, SQLAlchemyError):
            await asyncio.to_thread(self._forget)

    def _beat(self, details: dict[str, Any]) -> None:
        with writing(self._sessions) as session:
            now = database_seconds(session)
            session.merge(
                Heartbeat(
                    id=self._id,
                    service=self._service,
                    host=self._host,
                    pid=self._pid,
                    version=our_version(),
                    started_at=self._started_at,
                    seen_at=now,
                    details={"memory_mib": memory_mib(), **details},
                )
            )
            session.execute(delete(Heartbeat).where(Heartbeat.seen_at < now - FORGET_S))

    def _forget(self) -> None:
        with writing(self._sessions) as session:
            session.execute(delete(Heartbeat).where(Heartbeat.id == self._id))


def alive(sessions: sessionmaker[Session]) -> list[Alive]:
    """All processes that were heard lately, also those that are silent now. Raises DatabaseUnavailable."""
    with sessions() as session:
        now = database_seconds(session)
        rows = session.scalars(select(Heartbeat).order_by(Heartbeat.service, Heartbeat.host, Heartbeat.pid)).all()
    return [
        Alive(row.service, row.host, row.pid, row.version, row.started_at, max(0.0, now - row.seen_at), row.details)
        for row in rows
    ]


def our_version() -> str:
    try:
        return version("vitrine")
    except PackageNotFoundError:
        return "unknown"


def memory_mib() -> int:
    """Resident memory of this process."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() >> 20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10  # no Linux: the most it ever had
