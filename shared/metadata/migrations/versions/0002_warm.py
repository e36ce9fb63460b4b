"""Warm dashboards: how long data stay fresh, warm-up runs and their outcomes, schedules, data-changed events."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
INTEGER, BOOLEAN, JSON = sa.Integer(), sa.Boolean(), sa.JSON()
DOUBLE: sa.Double[float] = sa.Double()
ADDED = (
    ("databases", "data_ttl_s", INTEGER),
    ("databases", "warm_concurrency", INTEGER),
    ("datasets", "data_ttl_s", INTEGER),
    ("charts", "data_ttl_s", INTEGER),
    ("view_log", "view_state", JSON),
    ("fires", "run_id", sa.String(32)),
)
TABLES = ("warmup_runs", "warmup_outcomes", "warmup_backoffs", "warmup_pauses", "warmup_schedules", "data_events")


def upgrade() -> None:
    for table, column, kind in ADDED:
        op.add_column(table, sa.Column(column, kind, nullable=True))
    op.add_column("fires", sa.Column("outcome", sa.String(20), nullable=False, server_default="fired"))
    _runs()
    _kindness()
    _schedules()


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
    op.drop_column("fires", "outcome")
    for table, column, _ in reversed(ADDED):
        op.drop_column(table, column)


def _create(table: str, key: tuple[str, ...], columns: dict[str, Any], optional: dict[str, Any], *more: Any) -> None:
    made = [sa.Column(name, kind, nullable=False) for name, kind in columns.items()]
    made += [sa.Column(name, kind, nullable=True) for name, kind in optional.items()]
    op.create_table(table, *made, sa.PrimaryKeyConstraint(*key, name=f"pk_{table}"), *more)


def _index(table: str, *columns: str) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))


def _texts(**lengths: int) -> dict[str, Any]:
    """Columns by name; length 0 is unbounded."""
    return {name: sa.String(length) if length else sa.Text() for name, length in lengths.items()}


def _runs() -> None:
    texts = _texts(id=32, strategy=50, origin=20, username=150, correlation_id=100, status=20, code=50, reason=0)
    others = {"parameters": JSON, "warms": JSON, "force": BOOLEAN, "budget_s": INTEGER, "created_at": INSTANT}
    times = dict.fromkeys(("due_at", "published_at", "started_at", "finished_at"), INSTANT)
    _create("warmup_runs", ("id",), texts | others, _texts(schedule=200) | times)
    for columns in (("correlation_id",), ("created_at",), ("status",), ("schedule", "due_at")):
        _index("warmup_runs", *columns)
    target = _texts(catalog=50, target_kind=20, target_id=200)
    texts = _texts(run_id=32, what=20) | target
    texts |= _texts(title=200, filter_id=100, executor=150, database=200, key=100, outcome=20, code=50, reason=0)
    others = {"number": INTEGER, "view_state": JSON, "viewers": INTEGER, "seconds": DOUBLE}
    times = dict.fromkeys(("finished_at", "expires_at", "used_at"), INSTANT)
    run = sa.ForeignKeyConstraint(
        ["run_id"], ["warmup_runs.id"], name="fk_warmup_outcomes_run_id_warmup_runs", ondelete="CASCADE"
    )
    _create("warmup_outcomes", ("run_id", "number"), texts | others, _texts(dashboard_id=200) | times, run)
    _index("warmup_outcomes", "key")


def _kindness() -> None:
    target = _texts(catalog=50, target_kind=20, target_id=200)
    others = {"failures": INTEGER, "retry_at": INSTANT}
    _create("warmup_backoffs", tuple(target), target | others | _texts(code=50, reason=0), {})
    place = _texts(catalog=50, database=200)
    _create("warmup_pauses", tuple(place), place | _texts(username=150, reason=0) | {"paused_at": INSTANT}, {})


def _schedules() -> None:
    texts = _texts(name=100, strategy=50, timezone=100, overlap=20, source=20, username=150)
    numbers = dict.fromkeys(("misfire_grace_s", "jitter_s", "budget_s"), INTEGER)
    others = {"parameters": JSON, "warms": JSON, "coalesce": BOOLEAN, "enabled": BOOLEAN}
    times = dict.fromkeys(("changed_on", "considered_until"), INSTANT)
    optional = _texts(cron=200) | {"interval_s": INTEGER}
    _create("warmup_schedules", ("name",), texts | numbers | others | times, optional)
    event = _texts(id=200, username=150) | {"at": INSTANT, "request": JSON, "answer": JSON}
    _create("data_events", ("id",), event, {})
    _index("data_events", "at")
