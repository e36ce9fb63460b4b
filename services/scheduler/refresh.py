"""What picks the pictures to refresh: those that people have, before they go stale, and when what they show has
changed.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

import structlog

from shared import metrics
from shared.errors import CatalogUnavailable, NotFound, VitrineError
from shared.messages.render import Origin
from shared.metadata.records import Rendered, RenderRecords
from shared.requests import Plan, Requests
from shared.settings import Settings
from shared.store.pictures import Head, Pictures, Status

log = structlog.get_logger(__name__)
HOLD_OFF = timedelta(hours=1)  # a target that fails each time must not keep a renderer busy
SILENT = 3  # then its other pictures are for the next fire; those of other catalogs are not


class Refresh:
    """Every thumbnail that was rendered once and is still kept is rendered again before it goes stale or when its
    digest changed.
    """

    def __init__(self, settings: Settings, requests: Requests, pictures: Pictures, records: RenderRecords) -> None:
        self._settings = settings
        self._requests = requests
        self._pictures = pictures
        self._records = records

    async def run(self, correlation_id: str) -> Counter[str]:
        """How many pictures had which outcome. A picture that fails does not keep the others from being looked at."""
        since = datetime.now(UTC) - timedelta(seconds=self._settings.picture_ttl_s)
        outcomes: Counter[str] = Counter()
        silent: Counter[str] = Counter()  # how often in a row a catalog's origin did not answer
        for rendered in await asyncio.to_thread(self._records.thumbnails, since):
            catalog = rendered.target.catalog
            if silent[catalog] >= SILENT:
                outcomes["put_off"] += 1
                continue
            try:
                outcome = await self._one(rendered, correlation_id)
                silent[catalog] = 0
            except NotFound:
                outcome = "gone"  # deleted, unpublished, or the executor may no longer see it
            except VitrineError as error:
                outcome = "failed"
                log.warning(
                    "refresh_failed",
                    target=str(rendered.target),
                    executor=rendered.executor,
                    code=error.code,
                    reason=error.message,
                )
                if isinstance(error, CatalogUnavailable):
                    silent[catalog] += 1
                elif error.transient:  # the broker or the store is down: the next fire looks again
                    outcomes[outcome] += 1
                    break
            outcomes[outcome] += 1
        for outcome, count in outcomes.items():
            metrics.REFRESHES.labels(outcome).inc(count)
        return outcomes

    async def close(self) -> None:
        await self._pictures.close()

    async def _one(self, rendered: Rendered, correlation_id: str) -> str:
        plan = await asyncio.to_thread(self._plan, rendered)
        if plan.key != rendered.key:
            return "outdated"  # other row-level rules or settings now: nobody is served this key any more
        head = await self._pictures.head(plan.key)
        if head is not None and head.is_fresh(plan.digest, datetime.now(UTC) + self._ahead(head)):
            return "fresh"
        state = await self._pictures.state(plan.key)
        if state is not None and state.status is Status.ERROR and datetime.now(UTC) < state.updated_at + HOLD_OFF:
            return "held_off"
        claim = await self._requests.ensure(plan, origin=Origin.REFRESH, correlation_id=correlation_id)
        return "published" if claim.won else "running"

    def _ahead(self, head: Head) -> timedelta:
        """Never before half its time: a picture that is fresh for minutes only would be rendered all the time."""
        half = (head.fresh_until - head.rendered_at) / 2
        return min(half, timedelta(seconds=self._settings.refresh_ahead_s))

    def _plan(self, rendered: Rendered) -> Plan:
        catalog = self._requests.catalog(rendered.target.catalog)
        catalog.info(
            catalog.principal(rendered.executor), rendered.target
        )  # NotFound when the executor may no longer see it
        return self._requests.again(
            rendered.target, rendered.executor, window=rendered.window, thumbnail=rendered.thumbnail
        )
