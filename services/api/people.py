"""What the gateway shows of people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from shared.metadata.models import User


def full_names(factory: sessionmaker[Session], usernames: Sequence[str]) -> Mapping[str, str]:
    """User name → full name; those without one keep their user name."""
    if not usernames:
        return {}
    with factory() as session:
        rows = session.execute(select(User.username, User.name).where(User.username.in_(usernames)))
        return {username: name or username for username, name in rows}
