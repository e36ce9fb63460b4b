"""Renders that were asked for and have not ended.

A renderer of the version before leaves its rows; they are not looked at once there is a record of the end, or the
deadline has passed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
TEXTS = {"id": 64, "correlation_id": 100, "catalog": 50, "target_kind": 20, "target_id": 200}
TEXTS |= {"executor": 150, "key": 100, "origin": 20}


def upgrade() -> None:
    op.create_table(
        "open_renders",
        *(sa.Column(name, sa.String(length), nullable=False) for name, length in TEXTS.items()),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("sizes", sa.JSON(), nullable=False),
        sa.Column("asked_at", INSTANT, nullable=False),
        sa.Column("deadline", INSTANT, nullable=False),
        sa.Column("owner", sa.String(300), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_open_renders"),
    )
    for column in ("correlation_id", "key", "deadline"):
        op.create_index(f"ix_open_renders_{column}", "open_renders", [column])


def downgrade() -> None:
    op.drop_table("open_renders")
