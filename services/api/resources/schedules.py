"""Schedules of warm-up over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import Any

from falcon.asgi import Request, Response

from services.api.authentication import principal_of
from services.api.documents import stamp
from services.api.inputs import read_object
from services.api.services import Services
from shared.errors import InvalidInput
from shared.warmup.due import due_times
from shared.warmup.inputs import fill
from shared.warmup.schedules import ScheduleForm, Told
from shared.warmup.strategies import make

NEXT = 3  # due times that are told


class Schedules:
    """/api/v1/schedules: GET lists them with their last and next fires; POST makes one → 201."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response) -> None:
        told = await self._services.blocking(self._services.warming.schedules.tell)
        resp.media = {"count": len(told), "result": [document(one) for one in told]}
        resp.set_header("Cache-Control", "no-store")

    async def on_post(self, req: Request, resp: Response) -> None:
        form: ScheduleForm = fill(ScheduleForm, await read_object(req))
        await _put(self._services, req, resp, form, new=True)
        resp.status = 201


class OneSchedule:
    """/api/v1/schedules/{name}: GET, PUT (the whole of it), DELETE."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response, name: str) -> None:
        (told,) = await self._services.blocking(self._services.warming.schedules.tell, name)
        resp.media = {"result": document(told)}
        resp.set_header("Cache-Control", "no-store")

    async def on_put(self, req: Request, resp: Response, name: str) -> None:
        body = await read_object(req)
        if body.setdefault("name", name) != name:
            raise InvalidInput("name must be the one of the path; a schedule is not renamed.", field="name")
        await _put(self._services, req, resp, fill(ScheduleForm, body), new=None)

    async def on_delete(self, req: Request, resp: Response, name: str) -> None:
        await self._services.blocking(self._services.warming.schedules.delete, name)
        resp.status = 204


async def _put(services: Services, req: Request, resp: Response, form: ScheduleForm, *, new: bool | None) -> None:
    username = principal_of(req).username
    await services.blocking(services.warming.check, make(form.strategy, form.parameters))
    await services.blocking(services.warming.schedules.put, form, username=username, new=new)
    (told,) = await services.blocking(services.warming.schedules.tell, form.name)
    resp.media = {"result": document(told)}
    resp.set_header("Cache-Control", "no-store")


def document(told: Told) -> dict[str, Any]:
    row, fire, run = told.schedule, told.fire, told.run
    now = datetime.now(UTC)
    return {
        "name": row.name,
        "strategy": row.strategy,
        "parameters": row.parameters,
        "warms": row.warms,
        "cron": row.cron,
        "interval": f"{row.interval_s}s" if row.interval_s else None,
        "timezone": row.timezone,
        "misfire_grace": f"{row.misfire_grace_s}s",
        "coalesce": row.coalesce,
        "overlap": row.overlap,
        "jitter": f"{row.jitter_s}s",
        "budget_s": row.budget_s,
        "enabled": row.enabled,
        "paused": row.paused,
        "source": row.source,
        "changed_by": row.username,
        "changed_on": stamp(row.changed_on),
        "next_fires": [stamp(at) for at in islice(due_times(row, now), NEXT)] if row.enabled and not row.paused else [],
        "last_fire": {
            "due_at": stamp(fire.due_at),
            "outcome": fire.outcome,
            "published_at": stamp(fire.published_at),
            "run_id": fire.run_id,
            "run_status": run.status if run else None,
        }
        if fire
        else None,
    }
