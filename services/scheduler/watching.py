"""Looks at queues, store and processes every few seconds, for /metrics and for the curves of /ops.

Every scheduler does, the leader and those that wait; of a curve's sample, the first one stands.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

import structlog
from prometheus_client import Gauge
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from services.scheduler.sampling import sample
from shared import metrics
from shared.errors import BrokerUnavailable, DatabaseUnavailable
from shared.heartbeats import SERVICES, Alive, alive
from shared.queue import QUEUES
from shared.queue_watch import QueueState, QueueWatch
from shared.store.port import KeyValue, NodeStats

log = structlog.get_logger(__name__)
LOOK_S = 15.0


class Watching:
    """A Companion. What cannot be seen is NaN: an old value would look like a fresh one."""

    def __init__(
        self, watch: QueueWatch, store: KeyValue, sessions: sessionmaker[Session], *, every_s: float = LOOK_S
    ) -> None:
        self._watch = watch
        self._store = store
        self._sessions = sessions
        self._every_s = every_s
        self._before: dict[str, NodeStats] = {}

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self._look()
            except Exception:  # a fault of ours here must not end the scheduler
                log.exception("look_failed")
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._every_s)

    async def _look(self) -> None:
        queues: Sequence[QueueState] = ()
        try:
            queues = await asyncio.to_thread(self._watch.look)
        except BrokerUnavailable as error:
            log.warning("queues_not_seen", reason=error.message)
        nodes = await self._store.stats()
        count_queues(queues)
        self._count_nodes(nodes)
        try:
            processes = await asyncio.to_thread(alive, self._sessions)
            count_processes(processes)
            await asyncio.to_thread(sample, self._sessions, queues, nodes, processes)
        except (DatabaseUnavailable, SQLAlchemyError) as error:
            log.warning("sample_not_kept", error=str(error).splitlines()[0])

    def _count_nodes(self, nodes: Sequence[NodeStats]) -> None:
        for node in nodes:
            metrics.STORE_NODE_UP.labels(node.node).set(node.up)
            _set(metrics.STORE_ITEMS, node.node, node.items if node.up else None)
            _set(metrics.STORE_BYTES, node.node, node.size_bytes if node.up else None)
            _set(metrics.STORE_LIMIT, node.node, node.limit_bytes if node.up else None)
            if node.up:
                self._count_since_before(node)

    def _count_since_before(self, node: NodeStats) -> None:
        before = self._before.get(node.node, node)
        self._before[node.node] = node
        metrics.STORE_EVICTIONS.labels(node.node).inc(_grown(before.evictions, node.evictions))
        metrics.STORE_GETS.labels(node.node, "hit").inc(_grown(before.hits, node.hits))
        metrics.STORE_GETS.labels(node.node, "miss").inc(_grown(before.misses, node.misses))


def count_queues(states: Sequence[QueueState]) -> None:
    """An empty list: they could not be seen."""
    seen = {state.name: state for state in states}
    for name in QUEUES:
        state = seen.get(name)
        _set(metrics.QUEUE_READY, name, state.ready if state else None)
        _set(metrics.QUEUE_UNACKED, name, state.unacked if state else None)
        _set(metrics.QUEUE_CONSUMERS, name, state.consumers if state else None)
        _set(metrics.QUEUE_DEAD, name, state.dead_letters if state else None)
        _set(metrics.QUEUE_AGE, name, (state.oldest_age_s if state.ready else 0.0) if state else None)


def count_processes(processes: Sequence[Alive]) -> None:
    counts = Counter(one.service for one in processes if not one.is_silent)
    for service in SERVICES:
        metrics.PROCESSES.labels(service).set(counts[service])


def _set(gauge: Gauge, label: str, value: float | None) -> None:
    gauge.labels(label).set(math.nan if value is None else value)


def _grown(before: int | None, now: int | None) -> int:
    """Since the last look; a server that was started anew counts from nothing."""
    if before is None or now is None:
        return 0
    return now - before if now >= before else now
