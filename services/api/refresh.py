"""Renews stale pictures behind the answer that served them: a failure is logged and counted, never shown."""

from __future__ import annotations

import asyncio

import structlog

from services.api.cache import ExpiringCache
from shared import metrics
from shared.errors import VitrineError
from shared.messages.render import Origin
from shared.requests import Plan, Requests

log = structlog.get_logger(__name__)


class Refresher:
    """One attempt per key in `pause_s` seconds in this process: hundreds of viewers of a stale picture ask once."""

    def __init__(self, requests: Requests, pause_s: float) -> None:
        self._requests = requests
        self._asked: ExpiringCache[str, bool] = ExpiringCache(pause_s)
        self._running: set[asyncio.Task[None]] = set()

    def start(self, plan: Plan, correlation_id: str) -> None:
        """Returns at once."""
        if self._asked.get(plan.key):
            return
        self._asked.put(plan.key, True)
        running = asyncio.create_task(self._renew(plan, correlation_id))
        self._running.add(running)
        running.add_done_callback(self._running.discard)

    async def _renew(self, plan: Plan, correlation_id: str) -> None:
        try:
            await self._requests.ensure(plan, origin=Origin.VIEWER, correlation_id=correlation_id)
        except VitrineError as error:
            metrics.PICTURE_READS.labels("error").inc()
            log.warning("refresh_failed", key=plan.key, code=error.code, reason=error.message)
        except Exception:  # nobody awaits this: without a line here the fault would be lost
            metrics.PICTURE_READS.labels("error").inc()
            log.exception("refresh_failed", key=plan.key, code="internal")

    async def close(self) -> None:
        """Lets what runs end, shortly."""
        if self._running:
            await asyncio.wait(self._running, timeout=2)
