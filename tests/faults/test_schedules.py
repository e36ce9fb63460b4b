"""Four schedulers on one database, while leaders die, stop, clocks jump and the database restarts."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pika
import psycopg
import pytest

from tests.harness.clock import Clock
from tests.harness.polling import wait_until
from tests.harness.sqlite import is_free

LEASE_S = 3.0
TAKE_OVER_S = 10.0
EVERY = {f"every-{seconds}": seconds for seconds in (1, 1, 2, 2, 3)} | {"also-1": 1, "also-2": 2}
WARM_QUEUE = "vitrine_warm_v1"
SCHEDULE = """
  - name: {name}
    strategy: dummy
    interval: {seconds}s
    coalesce: false
    overlap: replace
    misfire_grace: 1h
"""


class Fleet:
    """Scheduler processes over one metadata database, looked at from outside. Nobody takes their messages."""

    def __init__(self, spawn: Callable[..., Any], folder: Path, url: str, broker_url: str) -> None:
        self._spawn = spawn
        self.url, self.broker_url = url, broker_url
        self.clock = Clock(folder)
        file = folder / "schedules.yaml"
        file.write_text("schedules:" + "".join(SCHEDULE.format(name=n, seconds=s) for n, s in EVERY.items()))
        self.environment = {
            "VITRINE_SECRET_KEY": "f3b1c9d27a8e4650b1c2d3e4f5a69788",
            "VITRINE_METADATA_URL": url,
            "VITRINE_STATE_DIR": str(folder),
            "VITRINE_BROKER_URL": broker_url,
            "VITRINE_LEASE_S": str(LEASE_S),
            "VITRINE_LOG_FORMAT": "json",
            "VITRINE_SCHEDULER_METRICS_PORT": "0",
            "VITRINE_SCHEDULES_FILE": str(file),
        }
        upgrade = spawn([sys.executable, "-m", "services.cli", "db", "upgrade"], env=self.environment, name="upgrade")
        assert upgrade.wait(150) == 0
        self.members = [self.start(number) for number in range(4)]

    def start(self, number: int) -> Any:
        environment = self.environment | self.clock.environment
        return self._spawn([sys.executable, "-m", "services.scheduler"], env=environment, name=f"scheduler-{number}")

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        if self.url.startswith("sqlite"):
            connection = sqlite3.connect(self.url.removeprefix("sqlite:///"), timeout=20)
            try:
                return connection.execute(statement).fetchall()
            finally:
                connection.close()
        with psycopg.connect(self.url) as postgres:
            return postgres.execute(statement.encode()).fetchall()

    def leader(self) -> Any:
        """The process that holds the lease now, None while there is none of ours."""
        holders = self.rows("SELECT holder FROM scheduler_lease")
        return next((one for one in self.members if holders and f":{one.pid}:" in holders[0][0]), None)

    def fires(self) -> dict[str, list[int]]:
        """Due times of each schedule, in seconds, oldest first."""
        epoch = "strftime('%s', due_at)" if self.url.startswith("sqlite") else "extract(epoch from due_at)"
        found: dict[str, list[int]] = {}
        for name, at in self.rows(
            f"SELECT schedule, {epoch} FROM fires WHERE schedule LIKE 'warmup:%' ORDER BY due_at"
        ):
            found.setdefault(name, []).append(round(float(at)))
        return found

    def count(self) -> int:
        return int(self.rows("SELECT count(*) FROM fires WHERE schedule LIKE 'warmup:%'")[0][0])

    def wait_for(self, more: int, timeout_s: float = 120) -> None:
        before = self.count()
        wait_until(lambda: self.count() >= before + more, timeout_s, f"{more} more fires")

    def stop_the_leader(self) -> Any:
        """Stops it between two transactions of SQLite's."""
        _, sqlite, file = self.url.partition("sqlite:///")

        def stopped() -> Any:
            leader = self.leader()
            if leader is None:
                return None
            leader.pause()
            if not sqlite or is_free(file):
                return leader
            leader.resume()
            return None

        return wait_until(stopped, 120, "a leader that can be stopped")

    def unpublished(self) -> int:
        """Runs that were made and are in no queue."""
        return int(
            self.rows("SELECT count(*) FROM warmup_runs WHERE published_at IS NULL AND finished_at IS NULL")[0][0]
        )

    def settle(self) -> None:
        """Ends them all; then one without schedules publishes what the last of them had made, but not yet published."""
        for member in self.members:
            member.stop()
        nothing = Path(self.environment["VITRINE_SCHEDULES_FILE"]).with_name("nothing.yaml")
        nothing.write_text("schedules: []\n")
        self.environment["VITRINE_SCHEDULES_FILE"] = str(nothing)
        self.members.append(self.start(len(self.members)))
        wait_until(lambda: self.unpublished() == 0, 60, lambda: f"{self.unpublished()} runs to be published")
        self.members[-1].stop()

    def messages(self) -> list[tuple[str, str]]:
        """Of every message in the queue, its run and its id."""
        connection = pika.BlockingConnection(pika.URLParameters(self.broker_url))
        try:
            channel = connection.channel()
            found: list[tuple[str, str]] = []
            while True:
                method, _, body = channel.basic_get(WARM_QUEUE, auto_ack=True)
                if method is None:
                    return found
                message = json.loads(body)
                found.append((message["kwargs"]["request"]["runId"], message["message_id"]))
        finally:
            connection.close()


@pytest.fixture
def sqlite(tmp_path: Path, spawn: Any, rabbitmq: Any) -> Fleet:
    return Fleet(spawn, tmp_path, f"sqlite:///{tmp_path / 'metadata.sqlite'}", rabbitmq.url)


