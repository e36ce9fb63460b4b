"""Puts the entries of a catalog into the metadata database, by slug and name; what is not listed stays."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from shared.catalog.sql import Dialect, identity, parse_query
from shared.catalog.yaml import schema, seeding
from shared.catalog.yaml.reading import Catalog, Placed
from shared.engines.urls import dialect_of, file_path
from shared.errors import InvalidInput
from shared.identity import ADMIN_ROLE
from shared.metadata.models import (
    Base,
    Chart,
    Dashboard,
    Database,
    DatabaseGrant,
    Dataset,
    Role,
    RowLevelRule,
    Seed,
    User,
    now,
)
from shared.settings import Settings

_HIDDEN = "***"  # in place of a password in what is exported; loading it keeps the password that is stored


@dataclass(frozen=True, slots=True)
class LoadReport:
    """How many entries (users, databases, datasets, rules, charts, dashboards) were created, changed, left alone."""

    created: int
    changed: int
    unchanged: int


class Loader:
    """Loads one catalog within the caller's transaction."""

    def __init__(self, session: Session, settings: Settings) -> None:
        self._session = session
        self._settings = settings
        self._counts: Counter[str] = Counter()
        self._known: dict[type[Base], dict[str, Any]] = {
            model: {getattr(row, key): row for row in session.scalars(select(model))}
            for model, key in (
                (Role, "name"),
                (User, "username"),
                (Database, "name"),
                (Dataset, "name"),
                (RowLevelRule, "name"),
                (Chart, "slug"),
                (Dashboard, "slug"),
            )
        }

    def load(self, catalog: Catalog) -> LoadReport:
        with self._session.no_autoflush:
            self._roles({ADMIN_ROLE, *catalog.of("roles")})
            for user in catalog.of("users"):
                self._put(User, {"username": user.username}, self._user(user))
            for placed in catalog.entries["databases"]:
                self._database(placed)
            for dataset in catalog.of("datasets"):
                self._put(Dataset, {"name": dataset.name}, self._dataset(dataset))
            for rule in catalog.of("row_level_rules"):
                self._put(RowLevelRule, {"name": rule.name}, self._rule(rule))
            for chart in catalog.of("charts"):
                self._put(Chart, {"slug": chart.slug}, self._chart(chart))
            self._session.flush()  # layouts name charts by their ids
            for dashboard in catalog.of("dashboards"):
                self._put(Dashboard, {"slug": dashboard.slug}, self._dashboard(dashboard))
        return LoadReport(self._counts["created"], self._counts["changed"], self._counts["unchanged"])

    def _roles(self, names: Iterable[str]) -> None:
        for name in sorted(names):
            if name not in self._known[Role]:
                self._known[Role][name] = Role(name=name)
                self._session.add(self._known[Role][name])

    def _put(self, model: type[Base], key: dict[str, str], values: dict[str, Any], *, touched: bool = False) -> Any:
        (name,) = key.values()
        row: Any = self._known[model].get(name)
        if row is None:
            tags = values.pop("tags", [])
            row = model(**key, **values)
            if tags:
                row.tags = tags
            self._session.add(row)
            self._known[model][name] = row
            self._counts["created"] += 1
        elif _apply(row, values) or touched:
            if isinstance(row, Chart | Dashboard):
                row.changed_on = now()
            self._counts["changed"] += 1
        else:
            self._counts["unchanged"] += 1
        return row

    def _user(self, user: schema.User) -> dict[str, Any]:
        return {"name": user.name, "active": user.active, "roles": self._all(Role, user.roles, "name")}

    def _database(self, placed: Placed) -> None:
        database: schema.Database = placed.entry
        existing = self._known[Database].get(database.name)
        url = _with_password(database.url, existing.url if existing else None)
        if _is_same_database(url, self._settings):
            raise InvalidInput(f"The database {database.name!r} is the metadata database; charts may not read it.")
        wanted, outdated, touched = self._seeds(placed, existing)
        plain = database.model_dump(exclude={"name", "url", "tables", "grants"})
        values = {**plain, "url": url, "seeds": wanted, "grants": self._grants(database, existing)}
        row = self._put(Database, {"name": database.name}, values, touched=touched)
        for table in outdated:
            for dataset in self._known[Dataset].values():
                if dataset.database is row and identity(dataset.table, dialect_of(url))[1] == table.lower():
                    dataset.data_version += 1

    def _grants(self, database: schema.Database, existing: Database | None) -> list[DatabaseGrant]:
        kept = {(grant.role.name, grant.schema): grant for grant in existing.grants} if existing else {}
        wanted = {(grant.role, grant.schema_) for grant in database.grants}
        grants = [
            kept.get((role, name)) or DatabaseGrant(role=self._known[Role][role], schema=name) for role, name in wanted
        ]
        return sorted(grants, key=lambda grant: (grant.schema, grant.role_id or sys.maxsize, grant.role.name))

    def _seeds(self, placed: Placed, existing: Database | None) -> tuple[list[Seed], list[str], bool]:
        """The seeds as they shall be, the tables whose rows were replaced, whether a seed that was there changed."""
        database: schema.Database = placed.entry
        if not database.tables:
            return [], [], False
        kept = {seed.name: seed for seed in existing.seeds} if existing else {}
        wanted, outdated, touched = [], [], False
        file = seeding.table_file(dialect_of(database.url), file_path(database.url, self._settings.state_dir))
        for table in sorted(database.tables, key=lambda table: table.name):
            source = placed.document.find_csv(table.csv)
            assert source is not None  # references.py has seen to it
            checksum = seeding.checksum(source, table.columns)
            seed = kept.get(table.name) or Seed(name=table.name, checksum="")
            replaced = seed.checksum not in ("", checksum)
            if seed.checksum != checksum or not file.has_table(table.name):
                file.fill(table.name, table.columns, seeding.read_rows(source, table.columns))
            values = table.model_dump(include={"csv", "source", "licence", "columns"})
            touched |= _apply(seed, {**values, "checksum": checksum})
            wanted.append(seed)
            outdated += [table.name] * replaced
        return wanted, outdated, touched

    def _dataset(self, dataset: schema.Dataset) -> dict[str, Any]:
        return {
            "database": self._known[Database][dataset.database],
            "table": dataset.table,
            "title": dataset.title,
            "roles": self._all(Role, dataset.roles, "name"),
            "data_ttl_s": dataset.data_ttl_s,
        }

    def _rule(self, rule: schema.RowLevelRule) -> dict[str, Any]:
        return {
            "dataset": self._known[Dataset][rule.dataset],
            "clause": rule.clause,
            "roles": self._all(Role, rule.roles, "name"),
        }

    def _authored(self, entry: schema.Dashboard | Any) -> dict[str, Any]:
        users = self._known[User]
        return {
            "title": entry.title,
            "description": entry.description,
            "tags": sorted(set(entry.tags)),
            "owners": self._all(User, entry.owners, "username"),
            "created_by": users[entry.created_by] if entry.created_by else None,
            "changed_by": users[entry.changed_by] if entry.changed_by else None,
        }

    def _chart(self, chart: Any) -> dict[str, Any]:
        database = self._known[Database][chart.database]
        spec = chart.spec if isinstance(chart.spec, dict) else chart.spec.model_dump(exclude_none=True)
        return {
            **self._authored(chart),
            "database": database,
            "sql": chart.sql,
            "kind": chart.kind,
            "spec": spec,
            "data_ttl_s": chart.data_ttl_s,
            "datasets": derive_datasets(chart.sql, database, self._known[Dataset].values()),
        }

    def _dashboard(self, dashboard: schema.Dashboard) -> dict[str, Any]:
        charts = self._known[Chart]
        used = {cell.chart for _, _, rows in dashboard.layout.all_tabs() for row in rows for cell in row if cell.chart}
        tabs = [
            {"id": tab, "title": title, "rows": [[_cell(cell, charts) for cell in row] for row in rows]}
            for tab, title, rows in dashboard.layout.all_tabs()
        ]
        return {
            **self._authored(dashboard),
            "layout": {"tabs": tabs},
            "filters": [definition.model_dump() for definition in dashboard.filters],
            "css": dashboard.css,
            "metadata_": dashboard.metadata,
            "published": dashboard.published,
            "charts": sorted((charts[slug] for slug in used), key=lambda chart: chart.id),
        }

    def _all(self, model: type[Base], names: Iterable[str], key: str) -> list[Any]:
        return sorted((self._known[model][name] for name in set(names)), key=lambda row: str(getattr(row, key)))


