"""The engines that a process has open: one for each database, as long as its entry in the catalog stays what it is."""

from __future__ import annotations

import threading

from shared.engines import Engine, open_engine
from shared.engines.target import Target
from shared.metadata.models import Database
from shared.settings import Settings


class Engines:
    """Safe for many threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._open: dict[int, tuple[Target, Engine]] = {}

    def of(self, database: Database) -> Engine:
        """Raises InvalidInput for a URL that is not ours."""
        target = Target.of(database, self._settings)
        with self._lock:
            found = self._open.get(database.id)
            if found is None or found[0] != target:
                if found is not None:
                    found[1].close()
                self._open[database.id] = found = (target, open_engine(database, self._settings))
            return found[1]

    def close(self) -> None:
        with self._lock:
            for _, engine in self._open.values():
                engine.close()
            self._open.clear()
