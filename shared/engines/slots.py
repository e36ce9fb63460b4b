"""A bound on the sessions of one process with one database.

A session serves one query and is closed: nothing that one person's query set is there for the next one's.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import DatabaseUnavailable

WAIT_S = 10.0


class Slots:
    def __init__(self, name: str, count: int, *, wait_s: float = WAIT_S) -> None:
        self._name = name
        self._count = count
        self._wait_s = wait_s
        self._free = threading.BoundedSemaphore(count)
        self._closed = False

    @contextmanager
    def one(self) -> Iterator[None]:
        """Raises DatabaseUnavailable when none becomes free in time."""
        if self._closed:
            raise DatabaseUnavailable(f"The database {self._name!r} is being closed.")
        if not self._free.acquire(timeout=self._wait_s):
            raise DatabaseUnavailable(
                f"All {self._count} connections of this process to the database {self._name!r} are in use."
            )
        try:
            yield
        finally:
            self._free.release()

    def close(self) -> None:
        self._closed = True
