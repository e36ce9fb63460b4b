"""Duties of the leader besides refreshing pictures: warm-up schedules, runs that got stuck, and old rows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from services.scheduler.warmups import WarmupFires
from shared import tracing
from shared.errors import InvalidInput
from shared.metadata.retention import Retention
from shared.sqllab.care import Care
from shared.warmup.runs import Runs
from shared.warmup.schedules import Schedules
from shared.warmup.start import WarmUps

log = structlog.get_logger(__name__)
Clock = Callable[[], datetime]  # the database's: our own may be wrong, and what is old is removed for good
LATE = timedelta(seconds=60)  # past its budget a run is given this long to say so itself


class WarmUpSchedules:
    """A Duty: fires what is due, publishes it, and sweeps up what was made and never published or never ended."""

    name = "warmup"

    def __init__(
        self, fires: WarmupFires, runs: Runs, warm_ups: WarmUps, file: ScheduleFile | None, clock: Clock
    ) -> None:
        self._fires = fires
        self._clock = clock
        self._runs = runs
        self._warm_ups = warm_ups
        self._file = file

    async def act(self, token: int) -> None:
        if self._file is not None:
            await asyncio.to_thread(self._file.follow)
        made = await asyncio.to_thread(self._fires.act, token)
        left = await asyncio.to_thread(self._runs.unpublished)
        for run in {run.id: run for run in (*made, *left)}.values():
            if not await asyncio.to_thread(self._runs.is_unpublished, run.id):
                continue  # meanwhile a successor did it: we were held up
            with tracing.span("fire", trace=run.correlation_id, schedule=run.schedule or "", run_id=run.id):
                await self._warm_ups.publish(run)
            await asyncio.to_thread(self._fires.published, run.id)
        await asyncio.to_thread(lambda: self._runs.sweep(self._clock(), LATE))

    async def close(self) -> None:
        """Nothing of its own is open."""


class LookAfterQueries:
    """A Duty: ends, publishes again or kills what died queries and brokers left, if no query process is there to."""

    name = "queries"

    def __init__(self, care: Care) -> None:
        self._care = care

    async def act(self, token: int) -> None:
        await self._care.once()

    async def close(self) -> None:
        self._care.close()


class ScheduleFile:
    """The schedules file, followed: what it says is loaded when it changed. A fault in it is logged, once for each."""

    def __init__(self, path: Path, schedules: Schedules) -> None:
        self._path = path
        self._schedules = schedules
        self._seen: tuple[int, int] | None = None  # of what was dealt with: loaded, or refused; None: nothing yet
        self._is_gone = False

    def follow(self) -> None:
        """Raises DatabaseUnavailable, and then the next call tries again."""
        try:
            found = self._path.stat()
            state = (found.st_mtime_ns, found.st_size)
            if state != self._seen:
                log.info("schedules_loaded", file=str(self._path), count=self._schedules.load(self._path))
        except InvalidInput as error:
            log.error("schedules_not_loaded", file=str(self._path), reason=error.message)
        except OSError as error:
            if not self._is_gone:
                log.error("schedules_not_loaded", file=str(self._path), reason=str(error))
            self._is_gone, self._seen = True, None
            return
        self._is_gone, self._seen = False, state


class Prune:
    """A Work: removes rows that are older than the settings keep them."""

    def __init__(self, retention: Retention, clock: Clock) -> None:
        self._retention = retention
        self._clock = clock

    async def run(self, correlation_id: str) -> Mapping[str, int]:
        return await asyncio.to_thread(lambda: self._retention.prune(self._clock()))

    async def close(self) -> None:
        """Nothing of its own is open."""
