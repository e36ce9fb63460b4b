"""The operations page and what it reads. For admins; to others none of it exists."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from falcon.asgi import Request, Response, SSEvent

from services.api.authentication import principal_of
from services.api.documents import stamp
from services.api.inputs import read_paging
from services.api.overview import Overview
from services.api.resources.pages import show, user_of
from services.api.services import Services
from shared.errors import InvalidInput, NotFound, VitrineError
from shared.metadata import history
from shared.metadata.models import Evidence, RenderRecord
from shared.queue import QUEUES
from shared.queue_watch import Letter
from shared.remedies import REMEDIES
from shared.samples import curves

NO_STORE = "no-store"
EVERY_S = 2.0
STREAM_S = 8.0  # the browser asks again at once: log-ins are checked anew, and a gateway that stops waits no longer
RETRY_MS = 300
STATES = {"updated": "Updated", "failed": "Error"}
MAX_HOURS = 24 * 90
MAX_WORD = 200
_TARGET = re.compile(r"(?:(?P<catalog>[a-z]+):)?(?:(?P<kind>chart|dashboard)/)?(?P<id>[A-Za-z0-9_-]{1,100})")


class OperationsPage:
    """GET /ops/: the page; it fetches the rest."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response) -> None:
        show(self._services, resp, "ops.html", user=await user_of(self._services, principal_of(req)))


class Operations:
    """GET /api/v1/ops: the overview, once; to who accepts text/event-stream, again and again."""

    quiet = True

    def __init__(self, services: Services) -> None:
        self._overview = Overview(services)

    async def on_get(self, req: Request, resp: Response) -> None:
        resp.set_header("Cache-Control", NO_STORE)
        seen = await self._overview.look()
        if "text/event-stream" not in req.accept:
            resp.media = seen
            return
        resp.set_header("X-Accel-Buffering", "no")  # nginx would keep the events to itself
        resp.sse = self._events(seen)

    async def _events(self, seen: dict[str, Any]) -> AsyncIterator[SSEvent]:
        loop = asyncio.get_running_loop()
        until = loop.time() + STREAM_S
        yield SSEvent(event="overview", json=seen, retry=RETRY_MS)
        while loop.time() < until:
            await asyncio.sleep(EVERY_S)
            try:
                yield SSEvent(event="overview", json=await self._overview.look())
            except VitrineError as error:
                yield SSEvent(event="problem", json={"code": error.code, "detail": error.message})


class Curves:
    """GET /api/v1/ops/curves?hours=6: what the samples say of the last hours."""

    quiet = True

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response) -> None:
        resp.media = await self._services.blocking(curves, self._services.sessions, read_hours(req, 6))
        resp.set_header("Cache-Control", NO_STORE)


class Renders:
    """GET /api/v1/ops/renders?state=&target=&user=&code=&correlation_id=&hours=: those that ended, newest first."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response) -> None:
        page, size = read_paging(req)
        wanted, sessions = _wanted(req), self._services.sessions
        look = self._services.blocking(history.find, sessions, wanted, offset=page * size, limit=size)
        count, records = await look
        resp.media = {"count": count, "result": [render_document(record) for record in records]}
        resp.set_header("Cache-Control", NO_STORE)


class OneRender:
    """GET /api/v1/ops/renders/{id}: with what a failed one left behind."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response, render_id: str) -> None:
        blocking, sessions = self._services.blocking, self._services.sessions
        record = await blocking(history.one, sessions, render_id)
        left = await blocking(history.evidence, sessions, render_id)
        resp.media = {"result": {**render_document(record), "evidence": _evidence(render_id, left)}}
        resp.set_header("Cache-Control", NO_STORE)


