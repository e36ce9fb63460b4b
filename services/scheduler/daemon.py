"""The daemon: APScheduler ticks, the lease decides who acts, fires make each due time happen once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

import structlog
from apscheduler.job import Job
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from services.scheduler.leader import Leader
from services.scheduler.schedules import Fires, Schedule
from shared import tracing
from shared.errors import DatabaseUnavailable, VitrineError

log = structlog.get_logger(__name__)
JUMP_S = 1.0  # a smaller one is a correction


class Duty(Protocol):
    """What the leader does at each tick, beside its other duties; never twice at once."""

    @property
    def name(self) -> str: ...

    async def act(self, token: int) -> None:
        """Under the leader's fencing token. Raises DatabaseUnavailable and other VitrineErrors: the next tick tries."""
        ...

    async def close(self) -> None: ...


class Work(Protocol):
    """What is carried out at each due time of an interval; its counts are logged."""

    async def run(self, correlation_id: str) -> Mapping[str, int]: ...

    async def close(self) -> None: ...


class Companion(Protocol):
    """What every scheduler does beside leading or waiting, until it is stopped."""

    async def run(self, stop: asyncio.Event) -> None: ...


class Daemon:
    """Ticks until stopped. Its state is in the database: APScheduler's own stays in memory, or several would fire
    the same time.
    """

    def __init__(
        self,
        leader: Leader,
        duties: Sequence[Duty],
        *,
        tick_s: float,
        companions: Sequence[Companion] = (),
        at_end: Sequence[Callable[[], Awaitable[None]]] = (),
    ) -> None:
        self._leader = leader
        self._duties = duties
        self._companions = companions
        self._at_end = at_end
        self._tick_s = tick_s
        self._acting: dict[str, asyncio.Task[None]] = {}
        self._ticking = asyncio.Lock()

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set; then finish what is at hand and give up the lead."""
        ticker = AsyncIOScheduler(timezone=UTC)
        ticking = ticker.add_job(
            self.tick,
            "interval",
            seconds=self._tick_s,
            next_run_time=datetime.now(UTC),
            max_instances=1,
            coalesce=True,
            misfire_grace_time=None,
        )
        ticker.start()
        watching = asyncio.create_task(self._watch_the_clock(ticking))
        beside = [asyncio.create_task(companion.run(stop)) for companion in self._companions]
        try:
            await stop.wait()
        finally:
            watching.cancel()
            ticker.pause()
            await asyncio.sleep(0)  # a tick that was due already begins
            async with self._ticking:  # and ends: APScheduler would cut it, and log that as an error
                ticker.shutdown(wait=False)
            await asyncio.gather(*self._acting.values(), *beside)
            await asyncio.to_thread(self._leader.resign)
            for duty in self._duties:
                await duty.close()
            for close in self._at_end:
                await close()

    async def _watch_the_clock(self, ticking: Job) -> None:
        """APScheduler plans by the wall clock: set back by an hour, it would not tick for an hour."""
        offset = time.time() - time.monotonic()
        while True:
            await asyncio.sleep(self._tick_s)
            jump = time.time() - time.monotonic() - offset
            if abs(jump) > JUMP_S:
                offset += jump
                log.warning("clock_jumped", seconds=round(jump, 1))
                ticking.modify(next_run_time=datetime.now(UTC))

    async def tick(self) -> None:
        """Hold the lead; if it is ours, act beside the ticking, so that the lease is renewed meanwhile."""
        async with self._ticking:
            await self._tick()

    async def _tick(self) -> None:
        try:
            token = await asyncio.to_thread(self._leader.campaign)
        except DatabaseUnavailable as error:
            log.error("scheduler_paused", code=error.code, reason=error.message)
            return
        if token is None:
            return
        for duty in self._duties:
            acting = self._acting.get(duty.name)
            if acting is None or acting.done():
                self._acting[duty.name] = asyncio.create_task(self._act(duty, token))

    async def _act(self, duty: Duty, token: int) -> None:
        try:
            await duty.act(token)
        except DatabaseUnavailable as error:
            log.error("scheduler_paused", code=error.code, reason=error.message)
        except VitrineError as error:
            log.warning("duty_failed", duty=duty.name, code=error.code, reason=error.message)
        except Exception:  # a fault of ours in one duty: the next tick must come all the same
            log.exception("duty_failed", duty=duty.name, code="internal")


class AtIntervals:
    """A Duty: work of our own at the due times of an interval; the latest one stands for those that were missed."""

    def __init__(self, schedule: Schedule, fires: Fires, work: Work) -> None:
        self.name = schedule.name
        self._schedule = schedule
        self._fires = fires
        self._work = work

    async def act(self, token: int) -> None:
        for due_at in await asyncio.to_thread(self._fires.unfinished, self._schedule, token):
            await self._carry_out(due_at, swept=True)
        due_at = self._schedule.due_at(await asyncio.to_thread(self._fires.now))
        if await asyncio.to_thread(self._fires.claim, self._schedule, due_at, token):
            await self._carry_out(due_at, swept=False)

    async def close(self) -> None:
        await self._work.close()

    async def _carry_out(self, due_at: datetime, *, swept: bool) -> None:
        correlation_id = self._schedule.correlation_id(due_at)
        with tracing.span("fire", trace=correlation_id, schedule=self._schedule.name):
            counts = await self._work.run(correlation_id)
        await asyncio.to_thread(self._fires.finish, self._schedule, due_at)
        log.info("fired", schedule=self._schedule.name, due_at=due_at.isoformat(), swept=swept, **counts)
