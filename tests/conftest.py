"""Fixtures: real servers, started once for the whole run, and private ones for tests that break them.

A server that is missing fails the test with one line that names it; it never skips.
"""

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, TypeVar

import hypothesis
import pytest

from tests.harness import (
    Database,
    HarnessError,
    ManagedProcess,
    MariaDB,
    MariaSchema,
    Memcached,
    PostgreSQL,
    RabbitMQ,
    Redis,
    SeaweedFS,
    Vhost,
    find_chromium,
)
from tests.harness.process import LIVE
from tests.harness.server import Server

S = TypeVar("S", bound=Server)
# A busy machine is no failure; pytest's own limit holds.
hypothesis.settings.register_profile("here", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("here")


def _running(make: Callable[[], S]) -> Iterator[S]:
    try:
        server = make()
        server.__enter__()
    except HarnessError as error:
        pytest.fail(str(error), pytrace=False)
    try:
        yield server
    finally:
        server.close()


# --- shared by all tests, clean for each ------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[RabbitMQ]:
    yield from _running(RabbitMQ)


@pytest.fixture(scope="session")
def memcached_server() -> Iterator[Memcached]:
    yield from _running(Memcached)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSQL]:
    yield from _running(PostgreSQL)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    yield from _running(Redis)


@pytest.fixture(scope="session")
def seaweedfs() -> Iterator[SeaweedFS]:
    """The shared object store; a test takes a bucket or a prefix of its own."""
    yield from _running(SeaweedFS)


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDB]:
    yield from _running(MariaDB)


@pytest.fixture
def rabbitmq(rabbitmq_server: RabbitMQ) -> Iterator[Vhost]:
    """A virtual host of its own on the shared RabbitMQ."""
    vhost = rabbitmq_server.create_vhost()
    yield vhost
    rabbitmq_server.delete_vhost(vhost)


@pytest.fixture
def memcached(memcached_server: Memcached) -> Memcached:
    """The shared Memcached, empty."""
    memcached_server.flush()
    return memcached_server


@pytest.fixture
def redis(redis_server: Redis) -> Redis:
    """The shared Redis, empty."""
    redis_server.flush()
    return redis_server


@pytest.fixture
def postgresql(postgresql_server: PostgreSQL) -> Iterator[Database]:
    """A new database on the shared PostgreSQL."""
    database = postgresql_server.create_database()
    yield database
    postgresql_server.drop_database(database)


@pytest.fixture
def mariadb(mariadb_server: MariaDB) -> Iterator[MariaSchema]:
    """A new database on the shared MariaDB."""
    made = mariadb_server.create_database()
    yield made
    mariadb_server.drop_database(made)


@pytest.fixture(scope="session")
def chromium_path() -> Path:
    """The browser that `make` would choose."""
    try:
        return find_chromium()
    except HarnessError as error:
        pytest.fail(str(error), pytrace=False)


# --- private, to be killed --------------------------------------------------------------------------------------------


@pytest.fixture
def own_rabbitmq() -> Iterator[RabbitMQ]:
    yield from _running(RabbitMQ)


@pytest.fixture
def own_memcached() -> Iterator[Memcached]:
    yield from _running(Memcached)


@pytest.fixture
def own_redis() -> Iterator[Redis]:
    yield from _running(Redis)


@pytest.fixture
def own_seaweedfs() -> Iterator[SeaweedFS]:
    yield from _running(SeaweedFS)


@pytest.fixture
def own_postgresql() -> Iterator[PostgreSQL]:
    yield from _running(PostgreSQL)


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator[Callable[..., ManagedProcess]]:
    """`spawn(command, name=…, env=…, cwd=…)`: a process that ends with the test; a failure shows its log."""
    spawned: list[ManagedProcess] = []

    def start(command: list[str | Path], **options: Any) -> ManagedProcess:
        options.setdefault("name", f"{Path(str(command[0])).name}-{len(spawned) + 1}")
        spawned.append(ManagedProcess(command, folder=tmp_path, **options))
        return spawned[-1].start()

    yield start
    for process in reversed(spawned):
        process.stop()


# --- what a failed test shows -----------------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Adds the end of the log of every process that the harness runs to the report of a failed test."""
    report = yield
    if report.failed:
        for process in sorted(LIVE, key=lambda process: process.name):
            report.sections.append((f"log of {process.name} (pid {process.pid})", process.log_tail(lines=20)))
    return report
