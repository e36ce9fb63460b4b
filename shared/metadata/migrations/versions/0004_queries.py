"""Queries of people, each with its state and the lease of the worker that has it."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INTEGER, BOOLEAN, JSON = sa.Integer(), sa.Boolean(), sa.JSON()
DOUBLE: sa.Double[float] = sa.Double()
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "queries",
        sa.Column("id", BIG_ID, nullable=False),
        *(sa.Column(name, kind, nullable=False) for name, kind in _required().items()),
        *(sa.Column(name, kind, nullable=True) for name, kind in _optional().items()),
        sa.PrimaryKeyConstraint("id", name="pk_queries"),
        sa.UniqueConstraint("client_id", name="uq_queries_client_id"),
        sa.ForeignKeyConstraint(
            ["database_id"], ["databases.id"], name="fk_queries_database_id_databases", ondelete="SET NULL"
        ),
        sqlite_autoincrement=True,
    )
    for columns in (
        ("username", "created_at"),
        ("status", "lease_until"),
        ("database_id",),
        ("correlation_id",),
        ("results_key",),
        ("changed_at",),
    ):
        op.create_index(f"ix_queries_{'_'.join(columns)}", "queries", list(columns))


def downgrade() -> None:
    op.drop_table("queries")


def _required() -> dict[str, Any]:
    texts = _texts(client_id=64, username=150, database_name=100, tab=256, sql_editor_id=256, sql=0)
    texts |= _texts(limiting_factor=20, queue=50, correlation_id=64, status=20, code=50, reason=0, owner=200)
    whole = dict.fromkeys(("row_limit", "progress", "statements", "statements_done", "epoch", "publications"), INTEGER)
    times = dict.fromkeys(("lease_until", "created_at", "changed_at", "deadline_at"), DOUBLE)
    return texts | whole | times | {"run_async": BOOLEAN, "extra": JSON}


def _optional() -> dict[str, Any]:
    texts = _texts(catalog=256, schema=256, executed_sql=0, results_key=64, server_id=200, stop_asked_by=150)
    times = dict.fromkeys(("published_at", "started_at", "ended_at"), DOUBLE)
    return texts | times | {"database_id": INTEGER, "rows": INTEGER}


def _texts(**lengths: int) -> dict[str, Any]:
    """Columns by name; length 0 is unbounded."""
    return {name: sa.String(length) if length else sa.Text() for name, length in lengths.items()}
