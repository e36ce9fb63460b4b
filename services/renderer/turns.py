"""Whose turn it is: a render that nobody waits for does not begin while one that somebody waits for is under way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

PATIENCE_S = 20.0  # viewers who never stop must not keep pictures from being refreshed


class Turns:
    """For one event loop: one of a renderer's process."""

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._viewers = 0
        self._nobody_waits = asyncio.Event()
        self._nobody_waits.set()

    @asynccontextmanager
    async def take(self, *, viewer: bool) -> AsyncIterator[None]:
        """A viewer's render begins at once; another waits for those of viewers, `patience_s` at most."""
        if not viewer:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._nobody_waits.wait(), self._patience_s)
            yield
            return
        self._viewers += 1
        self._nobody_waits.clear()
        try:
            yield
        finally:
            self._viewers -= 1
            if not self._viewers:
                self._nobody_waits.set()
