"""Run by the peers' own Python: Celery with Redis as broker and results backend, doing the same trivial query.

`celery --app=bench.celery_peer worker` is its worker; as a program it asks that, for each line of its input.

in   {"count": 100, "at_once": 1} a line
out  {"wall_s": 1.2, "ms": [3.4, …]} for each; ms: from asking for a query to having its rows
"""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import psycopg
from celery import Celery

app = Celery("celery_peer", broker=os.environ["PEER_REDIS"], backend=os.environ["PEER_REDIS"])
app.conf.update(worker_prefetch_multiplier=1, task_acks_late=True, broker_connection_retry_on_startup=True)


@app.task(name="query")  # type: ignore[untyped-decorator]  # Celery has no types
def query(sql: str) -> list[Any]:
    return _connection().execute(sql.encode()).fetchall()


@cache
def _connection() -> psycopg.Connection:
    return psycopg.connect(os.environ["PEER_DATABASE"], autocommit=True)


def _ask(sql: str) -> float:
    began = time.perf_counter()
    assert query.delay(sql).get(timeout=60) == [[1]]
    return 1000 * (time.perf_counter() - began)


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        began = time.perf_counter()
        with ThreadPoolExecutor(asked["at_once"]) as pool:
            ms = list(pool.map(_ask, ["SELECT 1 AS one"] * asked["count"]))
        print(json.dumps({"wall_s": time.perf_counter() - began, "ms": ms}), flush=True)


if __name__ == "__main__":
    main()
