"""Several schedulers on one database: every due time fires once, whoever dies, stops or resumes."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.harness.polling import wait_until

INTERVAL_S, LEASE_S = 0.5, 2.0


class Cluster:
    """Scheduler processes over one metadata database, looked at from outside."""

    def __init__(self, spawn: Callable[..., Any], folder: Path, url: str, broker_url: str) -> None:
        self._spawn = spawn
        self.url = url
        self.environment = {
            "VITRINE_SECRET_KEY": "f3b1c9d27a8e4650b1c2d3e4f5a69788",
            "VITRINE_METADATA_URL": url,
            "VITRINE_STATE_DIR": str(folder),
            "VITRINE_BROKER_URL": broker_url,
            "VITRINE_REFRESH_INTERVAL_S": str(INTERVAL_S),
            "VITRINE_LEASE_S": str(LEASE_S),
            "VITRINE_LOG_FORMAT": "json",
        }
        upgrade = spawn([sys.executable, "-m", "services.cli", "db", "upgrade"], env=self.environment, name="upgrade")
        assert upgrade.wait(60) == 0
        self.members = {i: self.start(i) for i in range(3)}

    def start(self, number: int) -> Any:
        return self._spawn(
            [sys.executable, "-m", "services.scheduler"], env=self.environment, name=f"scheduler-{number}"
        )

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        if self.url.startswith("sqlite"):
            with sqlite3.connect(self.url.removeprefix("sqlite:///"), timeout=10) as connection:
                found = connection.execute(sql).fetchall()
            connection.close()
            return found
        with psycopg.connect(self.url) as postgres:
            return postgres.execute(sql.encode()).fetchall()

    def leader(self) -> Any:
        """The process that holds the lease now."""
        holder = self.rows("SELECT holder FROM scheduler_lease")[0][0]
        return next(member for member in self.members.values() if f":{member.pid}:" in holder)

    def fires(self) -> list[float]:
        epoch = (
            "(julianday(due_at) - 2440587.5) * 86400.0"
            if self.url.startswith("sqlite")
            else "extract(epoch from due_at)"
        )
        return sorted(
            float(at)
            for (at,) in self.rows(f"SELECT {epoch} FROM fires WHERE schedule = 'refresh' AND published_at IS NOT NULL")
        )

    def wait_for_fires(self, more: int) -> None:
        before = len(self.fires())
        wait_until(lambda: len(self.fires()) >= before + more, 40, f"{more} more fires")


@pytest.fixture(params=["sqlite", "postgresql"])
def cluster(request: pytest.FixtureRequest, tmp_path: Path, spawn: Any, rabbitmq: Any) -> Cluster:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'metadata.sqlite'}"
    else:
        url = request.getfixturevalue("postgresql").url
    return Cluster(spawn, tmp_path, url, rabbitmq.url)


def test_each_due_time_fires_once_though_the_leader_is_killed_and_the_next_is_stopped_and_resumed(
    cluster: Cluster,
) -> None:
    wait_until(lambda: cluster.rows("SELECT holder FROM scheduler_lease"), 30, "a leader")
    cluster.wait_for_fires(4)
    cluster.leader().kill9()
    cluster.wait_for_fires(4)
    stopped = cluster.leader()
    stopped.pause()
    wait_until(lambda: cluster.leader() is not stopped, 20, "another leader")
    cluster.wait_for_fires(4)
    stopped.resume()
    cluster.wait_for_fires(6)
    fires = cluster.fires()
    assert len(fires) == len({round(at / INTERVAL_S) for at in fires}), "a due time fired twice"
    gaps = [round(later - earlier, 2) for earlier, later in pairwise(fires)]
    assert sorted(gaps)[-3] < LEASE_S, f"gaps besides those of the two take-overs: {gaps}"
    assert max(gaps) < 10, f"a take-over takes less than 10 s: {gaps}"
    tokens = [token for (token,) in cluster.rows("SELECT token FROM fires WHERE schedule = 'refresh' ORDER BY due_at")]
    assert tokens == sorted(tokens), "a fire was claimed under an outrun token"
