"""The gateway before a slow database: `gunicorn … bench.slow:app`.

The demo's SQLite answers in milliseconds, which no warehouse does. Here each query of a chart or filter is held up for
DELAY_S in the gateway before it goes to that same SQLite; all else is the gateway as it is run.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

DELAY_S = 1.0


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(name)
    from services.api import wsgi
    from shared.catalog.readers import SqliteReader
    from shared.catalog.rows import Rows

    read = SqliteReader.read

    def held_up(self: SqliteReader, sql: str, tables: Sequence[str]) -> Rows:
        time.sleep(DELAY_S)
        return read(self, sql, tables)

    SqliteReader.read = held_up  # type: ignore[method-assign]
    application = globals()["app"] = wsgi.app
    return application
