"""Who asks (principal), as whom a picture is rendered (executor), and the tokens that carry them.

Executors as in Apache Superset 6.1 (superset.tasks.types.ExecutorType): a list of rules is tried in order and the first
that resolves to a user wins.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import jwt

from shared.errors import ExecutorNotFound, InvalidInput, Unauthenticated

ADMIN_ROLE = "Admin"
ALGORITHM = "HS256"
ISSUER = "vitrine"


class Audience(StrEnum):
    """What a token opens; one signing key each, so that one can never pass for another."""

    API = "vitrine-api"  # a person's log-in
    PAGE = "vitrine-page"  # the renderer, reading pages as an executor
    SERVICE = "vitrine-service"  # a program, for what its scopes name and nothing else


class Scope(StrEnum):
    """What a service token may open."""

    EVENTS = "events"  # tell that data changed
    WARM_UP = "warm-up"  # run and read warm-ups, pause databases
    SCHEDULES = "schedules"  # read and change schedules
    OPS = "ops"  # see and use the operations page's API


class ExecutorKind(StrEnum):
    FIXED = "fixed_user"
    CURRENT_USER = "current_user"
    CREATOR = "creator"
    CREATOR_OWNER = "creator_owner"
    MODIFIER = "modifier"
    MODIFIER_OWNER = "modifier_owner"
    OWNER = "owner"


@dataclass(frozen=True, slots=True)
class ExecutorRule:
    kind: ExecutorKind
    username: str = ""  # of FIXED only

    def __str__(self) -> str:
        return f"FIXED:{self.username}" if self.kind is ExecutorKind.FIXED else self.kind.name


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who asks. `username` "" is the anonymous principal, which may see nothing unless a catalog says so.

    `catalog` is the one whose user it is: the same name elsewhere is somebody else. `credential` is what they signed in
    with, for a catalog that can only ask its origin as them; it is never logged, stored or sent anywhere else.
    """

    username: str
    roles: frozenset[str] = frozenset()
    catalog: str = "native"
    credential: object = field(default=None, repr=False, compare=False)

    @property
    def is_admin(self) -> bool:
        return ADMIN_ROLE in self.roles

    def within(self, catalog: str) -> Principal:
        """As this catalog sees them: its own user, or else nobody, whatever their name and roles are elsewhere."""
        return self if self.catalog == catalog else Principal("")


# Whoever holds the settings (command line, scheduler): lists everything. No picture is ever rendered as it.
OPERATOR = Principal("", frozenset({ADMIN_ROLE}))


@dataclass(frozen=True, slots=True)
class Ownership:
    """Whose a target is: what executors are resolved from."""

    owners: tuple[str, ...] = ()
    created_by: str | None = None
    changed_by: str | None = None


def parse_executors(text: str) -> tuple[ExecutorRule, ...]:
    """`CURRENT_USER,OWNER,FIXED:admin` → rules. Raises InvalidInput that names the allowed words."""
    rules = []
    for word in (part.strip() for part in text.split(",") if part.strip()):
        name, _, username = word.partition(":")
        if name.upper() == "FIXED" and username:
            rules.append(ExecutorRule(ExecutorKind.FIXED, username))
        elif name.upper() != "FIXED" and not username and name.upper() in ExecutorKind.__members__:
            rules.append(ExecutorRule(ExecutorKind[name.upper()]))
        else:
            allowed = ", ".join(k.name for k in ExecutorKind if k is not ExecutorKind.FIXED)
            raise InvalidInput(f"{word!r} is no executor; allowed: {allowed}, FIXED:<user name>.")
    if not rules:
        raise InvalidInput("at least one executor is needed, such as CURRENT_USER.")
    return tuple(rules)


def resolve_executor(rules: Iterable[ExecutorRule], ownership: Ownership, current: Principal | None) -> str:
    """The user name to render as: the first rule that resolves. Raises ExecutorNotFound, naming what was tried."""
    tried = []
    for rule, username in try_rules(rules, ownership, current):
        if username is not None:
            return username
        tried.append(str(rule))
    raise ExecutorNotFound(
        f"None of the executors {', '.join(tried)} resolves for this target; "
        "give it an owner or add FIXED:<user name> to the executors."
    )


def try_rules(
    rules: Iterable[ExecutorRule], ownership: Ownership, current: Principal | None
) -> Iterator[tuple[ExecutorRule, str | None]]:
    """Each rule and the user name that it resolves to, or None, in order; the first that resolves is the last."""
    for rule in rules:
        username = _resolve(rule, ownership, current)
        yield rule, username
        if username is not None:
            return


def _resolve(rule: ExecutorRule, ownership: Ownership, current: Principal | None) -> str | None:
    owners, creator, modifier = ownership.owners, ownership.created_by, ownership.changed_by
    match rule.kind:
        case ExecutorKind.FIXED:
            return rule.username
        case ExecutorKind.CURRENT_USER:
            return current.username if current is not None else None
        case ExecutorKind.CREATOR:
            return creator
        case ExecutorKind.CREATOR_OWNER:
            return creator if creator in owners else None
        case ExecutorKind.MODIFIER:
            return modifier
        case ExecutorKind.MODIFIER_OWNER:
            return modifier if modifier in owners else None
        case ExecutorKind.OWNER:
            if len(owners) == 1:
                return owners[0]
            for candidate in (modifier, creator, *owners):
                if candidate is not None and candidate in owners:
                    return candidate
            return None


class Tokens:
    """Issues and checks JWTs: one algorithm, pinned issuer, one key per audience, always with an expiry."""

    def __init__(self, secret: str) -> None:
        self._keys = {audience: _derive(secret, audience) for audience in Audience}

    def issue(self, username: str, audience: Audience, ttl_s: float, scopes: Iterable[Scope] = ()) -> str:
        now = int(time.time())
        claims = {"sub": username, "iss": ISSUER, "aud": audience.value, "iat": now, "exp": now + int(ttl_s)}
        if scopes:
            claims["scope"] = " ".join(sorted(scopes))
        return jwt.encode(claims, self._keys[audience], algorithm=ALGORITHM)

    def check(self, token: str, audience: Audience) -> tuple[str, float]:
        """User name and expiry (Unix seconds). Raises Unauthenticated, never saying which check failed."""
        claims = self._claims(token, audience)
        return str(claims["sub"]), float(claims["exp"])

    def scopes(self, token: str) -> frozenset[Scope]:
        """Of a service token. Raises Unauthenticated. A scope that this version does not know opens nothing."""
        words = str(self._claims(token, Audience.SERVICE).get("scope", "")).split()
        return frozenset(Scope(word) for word in words if word in list(Scope))

    def _claims(self, token: str, audience: Audience) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._keys[audience],
                algorithms=[ALGORITHM],
                audience=audience.value,
                issuer=ISSUER,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise Unauthenticated("The token does not hold; log in again.") from error
        return claims


def _derive(secret: str, audience: Audience) -> bytes:
    return hmac.new(secret.encode(), f"vitrine token {audience.value}".encode(), hashlib.sha256).digest()
