"""A query process without a queue: what a gateway published is carried out here, when the test says so."""

from __future__ import annotations

import asyncio
from typing import Any

from services.api.services import Services
from services.renderer.query_charts import Charts
from services.renderer.query_keeper import Keeper
from services.renderer.query_runner import Runner
from shared.results import open_results
from shared.sqllab.records import Hold, Limits

LEASE_S = 30


class QueryWorker:
    """`published`: the requests, of which each is carried out once."""

    def __init__(self, services: Services, published: list[Any]) -> None:
        self.queries = services.querying.queries
        self.published = published
        self.keeper = Keeper(self.queries, lease_s=LEASE_S, handoff_s=LEASE_S)
        self.keeper.start()
        charts = Charts(services.settings, services.sessions, self.queries)
        results = open_results(services.settings)
        self.runner = Runner(services.settings, services.sessions, self.queries, self.keeper, results, charts)

    async def work(self) -> int:
        """Carries out all that waits; how many there were."""
        done = 0
        while self.published:
            hold = self.queries.claim(self.published.pop(0).query_id, self.keeper.owner, Limits(1000, LEASE_S))
            if isinstance(hold, Hold):
                await asyncio.to_thread(self.runner.carry_out, hold)
                done += 1
        return done

    def close(self) -> None:
        self.keeper.stop()
        self.runner.close()
