"""Patience with the metadata database: while it is away for less than a lease, a query does not fail for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import structlog

from services.renderer.query_keeper import Running
from shared.errors import DatabaseUnavailable

T = TypeVar("T")
log = structlog.get_logger(__name__)
TRY_AGAIN_S = 0.5


class Patience:
    """For what may be said twice: an earlier try may have been written, and only its answer lost."""

    def __init__(self, running: Running, lease_s: float) -> None:
        self._running = running
        self._lease_s = lease_s

    def __call__(self, ask: Callable[[], T], *, at_its_end: bool = False) -> T:
        """What `ask` returns. Raises DatabaseUnavailable when a lease went by, or the query must not go on any more.

        `at_its_end`: it goes on no more anyway, and is only to be written down.
        """
        give_up = time.monotonic() + self._lease_s
        while True:
            try:
                return ask()
            except DatabaseUnavailable as error:
                over = self._running.verdict is not None and not at_its_end
                if over or time.monotonic() > give_up:
                    raise
                log.info("metadata_waited_for", query_id=self._running.hold.query.id, reason=error.message)
            time.sleep(TRY_AGAIN_S)
