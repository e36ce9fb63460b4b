"""A query worker's inside over a small shop, in each kind of database."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import threading
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from services.renderer.query_keeper import Keeper
from services.renderer.query_runner import Runner
from shared.metadata.engine import open_metadata, sessions, upgrade
from shared.metadata.models import Database, DatabaseGrant, Dataset, Query, Role, RowLevelRule, User
from shared.results import open_results
from shared.settings import Settings
from shared.sqllab.records import Hold, Limits, Order, Queries
from tests.harness.polling import wait_until

_numbers = itertools.count(1)
ENDLESS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
    "postgresql": "SELECT pg_sleep(600)",
    "mariadb": "SELECT sleep(600)",
    "duckdb": "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range + b.range = -1",
}
TABLE = "CREATE TABLE sales (region varchar(20), amount integer)"
INSERT = "INSERT INTO sales VALUES ('Europe', 3), ('Asia', 5), ('Africa', 8)"
ROWS = [("Europe", 3), ("Asia", 5), ("Africa", 8)]


class Bench:
    """A worker's inside without a queue: somebody asks, and the query is carried out here."""

    def __init__(self, folder: Path, url: str, kind: str) -> None:
        self.kind = kind
        self.server: Any = None  # MariaDB's, to look into
        self.settings = Settings(
            secret_key="f3b1c9d27a8e4650b1c2d3e4f5a69788", state_dir=folder, query_lease_s=3, query_handoff_s=1
        )
        self.engine = open_metadata(self.settings)
        upgrade(self.engine)
        self.factory = sessions(self.engine)
        self.queries = Queries(self.factory)
        self.results = open_results(self.settings)
        self.keeper = Keeper(self.queries, lease_s=3, handoff_s=1)
        self.keeper.start()
        self.runner = Runner(self.settings, self.factory, self.queries, self.keeper, self.results)
        self._fill(url)

    def _fill(self, url: str) -> None:
        with self.factory.begin() as session:
            admin, analyst = Role(name="Admin"), Role(name="Analyst")
            shop = Database(name="shop", url=url, expose_in_sqllab=True, allow_dml=True, grants=[])
            shop.grants.append(DatabaseGrant(role=analyst, schema=""))
            sales = Dataset(name="sales", table="sales", database=shop, roles=[analyst])
            session.add_all([User(username="ada", roles=[admin]), User(username="nora", roles=[analyst]), shop, sales])
            session.add(RowLevelRule(name="europe", dataset=sales, clause="region = 'Europe'", roles=[analyst]))

    def database(self) -> Database:
        with self.factory() as session:
            return session.query(Database).one()

    def ask(self, sql: str, **changes: Any) -> Query:
        values: dict[str, Any] = {
            "client_id": f"c{next(_numbers)}",
            "username": "ada",
            "database": self.database(),
            "sql": sql,
            "queue": "vitrine_sql_long_v1",
            "correlation_id": "c",
            "timeout_s": 60,
            "row_limit": 1000,
            "limiting_factor": "DROPDOWN",
            "run_async": True,
        }
        query = self.queries.make(Order(**values | changes), rate=1000)
        assert query is not None
        return query

    def hold(self, sql: str, **changes: Any) -> Hold:
        query = self.ask(sql, **changes)
        hold = self.queries.claim(query.id, self.keeper.owner, Limits(1000, 3))
        assert isinstance(hold, Hold)
        return hold

    def run(self, sql: str, **changes: Any) -> Query:
        hold = self.hold(sql, **changes)
        self.runner.carry_out(hold)
        return self.look(hold)

    def start(self, sql: str, **changes: Any) -> tuple[Hold, threading.Thread]:
        """In a thread; returns when it runs in the database."""
        hold = self.hold(sql, **changes)
        thread = threading.Thread(target=self.runner.carry_out, args=(hold,))
        thread.start()
        wait_until(lambda: self.look(hold).status == "running", 30, "the running")
        return hold, thread

    def look(self, hold: Hold) -> Query:
        return self.queries.find(Query.id == hold.query.id)

    def rows(self, query: Query) -> list[tuple[Any, ...]]:
        assert query.results_key, query.reason
        table = self.results.page(query.results_key, 0, 10_000)
        return [tuple(row.values()) for row in table.to_pylist()]

    def close(self) -> None:
        self.keeper.stop()
        self.runner.close()
        self.engine.dispose()


def sqlite_shop(request: pytest.FixtureRequest, folder: Path) -> str:
    with contextlib.closing(sqlite3.connect(folder / "shop.sqlite")) as file:
        file.executescript(f"{TABLE}; {INSERT};")
    return f"sqlite:///{folder / 'shop.sqlite'}"


def duckdb_shop(request: pytest.FixtureRequest, folder: Path) -> str:
    with duckdb.connect(folder / "shop.duckdb") as file:
        file.execute(f"{TABLE}; {INSERT}")
    return f"duckdb:///{folder / 'shop.duckdb'}"


def postgresql_shop(request: pytest.FixtureRequest, folder: Path) -> str:
    url: str = request.getfixturevalue("postgresql").url
    with psycopg.connect(url) as server:
        server.execute(TABLE)
        server.execute(INSERT)
    return url


def mariadb_shop(request: pytest.FixtureRequest, folder: Path) -> str:
    schema = request.getfixturevalue("mariadb")
    for sql in (TABLE, INSERT):
        schema.server.execute(sql, schema.name)
    url: str = schema.url
    return url


SHOPS = {"sqlite": sqlite_shop, "duckdb": duckdb_shop, "postgresql": postgresql_shop, "mariadb": mariadb_shop}
