"""Queries that left something running, and the newest ones, are found without reading the history.

`ruled` is null for queries that ran before, or with a worker of the version before: nobody knows.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

LEFT, NEWEST = "ix_queries_left_running", "ix_queries_created_at"


def upgrade() -> None:
    op.add_column("queries", sa.Column("ruled", sa.Boolean(), nullable=True))
    running = sa.text("server_id IS NOT NULL")
    op.create_index(LEFT, "queries", ["id"], postgresql_where=running, sqlite_where=running)
    op.create_index(NEWEST, "queries", ["created_at"])


def downgrade() -> None:
    op.drop_index(NEWEST, "queries")
    op.drop_index(LEFT, "queries")
    op.drop_column("queries", "ruled")
