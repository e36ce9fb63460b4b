"""Thumbnails: the serving hit path, and asking for what is missing or stale."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from falcon import HTTPFound
from falcon.asgi import Request, Response
from prometheus_client import Counter

from services.api import documents
from services.api.access import Seen
from services.api.authentication import principal_of
from services.api.inputs import read_flag, read_object
from services.api.repeats import SCOPE_KEY, Repeatable
from services.api.services import Services
from services.api.view_states import refuse_unknown
from shared import metrics
from shared.errors import VitrineError
from shared.identity import Principal
from shared.messages.render import Origin
from shared.requests import Plan
from shared.store.pictures import Head, State, Status
from shared.targets import TargetKind

CACHE_CONTROL = "private, no-cache"  # it depends on the user, and is asked for again each time: a 304 is cheap
VARY = "Authorization, Cookie"


class Thumbnail:
    """GET /{kind}/{id}/thumbnail/{digest}/: 200, 302 to the current digest, 304, or 202 with a status document."""

    quiet = True

    def __init__(self, services: Services, kind: TargetKind) -> None:
        self._services = services
        self._kind = kind

    async def on_get(self, req: Request, resp: Response, target_id: str, digest: str) -> None:
        principal = principal_of(req)
        seen = await self._services.access.see(principal, self._services.target(self._kind, target_id))
        plan = seen.thumbnail
        if digest != documents.thumbnail_digest(plan):
            resp.set_headers({"Cache-Control": CACHE_CONTROL, "Vary": VARY})
            raise HTTPFound(documents.thumbnail_url(plan, self._services.settings.default_catalog))
        try:
            if not await self._serve(req, resp, plan):
                metrics.PICTURE_READS.labels("miss").inc()
                claim = await self._services.requests.ensure(
                    plan, origin=Origin.VIEWER, correlation_id=req.context.correlation_id
                )
                answer_status(self._services, resp, seen, principal, claim.state)
        except VitrineError:
            metrics.PICTURE_READS.labels("error").inc()
            raise

    async def _serve(self, req: Request, resp: Response, plan: Plan) -> bool:
        """False when there is no picture. A conditional request that matches reads the small head only."""
        pictures = self._services.pictures
        if req.if_none_match:
            head = await pictures.head(plan.key)
            if head is not None and is_held(req, head):
                resp.status = 304
                self._mark(req, resp, plan, head, "not_modified")
                return True
        picture = await pictures.read(plan.key)
        if picture is None:
            return False
        resp.data = picture.body
        resp.content_type = picture.head.content_type
        self._mark(req, resp, plan, picture.head, "hit")
        return True

    def _mark(self, req: Request, resp: Response, plan: Plan, head: Head, outcome: str) -> None:
        """Headers of a picture; a stale one is renewed behind this answer."""
        fresh = head.is_fresh(plan.digest, datetime.now(UTC))
        resp.etag = head.etag
        resp.set_headers(
            {
                "Cache-Control": CACHE_CONTROL,
                "Vary": VARY,
                "X-Vitrine-Rendered-At": documents.stamp(head.rendered_at) or "",
                "X-Cache": "HIT" if fresh else "STALE",
                "X-Vitrine-Stale": "0" if fresh else "1",  # said always: a 304 must take back an older "1"
            }
        )
        self._services.warming.usage.note(plan.key, head.rendered_at)
        if not fresh:
            resp.set_header("Retry-After", str(self._services.settings.retry_after_s))
            self._services.refresher.start(plan, req.context.correlation_id)
            outcome = "stale" if outcome == "hit" else outcome
        elif SCOPE_KEY in req.scope:
            self._allow_repeats(req, plan, head, metrics.PICTURE_READS.labels(outcome))
        metrics.PICTURE_READS.labels(outcome).inc()

    def _allow_repeats(self, req: Request, plan: Plan, head: Head, reads: Counter) -> None:
        """For as long as it would be answered from what is remembered of identity and access, and the picture is
        fresh."""
        left_s = min(
            req.context.identity_left_s,
            self._services.access.left_s(principal_of(req), plan.target),
            (head.fresh_until - datetime.now(UTC)).total_seconds(),
        )
        until = time.monotonic() + left_s
        req.scope[SCOPE_KEY] = Repeatable(req.uri_template or "none", plan.key, head, reads, until)


class ThumbnailStatus:
    """/{kind}/{id}/thumbnail/: GET tells the status and starts nothing; POST `{"force": true|false}` asks for one."""

    def __init__(self, services: Services, kind: TargetKind) -> None:
        self._services = services
        self._kind = kind

    async def on_get(self, req: Request, resp: Response, target_id: str) -> None:
        principal = principal_of(req)
        seen = await self._services.access.see(principal, self._services.target(self._kind, target_id))
        head = await self._services.pictures.head(seen.thumbnail.key)
        state = await self._services.pictures.state(seen.thumbnail.key)
        answer_picture(self._services, resp, seen, principal, head, state)

    async def on_post(self, req: Request, resp: Response, target_id: str) -> None:
        principal = principal_of(req)
        target = self._services.target(self._kind, target_id)
        body = await read_object(req)
        refuse_unknown(body, ("force",))
        force = read_flag(body, "force")
        seen = await self._services.access.see(principal, target)
        plan = seen.thumbnail
        if not force:
            head = await self._services.pictures.head(plan.key)
            if head is not None and head.is_fresh(plan.digest, datetime.now(UTC)):
                answer_picture(self._services, resp, seen, principal, head, None)
                return
        claim = await self._services.requests.ensure(
            plan, origin=Origin.VIEWER, correlation_id=req.context.correlation_id, force=force
        )
        answer_status(self._services, resp, seen, principal, claim.state)


def is_held(req: Request, head: Head) -> bool:
    """Whether the client says that it has this very picture."""
    held = req.if_none_match or []
    return "*" in held or head.etag in held


def place_of(services: Services, seen: Seen, principal: Principal) -> documents.Place:
    plan = seen.thumbnail
    cache_key = services.cache_keys.issue(plan.key, principal.username, plan.key)
    image_url = documents.thumbnail_url(plan, services.settings.default_catalog)
    return documents.Place(cache_key, seen.info.url, image_url)


def answer_status(services: Services, resp: Response, seen: Seen, principal: Principal, state: State) -> None:
    """202: it is being made, or failed a moment ago and may be tried again after Retry-After."""
    settings = services.settings
    resp.status = 202
    resp.media = documents.status_document(
        seen.info.target, place_of(services, seen, principal), state, timeout_s=settings.render_deadline_s
    )
    wait_s = documents.retry_after_s(state, settings.retry_after_s, datetime.now(UTC))
    resp.set_headers({"Retry-After": str(wait_s), "Cache-Control": "no-store"})


def answer_picture(
    services: Services, resp: Response, seen: Seen, principal: Principal, head: Head | None, state: State | None
) -> None:
    """200: what there is, with the age of the picture; `task_status` is null when nobody ever asked."""
    document = documents.status_document(
        seen.info.target, place_of(services, seen, principal), state, timeout_s=services.settings.render_deadline_s
    )
    if state is None:
        document["task_updated_at"] = documents.stamp(head.rendered_at) if head else None
        document["task_status"] = Status.UPDATED.value if head else None
    document["rendered_at"] = documents.stamp(head.rendered_at) if head else None
    document["stale"] = head is not None and not head.is_fresh(seen.thumbnail.digest, datetime.now(UTC))
    resp.media = document
    resp.set_header("Cache-Control", "no-store")
