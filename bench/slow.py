"""The gateway before a slow database: `gunicorn … bench.slow:app`.

The demo's files answer in milliseconds, which no warehouse does. Here each query of a chart or filter is held up for
DELAY_S in the gateway before it goes to that same file; all else is the gateway as it is run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

DELAY_S = 1.0


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(name)
    from services.api import wsgi
    from shared.catalog.engine_reader import EngineReader
    from shared.catalog.readers import SqliteReader

    for reader in (SqliteReader, EngineReader):
        reader.read = _held_up(reader.read)  # type: ignore[method-assign]
    application = globals()["app"] = wsgi.app
    return application


def _held_up(read: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(read)
    def late(*arguments: Any) -> Any:
        time.sleep(DELAY_S)
        return read(*arguments)

    return late
