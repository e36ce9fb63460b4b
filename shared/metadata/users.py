"""People: making them, and logging them in."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload, sessionmaker

from shared.errors import InvalidInput, Unauthenticated
from shared.identity import ADMIN_ROLE, Principal
from shared.metadata.engine import writing
from shared.metadata.models import Role, User
from shared.metadata.passwords import MAX_PASSWORD_CHARACTERS, hash_password, needs_rehash, verify_password

MAX_USERNAME_CHARACTERS = 150


def principal_of(user: User) -> Principal:
    return Principal(user.username, frozenset(role.name for role in user.roles))


def sign_in(factory: sessionmaker[Session], username: str, password: str) -> Principal:
    """The principal, if the password is theirs and they are active.

    Raises Unauthenticated with one and the same message, after the same work, for unknown users, inactive users, users
    without a password and wrong passwords.
    """
    with factory() as session:
        user = session.scalar(select(User).where(User.username == username).options(selectinload(User.roles)))
    kept = user.password_hash if user is not None and user.active else None
    if not verify_password(kept, password) or user is None or kept is None:
        raise Unauthenticated("Unknown user name or wrong password.")
    if needs_rehash(kept):
        with writing(factory) as session:
            session.get_one(User, user.id).password_hash = hash_password(password)
    return principal_of(user)


def create_user(
    factory: sessionmaker[Session],
    username: str,
    *,
    password: str | None,
    name: str = "",
    roles: Sequence[str] = (),
    update: bool = False,
) -> str:
    """Makes a user, and roles that are new; answers "created".

    With `update`, an existing user gets the password, and the name and roles that are not empty: "changed". Raises
    InvalidInput for a user name that is taken, empty or too long, and for a password out of bounds.
    """
    if not 1 <= len(username) <= MAX_USERNAME_CHARACTERS or username != username.strip() or not username.isprintable():
        raise InvalidInput(f"A user name has 1 to {MAX_USERNAME_CHARACTERS} printable characters.", field="username")
    if password is not None and not 1 <= len(password) <= MAX_PASSWORD_CHARACTERS:
        raise InvalidInput(f"A password has 1 to {MAX_PASSWORD_CHARACTERS} characters.", field="password")
    with writing(factory) as session:
        user = session.scalar(select(User).where(User.username == username))
        if user is not None and not update:
            raise InvalidInput(f"There is a user {username!r} already; add --update to change it.", field="username")
        done = "created" if user is None else "changed"
        if user is None:
            user = User(username=username)
            session.add(user)
        if password is not None:
            user.password_hash = hash_password(password)
        user.name = name or user.name or ""
        user.roles = _known_roles(session, roles) or user.roles
    return done


def _known_roles(session: Session, names: Sequence[str]) -> list[Role]:
    """Raises InvalidInput for a role that no catalog has made: it would grant nothing, silently."""
    known = {ADMIN_ROLE, *session.scalars(select(Role.name))}
    for name in names:
        if name not in known:
            raise InvalidInput(f"There is no role {name!r}; known: {', '.join(sorted(known))}.", field="role")
    return find_roles(session, names)


def find_roles(session: Session, names: Sequence[str]) -> list[Role]:
    """The roles of these names; those that are new are made."""
    known = {role.name: role for role in session.scalars(select(Role).where(Role.name.in_(names)))}
    for name in names:
        if name not in known:
            known[name] = Role(name=name)
            session.add(known[name])
    return [known[name] for name in sorted(set(names))]


def list_users(factory: sessionmaker[Session]) -> list[tuple[str, str, str, str, str]]:
    """User name, name, roles, "active" or "inactive", "password" or "no password", by user name."""
    with factory() as session:
        users = session.scalars(select(User).order_by(User.username).options(selectinload(User.roles))).all()
    return [
        (
            user.username,
            user.name,
            ",".join(role.name for role in user.roles),
            "active" if user.active else "inactive",
            "password" if user.password_hash else "no password",
        )
        for user in users
    ]
