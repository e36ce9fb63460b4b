"""Whose turn it is: a render that nobody waits for does not begin while one that somebody waits for is under way.

Nor right after it: viewers come one behind the other, and the next one would share the cores with it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

PATIENCE_S = 20.0  # viewers who never stop must not keep pictures from being refreshed
QUIET_S = 0.25  # so long after a viewer's render another one is expected


class Turns:
    """For one event loop: one of a renderer's process."""

    def __init__(self, *, patience_s: float = PATIENCE_S, quiet_s: float = QUIET_S) -> None:
        self._patience_s = patience_s
        self._quiet_s = quiet_s
        self._viewers = 0
        self._quiet_from = 0.0  # on the monotonic clock
        self._nobody_waits = asyncio.Event()
        self._nobody_waits.set()

    @asynccontextmanager
    async def take(self, *, viewer: bool) -> AsyncIterator[None]:
        """A viewer's render begins at once; another waits for those of viewers, `patience_s` at most."""
        if not viewer:
            await self._wait()
            yield
            return
        self._viewers += 1
        self._nobody_waits.clear()
        try:
            yield
        finally:
            self._viewers -= 1
            self._quiet_from = time.monotonic() + self._quiet_s
            if not self._viewers:
                self._nobody_waits.set()

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience_s):
                while self._viewers or time.monotonic() < self._quiet_from:
                    await self._nobody_waits.wait()
                    await asyncio.sleep(max(0.0, self._quiet_from - time.monotonic()))
