"""Databases, datasets, charts, dashboards and the rules on their rows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Column, ForeignKey, Integer, String, Table, Text, UniqueConstraint
from sqlalchemy.ext.associationproxy import AssociationProxy, association_proxy
from sqlalchemy.orm import Mapped, mapped_column, relationship

from shared.metadata.models.base import Base, now
from shared.metadata.models.people import Role, User
from shared.metadata.secrets import EncryptedText


def _link(name: str, left: str, right: str, on_right_delete: str = "CASCADE") -> Table:
    """A many-to-many table: `left` and `right` are table names, its columns their singulars with `_id`."""
    left_key = ForeignKey(f"{left}.id", ondelete="CASCADE")
    right_key = ForeignKey(f"{right}.id", ondelete=on_right_delete)
    return Table(
        name,
        Base.metadata,
        Column(f"{left[:-1]}_id", Integer, left_key, primary_key=True),
        Column(f"{right[:-1]}_id", Integer, right_key, primary_key=True, index=True),
    )


dataset_roles = _link("dataset_roles", "datasets", "roles")
rule_roles = _link("row_level_rule_roles", "row_level_rules", "roles")
# A dataset in use cannot go: a chart that lost one would be open to whoever may read the rest.
chart_datasets = _link("chart_datasets", "charts", "datasets", on_right_delete="RESTRICT")
chart_owners = _link("chart_owners", "charts", "users")
dashboard_charts = _link("dashboard_charts", "dashboards", "charts")
dashboard_owners = _link("dashboard_owners", "dashboards", "users")


class Database(Base):
    """Where the data lie. `url` may hold a password: it is never shown, logged or exported as it stands."""

    __tablename__ = "databases"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    url: Mapped[str] = mapped_column(EncryptedText)
    data_version: Mapped[int] = mapped_column(default=1)
    data_ttl_s: Mapped[int | None]  # how long rows count as fresh; 0: never kept; None: the next less specific says
    warm_concurrency: Mapped[int | None]  # queries of warm-up at once, in the whole fleet; None: the setting says
    expose_in_sqllab: Mapped[bool] = mapped_column(default=False)
    allow_run_async: Mapped[bool] = mapped_column(default=False)
    allow_dml: Mapped[bool] = mapped_column(default=False)
    query_timeout_s: Mapped[int | None]  # of one query of SQL Lab; None: the settings say
    query_concurrency: Mapped[int | None]  # queries of SQL Lab at once, in the whole fleet; None: no limit
    max_cost: Mapped[float | None]  # the database's own estimate, in its own units; dearer queries are refused

    grants: Mapped[list[DatabaseGrant]] = relationship(
        back_populates="database",
        order_by="[DatabaseGrant.schema, DatabaseGrant.role_id]",
        cascade="all, delete-orphan",
    )
    seeds: Mapped[list[Seed]] = relationship(
        back_populates="database", order_by="Seed.name", cascade="all, delete-orphan"
    )

    def __repr__(self) -> str:
        return f"Database({self.name!r})"  # never the URL


class DatabaseGrant(Base):
    """Users with the role may query the database in SQL Lab: one schema of it, or, where that is "", every one."""

    __tablename__ = "database_grants"

    database_id: Mapped[int] = mapped_column(ForeignKey("databases.id", ondelete="CASCADE"), primary_key=True)
    role_id: Mapped[int] = mapped_column(ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True, index=True)
    schema: Mapped[str] = mapped_column(String(100), primary_key=True, default="")

    database: Mapped[Database] = relationship(back_populates="grants")
    role: Mapped[Role] = relationship()


class Seed(Base):
    """A table of a SQLite database that is filled from a CSV file; `checksum` says with what (SHA-256)."""

    __tablename__ = "seeds"
    __table_args__ = (UniqueConstraint("database_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    database_id: Mapped[int] = mapped_column(ForeignKey("databases.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(100))
    csv: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text, default="")
    licence: Mapped[str] = mapped_column(Text, default="")
    columns: Mapped[dict[str, Any]]  # {column: text|integer|real|date|datetime|boolean}
    checksum: Mapped[str] = mapped_column(String(64))

    database: Mapped[Database] = relationship(back_populates="seeds")


class Dataset(Base):
    """A table that charts may read; `table` is an SQL name, with its schema where it has one."""

    __tablename__ = "datasets"
    __table_args__ = (UniqueConstraint("database_id", "table"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    database_id: Mapped[int] = mapped_column(ForeignKey("databases.id", ondelete="RESTRICT"))
    table: Mapped[str] = mapped_column(String(200))
    title: Mapped[str] = mapped_column(String(200), default="")
    data_version: Mapped[int] = mapped_column(default=1)
    data_ttl_s: Mapped[int | None]

    database: Mapped[Database] = relationship()
    roles: Mapped[list[Role]] = relationship(secondary=dataset_roles, order_by=Role.name)
    rules: Mapped[list[RowLevelRule]] = relationship(back_populates="dataset", order_by="RowLevelRule.name")


class RowLevelRule(Base):
    """Users with one of the roles see only rows of the dataset that fulfil the clause (an SQL condition)."""

    __tablename__ = "row_level_rules"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), index=True)
    clause: Mapped[str] = mapped_column(Text)

    dataset: Mapped[Dataset] = relationship(back_populates="rules")
    roles: Mapped[list[Role]] = relationship(secondary=rule_roles, order_by=Role.name)


class Authored:
    """Columns of what people make: charts and dashboards."""

    created_on: Mapped[datetime] = mapped_column(default=now)
    changed_on: Mapped[datetime] = mapped_column(default=now, index=True)

    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    changed_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))


class ChartTag(Base):
    __tablename__ = "chart_tags"

    chart_id: Mapped[int] = mapped_column(ForeignKey("charts.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(100), primary_key=True, index=True)


class DashboardTag(Base):
    __tablename__ = "dashboard_tags"

    dashboard_id: Mapped[int] = mapped_column(ForeignKey("dashboards.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(100), primary_key=True, index=True)


class Chart(Authored, Base):
    """One query and how to draw its rows. `datasets` is derived: the tables that `sql` reads."""

    __tablename__ = "charts"
    __table_args__ = ({"sqlite_autoincrement": True},)  # an id is never used again: it stands in the keys of pictures

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(String(100), unique=True)
    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(Text, default="")
    database_id: Mapped[int] = mapped_column(ForeignKey("databases.id", ondelete="RESTRICT"))
    sql: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(String(20))  # vega-lite, table or big-number
    spec: Mapped[dict[str, Any]]
    data_ttl_s: Mapped[int | None]

    database: Mapped[Database] = relationship()
    datasets: Mapped[list[Dataset]] = relationship(secondary=chart_datasets, order_by=Dataset.name)
    owners: Mapped[list[User]] = relationship(secondary=chart_owners, order_by=User.username)
    created_by: Mapped[User | None] = relationship(foreign_keys="Chart.created_by_id")
    changed_by: Mapped[User | None] = relationship(foreign_keys="Chart.changed_by_id")
    tag_rows: Mapped[list[ChartTag]] = relationship(order_by=ChartTag.name, cascade="all, delete-orphan")
    tags: AssociationProxy[list[str]] = association_proxy("tag_rows", "name", creator=lambda name: ChartTag(name=name))


class Dashboard(Authored, Base):
    """Charts in a grid. `charts` is derived: those that stand in `layout`.

    `layout` is {"tabs": [{"id", "title", "rows": [[CELL]]}]}; a cell is {"chart": id, "width", "height"} or
    {"markdown", "width", "height"}; a dashboard without tabs has one with id and title "". `filters` is a list of
    {"id", "title", "type", "dataset", "column", "multiple", "default"}.
    """

    __tablename__ = "dashboards"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(String(100), unique=True)
    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(Text, default="")
    layout: Mapped[dict[str, Any]]
    filters: Mapped[list[Any]]
    css: Mapped[str] = mapped_column(Text, default="")
    # "metadata" is SQLAlchemy's own name on a model, hence the underscore.
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", default=dict)
    published: Mapped[bool] = mapped_column(default=False)

    charts: Mapped[list[Chart]] = relationship(secondary=dashboard_charts, order_by=Chart.id)
    owners: Mapped[list[User]] = relationship(secondary=dashboard_owners, order_by=User.username)
    created_by: Mapped[User | None] = relationship(foreign_keys="Dashboard.created_by_id")
    changed_by: Mapped[User | None] = relationship(foreign_keys="Dashboard.changed_by_id")
    tag_rows: Mapped[list[DashboardTag]] = relationship(order_by=DashboardTag.name, cascade="all, delete-orphan")
    tags: AssociationProxy[list[str]] = association_proxy(
        "tag_rows", "name", creator=lambda name: DashboardTag(name=name)
    )


class Permalink(Base):
    """A saved view state of a dashboard."""

    __tablename__ = "permalinks"

    key: Mapped[str] = mapped_column(String(32), primary_key=True)
    dashboard_id: Mapped[int] = mapped_column(ForeignKey("dashboards.id", ondelete="CASCADE"), index=True)
    state: Mapped[dict[str, Any]]  # ViewState.as_json()
    created_by: Mapped[str] = mapped_column(String(150), default="")
    created_on: Mapped[datetime] = mapped_column(default=now)
