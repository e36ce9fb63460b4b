"""A render as the renderer does it, from the request to what is kept of it; in memory, and without a broker."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from services.renderer.pool import BrowserPool
from services.renderer.renders import Renders
from shared.catalog.superset.catalog import SupersetCatalog
from shared.errors import VitrineError
from shared.messages.render import Origin, RenderRequest
from shared.metadata.open_renders import Unlisted
from shared.requests import Plan, Requests
from shared.settings import Settings
from shared.store.memory import Memory
from shared.store.pictures import Picture, Pictures, State
from shared.targets import Target


class Kept:
    """`await kept.draw(kept.plan(target, "ann"))`: the state that the forced render ends in."""

    def __init__(self, settings: Settings, catalog: SupersetCatalog, pool: BrowserPool) -> None:
        catalogs = {catalog.name: catalog}
        self.pictures = Pictures(Memory(), "test_", ttl_s=3600, fresh_s=3600)
        self._requests = Requests(settings, catalogs, self.pictures, self)
        records: Any = self
        self._renders = Renders(settings, catalogs, self.pictures, lambda _: pool, records, Unlisted())
        self._published: list[RenderRequest] = []

    def plan(self, target: Target, executor: str) -> Plan:
        return self._requests.again(target, executor)

    async def draw(self, plan: Plan) -> State:
        await self._requests.ensure(plan, origin=Origin.VIEWER, correlation_id="c0ffee", force=True)
        with suppress(VitrineError):  # the state says which
            await self._renders.handle(self._published.pop(), is_last_try=True)
        state = await self.pictures.state(plan.key)
        assert state is not None
        return state

    async def picture(self, plan: Plan) -> Picture:
        """The last good one."""
        found = await self.pictures.read(plan.key)
        assert found is not None
        return found

    async def publish(self, request: RenderRequest) -> None:
        """As a Publisher."""
        self._published.append(request)

    def close(self) -> None:
        """As a Publisher."""

    async def ended(self, *_: object, **__: object) -> None:
        """As RenderRecords, which keeps none."""
