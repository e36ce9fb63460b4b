"""A warmer over the sample catalog, in this process: its publisher plays the renderer."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from services.renderer.warming import Warmer, open_warmer
from shared.errors import BrokerUnavailable, VitrineError
from shared.messages.render import RenderRequest
from shared.messages.warm import WarmRequest
from shared.metadata.models import ViewLog, WarmupOutcome
from shared.requests import Requests
from shared.store import pictures_in
from shared.store.memory import Memory
from shared.store.pictures import Pictures
from shared.warmup.kindness import Kindness
from shared.warmup.runs import End, From, Order, Runs
from shared.warmup.strategies import make
from tests.samples.catalog import CATALOG, World, make_world


@dataclass
class Renderer:
    """Renders at once, or fails as it is told."""

    pictures: Pictures | None = None
    error: VitrineError | None = None
    flaw: str = ""
    down: bool = False
    rendered: list[RenderRequest] = field(default_factory=list)
    warm: list[WarmRequest] = field(default_factory=list)

    async def publish(self, request: RenderRequest) -> None:
        assert self.pictures is not None
        self.rendered.append(request)
        await self.pictures.start(request.key, request.generation, "worker")
        if self.error:
            await self.pictures.fail(
                request.key, request.generation, code=self.error.code, reason=self.error.message, retry_at=None
            )
            return
        place = {"generation": request.generation, "digest": request.digest, "rendered_at": datetime.now(UTC)}
        look = {"content_type": "image/png", "flaw": self.flaw}
        await self.pictures.put(request.key, b"picture", **look, **place)  # type: ignore[arg-type]
        await self.pictures.finish(request.key, request.generation)

    async def publish_warm(self, request: WarmRequest) -> None:
        if self.down:
            raise BrokerUnavailable("down")
        self.warm.append(request)

    def close(self) -> None:
        """Nothing to close."""


class Workshop:
    """Everything that warms, over one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.store: Memory = world.store
        self.pictures = pictures_in(self.store, world.settings)
        self.renderer = Renderer(self.pictures)
        self.catalogs: Any = {"native": world.catalog}
        self.requests = Requests(world.settings, self.catalogs, self.pictures, self.renderer)
        self.runs = Runs(world.sessions)
        self.kindness = Kindness(world.sessions, world.settings.warm_concurrency)
        self.warmer: Warmer = open_warmer(world.settings, world.sessions, self.store, self.catalogs, self.requests)

    def order(self, strategy: str, warms: tuple[str, ...] = ("data",), **parameters: Any) -> Order:
        return Order(make(strategy, parameters), warms, From.OPERATOR, "c0ffee", budget_s=60)

    async def run(self, order: Order) -> list[WarmupOutcome]:
        """Carries a run out, to its end; its outcomes in their order."""
        made = self.runs.make(order)
        for number in await self.warmer.decide(made.id):
            await self.warmer.one(made.id, number, wait_s=1)
        return self.outcomes(made.id)

    async def first(self, order: Order) -> End:
        made = self.runs.make(order)
        numbers = await self.warmer.decide(made.id)
        return (await self.warmer.one(made.id, numbers[0], wait_s=1))[1]

    def outcomes(self, run_id: str) -> list[WarmupOutcome]:
        with self.world.sessions() as session:
            mine = select(WarmupOutcome).where(WarmupOutcome.run_id == run_id).order_by(WarmupOutcome.number)
            return list(session.scalars(mine))

    def see(self, username: str, slug: str, at: datetime, state: dict[str, Any] | None = None, times: int = 1) -> None:
        """Entries of the view log."""
        target = self.world.target(slug)
        with self.world.sessions.begin() as session:
            for number in range(times):
                for source in ("page", "data"):
                    session.add(
                        ViewLog(
                            username=username,
                            target_kind=target.kind.value,
                            target_id=target.id,
                            source=source,
                            at=at + timedelta(seconds=number),
                            view_state=state,
                        )
                    )


def open_workshop(folder: Path, *, text: str = CATALOG, **settings: Any) -> Workshop:
    return Workshop(make_world(folder, text=text, **settings))
