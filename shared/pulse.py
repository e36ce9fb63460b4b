"""Whether a process' event loop turns, as its /metrics tell: what the health checks of renderer and scheduler ask for.

/metrics is served by a thread of its own, which answers though the loop hangs.
"""

from __future__ import annotations

import asyncio
import time

from shared import metrics

TURN_S = 1.0
HANGS_S = 30.0


class Pulse:
    """For one event loop; begun when the process is ready for work."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._turned_at = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._turn()
        metrics.LOOP_ALIVE.labels(self._service).set_function(self.is_alive)
        self._task = asyncio.create_task(self._keep_turning())

    def stop(self) -> None:
        """Safe without a start."""
        if self._task is not None:
            self._task.cancel()

    def is_alive(self) -> bool:
        return time.monotonic() - self._turned_at < HANGS_S

    async def _keep_turning(self) -> None:
        while True:
            await asyncio.sleep(TURN_S)
            self._turn()

    def _turn(self) -> None:
        self._turned_at = time.monotonic()
