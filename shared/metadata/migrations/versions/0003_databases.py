"""Databases that people may query in SQL Lab: what each allows, and the roles that may query it."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SWITCHES = ("expose_in_sqllab", "allow_run_async", "allow_dml")
LIMITS: dict[str, Any] = {"query_timeout_s": sa.Integer(), "query_concurrency": sa.Integer(), "max_cost": sa.Double()}


def upgrade() -> None:
    for name in SWITCHES:
        op.add_column("databases", sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()))
    for name, kind in LIMITS.items():
        op.add_column("databases", sa.Column(name, kind, nullable=True))
    op.create_table(
        "database_grants",
        sa.Column("database_id", sa.Integer(), nullable=False),
        sa.Column("role_id", sa.Integer(), nullable=False),
        sa.Column("schema", sa.String(100), nullable=False),
        sa.PrimaryKeyConstraint("database_id", "role_id", "schema", name="pk_database_grants"),
        _key("database_id", "databases"),
        _key("role_id", "roles"),
    )
    op.create_index("ix_database_grants_role_id", "database_grants", ["role_id"])


def downgrade() -> None:
    op.drop_table("database_grants")
    for name in reversed((*SWITCHES, *LIMITS)):
        op.drop_column("databases", name)


def _key(column: str, target: str) -> sa.ForeignKeyConstraint:
    name = f"fk_database_grants_{column}_{target}"
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=name, ondelete="CASCADE")
