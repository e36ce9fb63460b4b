"""Lists and single targets, as Superset's clients read them."""

from __future__ import annotations

from falcon.asgi import Request, Response

from services.api import documents, people
from services.api.authentication import principal_of
from services.api.inputs import read_paging
from services.api.services import Services
from shared.targets import TargetKind


class Targets:
    """GET /api/v1/{kind}/: `{count, ids, result}`, newest change first; only what the principal may see."""

    def __init__(self, services: Services, kind: TargetKind) -> None:
        self._services = services
        self._kind = kind

    async def on_get(self, req: Request, resp: Response) -> None:
        page, size = read_paging(req)
        count, seen = await self._services.access.list(principal_of(req), self._kind, offset=page * size, limit=size)
        owners = sorted({owner for one in seen for owner in one.info.ownership.owners})
        names = await self._services.blocking(people.full_names, self._services.sessions, owners)
        result = [documents.item(one, names, self._services.settings.default_catalog) for one in seen]
        resp.media = {"count": count, "ids": [entry["id"] for entry in result], "result": result}
        resp.set_header("Cache-Control", "no-store")


class OneTarget:
    """GET /api/v1/{kind}/{id}: `{id, result}`."""

    def __init__(self, services: Services, kind: TargetKind) -> None:
        self._services = services
        self._kind = kind

    async def on_get(self, req: Request, resp: Response, target_id: str) -> None:
        seen = await self._services.access.see(principal_of(req), self._services.target(self._kind, target_id))
        owners = list(seen.info.ownership.owners)
        names = await self._services.blocking(people.full_names, self._services.sessions, owners)
        result = documents.item(seen, names, self._services.settings.default_catalog)
        resp.media = {"id": result["id"], "result": result}
        resp.set_header("Cache-Control", "no-store")
