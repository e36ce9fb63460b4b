"""What the gateway needs of others, looked at again and again: nobody asks /readyz where probes ask /healthz."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog
from sqlalchemy import Engine, text

from services.api.blocking import Blocking
from services.api.cache import ExpiringCache
from services.api.checks import Check, check_broker, checked
from shared import metrics
from shared.settings import Settings
from shared.store.port import KeyValue

log = structlog.get_logger(__name__)
LOOK_S = 15.0  # as often as Prometheus asks
KEPT_S = 1.0  # so that probes of several balancers cost one look


class Dependencies:
    """For one event loop. Each look goes into /metrics; what changes since the last one, into the log."""

    def __init__(self, checks: Mapping[str, Callable[[], Awaitable[str]]], *, every_s: float = LOOK_S) -> None:
        self._checks = checks
        self._every_s = every_s
        self._seen: ExpiringCache[str, Mapping[str, Check]] = ExpiringCache(KEPT_S)
        self._down: dict[str, str] = {}
        self._task: asyncio.Task[None] | None = None

    async def look(self) -> Mapping[str, Check]:
        """Every dependency with its reason; what somebody else asked for within the last second counts too."""
        return await self._seen.load("all", self._look)

    async def start(self) -> Mapping[str, Check]:
        """The first look; others follow."""
        checks = await self._look()
        self._task = asyncio.create_task(self._keep_looking())
        return checks

    async def close(self) -> None:
        """Safe without a start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            await self._look()

    async def _look(self) -> Mapping[str, Check]:
        found = await asyncio.gather(*(checked(check) for check in self._checks.values()))
        checks = dict(zip(self._checks, found, strict=True))
        for name, check in checks.items():
            metrics.DEPENDENCY_UP.labels(name).set(check.ok)
        down = {name: check.reason for name, check in checks.items() if not check.ok}
        if down.keys() != self._down.keys():
            (log.warning if down else log.info)("readiness_changed", ready=not down, **down)
        self._down = down
        return checks


def open_dependencies(settings: Settings, store: KeyValue, engine: Engine, blocking: Blocking) -> Dependencies:
    """Those of the gateway."""

    def database() -> str:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1 FROM users WHERE 1 = 0"))
        return f"{engine.dialect.name}: answers"

    return Dependencies(
        {
            "store": lambda: store.check(),
            "database": lambda: blocking(database),
            "broker": lambda: check_broker(settings),
        }
    )
