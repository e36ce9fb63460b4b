"""Engines on real databases. What each of them can do is the same; `Sample` is how each says it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from shared.engines import Engine, open_engine
from shared.metadata.models import Database
from tests.samples.catalog import make_settings

ENGINES = ("sqlite", "duckdb", "postgresql", "mariadb")


@dataclass
class Sample:
    """An engine over a database with a table `sales` (region, amount) of three rows."""

    engine: Engine
    url: str
    folder: Path
    sleep: str  # runs for minutes, cheaply
    many: str  # a hundred thousand rows at least (number, text)
    running: Callable[[], list[str]]  # what the server itself lists as running
    opened: list[Engine] = field(default_factory=list)

    def open(self, **columns: Any) -> Engine:
        """The same database, described otherwise."""
        self.opened.append(
            open_engine(Database(name="other", **{"url": self.url} | columns), make_settings(self.folder))
        )
        return self.opened[-1]

    def rows(self, sql: str, **options: Any) -> list[dict[str, Any]]:
        return self.table(sql, **options).to_pylist()

    def table(self, sql: str, *, engine: Engine | None = None, **options: Any) -> pa.Table:
        with (engine or self.engine).connect(**options) as connection:
            cursor = connection.execute(sql)
            return pa.Table.from_batches(list(cursor.batches()), cursor.schema or pa.schema([]))


SALES = "CREATE TABLE sales (region varchar(20), amount integer)"
ROWS = "INSERT INTO sales VALUES ('Europe', 10), ('Åsia', 20), (NULL, 30)"


@contextmanager
def sqlite_sample(request: pytest.FixtureRequest, folder: Path) -> Iterator[Sample]:
    (folder / "state").mkdir()
    with closing(sqlite3.connect(folder / "state" / "x.sqlite")) as connection:
        connection.executescript(f"{SALES}; {ROWS};")
    endless = "WITH RECURSIVE a(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM a{}) SELECT {} FROM a"
    many = endless.format(" WHERE x < 100000", "x AS number, 'row ' || x AS text")
    yield _sample("sqlite:///x.sqlite", folder, endless.format("", "max(x)"), many, list)


@contextmanager
def postgresql_sample(request: pytest.FixtureRequest, folder: Path) -> Iterator[Sample]:
    import psycopg

    url = request.getfixturevalue("postgresql").url
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SALES)
        connection.execute(ROWS)

        def running() -> list[str]:
            sql = "SELECT query FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()"
            return [query for (query,) in connection.execute(sql)]

        many = "SELECT x AS number, 'row ' || x AS text FROM generate_series(1, 1000000) x"
        yield _sample(url, folder, "SELECT pg_sleep(300)", many, running)


@contextmanager
def duckdb_sample(request: pytest.FixtureRequest, folder: Path) -> Iterator[Sample]:
    import duckdb

    (folder / "state").mkdir()
    with duckdb.connect(folder / "state" / "x.duckdb") as connection:
        connection.execute(f"{SALES}; {ROWS};")
    sleep = "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range + b.range = -1"
    many = "SELECT range AS number, 'row ' || range AS text FROM range(1000000)"
    yield _sample("duckdb:///x.duckdb", folder, sleep, many, list)


@contextmanager
def mariadb_sample(request: pytest.FixtureRequest, folder: Path) -> Iterator[Sample]:
    schema = request.getfixturevalue("mariadb")
    for sql in (SALES, ROWS):
        schema.server.execute(sql, schema.name)

    def running() -> list[str]:
        sql = "SELECT info FROM information_schema.processlist WHERE command = 'Query' AND id <> connection_id()"
        return [query for (query,) in schema.server.execute(sql)]

    many = "SELECT seq AS number, concat('row ', seq) AS text FROM seq_1_to_1000000"
    yield _sample(schema.url, folder, "SELECT sleep(300)", many, running)


def _sample(url: str, folder: Path, sleep: str, many: str, running: Callable[[], list[str]]) -> Sample:
    engine = open_engine(Database(name="sample", url=url, allow_dml=True), make_settings(folder))
    return Sample(engine, url, folder, sleep, many, running)


@pytest.fixture(params=ENGINES)
def sample(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sample]:
    with globals()[f"{request.param}_sample"](request, tmp_path) as made:
        yield made
        for engine in [made.engine, *made.opened]:
            engine.close()
