"""What an admin may do on the operations page. Each action is in the log with who did it; the page asks first."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from falcon.asgi import Request, Response

from services.api.authentication import principal_of
from services.api.inputs import read_object, read_strings
from services.api.resources.operations import queue_named
from services.api.services import Services
from services.api.view_states import refuse_unknown
from shared.errors import Cancelled, InvalidInput, NotFound
from shared.heartbeats import alive
from shared.messages import render, warm
from shared.messages.render import Origin
from shared.metadata import history, waiting
from shared.metadata.models import RenderRecord
from shared.metadata.waiting import Open
from shared.queue import RENDER_QUEUE, RENDER_QUEUES, WARM_ACTOR
from shared.queue_watch import Letter
from shared.targets import Size, Target, TargetKind

log = structlog.get_logger(__name__)
MAX_AT_ONCE = 200


def note(req: Request, action: str, **about: Any) -> None:
    """One line in the log for each thing that somebody did."""
    log.info("operator_action", action=action, user=principal_of(req).username, **about)


class ReplayDeadLetters:
    """POST /api/v1/ops/queues/{queue}/dead_letters/replay `{ids}` or `{all: true}` → 202 with what became of each."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_post(self, req: Request, resp: Response, queue: str) -> None:
        services, body = self._services, await read_object(req)
        refuse_unknown(body, ("ids", "all"))
        ids, everything = read_strings(body, "ids"), body.get("all", False)
        if everything not in (True, False) or bool(ids) == everything or len(ids) > MAX_AT_ONCE:
            raise InvalidInput(f"Send either ids, at most {MAX_AT_ONCE}, or all: true.", field="ids")
        letters = await services.blocking(services.watch.letters, queue_named(queue))
        chosen = [letter for letter in letters if everything or letter.id in ids]
        replayed = [letter.id for letter in chosen if letter.replayable and await self._replay(letter, req)]
        await services.blocking(services.watch.drop, queue, frozenset(replayed))
        note(req, "replay", queue=queue, count=len(replayed))
        left = [letter.id for letter in chosen if letter.id not in replayed]
        resp.media = {"replayed": replayed, "not_replayable": left}
        resp.status = 202

    async def _replay(self, letter: Letter, req: Request) -> bool:
        """False for a letter that no worker could read. Raises BrokerUnavailable, StoreUnavailable."""
        try:
            if letter.actor == WARM_ACTOR:
                request = replace(warm.decode(letter.payload), published_at=datetime.now(UTC))
                await self._services.publisher.publish_warm(request)
            else:
                await self._services.requests.replay(render.decode(letter.payload))
        except InvalidInput as error:
            log.warning("letter_not_replayable", message_id=letter.id, reason=error.message)
            return False
        return True


class PurgeDeadLetters:
    """DELETE /api/v1/ops/queues/{queue}/dead_letters/{id}; the id `all` stands for every one."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_delete(self, req: Request, resp: Response, queue: str, letter_id: str) -> None:
        watch, blocking = self._services.watch, self._services.blocking
        if letter_id == "all":
            count = await blocking(watch.purge, queue_named(queue), dead_letters=True)
        else:
            count = await blocking(watch.drop, queue_named(queue), frozenset({letter_id}))
            if not count:
                raise NotFound("There is no such dead letter.")
        note(req, "purge_dead_letters", queue=queue, count=count)
        resp.media = {"removed": count}


class QueueMessages:
    """DELETE /api/v1/ops/queues/{queue}/messages: all that wait there."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_delete(self, req: Request, resp: Response, queue: str) -> None:
        watch, queue = self._services.watch, queue_named(queue)
        blocking, sessions = self._services.blocking, self._services.sessions
        renders: list[str] = []
        if queue in RENDER_QUEUES:
            renders = await blocking(waiting.in_queue, sessions, viewers=queue == RENDER_QUEUE)
        count = await blocking(watch.purge, queue, dead_letters=False)
        await blocking(waiting.purged, sessions, renders)
        note(req, "purge", queue=queue, count=count)
        resp.media = {"removed": count}


