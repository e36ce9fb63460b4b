"""Alive, ready, and measured."""

from __future__ import annotations

from falcon.asgi import Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector

from services.api.checks import Check
from services.api.services import Services
from shared.remedies import REMEDIES


class Healthz:
    """GET /healthz: the process answers. Looks at nothing else: a restart would not mend a dependency."""

    quiet = True

    async def on_get(self, req: Request, resp: Response) -> None:
        resp.media = {"status": "alive"}
        resp.set_header("Cache-Control", "no-store")


class Readyz:
    """GET /readyz: each dependency, and what to do when it is down; 503 then.

    Anybody may ask: where the dependencies are, and what they said, stands in the log.
    """

    quiet = True

    def __init__(self, services: Services) -> None:
        self._dependencies = services.dependencies

    async def on_get(self, req: Request, resp: Response) -> None:
        checks = await self._dependencies.look()
        ready = all(check.ok for check in checks.values())
        resp.status = 200 if ready else 503
        resp.media = {
            "status": "ready" if ready else "not ready",
            "checks": {name: _public(check) for name, check in checks.items()},
        }
        resp.set_header("Cache-Control", "no-store")


def _public(check: Check) -> dict[str, object]:
    if check.ok:
        return {"ok": True, "reason": "answers"}
    return {"ok": False, "reason": check.code, "mend": REMEDIES.get(check.code, "See the gateway's log.")}


class Metrics:
    """GET /metrics for Prometheus: of all worker processes together, under gunicorn."""

    quiet = True

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response) -> None:
        resp.data = await self._services.blocking(_exposition)
        resp.content_type = CONTENT_TYPE_LATEST


def _exposition() -> bytes:
    if values.ValueClass is values.MutexValue:  # one process, whatever its environment says by now
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
