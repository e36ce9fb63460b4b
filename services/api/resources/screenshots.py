"""Screenshots of dashboards and charts in full size: asking for one, and fetching it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from falcon.asgi import Request, Response

from services.api import documents
from services.api.access import Seen
from services.api.authentication import principal_of
from services.api.inputs import read_flag, read_object, read_rison, read_size, read_string
from services.api.resources.thumbnails import CACHE_CONTROL, VARY, is_held
from services.api.services import Services
from services.api.view_states import FIELDS, refuse_unknown, view_state
from shared.errors import InvalidInput, NotFound
from shared.identity import Principal
from shared.messages.render import Origin
from shared.requests import Plan
from shared.store.pictures import State
from shared.targets import Format, Target, TargetKind, ViewState

DOWNLOADS = (Format.PNG, Format.PDF)


class CacheChartScreenshot:
    """GET /api/v1/chart/{id}/cache_screenshot/?q=<rison>: asks for it (a GET in Superset too)."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response, target_id: str) -> None:
        principal, query = principal_of(req), read_rison(req)
        seen = await self._services.access.see(principal, self._services.target(TargetKind.CHART, target_id))
        await _ask(self._services, req, resp, principal, seen, query, ViewState())


class CacheDashboardScreenshot:
    """POST /api/v1/dashboard/{id}/cache_dashboard_screenshot/?q=<rison>, with a view state as its body."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_post(self, req: Request, resp: Response, target_id: str) -> None:
        principal, query, body = principal_of(req), read_rison(req), await read_object(req)
        target = self._services.target(TargetKind.DASHBOARD, target_id)
        seen = await self._services.access.see(principal, target)
        refuse_unknown(body, (*FIELDS, "permalinkKey"))
        if key := read_string(body, "permalinkKey"):  # it overrides the state beside it, as in Superset
            body = await self._services.blocking(self._saved, principal, target, key)
        controls = await self._services.blocking(
            self._services.requests.catalog(target.catalog).controls, principal, target
        )
        await _ask(self._services, req, resp, principal, seen, query, view_state(body, controls))

    def _saved(self, principal: Principal, target: Target, key: str) -> dict[str, Any]:
        """Raises InvalidInput for an unknown permalink and for another dashboard's alike."""
        try:
            return dict(self._services.requests.catalog(target.catalog).saved_state(principal, target, key))
        except NotFound as error:
            raise InvalidInput("This dashboard has no such permalink.", field="permalinkKey") from error


class Screenshot:
    """GET /api/v1/{kind}/{id}/screenshot/{cache_key}/?download_format=png|pdf: an attachment; 404 until it is ready."""

    def __init__(self, services: Services, kind: TargetKind) -> None:
        self._services = services
        self._kind = kind

    async def on_get(self, req: Request, resp: Response, target_id: str, cache_key: str) -> None:
        principal, wanted = principal_of(req), _format(req)
        seen = await self._services.access.see(principal, self._services.target(self._kind, target_id))
        key = self._services.cache_keys.open(cache_key, principal.username, seen.thumbnail.key)
        resp.set_headers({"Cache-Control": CACHE_CONTROL, "Vary": VARY})
        pictures = self._services.pictures
        state, head = await pictures.state(key), await pictures.head(key)
        # Whoever forced a new one waits for it: the old one is not what they asked for.
        newer = state is not None and (head is None or state.generation > head.generation)
        picture = None
        if not (newer and state is not None and state.is_live(datetime.now(UTC))):
            name = key if wanted is Format.PNG else f"{key}.{wanted.value}"
            head = head if wanted is Format.PNG else await pictures.head(name)
            if head is not None and is_held(req, head):
                resp.status, resp.etag = 304, head.etag
                return
            picture = await pictures.read(name)
        if picture is None:
            resp.set_header("Retry-After", str(self._services.settings.retry_after_s))
            raise NotFound(_why(state))
        extension = "webp" if picture.head.content_type == Format.WEBP.content_type else wanted.value
        resp.data = picture.body
        resp.content_type = picture.head.content_type
        resp.etag = picture.head.etag
        resp.downloadable_as = documents.file_name(seen.info.title, seen.info.target, extension)
        resp.set_header("X-Vitrine-Rendered-At", documents.stamp(picture.head.rendered_at) or "")


async def _ask(
    services: Services,
    req: Request,
    resp: Response,
    principal: Principal,
    seen: Seen,
    query: dict[str, Any],
    state: ViewState,
) -> None:
    """202 when a render was started, 200 when there is a fresh picture or somebody else already asked."""
    refuse_unknown(query, ("force", "window_size", "thumb_size"))
    force = read_flag(query, "force")
    plan = await services.blocking(
        services.requests.screenshot,
        seen.info.target,
        principal,
        info=seen.info,
        view_state=state,
        window=read_size(query, "window_size"),
        thumbnail=read_size(query, "thumb_size"),
    )
    if not force and await _has_fresh(services, plan):
        _answer(services, resp, seen, principal, plan, None)
        return
    claim = await services.requests.ensure(
        plan, origin=Origin.VIEWER, correlation_id=req.context.correlation_id, force=force
    )
    resp.status = 202 if claim.won else 200
    wait_s = documents.retry_after_s(claim.state, services.settings.retry_after_s, datetime.now(UTC))
    resp.set_header("Retry-After", str(wait_s))
    _answer(services, resp, seen, principal, plan, claim.state)


async def _has_fresh(services: Services, plan: Plan) -> bool:
    """Looks at the pictures themselves: a large one is evicted long before its small head."""
    for picture_format in plan.formats:
        name = plan.key if picture_format is plan.formats[0] else f"{plan.key}.{picture_format.value}"
        picture = await services.pictures.read(name)
        if picture is None or not picture.head.is_fresh(plan.digest, datetime.now(UTC)):
            return False
    return True


def _answer(
    services: Services, resp: Response, seen: Seen, principal: Principal, plan: Plan, state: State | None
) -> None:
    cache_key = services.cache_keys.issue(plan.key, principal.username, seen.thumbnail.key)
    image_url = documents.screenshot_url(seen.info.target, services.settings.default_catalog, cache_key)
    place = documents.Place(cache_key, seen.info.url, image_url)
    timeout_s = services.settings.render_deadline_s
    resp.media = documents.status_document(seen.info.target, place, state, timeout_s=timeout_s)
    resp.set_header("Cache-Control", "no-store")


def _format(req: Request) -> Format:
    name = req.get_param("download_format") or Format.PNG.value
    if name not in DOWNLOADS:
        raise InvalidInput("download_format must be png or pdf.", field="download_format")
    return Format(name)


def _why(state: State | None) -> str:
    if state is not None and state.reason:
        return f"The picture could not be made: {state.reason}"
    return "The picture is not ready yet."
