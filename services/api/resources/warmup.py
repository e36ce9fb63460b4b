"""Warm-up over HTTP: strategies, runs and their reports, paused databases, charts that are left alone for a while."""

from __future__ import annotations

import inspect
from typing import Any

from falcon.asgi import Request, Response
from pydantic import Field

from services.api.authentication import principal_of
from services.api.documents import stamp
from services.api.inputs import read_object, read_paging, read_string
from services.api.services import Services
from services.api.view_states import refuse_unknown
from shared.catalog.port import Catalog
from shared.errors import InvalidInput, NotFound
from shared.metadata.models import Backoff
from shared.warmup import report
from shared.warmup.inputs import Form, fill
from shared.warmup.kindness import Subject
from shared.warmup.runs import WARMS, From, Order
from shared.warmup.strategies import NATIVE, PUBLIC, make

NO_STORE = "no-store"


class RunForm(Form):
    """The body that asks for a run."""

    strategy: str = Field(max_length=50)
    parameters: dict[str, Any] = Field(default_factory=dict)
    warms: list[str] = Field(default_factory=lambda: ["data"])
    force: bool = False
    budget_s: int | None = Field(None, ge=1, le=86_400)


def read_warms(words: list[str]) -> tuple[str, ...]:
    """Raises InvalidInput for what cannot be warmed."""
    wrong = [word for word in words if word not in WARMS]
    if wrong or not words:
        raise InvalidInput(f"warms must be some of {', '.join(WARMS)}.", field="warms")
    return tuple(word for word in WARMS if word in words)


class Strategies:
    """GET /api/v1/warmup/strategies: each with what it does and the JSON schema of its parameters."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response) -> None:
        resp.media = {
            "result": [
                {
                    "name": name,
                    "does": inspect.getdoc(cls),
                    "parameters": cls.form.model_json_schema().get("properties", {}),
                }
                for name, cls in PUBLIC.items()
            ]
        }


class WarmupRuns:
    """/api/v1/warmup/runs: GET lists summaries, newest first; POST asks for a run → 202."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response) -> None:
        page, size = read_paging(req)
        services = self._services
        count, runs = await services.blocking(report.recent, services.sessions, offset=page * size, limit=size)
        resp.media = {"count": count, "result": runs}
        resp.set_header("Cache-Control", NO_STORE)

    async def on_post(self, req: Request, resp: Response) -> None:
        services, form = self._services, fill(RunForm, await read_object(req))
        strategy = make(form.strategy, form.parameters)
        await services.blocking(services.warming.check, strategy)
        order = Order(
            strategy=strategy,
            warms=read_warms(form.warms),
            origin=From.OPERATOR,
            correlation_id=req.context.correlation_id,
            budget_s=form.budget_s or services.settings.warm_budget_s,
            username=principal_of(req).username,
            force=form.force,
        )
        run = await services.warming.warm_ups.start(order)
        resp.status = 202
        resp.media = {"id": run.id, "url": f"/api/v1/warmup/runs/{run.id}"}
        resp.set_header("Cache-Control", NO_STORE)


class WarmupRun:
    """GET /api/v1/warmup/runs/{id} (or `latest`): its report, failures first; `?outcome=failed` for those alone."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response, run_id: str) -> None:
        only = req.get_param("outcome") or ""
        if only and only not in report.WORDS:
            raise InvalidInput(f"outcome must be one of {', '.join(report.WORDS)}.", field="outcome")
        found = await self._services.blocking(report.report, self._services.sessions, run_id, only=only)
        resp.media = {"result": found}
        resp.set_header("Cache-Control", NO_STORE)


class Pauses:
    """GET /api/v1/warmup/pauses: the databases from which nothing is warmed."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response) -> None:
        pauses = await self._services.blocking(self._services.warming.kindness.pauses)
        resp.media = {
            "result": [
                {
                    "catalog": one.catalog,
                    "database": one.database,
                    "paused_by": one.username,
                    "reason": one.reason,
                    "paused_at": stamp(one.paused_at),
                }
                for one in pauses
            ]
        }
        resp.set_header("Cache-Control", NO_STORE)


class DatabasePause:
    """/api/v1/warmup/pauses/{database}?catalog=native: PUT `{reason?}` pauses, DELETE resumes."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_put(self, req: Request, resp: Response, database: str) -> None:
        body = await read_object(req)
        refuse_unknown(body, ("reason",))
        reason = read_string(body, "reason")
        name, catalog = principal_of(req).username, self._catalog(req)
        pause = self._services.warming.kindness.pause
        await self._services.blocking(pause, catalog, database, username=name, reason=reason)
        resp.media = {"catalog": catalog.name, "database": database, "paused": True}

    async def on_delete(self, req: Request, resp: Response, database: str) -> None:
        catalog = self._catalog(req).name
        if not await self._services.blocking(self._services.warming.kindness.resume, database, catalog=catalog):
            raise NotFound(f"The database {database[:100]!r} of the catalog {catalog} is not paused.")
        resp.media = {"catalog": catalog, "database": database, "paused": False}

    def _catalog(self, req: Request) -> Catalog:
        return self._services.warming.catalog(req.get_param("catalog") or NATIVE)


class Backoffs:
    """GET /api/v1/warmup/backoffs: what failed and is left alone, until when, and why."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response) -> None:
        rows = await self._services.blocking(self._services.warming.kindness.backoffs)
        resp.media = {"result": [_told(row) for row in rows]}
        resp.set_header("Cache-Control", NO_STORE)


def _told(row: Backoff) -> dict[str, Any]:
    about = Subject.told(row)
    return {
        "catalog": about.catalog,
        "kind": about.kind,
        "target_id": about.target_id,
        "what": about.what,
        "executor": about.executor,
        "dashboard_id": about.dashboard_id or None,
        "filter_id": about.filter_id or None,
        "failures": row.failures,
        "retry_at": stamp(row.retry_at),
        "code": row.code,
        "reason": row.reason,
    }
