"""Asking for a picture: plan what to draw and as whom, claim its key, publish one render request.

Gateway, scheduler and command line all enter here, so that one picture has one key whoever asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from shared.catalog.port import Catalog, Facts, TargetInfo
from shared.errors import ExecutorNotFound, NotFound
from shared.identity import ExecutorRule, Principal, resolve_executor
from shared.keys import picture_key, picture_parts
from shared.messages.render import Origin, RenderRequest
from shared.queue import Publisher
from shared.settings import Settings
from shared.store.pictures import Claim, Pictures
from shared.targets import Format, Size, Target, TargetKind, ViewState

log = structlog.get_logger(__name__)
BULK_DEADLINE = timedelta(hours=1)  # hundreds are published at once and wait for each other; nobody watches them


@dataclass(frozen=True, slots=True)
class Plan:
    """A picture that may be asked for: its name, what it shows, and as whom."""

    target: Target
    executor: str
    access: str  # as in Facts
    key: str
    digest: str
    window: Size
    thumbnail: Size | None
    formats: tuple[Format, ...]
    view_state: ViewState = ViewState()

    @property
    def key_parts(self) -> dict[str, Any]:
        """What the key is the hash of (keys.picture_parts)."""
        rest = (self.view_state, self.window, self.thumbnail, self.formats[0])
        return picture_parts(self.target, self.executor, self.access, *rest)


class Requests:
    """Plans (synchronous: they touch the catalog) and publishes (asynchronous) render requests."""

    def __init__(
        self, settings: Settings, catalogs: Mapping[str, Catalog], pictures: Pictures, publisher: Publisher
    ) -> None:
        self._settings = settings
        self._catalogs = catalogs
        self._pictures = pictures
        self._publisher = publisher

    @property
    def catalogs(self) -> list[Catalog]:
        """All of them, the default one first: the order of lists."""
        return sorted(self._catalogs.values(), key=lambda catalog: catalog.name != self._settings.default_catalog)

    def catalog(self, name: str) -> Catalog:
        """Raises NotFound for a catalog that is not configured."""
        try:
            return self._catalogs[name]
        except KeyError:
            raise NotFound(f"There is no catalog named {name!r}.") from None

    def rules(self, target: Target) -> tuple[ExecutorRule, ...]:
        """As whom its pictures are rendered, in the order in which they are tried."""
        return self.catalog(target.catalog).executors or self._settings.thumbnail_executors

    def thumbnail(
        self,
        target: Target,
        principal: Principal | None,
        *,
        info: TargetInfo,
        rules: tuple[ExecutorRule, ...] | None = None,
    ) -> Plan:
        """The thumbnail of a target as it opens. Raises ExecutorNotFound when no executor resolves."""
        executor = self._executor(target, principal, info, rules)
        facts = self.catalog(target.catalog).facts(target, executor)
        return self._thumbnail(target, executor, facts)

    def thumbnails(
        self, infos: Sequence[TargetInfo], principal: Principal | None
    ) -> list[Plan | ExecutorNotFound | NotFound]:
        """The thumbnails of a page of a list, in its order; where there is no plan, the error that tells why.

        What it costs a catalog does not grow with the page (Catalog.facts_of).
        """
        planned: dict[Target, Plan | ExecutorNotFound | NotFound] = {}
        asked: dict[str, list[tuple[Target, str]]] = {}
        for info in infos:
            try:
                executor = self._executor(info.target, principal, info)
                asked.setdefault(info.target.catalog, []).append((info.target, executor))
            except ExecutorNotFound as error:
                planned[info.target] = error
        for catalog, pairs in asked.items():
            for (target, executor), facts in zip(pairs, self.catalog(catalog).facts_of(pairs), strict=True):
                planned[target] = self._thumbnail(target, executor, facts) if isinstance(facts, Facts) else facts
        return [planned[info.target] for info in infos]

    def again(
        self, target: Target, executor: str, *, window: Size | None = None, thumbnail: Size | None = None
    ) -> Plan:
        """The plan of a thumbnail that was planned before, as the same executor; in the sizes of the settings."""
        facts = self.catalog(target.catalog).facts(target, executor)
        return self._thumbnail(target, executor, facts, window=window, size=thumbnail)

    def screenshot(
        self,
        target: Target,
        principal: Principal | None,
        *,
        info: TargetInfo,
        view_state: ViewState,
        window: Size | None = None,
        thumbnail: Size | None = None,
    ) -> Plan:
        """The whole page at full size, or scaled when `thumbnail` is given; as a picture and as a PDF."""
        executor = self._executor(target, principal, info)
        facts = self.catalog(target.catalog).facts(target, executor)
        return self._plan(target, executor, facts, window, thumbnail, (Format.PNG, Format.PDF), view_state)

    def _thumbnail(
        self, target: Target, executor: str, facts: Facts, *, window: Size | None = None, size: Size | None = None
    ) -> Plan:
        settings = self._settings
        default = settings.dashboard_thumbnail if target.kind is TargetKind.DASHBOARD else settings.chart_thumbnail
        formats = (Format(settings.thumbnail_format),)
        return self._plan(target, executor, facts, window, size or default, formats, ViewState())

    def _executor(
        self,
        target: Target,
        principal: Principal | None,
        info: TargetInfo,
        rules: tuple[ExecutorRule, ...] | None = None,
    ) -> str:
        """Whoever belongs to another catalog is nobody there: CURRENT_USER does not resolve to them."""
        current = principal if principal is not None and principal.catalog == target.catalog else None
        return resolve_executor(rules or self.rules(target), info.ownership, current)

    def _plan(
        self,
        target: Target,
        executor: str,
        facts: Facts,
        window: Size | None,
        thumbnail: Size | None,
        formats: tuple[Format, ...],
        view_state: ViewState,
    ) -> Plan:
        settings = self._settings
        default = settings.dashboard_window if target.kind is TargetKind.DASHBOARD else settings.chart_window
        window = window or facts.window or default
        key = picture_key(target, executor, facts.access, view_state, window, thumbnail, formats[0])
        return Plan(target, executor, facts.access, key, facts.digest, window, thumbnail, formats, view_state)

    async def ensure(self, plan: Plan, *, origin: Origin, correlation_id: str, force: bool = False) -> Claim:
        """Claim the key and publish, unless somebody already did. Raises BrokerUnavailable (the claim is given back)
        and StoreUnavailable.
        """
        now = datetime.now(UTC)
        limit = timedelta(seconds=self._settings.render_deadline_s) if origin is Origin.VIEWER else BULK_DEADLINE
        deadline = now + limit
        hurry = origin is Origin.VIEWER  # past what waits in bulk
        claim = await self._pictures.claim(plan.key, deadline=deadline, now=now, force=force, hurry=hurry)
        if not claim.won:
            return claim
        request = request_of(
            plan,
            generation=claim.state.generation,
            deadline=deadline,
            now=now,
            origin=origin,
            correlation_id=correlation_id,
        )
        await self._publish(request, claim)
        return claim

    async def replay(self, request: RenderRequest) -> Claim:
        """Publishes what a dead letter asked for once more, with a generation and a deadline of its own. Raises as
        `ensure` does.
        """
        now = datetime.now(UTC)
        deadline = now + BULK_DEADLINE
        claim = await self._pictures.claim(request.key, deadline=deadline, now=now, force=True)
        if claim.won:
            fresh = replace(request, generation=claim.state.generation, deadline=deadline, published_at=now)
            await self._publish(replace(fresh, id="", origin=Origin.OPERATOR), claim)
        return claim

    async def _publish(self, request: RenderRequest, claim: Claim) -> None:
        """Gives the claim back when it cannot be published."""
        try:
            await self._publisher.publish(request)
        except BaseException:  # whatever kept it from being published, a cancelled HTTP request too: nobody has the key
            await asyncio.shield(self._pictures.release(request.key, claim))
            raise
        log.info(
            "published",
            request_id=request.id,
            target=str(request.target),
            key=request.key,
            origin=request.origin.value,
            correlation_id=request.correlation_id,
        )


def request_of(
    plan: Plan, *, generation: int, deadline: datetime, now: datetime, origin: Origin, correlation_id: str
) -> RenderRequest:
    """The message for a plan whose key was claimed with `generation`."""
    return RenderRequest(
        target=plan.target,
        executor=plan.executor,
        key=plan.key,
        generation=generation,
        digest=plan.digest,
        view_state=plan.view_state,
        window=plan.window,
        thumbnail=plan.thumbnail,
        formats=plan.formats,
        deadline=deadline,
        published_at=now,
        correlation_id=correlation_id,
        origin=origin,
    )
