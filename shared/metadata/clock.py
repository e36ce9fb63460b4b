"""Now, on the metadata database's clock: processes on several machines need no common one, and their own may jump."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Float, cast, func, select, text
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.sql.elements import ColumnElement


def database_now(session: Session) -> ColumnElement[float]:
    """Unix seconds, as an expression."""
    return now_in(dialect_of(session))


def dialect_of(session: Session) -> str:
    """SQLAlchemy's name of the database's dialect."""
    return session.get_bind().dialect.name


def now_in(dialect: str) -> ColumnElement[float]:
    """The same for a statement that is kept."""
    if dialect == "sqlite":
        return cast(text("(julianday('now') - 2440587.5) * 86400.0"), Float)
    return cast(func.extract("epoch", func.clock_timestamp()), Float)


def database_seconds(session: Session) -> float:
    """Unix seconds, asked for."""
    return session.scalar(select(database_now(session))) or 0.0


def database_instant(session: Session) -> datetime:
    return datetime.fromtimestamp(database_seconds(session), UTC)


def instant(sessions: sessionmaker[Session]) -> datetime:
    """The same in a session of its own. Raises DatabaseUnavailable."""
    with sessions() as session:
        return database_instant(session)
