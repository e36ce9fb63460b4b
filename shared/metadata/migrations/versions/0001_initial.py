"""The initial schema."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# fmt: off
TABLES = (  # in the order of their foreign keys
    "roles", "users", "user_roles", "databases", "seeds", "datasets", "dataset_roles", "row_level_rules",
    "row_level_rule_roles", "charts", "chart_datasets", "chart_owners", "chart_tags", "dashboards",
    "dashboard_charts", "dashboard_owners", "dashboard_tags", "permalinks", "view_log", "render_records",
    "scheduler_lease", "fires",
)
# fmt: on


def upgrade() -> None:
    _people()
    _data()
    _charts()
    _dashboards()
    _views_and_renders()
    _scheduler()


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)


def _column(name: str, kind: Any, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=nullable)


def _texts(lengths: dict[str, int | None], *, nullable: bool = False) -> list[sa.Column[Any]]:
    """Columns by name; length None is unbounded."""
    return [
        _column(name, sa.String(length) if length else sa.Text(), nullable=nullable) for name, length in lengths.items()
    ]


def _reference(
    table: str, column: str, target: str, ondelete: str = "CASCADE", *, nullable: bool = False
) -> tuple[sa.Column[Any], sa.ForeignKeyConstraint]:
    name = f"fk_{table}_{column}_{target}"
    key = sa.ForeignKeyConstraint([column], [f"{target}.id"], name=name, ondelete=ondelete)
    return _column(column, sa.Integer(), nullable=nullable), key


def _create(
    table: str, *parts: Any, key: tuple[str, ...] = ("id",), unique: tuple[tuple[str, ...], ...] = (), **options: Any
) -> None:
    constraints = [sa.PrimaryKeyConstraint(*key, name=f"pk_{table}")]
    constraints += [sa.UniqueConstraint(*columns, name=f"uq_{table}_{'_'.join(columns)}") for columns in unique]  # type: ignore[misc]
    op.create_table(table, *parts, *constraints, **options)


def _index(table: str, *columns: str) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))


def _link(table: str, left: str, right: str, on_right_delete: str = "CASCADE") -> None:
    one, other = f"{left[:-1]}_id", f"{right[:-1]}_id"
    _create(table, *_reference(table, one, left), *_reference(table, other, right, on_right_delete), key=(one, other))
    _index(table, other)


def _tags(table: str, owner: str) -> None:
    column = f"{owner[:-1]}_id"
    _create(table, *_reference(table, column, owner), *_texts({"name": 100}), key=(column, "name"))
    _index(table, "name")


def _people() -> None:
    _create("roles", _column("id", sa.Integer()), *_texts({"name": 100}), unique=(("name",),))
    _create(
        "users",
        _column("id", sa.Integer()),
        *_texts({"username": 150, "name": 200}),
        *_texts({"password_hash": 255}, nullable=True),
        _column("active", sa.Boolean()),
        _column("created_on", INSTANT),
        unique=(("username",),),
        sqlite_autoincrement=True,
    )
    _link("user_roles", "users", "roles")


def _data() -> None:
    number = sa.Integer()
    _create(
        "databases",
        _column("id", number),
        *_texts({"name": 100, "url": None}),
        _column("data_version", number),
        unique=(("name",),),
    )
    _create(
        "seeds",
        _column("id", number),
        *_reference("seeds", "database_id", "databases"),
        *_texts({"name": 100, "csv": None, "source": None, "licence": None, "checksum": 64}),
        _column("columns", sa.JSON()),
        unique=(("database_id", "name"),),
    )
    _create(
        "datasets",
        _column("id", number),
        *_reference("datasets", "database_id", "databases", "RESTRICT"),
        *_texts({"name": 100, "table": 200, "title": 200}),
        _column("data_version", number),
        unique=(("name",), ("database_id", "table")),
    )
    _link("dataset_roles", "datasets", "roles")
    rule = _reference("row_level_rules", "dataset_id", "datasets")
    _create(
        "row_level_rules", _column("id", number), *rule, *_texts({"name": 100, "clause": None}), unique=(("name",),)
    )
    _index("row_level_rules", "dataset_id")
    _link("row_level_rule_roles", "row_level_rules", "roles")


def _authored(table: str, *parts: Any) -> None:
    _create(
        table,
        _column("id", sa.Integer()),
        *_texts({"slug": 100, "title": 200, "description": None}),
        *parts,
        _column("created_on", INSTANT),
        _column("changed_on", INSTANT),
        *_reference(table, "created_by_id", "users", "SET NULL", nullable=True),
        *_reference(table, "changed_by_id", "users", "SET NULL", nullable=True),
        unique=(("slug",),),
        sqlite_autoincrement=True,
    )
    _index(table, "changed_on")


def _charts() -> None:
    database = _reference("charts", "database_id", "databases", "RESTRICT")
    _authored("charts", *database, *_texts({"sql": None, "kind": 20}), _column("spec", sa.JSON()))
    _link("chart_datasets", "charts", "datasets", "RESTRICT")
    _link("chart_owners", "charts", "users")
    _tags("chart_tags", "charts")


def _dashboards() -> None:
    documents = [_column(name, sa.JSON()) for name in ("layout", "filters", "metadata")]
    _authored("dashboards", *documents, *_texts({"css": None}), _column("published", sa.Boolean()))
    _link("dashboard_charts", "dashboards", "charts")
    _link("dashboard_owners", "dashboards", "users")
    _tags("dashboard_tags", "dashboards")
    dashboard = _reference("permalinks", "dashboard_id", "dashboards")
    own = (*_texts({"key": 32, "created_by": 150}), _column("state", sa.JSON()), _column("created_on", INSTANT))
    _create("permalinks", *own, *dashboard, key=("key",))
    _index("permalinks", "dashboard_id")


def _views_and_renders() -> None:
    target = {"catalog": 50, "target_kind": 20, "target_id": 200}
    view = (*_texts({"username": 150, **target, "source": 50}), *_texts({"dashboard_id": 200}, nullable=True))
    _create("view_log", _column("id", BIG_ID), _column("at", INSTANT), *view)
    _index("view_log", "at")
    _index("view_log", "target_kind", "target_id", "at")
    lengths = {"id": 64, "correlation_id": 100, **target, "executor": 150, "key": 100, "origin": 20, "status": 20}
    _create(
        "render_records",
        *_texts({**lengths, "code": 50, "reason": None}),
        _column("generation", sa.BigInteger()),
        *(_column(name, sa.JSON()) for name in ("timeline", "sizes", "failed_charts")),
        _column("started_at", INSTANT),
        _column("finished_at", INSTANT, nullable=True),
    )
    for column in ("correlation_id", "key", "started_at", "status"):
        _index("render_records", column)
    _index("render_records", "target_kind", "target_id", "started_at")


def _scheduler() -> None:
    lease = (
        *_texts({"name": 50, "holder": 200}),
        _column("token", sa.BigInteger()),
        _column("expires_at", sa.Double()),
    )
    _create("scheduler_lease", *lease, key=("name",))
    _create(
        "fires",
        *_texts({"schedule": 200, "correlation_id": 64}),
        _column("due_at", INSTANT),
        _column("token", sa.BigInteger()),
        _column("claimed_at", INSTANT),
        _column("published_at", INSTANT, nullable=True),
        key=("schedule", "due_at"),
    )
