"""Starting a warm-up: its row, and one message. Gateway, scheduler and command line all enter here."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import structlog

from shared.errors import VitrineError
from shared.messages.warm import WarmRequest
from shared.metadata.models import WarmupRun
from shared.queue import WarmPublisher
from shared.warmup.runs import PRIORITIES, From, Order, Runs

log = structlog.get_logger(__name__)


class WarmUps:
    def __init__(self, runs: Runs, publisher: WarmPublisher) -> None:
        self._runs = runs
        self._publisher = publisher

    async def start(self, order: Order) -> WarmupRun:
        """Raises BrokerUnavailable, and then there is no run; DatabaseUnavailable."""
        run = await asyncio.to_thread(self._runs.make, order)
        try:
            await self.publish(run)
        except VitrineError as error:
            await asyncio.to_thread(self._runs.fail, run.id, error.code, error.message)
            raise
        return run

    async def publish(self, run: WarmupRun) -> None:
        """Also of a run that was published before: its message has the same id, and what is done is not done again."""
        priority = PRIORITIES[From(run.origin)]
        await self._publisher.publish_warm(WarmRequest(run.id, 0, datetime.now(UTC), run.correlation_id, priority))
        await asyncio.to_thread(self._runs.published, run.id)
        log.info("warm_up_published", run_id=run.id, strategy=run.strategy, origin=run.origin)
