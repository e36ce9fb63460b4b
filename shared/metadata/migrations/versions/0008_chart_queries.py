"""Queries for the rows of charts in the background: what was asked for, and the key under which the rows are kept.

Both are null for queries that people write. A query process of the version before is never sent a chart's: they have a
queue of their own.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

INDEX = "ix_queries_chart_key"


def upgrade() -> None:
    op.add_column("queries", sa.Column("chart", sa.JSON(), nullable=True))
    op.add_column("queries", sa.Column("chart_key", sa.String(64), nullable=True))
    where = sa.text("chart_key IS NOT NULL")
    op.create_index(INDEX, "queries", ["chart_key"], postgresql_where=where, sqlite_where=where)


def downgrade() -> None:
    op.drop_index(INDEX, "queries")
    op.drop_column("queries", "chart_key")
    op.drop_column("queries", "chart")
