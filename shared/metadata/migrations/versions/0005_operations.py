"""The operations page: heartbeats, samples, evidence of failures, cancellations, paused schedules."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INSTANT, JSON = sa.DateTime(timezone=True), sa.JSON()
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
DOUBLE: sa.Double[float] = sa.Double()
TABLES = ("heartbeats", "samples", "render_evidence", "cancellations")


def upgrade() -> None:
    op.create_table(
        "heartbeats",
        *(_text(name, length) for name, length in (("id", 300), ("service", 20), ("host", 200), ("version", 50))),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("seen_at", DOUBLE, nullable=False),
        sa.Column("details", JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_heartbeats"),
    )
    op.create_table(
        "samples",
        sa.Column("slot", BIG_ID, nullable=False, autoincrement=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("readings", JSON, nullable=False),
        sa.PrimaryKeyConstraint("slot", name="pk_samples"),
    )
    op.create_table(
        "render_evidence",
        _text("render_id", 64),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("screenshot", sa.LargeBinary(), nullable=True),
        sa.Column("console", JSON, nullable=False),
        sa.PrimaryKeyConstraint("render_id", name="pk_render_evidence"),
    )
    op.create_table(
        "cancellations",
        _text("request_id", 64),
        sa.Column("at", INSTANT, nullable=False),
        _text("username", 150),
        sa.PrimaryKeyConstraint("request_id", name="pk_cancellations"),
    )
    for table in TABLES[1:]:
        op.create_index(f"ix_{table}_at", table, ["at"])
    paused: sa.Column[bool] = sa.Column("paused", sa.Boolean(), nullable=False, server_default=sa.false())
    op.add_column("warmup_schedules", paused)


def downgrade() -> None:
    op.drop_column("warmup_schedules", "paused")
    for table in reversed(TABLES):
        op.drop_table(table)


def _text(name: str, length: int) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False)