@pytest.fixture
def postgres(tmp_path: Path, spawn: Any, rabbitmq: Any, own_postgresql: Any) -> Fleet:
    return Fleet(spawn, tmp_path, own_postgresql.create_database().url, rabbitmq.url)


def kill_stop_and_resume(fleet: Fleet) -> None:
    """The leader dies; the next one is stopped, outrun and resumed."""
    wait_until(fleet.leader, 150, "a leader")
    fleet.wait_for(40)
    fleet.leader().kill9()
    fleet.wait_for(40)
    stopped = fleet.stop_the_leader()
    wait_until(lambda: fleet.leader() not in (None, stopped), 60, "another leader")
    fleet.wait_for(20)
    stopped.resume()
    fleet.wait_for(20)


def check(fleet: Fleet, at_least: int, interruptions: int) -> None:
    """Every due time of every schedule, each once, each with one message; and each interruption, of a leader or of the
    database, cost at most one second copy, when it fell between a message and the note of it.
    """
    wait_until(lambda: fleet.count() >= at_least, 300, lambda: f"{at_least} fires, there are {fleet.count()}")
    fleet.settle()
    fires = fleet.fires()
    for name, times in fires.items():
        every = EVERY[name.removeprefix("warmup:")]
        assert times == list(range(times[0], times[-1] + 1, every)), f"gaps or duplicates of {name}"
    outcomes = Counter(outcome for (outcome,) in fleet.rows("SELECT outcome FROM fires WHERE schedule LIKE 'warmup:%'"))
    assert set(outcomes) == {"fired"}, outcomes
    runs = fleet.rows(
        "SELECT schedule, due_at, count(*) FROM warmup_runs GROUP BY schedule, due_at HAVING count(*) > 1"
    )
    assert runs == [], "a due time made two runs"
    messages, tokens = fleet.messages(), [token for (token,) in fleet.rows(TOKENS)]
    ids = {run for run, _ in messages}
    runs = fleet.rows("SELECT id, published_at IS NOT NULL, code FROM warmup_runs")
    sent = {run for run, published, _ in runs if published}
    left = {run: code for run, published, code in runs if not published}
    assert len(runs) == fleet.count(), "a fire without its run"
    assert sent <= ids, "a fire without its message"
    # A leader that dies between its message and its note of it leaves a run that is replaced, and a message for nobody.
    assert ids - sent <= set(left), "a message without its run"
    assert set(left.values()) <= {"replaced"}, "a run that nobody published nor replaced"
    # Lost with its leader, or confirmed too late by a busy broker, a message is sent again: under its first id.
    unconfirmed = sum(member.log.count('"event": "publish_failed"') for member in fleet.members)
    assert len(set(messages)) == len(ids), "a run that was sent twice has two ids"
    assert len(messages) - len(ids) <= interruptions + unconfirmed, "more messages came twice than were lost"
    assert tokens == sorted(tokens), "a fire was claimed under an outrun token"


TOKENS = "SELECT token FROM fires WHERE schedule = 'warmup:also-1' ORDER BY due_at"


def test_hundreds_of_fires_on_sqlite_without_a_gap_or_a_duplicate(sqlite: Fleet) -> None:
    kill_stop_and_resume(sqlite)
    for jump in (45, -30, 20):  # all of the machine's processes, the database among them
        sqlite.clock.jump(jump)
        if jump > 0:
            sqlite.wait_for(30)
        else:
            wait_until(sqlite.leader, 30, "a leader after the jump")
    check(sqlite, 250, interruptions=2)


def test_hundreds_of_fires_on_postgresql_without_a_gap_or_a_duplicate(postgres: Fleet, own_postgresql: Any) -> None:
    kill_stop_and_resume(postgres)
    postgres.clock.jump(-3600)  # the schedulers' own clocks: the database's counts
    postgres.wait_for(20)
    postgres.clock.jump(7200)
    postgres.wait_for(20)
    own_postgresql.restart()
    postgres.wait_for(40)
    own_postgresql.kill9()
    own_postgresql.start()
    postgres.wait_for(40)
    check(postgres, 250, interruptions=4)


def test_a_leader_whose_clock_is_a_year_ahead_takes_nothing_for_old(postgres: Fleet) -> None:
    wait_until(postgres.leader, 150, "a leader")
    postgres.wait_for(5)
    postgres.rows(
        "INSERT INTO view_log (at, username, catalog, target_kind, target_id, source)"
        " VALUES (now(), 'ada', 'native', 'chart', '1', 'page') RETURNING id"
    )
    postgres.clock.jump(366 * 86_400)
    postgres.rows("DELETE FROM fires WHERE schedule = 'retention' RETURNING due_at")  # it is due again
    ended = "SELECT 1 FROM fires WHERE schedule = 'retention' AND published_at IS NOT NULL"
    wait_until(lambda: postgres.rows(ended), 120, "another pruning")
    postgres.wait_for(10)
    assert postgres.rows("SELECT count(*) FROM view_log") == [(1,)]
    assert postgres.rows("SELECT count(*) FROM warmup_runs WHERE code = 'deadline_exceeded'") == [(0,)]


def test_another_takes_over_within_ten_seconds(postgres: Fleet) -> None:
    wait_until(postgres.leader, 150, "a leader")
    postgres.wait_for(5)
    first = postgres.leader()
    first.kill9()
    wait_until(lambda: postgres.leader() not in (None, first), TAKE_OVER_S, "a take-over")
