"""Everything that /ops shows at a glance, as one JSON document: made once for all who look, every two seconds."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from services.api.cache import ExpiringCache
from services.api.documents import stamp
from services.api.resources.schedules import document as schedule_document
from services.api.services import Services
from shared.errors import BrokerUnavailable
from shared.heartbeats import Alive, alive
from shared.metadata import history, waiting
from shared.store.port import NodeStats
from shared.warmup import report

KEPT_S = 2.0
RUNS = 10
HOUR = 1.0


class Overview:
    """Raises DatabaseUnavailable; a broker or a node of the store that is down is part of the document."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._kept: ExpiringCache[str, dict[str, Any]] = ExpiringCache(KEPT_S)

    async def look(self) -> dict[str, Any]:
        return await self._kept.load("overview", self._look)

    async def _look(self) -> dict[str, Any]:
        services, blocking = self._services, self._services.blocking
        sessions = services.sessions
        processes, queues, nodes, (outcomes, still), runs, schedules = await asyncio.gather(
            blocking(alive, sessions),
            self._queues(),
            services.store.stats(),
            blocking(lambda: (history.outcomes(sessions, HOUR), waiting.counts(sessions))),
            blocking(report.recent, sessions, limit=RUNS),
            blocking(services.warming.schedules.tell),
        )
        return {
            "at": stamp(datetime.now(UTC)),
            "processes": [_process(one) for one in processes],
            "queues": queues,
            "store": [_node(node) for node in nodes],
            "renders_last_hour": outcomes,
            "open_renders": still,
            "warmups": runs[1],
            "schedules": [schedule_document(told) for told in schedules],
        }

    async def _queues(self) -> dict[str, Any]:
        try:
            states = await self._services.blocking(self._services.watch.look)
        except BrokerUnavailable as error:
            return {"problem": error.message, "result": []}
        return {"problem": None, "result": [state.as_json() for state in states]}


def _process(one: Alive) -> dict[str, Any]:
    return {
        "service": one.service,
        "host": one.host,
        "pid": one.pid,
        "version": one.version,
        "started_at": stamp(one.started_at),
        "silent_s": round(one.silent_s, 1),
        "is_silent": one.is_silent,
        "details": dict(one.details),
    }


def _node(node: NodeStats) -> dict[str, Any]:
    asked = (node.hits or 0) + (node.misses or 0)
    return {
        "node": node.node,
        "up": node.up,
        "reason": node.reason,
        "items": node.items,
        "size_bytes": node.size_bytes,
        "limit_bytes": node.limit_bytes,
        "evictions": node.evictions,
        "hit_ratio": round((node.hits or 0) / asked, 4) if asked else None,
    }
