"""A small catalog for tests: two people under different rules, an owner, an admin, data for the admin alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from shared.catalog.native import NativeCatalog
from shared.catalog.queries import offers
from shared.catalog.yaml import LoadReport, load_catalog
from shared.identity import Principal, Tokens
from shared.metadata.engine import open_metadata, sessions, upgrade
from shared.metadata.models import Chart, Dashboard
from shared.settings import Settings
from shared.store.memory import Memory
from shared.targets import Target, TargetKind

SECRET = "4f1c0a9be27d58366b7c9d0e1f2a3b4c"
SALES_CSV = """day,region,product,amount
2024-01-01,Europe,tea,10
2024-01-02,Europe,coffee,20.5
2024-01-03,Asia,tea,30
2024-01-04,Asia,coffee,
2024-01-05,Africa,it's,50
"""
PAYROLL_CSV = "name,pay\nada,1000\n"

CATALOG = """
version: 1
roles: [Admin, Analyst, EMEA, APAC]
users:
  - {username: ada, name: Ada Ruiz, roles: [Admin]}
  - {username: emma, roles: [Analyst, EMEA]}
  - {username: arun, roles: [Analyst, APAC]}
  - {username: olga, roles: []}
  - {username: ines, roles: [Analyst], active: false}
databases:
  - name: demo
    url: sqlite:///demo.sqlite
    expose_in_sqllab: true
    allow_run_async: true
    query_timeout_s: 600
    grants: [{role: Analyst}, {role: EMEA, schema: main}]
    tables:
      - {name: sales, csv: sales.csv, columns: {day: date, region: text, product: text, amount: real}}
      - {name: payroll, csv: payroll.csv, columns: {name: text, pay: integer}}
datasets:
  - {name: sales, database: demo, table: sales, title: Sales, roles: [Analyst]}
  - {name: payroll, database: demo, table: payroll}
row_level_rules:
  - {name: emea-only, dataset: sales, roles: [EMEA], clause: "region = 'Europe'"}
  - {name: apac-only, dataset: sales, roles: [APAC], clause: "region = 'Asia'"}
charts:
  - slug: by-region
    title: Sales by region
    database: demo
    sql: SELECT region, count(*) AS n FROM sales GROUP BY region ORDER BY region
    kind: vega-lite
    spec: {data: {name: rows}, mark: bar}
    tags: [sales]
    owners: [emma, ada]
    created_by: ada
    changed_by: emma
  - slug: all-sales
    title: All sales
    database: demo
    sql: SELECT * FROM sales ORDER BY day
    kind: table
    spec: {columns: [{field: day, title: Day}, {field: amount, title: Amount, format: ",.2f", align: right}]}
  - slug: pay
    title: Pay
    database: demo
    sql: SELECT sum(pay) AS total FROM payroll
    kind: big-number
    spec: {value: total, label: Pay}
    owners: [olga]
dashboards:
  - slug: overview
    title: Overview
    description: Where we sell
    published: true
    css: ".x { color: red }"
    tags: [sales, weekly]
    owners: [ada]
    filters:
      - {id: region, title: Region, type: select, dataset: sales, column: region}
      - {id: days, title: Days, type: range, dataset: sales, column: day, default: ["2024-01-01", "2024-01-05"]}
      - {id: amount, title: Amount, type: range, dataset: sales, column: amount}
    layout:
      rows: [[{chart: by-region, width: 6, height: 4}, {markdown: "# Hi", width: 6, height: 1}], [{chart: all-sales}]]
  - slug: draft
    title: Draft
    owners: [emma]
    layout: {rows: [[{chart: by-region}]]}
  - slug: mixed
    title: Mixed
    published: true
    owners: [olga]
    layout: {tabs: [{id: one, title: One, rows: [[{chart: by-region}]]}, {id: two, title: Two, rows: [[{chart: pay}]]}]}
  - {slug: empty, title: Empty, published: true, layout: {rows: []}}
"""


@dataclass
class World:
    """A loaded catalog; `folder` holds its YAML and CSV files."""

    folder: Path
    settings: Settings
    sessions: sessionmaker[Session]
    catalog: NativeCatalog
    store: Memory

    def load(self, text: str = CATALOG) -> LoadReport:
        (self.folder / "catalog.yaml").write_text(text)
        return load_catalog(self.folder / "catalog.yaml", self.sessions, self.settings)

    def close(self) -> None:
        self.catalog.close()
        self.sessions.kw["bind"].dispose()

    def id(self, slug: str) -> str:
        return self.target(slug).id

    def target(self, slug: str) -> Target:
        with self.sessions() as session:
            for model, kind in ((Chart, TargetKind.CHART), (Dashboard, TargetKind.DASHBOARD)):
                found = session.scalar(select(model.id).where(model.slug == slug))
                if found is not None:
                    return Target("native", kind, str(found))
        raise AssertionError(f"the sample has no {slug}")

    def principal(self, username: str) -> Principal:
        return self.catalog.principal(username)

    def rows(
        self, username: str, chart: str, dashboard: str | None = None, mask: dict[str, Any] | None = None
    ) -> list[Any]:
        board = self.id(dashboard) if dashboard else None
        query = self.catalog.chart_query(self.principal(username), self.id(chart), board, mask)
        return list(json.loads(self.catalog.run(query))["data"])

    def offers(self, username: str, dashboard: str) -> list[dict[str, Any]]:
        """What the dashboard's filters offer."""
        queries = self.catalog.option_queries(self.principal(username), self.id(dashboard))
        return [offers(entry, json.loads(self.catalog.run(query)) if query else None) for entry, query in queries]

    def titles(self, username: str, kind: TargetKind) -> set[str]:
        _, found = self.catalog.list(self.principal(username), kind)
        return {info.title for info in found}


def write_files(folder: Path, text: str = CATALOG) -> Path:
    (folder / "sales.csv").write_text(SALES_CSV)
    (folder / "payroll.csv").write_text(PAYROLL_CSV)
    (folder / "catalog.yaml").write_text(text)
    return folder / "catalog.yaml"


def make_settings(folder: Path, **overrides: Any) -> Settings:
    return Settings(secret_key=SECRET, state_dir=folder / "state", **overrides)


def open_world(folder: Path, **overrides: Any) -> World:
    """What lies under the folder, or where the settings' overrides say."""
    settings = make_settings(folder, **overrides)
    factory = sessions(open_metadata(settings))
    store = Memory()
    return World(folder, settings, factory, NativeCatalog(factory, settings, Tokens(SECRET), store), store)


def make_world(folder: Path, *, text: str = CATALOG, **overrides: Any) -> World:
    """Everything loaded into fresh databases."""
    write_files(folder, text)
    world = open_world(folder, **overrides)
    upgrade(world.sessions.kw["bind"])
    world.load(text)
    return world