class RetryRender:
    """POST /api/v1/ops/renders/{id}/retry: the same picture again, as it is now → 202."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_post(self, req: Request, resp: Response, render_id: str) -> None:
        services = self._services
        record = await services.blocking(history.one, services.sessions, render_id)
        if not record.sizes.get("thumbnail"):
            raise InvalidInput("Only thumbnails are rendered again from here; ask for the screenshot anew.")
        plan = await services.blocking(self._plan, record)
        claim = await services.requests.ensure(
            plan, origin=Origin.OPERATOR, correlation_id=req.context.correlation_id, force=True
        )
        note(req, "retry", target=str(plan.target), executor=plan.executor, key=plan.key)
        resp.media = {"key": plan.key, "status": claim.state.status.value}
        resp.status = 202

    def _plan(self, record: RenderRecord) -> Any:
        target = Target(record.catalog, TargetKind(record.target_kind), record.target_id)
        requests = self._services.requests
        catalog = requests.catalog(target.catalog)
        catalog.info(catalog.principal(record.executor), target)  # NotFound when they may no longer see it
        sizes = (Size(*record.sizes[name]) for name in ("window", "thumbnail"))
        window, thumbnail = sizes
        return requests.again(target, record.executor, window=window, thumbnail=thumbnail)


class CancelRender:
    """POST /api/v1/ops/renders/{id}/cancel: one that waits ends now, one that a renderer has in hand within seconds
    → 202.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_post(self, req: Request, resp: Response, render_id: str) -> None:
        blocking, sessions = self._services.blocking, self._services.sessions
        still = await blocking(waiting.one, sessions, render_id)
        if still is None and render_id not in waiting.in_work(await blocking(alive, sessions)):
            raise NotFound("No such render waits, and no renderer has it in hand.")
        waits = still if still is not None and not still.in_hand else None
        if waits is not None and not await self._withdraw(waits):
            waits = None  # it has ended just now; if the store forgot it, it ends when a renderer takes it
        await blocking(waiting.cancel, sessions, render_id, principal_of(req).username, waits=waits)
        note(req, "cancel", request_id=render_id)
        resp.media = {"id": render_id, "cancelled": True, "ended": waits is not None}
        resp.status = 202

    async def _withdraw(self, waits: Open) -> bool:
        """Tells whoever waits for the picture, and the renderer that will take its message. To be done first: when the
        store is down, all is as it was, and the operator tries again.
        """
        error, services, row = Cancelled.by_operator(), self._services, waits.row
        retry_at = datetime.now(UTC) + timedelta(seconds=services.settings.error_retry_s)
        return await services.pictures.withdraw(
            row.key, row.generation, code=error.code, reason=error.message, retry_at=retry_at
        )


class StopRun:
    """POST /api/v1/warmup/runs/{id}/stop: what is still to come is skipped."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_post(self, req: Request, resp: Response, run_id: str) -> None:
        username, runs = principal_of(req).username, self._services.warming.runs
        await self._services.blocking(runs.run, run_id)
        await self._services.blocking(runs.stop, run_id, "cancelled", f"{username} stopped it.")
        note(req, "stop_run", run_id=run_id)
        resp.media = {"id": run_id, "stopped": True}
        resp.status = 202


class RunSchedule:
    """POST /api/v1/schedules/{name}/run: its strategy now, beside its due times → 202."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_post(self, req: Request, resp: Response, name: str) -> None:
        warming, username = self._services.warming, principal_of(req).username
        order = await self._services.blocking(
            warming.schedules.order, name, username=username, correlation_id=req.context.correlation_id
        )
        run = await warming.warm_ups.start(order)
        note(req, "run_schedule", schedule=name, run_id=run.id)
        resp.media = {"id": run.id, "url": f"/api/v1/warmup/runs/{run.id}"}
        resp.status = 202


class SchedulePause:
    """/api/v1/schedules/{name}/pause: PUT pauses (what the file says stays), DELETE resumes."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_put(self, req: Request, resp: Response, name: str) -> None:
        await self._set(req, resp, name, paused=True)

    async def on_delete(self, req: Request, resp: Response, name: str) -> None:
        await self._set(req, resp, name, paused=False)

    async def _set(self, req: Request, resp: Response, name: str, *, paused: bool) -> None:
        await self._services.blocking(self._services.warming.schedules.pause, name, paused=paused)
        note(req, "pause_schedule" if paused else "resume_schedule", schedule=name)
        resp.media = {"name": name, "paused": paused}
