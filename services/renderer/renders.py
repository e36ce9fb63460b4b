"""One render request from message to stored picture, with every end of it recorded."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from services.renderer import capture
from services.renderer.desk import Desk
from services.renderer.evidence import Evidence
from services.renderer.pool import BrowserPool
from services.renderer.timeline import Timeline
from services.renderer.turns import Turns
from shared import logs, metrics, tracing
from shared.catalog.port import Catalog
from shared.errors import Cancelled, DeadlineExceeded, Internal, LoginPage, NotFound, VitrineError
from shared.messages import render
from shared.messages.render import Origin, RenderRequest
from shared.metadata.open_renders import Listing
from shared.metadata.records import RenderRecords
from shared.settings import Settings
from shared.store.pictures import Pictures
from shared.targets import Format

log = structlog.get_logger(__name__)
KEY = re.compile(r"[0-9a-f]{32}")
CLEAN_UP_S = 0.8  # after an interrupt dramatiq gives a coroutine 1.0 s


@contextmanager
def _told_of(request: RenderRequest) -> Iterator[None]:
    """What log, metrics and trace tell of a render while it goes on."""
    with (
        logs.bound(
            correlation_id=request.correlation_id, request_id=request.id, target=str(request.target), key=request.key
        ),
        metrics.RENDERS_IN_FLIGHT.track_inprogress(),
        tracing.span(
            "render",
            trace=request.correlation_id,
            handles=request.id,
            kind="consumer",
            target=str(request.target),
            executor=request.executor,
            key=request.key,
        ),
    ):
        yield


class Renders:
    """Idempotent: a redelivered request that is already stored, or that a newer generation replaced, ends at once."""

    def __init__(
        self,
        settings: Settings,
        catalogs: Mapping[str, Catalog],
        pictures: Pictures,
        pool_for: Callable[[Origin], BrowserPool],
        records: RenderRecords,
        listing: Listing,
    ) -> None:
        self._settings = settings
        self._catalogs = catalogs
        self._pictures = pictures
        self._pool_for = pool_for
        self._records = records
        self._listing = listing
        self._turns = Turns()
        # Not of the module: a process of the embedded tree is forked after it was imported.
        self.owner = f"{socket.gethostname()}:{os.getpid()}"
        self.desk = Desk()

    async def handle(self, request: RenderRequest, is_last_try: bool) -> None:
        """Render and store. Raises a VitrineError; unless it will be tried again, the status is Error by then."""
        with _told_of(request):
            timeline, evidence = Timeline(), Evidence()
            started = datetime.now(UTC)
            timeline.add("queued", max(0.0, (started - request.published_at).total_seconds()))
            tracing.past("queued", request.published_at, started)
            try:
                async with self._turns.take(viewer=request.origin is Origin.VIEWER):
                    self._listing.taken(request, self.owner)
                    render = self._render(request, started, timeline, evidence)
                    outcome, failed_charts = await self.desk.work(request, render)
            except asyncio.CancelledError:
                cut = DeadlineExceeded("The render was cut: by its time limit, or because the renderer was stopped.")
                await asyncio.wait_for(asyncio.shield(self._fail(request, cut, timeline, started)), CLEAN_UP_S)
                raise
            except Cancelled as error:
                await self._cancelled(request, error, timeline, started, evidence)
                raise
            except VitrineError as error:
                if error.transient and not is_last_try:
                    log.warning("render_will_retry", code=error.code, reason=error.message)
                    self._listing.given_back(request, self.owner)
                else:
                    await self._fail(request, error, timeline, started, evidence)
                raise
            except Exception as error:  # whatever it was, the key must not stay Computing, and the log must say what
                log.exception("render_internal_error")
                internal = Internal(
                    "The renderer failed on this picture; its log has the details under the correlation id."
                )
                await self._fail(request, internal, timeline, started)
                raise internal from error
            metrics.RENDERS.labels(request.target.kind.value, outcome).inc()
            if outcome == "updated":
                await self._record(request, timeline, started, failed_charts)
            else:
                self._listing.ended(request.id)
            log.info("rendered", outcome=outcome, timeline=timeline.as_json(), failed_charts=len(failed_charts))

    async def _record(
        self, request: RenderRequest, timeline: Timeline, started: datetime, failed_charts: tuple[tuple[str, str], ...]
    ) -> None:
        whole_s = (datetime.now(UTC) - request.published_at).total_seconds()
        metrics.RENDER_SECONDS.labels(request.origin.value).observe(max(0.0, whole_s))
        await self._records.ended(request, timeline, started=started, failed_charts=failed_charts)

    async def refuse(self, payload: dict[str, Any], error: VitrineError) -> None:
        """A payload that cannot be read: the key that it names ends as Error now, not at its deadline."""
        log.warning("render_request_refused", code=error.code, reason=error.message)
        key, generation = (payload.get("key"), payload.get("generation")) if isinstance(payload, dict) else (None, None)
        if isinstance(payload, dict) and isinstance(payload.get("id"), str):
            self._listing.ended(payload["id"])
        if isinstance(key, str) and KEY.fullmatch(key) and render.is_generation(generation):
            retry_at = datetime.now(UTC) + timedelta(seconds=self._settings.error_retry_s)
            await self._pictures.fail(
                key, int(str(generation)), code=error.code, reason=error.message, retry_at=retry_at
            )

    async def _render(
        self, request: RenderRequest, started: datetime, timeline: Timeline, evidence: Evidence
    ) -> tuple[str, tuple[tuple[str, str], ...]]:
        # A render's own budget holds also for bulk requests, whose deadline is far away; waiting for its turn counts.
        deadline = min(request.deadline, started + timedelta(seconds=self._settings.render_deadline_s))
        if await self._is_withdrawn(request):
            raise Cancelled.by_operator()
        if not await self._pictures.start(request.key, request.generation, self.owner, deadline=deadline):
            return "superseded", ()
        if datetime.now(UTC) >= request.deadline:  # asked second: what is stored already is no failure, however late
            raise DeadlineExceeded(
                "The request waited in the queue until its deadline; add renderers or ask for less at once."
            )
        try:
            catalog = self._catalogs[request.target.catalog]
        except KeyError:
            raise NotFound(f"This renderer has no catalog named {request.target.catalog!r}.") from None
        try:
            rendered = await self._capture(request, catalog, deadline, timeline, evidence)
        except LoginPage:  # the session ended meanwhile; once more with a new one, if there can be a new one
            if not await asyncio.to_thread(catalog.renew, request.executor):
                raise
            log.info("session_renewed", executor=request.executor)
            rendered = await self._capture(request, catalog, deadline, timeline, evidence)
        with timeline.step("stored"):
            await self._store(request, rendered)
        return "updated", rendered.ready.failed

    async def _capture(
        self, request: RenderRequest, catalog: Catalog, deadline: datetime, timeline: Timeline, evidence: Evidence
    ) -> capture.Rendered:
        vector = Format.PDF in request.formats
        page = await asyncio.to_thread(
            catalog.page, request.target, request.executor, request.view_state, nonce=request.id, vector=vector
        )
        return await capture.render(
            self._pool_for(request.origin),
            page,
            executor=f"{request.target.catalog}/{request.executor}",  # the same name elsewhere is somebody else
            window=request.window,
            thumbnail=request.thumbnail,
            formats=request.formats,
            deadline=deadline,
            kind=request.target.kind,
            timeline=timeline,
            evidence=evidence,
        )

    async def _store(self, request: RenderRequest, rendered: capture.Rendered) -> None:
        now = datetime.now(UTC)
        flaw = rendered.ready.flaw
        fresh_s = self._settings.failed_fresh_s if flaw else None
        # The picture under the key itself comes last: whoever finds it finds the other formats too.
        for picture_format in reversed(request.formats):
            name = request.key if picture_format is request.formats[0] else f"{request.key}.{picture_format.value}"
            await self._pictures.put(
                name,
                rendered.pictures[picture_format],
                content_type=picture_format.content_type,
                generation=request.generation,
                digest=request.digest,
                rendered_at=now,
                fresh_s=fresh_s,
                flaw=flaw,
            )
        await self._pictures.finish(request.key, request.generation)

    async def _fail(
        self,
        request: RenderRequest,
        error: VitrineError,
        timeline: Timeline,
        started: datetime,
        evidence: Evidence | None = None,
    ) -> None:
        log.warning("render_failed", code=error.code, reason=error.message, timeline=timeline.as_json())
        metrics.RENDERS.labels(request.target.kind.value, error.code).inc()
        await self._end(request, error, timeline, started, evidence)

    async def _cancelled(
        self, request: RenderRequest, error: Cancelled, timeline: Timeline, started: datetime, evidence: Evidence
    ) -> None:
        log.info("render_cancelled", timeline=timeline.as_json())
        metrics.RENDERS.labels(request.target.kind.value, error.code).inc()
        if not await self._is_withdrawn(request):
            await self._tell(request, error)
        await self._records.ended(request, timeline, started=started, error=error, seen=evidence, once=True)

    async def _is_withdrawn(self, request: RenderRequest) -> bool:
        """Cancelled while it waited: it ended then."""
        state = await self._pictures.state(request.key)
        return state is not None and (state.generation, state.code) == (request.generation, Cancelled.code)

    async def _end(
        self,
        request: RenderRequest,
        error: VitrineError,
        timeline: Timeline,
        started: datetime,
        evidence: Evidence | None,
    ) -> None:
        await self._tell(request, error)
        await self._records.ended(request, timeline, started=started, error=error, seen=evidence)

    async def _tell(self, request: RenderRequest, error: VitrineError) -> None:
        """Whoever waits for the picture."""
        retry_at = datetime.now(UTC) + timedelta(seconds=self._settings.error_retry_s)
        await self._pictures.fail(
            request.key, request.generation, code=error.code, reason=error.message, retry_at=retry_at
        )