class RenderScreenshot:
    """GET /api/v1/ops/renders/{id}/screenshot: the failed page, as JPEG."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response, render_id: str) -> None:
        left = await self._services.blocking(history.evidence, self._services.sessions, render_id)
        if left is None or left.screenshot is None:
            raise NotFound("There is no screenshot of such a render.")
        resp.data = left.screenshot
        resp.content_type = "image/jpeg"
        resp.set_header("Cache-Control", "private, no-store")


class DeadLetters:
    """GET /api/v1/ops/queues/{queue}/dead_letters: the oldest, with their reasons."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response, queue: str) -> None:
        letters = await self._services.blocking(self._services.watch.letters, queue_named(queue))
        resp.media = {"result": [_letter(letter) for letter in letters]}
        resp.set_header("Cache-Control", NO_STORE)


def queue_named(name: str) -> str:
    """Raises NotFound for what is no queue of ours."""
    if name not in QUEUES:
        raise NotFound(f"There is no queue {name[:100]!r}.")
    return name


def render_document(record: RenderRecord) -> dict[str, Any]:
    queued = next((step["seconds"] for step in record.timeline if step["step"] == "queued"), 0.0)
    return {
        "id": record.id,
        "correlation_id": record.correlation_id,
        "catalog": record.catalog,
        "kind": record.target_kind,
        "target_id": record.target_id,
        "executor": record.executor,
        "origin": record.origin,
        "status": record.status,
        "code": record.code,
        "reason": record.reason,
        "remedy": REMEDIES.get(record.code, ""),
        "timeline": record.timeline,
        "failed_charts": record.failed_charts,
        "key": record.key,
        "started_at": stamp(record.started_at),
        "finished_at": stamp(record.finished_at),
        "queued_s": queued,
        "seconds": round(sum(step["seconds"] for step in record.timeline), 3),
        "can_retry": bool(record.sizes.get("thumbnail")),
    }


def _evidence(render_id: str, left: Evidence | None) -> dict[str, Any] | None:
    if left is None:
        return None
    url = f"/api/v1/ops/renders/{render_id}/screenshot" if left.screenshot else None
    return {"screenshot_url": url, "console": left.console}


def _letter(letter: Letter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "queue": letter.queue,
        "actor": letter.actor,
        "code": letter.code,
        "reason": letter.reason,
        "remedy": REMEDIES.get(letter.code, ""),
        "published_at": stamp(datetime.fromtimestamp(letter.at, UTC)) if letter.at else None,
        "payload": letter.payload,
        "replayable": letter.replayable,
    }


def _wanted(req: Request) -> history.Wanted:
    """Raises InvalidInput."""
    state = req.get_param("state") or ""
    if state and state not in STATES:
        raise InvalidInput(f"state must be one of {', '.join(STATES)}.", field="state")
    target = req.get_param("target") or ""
    match = _TARGET.fullmatch(target) if target else None
    if target and match is None:
        raise InvalidInput("target must be KIND/ID, such as dashboard/3, or an id.", field="target")
    words = read_words(req, ("user", "code", "correlation_id"))
    return history.Wanted(
        status=STATES.get(state, ""),
        catalog=(match["catalog"] or "") if match else "",
        target_kind=(match["kind"] or "") if match else "",
        target_id=match["id"] if match else "",
        executor=words["user"],
        code=words["code"],
        correlation_id=words["correlation_id"],
        hours=read_hours(req, 24),
    )


def read_words(req: Request, names: tuple[str, ...]) -> dict[str, str]:
    """Query parameters that are looked for as they are; "" for those that are absent. Raises InvalidInput."""
    words = {name: req.get_param(name) or "" for name in names}
    for name, word in words.items():
        if len(word) > MAX_WORD or "\0" in word:
            raise InvalidInput(f"{name} must be a text of at most {MAX_WORD} characters.", field=name)
    return words


def read_hours(req: Request, default: float) -> float:
    text = req.get_param("hours")
    try:
        hours = float(text) if text else default
    except ValueError:
        hours = -1.0
    if not 0 < hours <= MAX_HOURS:
        raise InvalidInput(f"hours must be a number above 0, at most {MAX_HOURS}.", field="hours")
    return hours
