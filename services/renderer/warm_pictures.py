"""Pictures of a warm-up: asked for as everybody's are, waited for, and looked at where viewers will.

A picture that shows a failed chart is none that is warm: it is a failure, and rendered anew by the next run.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from shared.catalog.port import Wanted
from shared.errors import ChartFailed, DeadlineExceeded, NotFound, NotKept
from shared.messages.render import Origin
from shared.metadata.models import WarmupOutcome, WarmupRun
from shared.requests import Plan, Requests
from shared.store.pictures import Head, Pictures, Status
from shared.targets import ViewState
from shared.warmup.planning import target_of
from shared.warmup.runs import Came, End, deadline_of

POLL_S = 0.3


class PictureWarmer:
    """For one event loop."""

    def __init__(self, requests: Requests, pictures: Pictures) -> None:
        self._requests = requests
        self._pictures = pictures

    def databases(self, outcome: WarmupOutcome) -> set[str]:
        """From which its page reads, as far as the catalog knows; blocks.

        Of a dashboard whose executor may not see all charts: those that somebody else's page reads.
        """
        catalog, target = self._requests.catalog(outcome.catalog), target_of(outcome)
        for executor in (outcome.executor, *(group.executor for group in catalog.groups(target))):
            with suppress(NotFound):
                return {part.database for part in catalog.parts(target, executor, ViewState())}
        return set()

    async def warm(self, run: WarmupRun, outcome: WarmupOutcome, wanted: Wanted) -> End:
        plan = await asyncio.to_thread(self._plan_of, outcome)
        head, ahead = await self._pictures.head(plan.key), timedelta(seconds=wanted.ahead_s)
        if head is None and wanted.only_kept:
            return End(Came.SKIPPED, "not_wanted", "There is no picture, so it cannot grow stale.")
        if head is not None and not wanted.force and _is_good(head, plan, datetime.now(UTC) + ahead):
            return End(Came.ALREADY, key=plan.key, expires_at=head.fresh_until)
        claim = await self._requests.ensure(
            plan, origin=Origin.REFRESH, correlation_id=run.correlation_id, force=wanted.force
        )
        if not claim.won and claim.state.status is Status.ERROR:
            return End(Came.FAILED, claim.state.code, f"{claim.state.reason} (failed moments ago)")
        return await self._made(plan, min(deadline_of(run), claim.state.deadline))

    async def _made(self, plan: Plan, deadline: datetime) -> End:
        """Waits until the render has ended, and looks for the picture where viewers will."""
        while True:
            state = await self._pictures.state(plan.key)
            if state is not None and state.status is Status.ERROR:
                return End(Came.FAILED, state.code, state.reason)
            head = await self._pictures.head(plan.key)
            if state is None or not state.is_running:
                if head is None or not head.is_fresh(plan.digest, datetime.now(UTC)):
                    raise NotKept("The render ended, but the store does not have its picture.")
                if head.flaw:
                    return End(Came.FAILED, ChartFailed.code, head.flaw, key=plan.key)
                return End(Came.WARMED, key=plan.key, expires_at=head.fresh_until)
            if datetime.now(UTC) > deadline:
                raise DeadlineExceeded("The picture was not rendered in time; are there enough renderers?")
            await asyncio.sleep(POLL_S)

    def _plan_of(self, outcome: WarmupOutcome) -> Plan:
        catalog = self._requests.catalog(outcome.catalog)
        target = target_of(outcome)
        catalog.info(catalog.principal(outcome.executor), target)  # NotFound when they may no longer see it
        return self._requests.again(target, outcome.executor)


def _is_good(head: Head, plan: Plan, at: datetime) -> bool:
    return head.is_fresh(plan.digest, at) and not head.flaw
