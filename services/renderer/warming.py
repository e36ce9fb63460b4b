"""Warm-up carried out: decides what a run warms, warms one part of it, and writes down what became of it.

An outcome is what was read back, not what was asked for. Every end is written: warmed, already warm, failed with its
reason, skipped with its reason.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy.orm import Session, sessionmaker

from shared import metrics
from shared.catalog.port import Catalog, Part, Wanted, Warms
from shared.errors import (
    BrokerUnavailable,
    DeadlineExceeded,
    Forbidden,
    NotFound,
    NotKept,
    StoreUnavailable,
    VitrineError,
)
from shared.messages.render import Origin
from shared.metadata.models import Backoff, WarmupOutcome, WarmupRun
from shared.metadata.records import RenderRecords
from shared.metadata.views import Views
from shared.requests import Plan, Requests
from shared.settings import Settings
from shared.store import pictures_in
from shared.store.pictures import Pictures, Status
from shared.store.port import KeyValue
from shared.store.slots import Slots
from shared.targets import ViewState
from shared.warmup import strategies
from shared.warmup.choices import Sources
from shared.warmup.kindness import Kindness
from shared.warmup.planning import PICTURE, Planner, target_of
from shared.warmup.runs import BUSY, USED_UP, Came, End, Runs, RunStatus, deadline_of, used_up

log = structlog.get_logger(__name__)
SPARE_S = 45  # beyond a query's own limit: waiting for somebody else's query, and the store
PICTURE_POLL_S = 0.3


class Busy(Exception):
    """Its database has as many queries of warm-up as it takes; come back shortly. No failure: nobody is told."""


class Warmer:
    """Idempotent: what has an outcome already is left alone. For one event loop.

    Raises Busy, and a VitrineError only when the outcome could not be decided or written: try again.
    """

    def __init__(
        self,
        settings: Settings,
        catalogs: Mapping[str, Catalog],
        requests: Requests,
        pictures: Pictures,
        slots: Slots,
        runs: Runs,
        kindness: Kindness,
        views: Views,
        records: RenderRecords,
    ) -> None:
        self._settings = settings
        self._catalogs = catalogs
        self._requests = requests
        self._pictures = pictures
        self._slots = slots
        self._runs = runs
        self._kindness = kindness
        self._views = views
        self._records = records

    async def decide(self, run_id: str) -> list[int]:
        """The numbers of what the run warms and has no outcome yet; decides first, if that was not done before."""
        run = await asyncio.to_thread(self._runs.run, run_id)
        if run.status == RunStatus.PENDING:
            try:
                await asyncio.to_thread(self._plan, run)
            except VitrineError as error:
                if error.transient:
                    raise
                await asyncio.to_thread(self._runs.fail, run_id, error.code, error.message)
        return await asyncio.to_thread(self._runs.pending, run_id)

    def _plan(self, run: WarmupRun) -> None:
        strategy = strategies.make(run.strategy, run.parameters, public=False)
        sources = Sources(self._catalogs, self._views, datetime.now(UTC))
        planner = Planner(self._settings, self._requests, sources, self._pictures_kept)
        self._runs.plan(run.id, planner.plan(run, strategy))

    def _pictures_kept(self) -> frozenset[str]:
        since = datetime.now(UTC) - timedelta(seconds=self._settings.picture_ttl_s)
        return frozenset(rendered.key for rendered in self._records.thumbnails(since))

    async def one(self, run_id: str, number: int, *, wait_s: float) -> tuple[WarmupOutcome, End]:
        """Warms one part, waiting at most `wait_s` for a free slot of its database."""
        run = await asyncio.to_thread(self._runs.run, run_id)
        outcome = await asyncio.to_thread(self._runs.outcome, run_id, number)
        if outcome.outcome:  # the message came twice
            return outcome, End(Came(outcome.outcome), outcome.code, outcome.reason, outcome.seconds)
        began = time.monotonic()
        try:
            end = await self._end(run, outcome, wait_s)
        except Busy as busy:
            await self._note(outcome, BUSY, str(busy))
            raise
        except VitrineError as error:
            await self._note(outcome, error.code, error.message)
            raise
        if not end.seconds and end.came is not Came.SKIPPED:
            end = _with_seconds(end, time.monotonic() - began)
        await asyncio.to_thread(self._runs.settle, run_id, number, end)
        metrics.WARMED.labels(outcome.what, end.came.value).inc()
        log.info(
            "warmed",
            run_id=run_id,
            number=number,
            target=str(target_of(outcome)),
            outcome=end.came.value,
            code=end.code,
        )
        return outcome, end

    async def _note(self, outcome: WarmupOutcome, code: str, reason: str) -> None:
        if outcome.code != code:
            await asyncio.to_thread(self._runs.note, outcome.run_id, outcome.number, code, reason)

    async def give_up(self, run_id: str, number: int, error: VitrineError) -> tuple[WarmupOutcome, End]:
        """What was tried often enough has failed with that reason."""
        end = End(Came.FAILED, error.code, error.message)
        await asyncio.to_thread(self._runs.settle, run_id, number, end)
        outcome = await asyncio.to_thread(self._runs.outcome, run_id, number)
        metrics.WARMED.labels(outcome.what, end.came.value).inc()
        return outcome, end

    async def fail(self, run_id: str, error: VitrineError) -> None:
        """What the run warms could not be decided, as often as that was tried."""
        await asyncio.to_thread(self._runs.fail, run_id, error.code, error.message)

    async def _end(self, run: WarmupRun, outcome: WarmupOutcome, wait_s: float) -> End:
        skipped = await asyncio.to_thread(self._reason_to_skip, run, outcome)
        if skipped is not None:
            return skipped
        target = target_of(outcome)
        try:
            end = await self._warm(run, outcome, wait_s)
        except (Busy, StoreUnavailable, BrokerUnavailable):
            raise  # not the chart's fault
        except NotFound as error:
            return End(Came.SKIPPED, error.code, f"{error.message} (gone, or hidden from {outcome.executor})")
        except Forbidden as error:  # the executor's fault: others may still warm it
            return End(Came.FAILED, error.code, f"{error.message} (as {outcome.executor})")
        except VitrineError as error:
            retry_at = await asyncio.to_thread(self._kindness.failed, target, error.code, error.message)
            return End(Came.FAILED, error.code, f"{error.message} (left alone until {retry_at:%Y-%m-%d %H:%M} UTC)")
        if end.came is not Came.SKIPPED:
            await asyncio.to_thread(self._kindness.succeeded, target)
        return end

    def _reason_to_skip(self, run: WarmupRun, outcome: WarmupOutcome) -> End | None:
        if run.status != RunStatus.RUNNING:
            return End(Came.SKIPPED, run.code or USED_UP, run.reason or "The run has ended.")
        if datetime.now(UTC) > deadline_of(run):
            return used_up(run, outcome)
        pause = self._kindness.paused(outcome.catalog, outcome.database)
        if pause is not None:
            return End(Came.SKIPPED, "paused", f"The database {outcome.database} is paused. {pause.reason}".strip())
        backoff = None if run.force else self._kindness.backoff(target_of(outcome))
        if backoff is not None and datetime.now(UTC) < backoff.retry_at:
            return End(Came.SKIPPED, "backing_off", _told(backoff))
        return None

    async def _warm(self, run: WarmupRun, outcome: WarmupOutcome, wait_s: float) -> End:
        strategy = strategies.make(run.strategy, run.parameters, public=False)
        wanted = Wanted(strategy.wanted.ahead_s, run.force, strategy.wanted.only_kept)
        if outcome.what == PICTURE:
            return await self._picture(run, outcome, wanted)
        limit = await asyncio.to_thread(self._kindness.limit, outcome.catalog, outcome.database)
        place = f"{outcome.catalog}/{outcome.database}"
        async with self._slots.hold(place, limit, wait_s=wait_s) as held:
            if not held:
                raise Busy(f"{place} had {limit} queries of warm-up, as many as it takes.")
            return await self._data(run, outcome, wanted)

    async def _data(self, run: WarmupRun, outcome: WarmupOutcome, wanted: Wanted) -> End:
        catalog = self._requests.catalog(outcome.catalog)
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._settings.query_timeout_s + SPARE_S):
                warmth = await catalog.warm(_part(outcome), wanted, run_id=run.id)
        except TimeoutError:
            raise DeadlineExceeded("It was not warm within the time limit of a query.") from None
        seconds = time.monotonic() - began
        if warmth.skipped:
            return End(Came.SKIPPED, "not_wanted", warmth.skipped)
        came = Came.ALREADY if warmth.already else Came.WARMED
        return End(came, seconds=seconds, key=warmth.key, expires_at=warmth.expires_at)

    async def _picture(self, run: WarmupRun, outcome: WarmupOutcome, wanted: Wanted) -> End:
        plan = await asyncio.to_thread(self._plan_of, outcome)
        head, ahead = await self._pictures.head(plan.key), timedelta(seconds=wanted.ahead_s)
        if head is None and wanted.only_kept:
            return End(Came.SKIPPED, "not_wanted", "There is no picture, so it cannot grow stale.")
        if head is not None and not wanted.force and head.is_fresh(plan.digest, datetime.now(UTC) + ahead):
            return End(Came.ALREADY, key=plan.key, expires_at=head.fresh_until)
        claim = await self._requests.ensure(
            plan, origin=Origin.REFRESH, correlation_id=run.correlation_id, force=wanted.force
        )
        if not claim.won and claim.state.status is Status.ERROR:
            return End(Came.FAILED, claim.state.code, f"{claim.state.reason} (failed moments ago)")
        return await self._picture_made(plan, min(deadline_of(run), claim.state.deadline))

    async def _picture_made(self, plan: Plan, deadline: datetime) -> End:
        """Waits until the render has ended, and looks for the picture where viewers will."""
        while True:
            state = await self._pictures.state(plan.key)
            if state is not None and state.status is Status.ERROR:
                return End(Came.FAILED, state.code, state.reason)
            head = await self._pictures.head(plan.key)
            if (
                head is not None
                and head.is_fresh(plan.digest, datetime.now(UTC))
                and (state is None or not state.is_running)
            ):
                return End(Came.WARMED, key=plan.key, expires_at=head.fresh_until)
            if state is None or not state.is_running:
                raise NotKept("The render ended, but the store does not have its picture.")
            if datetime.now(UTC) > deadline:
                raise DeadlineExceeded("The picture was not rendered in time; are there enough renderers?")
            await asyncio.sleep(PICTURE_POLL_S)

    def _plan_of(self, outcome: WarmupOutcome) -> Plan:
        catalog = self._requests.catalog(outcome.catalog)
        target = target_of(outcome)
        catalog.info(catalog.principal(outcome.executor), target)  # NotFound when they may no longer see it
        return self._requests.again(target, outcome.executor)


def open_warmer(
    settings: Settings,
    sessions: sessionmaker[Session],
    store: KeyValue,
    catalogs: Mapping[str, Catalog],
    requests: Requests,
) -> Warmer:
    """A Warmer over what a process has open. Pictures go to the publisher that `requests` has."""
    return Warmer(
        settings,
        catalogs,
        requests,
        pictures_in(store, settings),
        Slots(store, settings.store_prefix),
        Runs(sessions),
        Kindness(sessions, settings.warm_concurrency),
        Views(sessions),
        RenderRecords(sessions),
    )


def _part(outcome: WarmupOutcome) -> Part:
    return Part(
        warms=Warms(outcome.what),
        target=target_of(outcome),
        title=outcome.title,
        executor=outcome.executor,
        database=outcome.database,
        key=outcome.key,
        dashboard_id=outcome.dashboard_id,
        view_state=ViewState.from_json(outcome.view_state),
        filter_id=outcome.filter_id,
    )


def _told(backoff: Backoff) -> str:
    return (
        f"It failed {backoff.failures} times in a row ({backoff.code}: {backoff.reason}) "
        f"and is left alone until {backoff.retry_at:%Y-%m-%d %H:%M} UTC."
    )


def _with_seconds(end: End, seconds: float) -> End:
    return End(end.came, end.code, end.reason, seconds, end.key, end.expires_at)
