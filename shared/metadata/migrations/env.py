"""Runs migrations on the connection that `migrations.upgrade` hands over."""

from alembic import context

from shared.metadata.models import Base

connection = context.config.attributes["connection"]
if connection is None:
    raise RuntimeError("migrations run through shared.metadata.migrations.upgrade, or `vitrine db upgrade`")
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite cannot alter most things in place
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