def derive_datasets(sql: str, database: Database, datasets: Iterable[Dataset]) -> list[Dataset]:
    """The datasets that a chart's query reads. Raises QueryRefused."""
    tables = {dataset.table: dataset for dataset in datasets if dataset.database is database}
    query = parse_query(sql, dialect_of(database.url), tables)
    return sorted((tables[table] for table in query.tables), key=lambda dataset: dataset.name)


def _cell(cell: schema.Cell, charts: Mapping[str, Chart]) -> dict[str, Any]:
    size = {"width": cell.width, "height": cell.height}
    return {"chart": charts[cell.chart].id, **size} if cell.chart is not None else {"markdown": cell.markdown, **size}


def _apply(row: Any, values: Mapping[str, Any]) -> bool:
    """Sets what differs; answers whether anything did."""
    as_kept: Callable[[Any], Any] = lambda value: list(value) if isinstance(value, list) else value  # noqa: E731
    changed = [name for name, value in values.items() if as_kept(getattr(row, name)) != value]
    for name in changed:
        setattr(row, name, values[name])
    return bool(changed)


def _with_password(url: str, stored: str | None) -> str:
    wanted = make_url(url)
    if wanted.password != _HIDDEN:
        return url
    if stored is None or make_url(stored).password is None:
        raise InvalidInput(f"The password in {url} is hidden; write the real one.", field="url")
    return wanted.set(password=make_url(stored).password).render_as_string(hide_password=False)


def _is_same_database(url: str, settings: Settings) -> bool:
    own, other = make_url(settings.metadata), make_url(url)
    if own.get_backend_name() != other.get_backend_name():
        return False
    if dialect_of(url) is Dialect.SQLITE:
        return (
            bool(own.database)
            and file_path(url, settings.state_dir).resolve() == (settings.state_dir / str(own.database)).resolve()
        )
    return (own.host, own.port or 5432, own.database) == (other.host, other.port or 5432, other.database)
