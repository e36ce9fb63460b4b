"""Renders in this process: a publisher that renders what is published to it, with the renderer's own code."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from services.cli.parts import Parts
from services.renderer.actors import BACKOFF_MS, backoff_ms
from services.renderer.pool import BrowserPool
from services.renderer.renders import Renders
from shared.catalog import hosts_of
from shared.catalog.port import TargetInfo
from shared.errors import VitrineError
from shared.identity import Principal
from shared.messages.render import Origin, RenderRequest
from shared.metadata.open_renders import Unlisted
from shared.metadata.records import RenderRecords
from shared.requests import Requests
from shared.store.pictures import Status


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one picture or part. `word` is one of progress.MARKS."""

    name: str
    word: str
    detail: str = ""
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        return self.word == "failed"


class InlineRenderer:
    """A Publisher: `publish` returns when the picture is stored, and raises what the render raised."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._pool = BrowserPool(parts.settings, hosts_of(parts.settings, parts.catalogs))
        self._renders = Renders(
            parts.settings,
            parts.catalogs,
            parts.pictures,
            lambda _: self._pool,
            RenderRecords(parts.sessions, parts.settings.keep_evidence),
            Unlisted(),
        )

    async def __aenter__(self) -> Self:
        await self._pool.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.drain()

    async def publish(self, request: RenderRequest) -> None:
        tries = 0
        while True:
            try:
                return await self._renders.handle(request, tries >= len(BACKOFF_MS))
            except VitrineError as error:
                delay = backoff_ms(error, tries)
                if delay is None:
                    raise
                tries += 1
                await asyncio.sleep(delay / 1000)

    def close(self) -> None:
        """Nothing to close besides the pool, which `async with` drains."""

    async def result(self, requests: Requests, info: TargetInfo, principal: Principal | None, *, force: bool) -> Result:
        """Plan, claim and render one picture; never raises a VitrineError: it is the result."""
        began = time.monotonic()
        name = f"{info.target.kind} {info.target.id} {info.title!r}" + (
            f" as {principal.username}" if principal else ""
        )
        try:
            plan = await asyncio.to_thread(requests.thumbnail, info.target, principal, info=info)
            head = await self._parts.pictures.head(plan.key)
            if not force and head is not None and head.is_fresh(plan.digest, datetime.now(UTC)):
                return Result(name, "fresh")
            claim = await requests.ensure(plan, origin=Origin.OPERATOR, correlation_id=uuid.uuid4().hex, force=force)
        except VitrineError as error:
            return Result(name, "failed", f"{error.code}: {error.message}", time.monotonic() - began)
        if claim.won:
            return Result(name, "rendered", seconds=time.monotonic() - began)
        if claim.state.status is Status.ERROR:
            return Result(
                name, "failed", f"{claim.state.code}: {claim.state.reason} (failed moments ago; -f tries again now)"
            )
        return Result(name, "running", "another renderer is at it")
