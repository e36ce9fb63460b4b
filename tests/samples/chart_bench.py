"""Reads rows of charts in the background without a queue, in a real database of each kind."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from services.renderer.query_charts import Charts
from services.renderer.query_keeper import Keeper
from services.renderer.query_runner import Runner
from shared.catalog.native import NativeCatalog
from shared.catalog.queries import DataQuery
from shared.identity import Tokens
from shared.metadata.engine import open_metadata, sessions, upgrade
from shared.metadata.models import Chart, Database, Dataset, Query, Role, RowLevelRule, User
from shared.results import open_results
from shared.settings import Settings
from shared.sqllab.charts import ChartWish
from shared.sqllab.orders import chart_order
from shared.sqllab.records import Hold, Limits, Queries
from shared.store import open_store
from shared.store.data import Entry
from tests.harness.polling import wait_until

SECRET = "f3b1c9d27a8e4650b1c2d3e4f5a69788"
LIMIT_S = 1.0  # of a chart's query that somebody waits for
TABLE = "CREATE TABLE sales (region varchar(20), amount integer)"
INSERT = "INSERT INTO sales VALUES ('Europe', 3), ('Asia', 5), ('Africa', 8)"
COUNT = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) SELECT max(i) AS i FROM n"
# Two views of each database: one that takes longer than a chart may, and one that takes for ever.
VIEWS = {
    "sqlite": (COUNT.format(12_000_000), COUNT.format(10**12)),
    "duckdb": (
        "SELECT count(*) AS i FROM range(60000) a, range(60000) b WHERE a.range + b.range = -1",
        "SELECT count(*) AS i FROM range(10000000) a, range(10000000) b WHERE a.range + b.range = -1",
    ),
    "postgresql": ("SELECT 7 AS i FROM pg_sleep(2)", "SELECT 7 AS i FROM pg_sleep(600)"),
    "mariadb": ("SELECT 7 + sleep(2) AS i", "SELECT 7 + sleep(600) AS i"),
}


def made(kind: str) -> list[str]:
    slow, endless = VIEWS[kind]
    return [TABLE, INSERT, f"CREATE VIEW slow AS {slow}", f"CREATE VIEW endless AS {endless}"]


def sqlite_shop(request: pytest.FixtureRequest, folder: Path) -> str:
    with contextlib.closing(sqlite3.connect(folder / "shop.sqlite")) as file:
        file.executescript(";".join(made("sqlite")))
    return f"sqlite:///{folder / 'shop.sqlite'}"


def duckdb_shop(request: pytest.FixtureRequest, folder: Path) -> str:
    with duckdb.connect(folder / "shop.duckdb") as file:
        file.execute(";".join(made("duckdb")))
    return f"duckdb:///{folder / 'shop.duckdb'}"


def postgresql_shop(request: pytest.FixtureRequest, folder: Path) -> str:
    url: str = request.getfixturevalue("postgresql").url
    with psycopg.connect(url) as server:
        for sql in made("postgresql"):
            server.execute(sql)
    return url


def mariadb_shop(request: pytest.FixtureRequest, folder: Path) -> str:
    schema = request.getfixturevalue("mariadb")
    for sql in made("mariadb"):
        schema.server.execute(sql, schema.name)
    url: str = schema.url
    return url


SHOPS = {"sqlite": sqlite_shop, "duckdb": duckdb_shop, "postgresql": postgresql_shop, "mariadb": mariadb_shop}


class Bench:
    """A query process's inside without a queue, and a viewer's process over the same store."""

    def __init__(self, folder: Path, url: str, kind: str) -> None:
        self.kind = kind
        self.settings = Settings(secret_key=SECRET, state_dir=folder, query_timeout_s=LIMIT_S)
        self.engine = open_metadata(self.settings)
        upgrade(self.engine)
        self.factory = sessions(self.engine)
        self._fill(url)
        self.queries = Queries(self.factory)
        self.keeper = Keeper(self.queries, lease_s=30, handoff_s=30)
        self.keeper.start()
        charts = Charts(self.settings, self.factory, self.queries)
        results = open_results(self.settings)
        self.runner = Runner(self.settings, self.factory, self.queries, self.keeper, results, charts)
        self.store = open_store(self.settings, side="gateway")
        self.viewer = NativeCatalog(self.factory, self.settings, Tokens(SECRET), self.store)

    def _fill(self, url: str) -> None:
        with self.factory.begin() as session:
            admin, analyst = Role(name="Admin"), Role(name="Analyst")
            shop = Database(name="shop", url=url, allow_run_async=True)
            session.add_all([User(username="ada", roles=[admin]), User(username="nora", roles=[analyst]), shop])
            for name, columns in {"sales": "region, amount", "slow": "i", "endless": "i"}.items():
                dataset = Dataset(name=name, table=name, database=shop, roles=[analyst])
                look = {"title": name, "kind": "table", "spec": {}}
                sql = f"SELECT {columns} FROM {name} ORDER BY 1"
                session.add(Chart(slug=name, database=shop, sql=sql, datasets=[dataset], **look))
                if name == "sales":
                    clause = "region = 'Europe'"
                    session.add(RowLevelRule(name="europe", dataset=dataset, clause=clause, roles=[analyst]))

    def query(self, slug: str, username: str = "ada") -> DataQuery:
        return self.viewer.chart_query(self.viewer.principal(username), self.number(slug))

    def number(self, slug: str) -> str:
        with self.factory() as session:
            return str(session.query(Chart.id).filter_by(slug=slug).scalar())

    def hold(self, slug: str, username: str = "ada", **changes: Any) -> Hold:
        with self.factory() as session:
            database = session.query(Database).one()
        wish, principal = ChartWish(self.number(slug)), self.viewer.principal(username)
        order = chart_order(self.settings, principal, database, self.query(slug, username), wish, "c")
        made = self.queries.make(replace(order, **changes), rate=1000)
        assert made is not None
        hold = self.queries.claim(made.id, self.keeper.owner, Limits(1000, 30))
        assert isinstance(hold, Hold)
        return hold

    def run(self, slug: str, username: str = "ada", **changes: Any) -> Query:
        hold = self.hold(slug, username, **changes)
        self.runner.carry_out(hold)
        return self.look(hold)

    def start(self, slug: str) -> tuple[Hold, threading.Thread]:
        """In a thread; returns when it runs in the database."""
        hold = self.hold(slug)
        thread = threading.Thread(target=self.runner.carry_out, args=(hold,))
        thread.start()
        wait_until(lambda: self.look(hold).status == "running", 30, lambda: f"the running: {self.look(hold).status}")
        return hold, thread

    def look(self, hold: Hold) -> Query:
        return self.queries.find(Query.id == hold.query.id)

    def kept(self, slug: str, username: str = "ada") -> Entry | None:
        """As a viewer's process finds them."""
        return asyncio.run(self.viewer.data.peek(self.query(slug, username)))

    def close(self) -> None:
        self.keeper.stop()
        self.runner.close()
        self.viewer.close()
        asyncio.run(self.store.close())
        self.engine.dispose()
