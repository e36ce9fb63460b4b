"""Queries: how long a trivial one takes through Vitrine, run directly, and through Celery with Redis; and how many a
second.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import local
from typing import Any

import psycopg

from bench import peers
from bench.report import Conditions, Report, Row, table
from tests.harness import ManagedProcess, Memcached, PostgreSQL, RabbitMQ, Redis
from tests.harness.analyst import ENDS, Analyst
from tests.harness.process import run_folder
from tests.harness.stack import Stack

SQL = "SELECT 1 AS one"
THREADS = 2  # of the workers, on both sides
AT_ONCE = 8  # who ask, when it is counted how many are done a second
AIM_MS = 50
PAUSE_S = 0.005  # between two looks of whoever asks; without one the looks take the cores that the query needs
DATABASE = """databases:
  - name: bench
    url: {url}
    expose_in_sqllab: true
    allow_run_async: true
"""


@dataclass(frozen=True, slots=True)
class Done:
    """`ms` of each query, from asking for it to having its rows."""

    wall_s: float
    ms: Sequence[float]


Side = Callable[[int, int], Done]  # queries, and how many are asked for at once


def run(*, quick: bool) -> Report:
    rounds, one, many = (1, 3, 8) if quick else (5, 30, 200)
    before = Conditions(
        f"{rounds} interleaved rounds of {one} queries one after the other, and {many} by {AT_ONCE} at once"
    )
    single: dict[str, list[float]] = {}
    rates: dict[str, list[float]] = {}
    with _sides() as sides:
        for side in sides.values():
            side(8, AT_ONCE)  # every thread connects
        for number in range(rounds):
            for name, side in list(sides.items())[:: 1 if number % 2 else -1]:
                single.setdefault(name, []).append(statistics.median(side(one, 1).ms))
                rates.setdefault(name, []).append(many / side(many, AT_ONCE).wall_s)
    return _report(single, rates, before)


def _report(single: dict[str, list[float]], rates: dict[str, list[float]], before: Conditions) -> Report:
    report = Report("queries", "Queries", f"Celery {peers.package('celery')} with Redis")
    for name in WAYS:
        report.rows.append(Row(f"ms until its rows are there, {name}", single[name], single["celery"], "", 1))
    report.rows.append(Row(f"queries/s, {AT_ONCE} at once, {BACKGROUND}", rates[BACKGROUND], rates["celery"]))
    direct = statistics.median(single["direct"])
    lines = [["run directly", f"{direct:.2f}", "", ""]]
    for name in WAYS:
        took = statistics.median(single[name])
        lines.append([name, f"{took:.1f}", f"{took - direct:.1f}", f"< {AIM_MS}"])
    report.tables.append(table(["median of the rounds", "ms", "above direct", "aim"], lines))
    report.notes.append(
        f"{before}. `{SQL}` on one PostgreSQL. Directly: over an open connection. Ours: over HTTP, with log-in, guard, "
        "a row for its state, RabbitMQ, a session of its own in the database, and rows that were read back from "
        f"Memcached before they count; {THREADS} threads of one query process. In the background: 202, then "
        f"`GET /api/v1/query/{{id}}` each {1000 * PAUSE_S:.0f} ms until it has ended, then its rows. "
        f"Celery: {THREADS} processes with an open connection each, acknowledged late; "
        "nothing of it is checked, kept or guarded."
    )
    return report


BACKGROUND, AWAITED = "in the background", "awaited"
WAYS = (AWAITED, BACKGROUND)


class Ours:
    """One client a thread, as one browser tab each."""

    def __init__(self, stack: Stack, number: int) -> None:
        self._stack, self._number = stack, number
        self._own = local()

    def awaited(self, analyst: Analyst) -> None:
        answer = analyst.execute(SQL)
        assert answer.json()["data"] == [{"one": 1}], answer.text

    def background(self, analyst: Analyst) -> None:
        client_id = analyst.start(SQL)
        while (query := analyst.look(client_id))["status"] not in ENDS:
            time.sleep(PAUSE_S)
        assert analyst.results(query["results_key"]).json()["data"] == [{"one": 1}], query

    def ask(self, way: Callable[[Analyst], None], count: int, at_once: int) -> Done:
        def timed(_: int) -> float:
            analyst = self._analyst()
            began = time.perf_counter()
            way(analyst)
            return 1000 * (time.perf_counter() - began)

        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(lambda _: self._analyst(), range(at_once)))
            began = time.perf_counter()
            ms = list(pool.map(timed, range(count)))
            return Done(time.perf_counter() - began, ms)

    def _analyst(self) -> Analyst:
        if not hasattr(self._own, "analyst"):
            self._own.analyst = Analyst(self._stack.login("ada"), self._number)
        found: Analyst = self._own.analyst
        return found


def _direct(connection: psycopg.Connection, count: int, at_once: int) -> Done:
    """One after the other, whatever `at_once` says."""
    began, ms = time.perf_counter(), []
    for _ in range(count):
        asked = time.perf_counter()
        assert connection.execute(SQL.encode()).fetchall() == [(1,)]
        ms.append(1000 * (time.perf_counter() - asked))
    return Done(time.perf_counter() - began, ms)


@contextmanager
def _sides() -> Iterator[dict[str, Side]]:
    with ExitStack() as stack:
        enter = stack.enter_context
        rabbitmq, postgresql, memcached = enter(RabbitMQ()), enter(PostgreSQL()), enter(Memcached())
        database = postgresql.create_database()
        scene = enter(
            Stack(
                broker_url=rabbitmq.create_vhost().url,
                store_url=memcached.url,
                metadata_url=postgresql.create_database().url,
                query_long_threads=THREADS,
                query_rate=100_000,
            )
        )
        scene.load("databases:\n", DATABASE.format(url=database.url))
        scene.start("gateway", "querying")
        ((number,),) = scene.rows("SELECT id FROM databases WHERE name = 'bench'")
        ours = Ours(scene, number)
        connection = enter(closing(psycopg.connect(database.url, autocommit=True)))
        yield {
            "direct": partial(_direct, connection),
            AWAITED: partial(ours.ask, ours.awaited),
            BACKGROUND: partial(ours.ask, ours.background),
            "celery": enter(_celery(database.url)),
        }


@contextmanager
def _celery(database_url: str) -> Iterator[Side]:
    python = peers.python()
    with Redis() as redis:
        environment = {"PEER_REDIS": redis.url, "PEER_DATABASE": database_url, "PYTHONPATH": str(peers.ROOT)}
        command: list[str | Path] = [
            python.with_name("celery"),
            "--app=bench.celery_peer",
            "worker",
            "--loglevel=info",
            "-c",
            str(THREADS),
        ]
        worker = ManagedProcess(command, folder=run_folder(), name="celery", env=environment)
        asking = [str(python), "-P", "-m", "bench.celery_peer"]
        with worker:
            worker.wait_for_log("ready", 60)
            with subprocess.Popen(
                asking, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            ) as asker:
                yield partial(_ask_celery, asker)
                asker.kill()


def _ask_celery(asker: subprocess.Popen[str], count: int, at_once: int) -> Done:
    assert asker.stdin is not None
    assert asker.stdout is not None
    asker.stdin.write(json.dumps({"count": count, "at_once": at_once}) + "\n")
    asker.stdin.flush()
    told: dict[str, Any] = json.loads(asker.stdout.readline())
    return Done(told["wall_s"], told["ms"])
