"""The schema's history (Alembic), and what brings a database up to date.

Alembic is imported where it is used: the services never need it, and it logs while it is imported.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, text

from shared.errors import DatabaseUnavailable

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

_LOCK = 0x76_69_74_72  # of PostgreSQL's advisory locks: one upgrade at a time
_TURN_MS = 60_000  # how long one waits for another on SQLite


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, without an ini file."""
    from alembic.config import Config

    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    made.attributes["connection"] = connection
    return made


def _scripts() -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(config())


def head() -> str:
    """The newest revision that this code knows."""
    return _scripts().get_current_head() or ""


def upgrade(engine: Engine) -> str:
    """Brings the database to `head()`, in one transaction; several at once are safe. Returns the revision.

    Raises DatabaseUnavailable when it does not answer.
    """
    from alembic import command

    with engine.connect().execution_options(sqlite_immediate=True) as connection:
        _be_patient(connection)
        with connection.begin():
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            command.upgrade(config(connection), "head")
    return head()


def _be_patient(connection: Connection) -> None:
    """SQLite: waits for other upgrades longer than a statement would; the pool never sees this connection again."""
    raw: Any = connection.connection.driver_connection
    connection.detach()
    if connection.dialect.name == "sqlite":
        raw.execute(f"PRAGMA busy_timeout = {_TURN_MS}")


def check(engine: Engine) -> str:
    """`revision x` when the database is up to date. Raises DatabaseUnavailable that says what to run."""
    from alembic.runtime.migration import MigrationContext

    with engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    if current == head():
        return f"revision {current}"
    known = {script.revision for script in _scripts().walk_revisions()}
    if current is not None and current not in known:
        raise DatabaseUnavailable(
            f"The metadata database has revision {current}, newer than this Vitrine knows; upgrade Vitrine."
        )
    found = f"revision {current}" if current else "no tables of ours"
    raise DatabaseUnavailable(f"The metadata database has {found}, {head()} is needed; run: vitrine db upgrade")
