"""Warm-up carried out: decides what a run warms, warms one part of it, and writes down what became of it.

An outcome is what was read back, not what was asked for. Every end is written: warmed, already warm, failed with its
reason, skipped with its reason.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy.orm import Session, sessionmaker

from services.renderer.warm_pictures import PictureWarmer
from shared import metrics
from shared.catalog.port import Catalog, Part, Wanted, Warms
from shared.errors import (
    BrokerUnavailable,
    DeadlineExceeded,
    Forbidden,
    Internal,
    NotFound,
    StoreUnavailable,
    VitrineError,
)
from shared.metadata.models import Backoff, Pause, WarmupOutcome, WarmupRun
from shared.metadata.records import RenderRecords
from shared.metadata.views import Views
from shared.requests import Requests
from shared.settings import Settings
from shared.store import pictures_in
from shared.store.pictures import Pictures
from shared.store.port import KeyValue
from shared.store.slots import Slots
from shared.targets import ViewState
from shared.warmup import strategies
from shared.warmup.choices import Sources
from shared.warmup.kindness import Kindness, Subject
from shared.warmup.planning import PICTURE, Planner, target_of
from shared.warmup.runs import BUSY, FAULT, USED_UP, Came, End, Runs, RunStatus, deadline_of, used_up

log = structlog.get_logger(__name__)
SPARE_S = 45  # beyond a query's own limit: waiting for somebody else's query, and the store


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
        self._pictures = PictureWarmer(requests, pictures)
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
            end = replace(end, seconds=time.monotonic() - began)
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

    async def give_up_run(self, run_id: str, error: VitrineError) -> None:
        """What the run warms could not be decided, or not be published, as often as that was tried."""
        await asyncio.to_thread(self._runs.give_up, run_id, error.code, error.message)

    async def _end(self, run: WarmupRun, outcome: WarmupOutcome, wait_s: float) -> End:
        skipped = await asyncio.to_thread(self._reason_to_skip, run, outcome)
        if skipped is not None:
            return skipped
        try:
            end = await self._warm(run, outcome, wait_s)
        except (Busy, StoreUnavailable, BrokerUnavailable):
            raise  # not the chart's fault
        except NotFound as error:
            return End(Came.SKIPPED, error.code, f"{error.message} (gone, or hidden from {outcome.executor})")
        except Forbidden as error:  # the executor's fault: others may still warm it
            return End(Came.FAILED, error.code, f"{error.message} (as {outcome.executor})")
        except VitrineError as error:
            end = End(Came.FAILED, error.code, error.message)
        except Exception:  # whatever it was, the run must end, and the log must say what
            log.exception("warming_internal_error", run_id=run.id, number=outcome.number)
            end = End(Came.FAILED, Internal.code, FAULT)
        if end.came is Came.FAILED:
            retry_at = await asyncio.to_thread(self._kindness.failed, Subject.of(outcome), end.code, end.reason)
            return replace(end, reason=f"{end.reason} (left alone until {retry_at:%Y-%m-%d %H:%M} UTC)")
        if end.came is not Came.SKIPPED:
            await asyncio.to_thread(self._kindness.succeeded, Subject.of(outcome))
        return end

    def _reason_to_skip(self, run: WarmupRun, outcome: WarmupOutcome) -> End | None:
        if run.status != RunStatus.RUNNING:
            return End(Came.SKIPPED, run.code or USED_UP, run.reason or "The run has ended.")
        if datetime.now(UTC) > deadline_of(run):
            return used_up(run, outcome)
        pause = self._kindness.paused(outcome.catalog, outcome.database)
        if pause is not None:
            return _paused(pause)
        backoff = None if run.force else self._kindness.backoff(Subject.of(outcome))
        if backoff is not None and datetime.now(UTC) < backoff.retry_at:
            return End(Came.SKIPPED, "backing_off", _told(backoff))
        return None

    async def _warm(self, run: WarmupRun, outcome: WarmupOutcome, wait_s: float) -> End:
        strategy = strategies.make(run.strategy, run.parameters, public=False)
        wanted = Wanted(strategy.wanted.ahead_s, run.force, strategy.wanted.only_kept)
        if outcome.what == PICTURE:
            pause = await asyncio.to_thread(self._pause_of_picture, outcome)
            return _paused(pause) if pause else await self._pictures.warm(run, outcome, wanted)
        limit = await asyncio.to_thread(self._kindness.limit, outcome.catalog, outcome.database)
        place = f"{outcome.catalog}/{outcome.database}"
        async with self._slots.hold(place, limit, wait_s=wait_s) as held:
            if not held:
                raise Busy(f"{place} had {limit} queries of warm-up, as many as it takes.")
            return await self._data(run, outcome, wanted)

    def _pause_of_picture(self, outcome: WarmupOutcome) -> Pause | None:
        """Of one of the databases from which its page would read. They are asked for only if any is paused."""
        pauses = [pause for pause in self._kindness.pauses() if pause.catalog == outcome.catalog]
        read = self._pictures.databases(outcome) if pauses else ()
        return next((pause for pause in pauses if pause.database in read), None)

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


def _paused(pause: Pause) -> End:
    return End(Came.SKIPPED, "paused", f"The database {pause.database} is paused. {pause.reason}".strip())


def _told(backoff: Backoff) -> str:
    return (
        f"It failed {backoff.failures} times in a row ({backoff.code}: {backoff.reason}) "
        f"and is left alone until {backoff.retry_at:%Y-%m-%d %H:%M} UTC."
    )
