"""The operations page and what it reads. For admins; to others none of it exists."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

from falcon.asgi import Request, Response, SSEvent

from services.api.authentication import principal_of
from services.api.documents import stamp
from services.api.inputs import read_paging
from services.api.overview import Overview
from services.api.resources.pages import show, user_of
from services.api.services import Services
from shared.errors import InvalidInput, NotFound, VitrineError
from shared.metadata import history, waiting
from shared.metadata.models import Evidence, OpenRender, RenderRecord
from shared.metadata.waiting import COMPUTING, PENDING, Open
from shared.queue import QUEUES
from shared.queue_watch import Letter
from shared.remedies import REMEDIES
from shared.samples import curves

NO_STORE = "no-store"
EVERY_S = 2.0
STREAM_S = 8.0  # the browser asks again at once: log-ins are checked anew, and a gateway that stops waits no longer
RETRY_MS = 300
STATES = {"waiting": PENDING, "rendering": COMPUTING, "updated": "Updated", "failed": "Error"}
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
    """GET /api/v1/ops/renders?state=&target=&user=&code=&correlation_id=&hours=: those that have not ended before
    those that have, each newest first.
    """

    quiet = True  # the page asks again and again while renders wait

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response) -> None:
        page, size = read_paging(req)
        wanted, sessions = _wanted(req), self._services.sessions
        look = self._services.blocking(history.find, sessions, wanted, offset=page * size, limit=size)
        count, found = await look
        documents = [open_document(one) if isinstance(one, Open) else render_document(one) for one in found]
        resp.media = {"count": count, "result": documents}
        resp.set_header("Cache-Control", NO_STORE)


class OneRender:
    """GET /api/v1/ops/renders/{id}: with what a failed one left behind."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response, render_id: str) -> None:
        blocking, sessions = self._services.blocking, self._services.sessions
        resp.set_header("Cache-Control", NO_STORE)
        still = await blocking(waiting.one, sessions, render_id)
        if still is not None:
            resp.media = {"result": {**open_document(still), "evidence": None}}
            return
        record = await blocking(history.one, sessions, render_id)
        left = await blocking(history.evidence, sessions, render_id)
        resp.media = {"result": {**render_document(record), "evidence": _evidence(render_id, left)}}


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
        **_asked_document(record),
        "status": record.status,
        "code": record.code,
        "reason": record.reason,
        "remedy": REMEDIES.get(record.code, ""),
        "timeline": record.timeline,
        "failed_charts": record.failed_charts,
        "asked_at": stamp(record.started_at - timedelta(seconds=queued)),
        "started_at": stamp(record.started_at),
        "finished_at": stamp(record.finished_at),
        "queued_s": queued,
        "seconds": round(sum(step["seconds"] for step in record.timeline), 3),
        "can_retry": bool(record.sizes.get("thumbnail")),
    }


def open_document(still: Open) -> dict[str, Any]:
    """Of the same shape, with a deadline; how long it waited is known of one that waits only."""
    waited = None if still.in_hand else round(still.age_s, 3)
    return {
        **_asked_document(still.row),
        "status": still.status,
        "code": "",
        "reason": "",
        "remedy": "",
        "timeline": [] if waited is None else [{"step": "queued", "seconds": waited}],
        "failed_charts": [],
        "asked_at": stamp(still.row.asked_at),
        "deadline": stamp(still.row.deadline),
        "started_at": None,
        "finished_at": None,
        "queued_s": waited,
        "seconds": round(still.age_s, 3),
        "can_retry": False,
    }


def _asked_document(row: RenderRecord | OpenRender) -> dict[str, Any]:
    return {
        "id": row.id,
        "correlation_id": row.correlation_id,
        "catalog": row.catalog,
        "kind": row.target_kind,
        "target_id": row.target_id,
        "executor": row.executor,
        "origin": row.origin,
        "key": row.key,
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
