"""The pages that people and the renderer open."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from falcon import HTTPFound
from falcon.asgi import Request, Response

from services.api import people
from services.api.authentication import identity_of, principal_of
from services.api.inputs import target_of
from services.api.services import Services
from shared.catalog.access import NAME as NATIVE
from shared.identity import Audience, Principal
from shared.targets import TargetKind, canonical_json


class Gallery:
    """GET /: cards of everything the principal may see; the page fetches them."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response) -> None:
        user = await user_of(self._services, principal_of(req))
        show(self._services, resp, "gallery.html", user=user)


class SqlPage:
    """GET /sql/: the SQL editor; the page fetches the databases that the principal may query."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response) -> None:
        user = await user_of(self._services, principal_of(req))
        show(self._services, resp, "sql.html", user=user)


class TargetPage:
    """GET /dashboard/{id}/ and /chart/{id}/; `?standalone=1`: without header, `&show_filters=1`: with filters."""

    def __init__(self, services: Services, kind: TargetKind) -> None:
        self._services = services
        self._kind = kind

    async def on_get(self, req: Request, resp: Response, target_id: str) -> None:
        identity, target = identity_of(req), target_of(self._kind, target_id)
        catalog = self._services.catalog
        look = catalog.dashboard_page if self._kind is TargetKind.DASHBOARD else catalog.chart_page
        page = await self._services.blocking(look, identity.principal, target.id)
        standalone = req.get_param("standalone") not in (None, "", "0", "false")
        show(
            self._services,
            resp,
            f"{self._kind}.html",
            page=page,
            standalone=standalone,
            show_filters=req.get_param("show_filters") in ("1", "true"),
            user=None if standalone else await user_of(self._services, identity.principal),
        )
        if identity.audience is Audience.API:  # renders are no views: they would feed the ranking that makes them
            self._services.note_view(identity.principal, target, source="page")


class Permalink:
    """GET /dashboard/p/{key}/ → 302 to the dashboard with the saved state in the fragment."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response, key: str) -> None:
        saved = await self._services.blocking(self._services.catalog.permalink, key)
        target = target_of(TargetKind.DASHBOARD, saved.dashboard_id)
        await self._services.access.see(principal_of(req), target)  # NotFound, as for an unknown key
        raise HTTPFound(f"/dashboard/{target.id}/#state={quote(canonical_json(saved.state.as_json()), safe='')}")


async def user_of(services: Services, principal: Principal) -> dict[str, Any]:
    """Who looks, as the pages' header shows them."""
    known = principal.within(NATIVE)  # a namesake of another catalog is somebody else
    names = await services.blocking(people.full_names, services.sessions, [known.username])
    name = names.get(known.username) or principal.username
    return {"username": principal.username, "name": name, "is_admin": known.is_admin}


def show(services: Services, resp: Response, template: str, **variables: Any) -> None:
    """A page of this person alone."""
    resp.content_type = "text/html; charset=utf-8"
    resp.text = services.pages.templates.render(template, **variables)
    resp.set_headers({"Cache-Control": "private, no-store", "Vary": "Authorization, Cookie"})
