"""Many renders at once, through the broker, as the gateway asks for them: publish, then wait until all are stored."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from bench.stage import Stage
from shared.catalog.port import TargetInfo
from shared.messages.render import Origin
from shared.queue import BrokerPublisher, open_broker
from shared.requests import Plan, Requests
from shared.store.pictures import Status

POLL_S = 0.01
PATIENCE_S = 120


class Asker:
    """Asks for pictures and waits for them."""

    def __init__(self, stage: Stage, requests: Requests) -> None:
        self._pictures = stage.parts.pictures
        self._requests = requests
        self.plans: list[tuple[TargetInfo, Plan]] = stage.plans(requests)

    async def render(self, plans: Sequence[Plan]) -> float:
        """Seconds from the first publish to the last stored picture. Raises RuntimeError when one failed."""
        began = time.monotonic()
        asked = []
        for plan in plans:
            claim = await self._requests.ensure(
                plan, origin=Origin.OPERATOR, correlation_id=uuid.uuid4().hex, force=True
            )
            asked.append((plan, claim.state.generation))
        for plan, generation in asked:  # one look each while the first is not there: looking costs as well
            await self._wait(plan, generation)
        return time.monotonic() - began

    async def _wait(self, plan: Plan, generation: int) -> None:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            state = await self._pictures.state(plan.key)
            if state is not None and state.generation >= generation:
                if state.status is Status.ERROR:
                    raise RuntimeError(f"{plan.target}: {state.code}: {state.reason}")
                if state.status is Status.UPDATED:
                    return
            await asyncio.sleep(POLL_S)
        raise RuntimeError(f"{plan.target}: no picture within {PATIENCE_S} s")


@asynccontextmanager
async def asking(stage: Stage) -> AsyncIterator[Asker]:
    parts = stage.parts
    publisher = BrokerPublisher(open_broker(stage.settings))
    try:
        yield Asker(stage, Requests(stage.settings, parts.catalogs, parts.pictures, publisher))
    finally:
        publisher.close()
        await parts.pictures.close()
