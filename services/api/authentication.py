"""Who asks: a Bearer token or the session cookie, checked against the policy of the route. Default deny."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from falcon.asgi import Request, Response

from services.api.cache import ExpiringCache
from services.api.peers import is_near
from services.api.policy import Policy
from services.api.services import Services
from shared.catalog.access import NAME as NATIVE
from shared.catalog.native import COOKIE
from shared.catalog.superset.client import Credential
from shared.catalog.superset.rows import NAME as SUPERSET
from shared.errors import Forbidden, NotFound, Unauthenticated
from shared.identity import Audience, Principal, Scope, Tokens

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_TOKEN_CHARACTERS = 4096


@dataclass(frozen=True, slots=True)
class Presented:
    """What a request brought: a token of ours, or what Superset gave its user; `by_cookie`: the browser sent it."""

    token: str = field(repr=False)
    by_cookie: bool
    of_superset: bool = False


@dataclass(frozen=True, slots=True)
class Identity:
    """A principal, by which kind of token, until when (Unix seconds), and for what, if it is a service token."""

    principal: Principal
    audience: Audience
    expires_at: float
    scopes: frozenset[Scope] = frozenset()


class Authentication:
    """Falcon middleware: after it, `principal_of(req)` holds for every route that is not open to anyone."""

    def __init__(self, services: Services, policies: Mapping[str, Policy]) -> None:
        self._services = services
        self._policies = policies
        self._identities: ExpiringCache[Presented, Identity] = ExpiringCache(services.settings.access_cache_s)

    async def process_resource(self, req: Request, resp: Response, resource: Any, params: Any) -> None:
        if any("\0" in str(value) for value in params.values()):  # PostgreSQL refuses it even as something to look for
            raise NotFound("No such page.")
        policy = self._policies.get(req.uri_template or "")
        match policy:
            case Policy.ANYONE:
                return
            case Policy.NEAR:
                if not is_near(req, self._services.settings.metrics_networks):
                    raise NotFound("No such page.")
                return
            case None:
                raise Forbidden("This route has no policy; nobody may use it.")
        presented = _presented(req, self._services, policy)
        if presented is None:
            raise Unauthenticated("Log in first: send a Bearer token or the session cookie.")
        identity = await self._identities.load(presented, lambda: self._identify(presented), ttl_of=_seconds_left)
        if identity.audience is Audience.PAGE and (policy is not Policy.PAGES or req.method not in SAFE_METHODS):
            raise Forbidden("A page token only reads pages and their data.")
        try:
            _check_scope(identity, policy)
        except Forbidden as error:
            raise (NotFound("No such page.") if policy is Policy.OPS else error) from None
        if presented.by_cookie and req.method not in SAFE_METHODS:
            prove_same_origin(req, self._services, presented)
        req.context.identity = identity
        req.context.identity_left_s = self._identities.left_s(presented)

    async def _identify(self, presented: Presented) -> Identity:
        if presented.of_superset:
            return await self._ask_superset(presented)
        try:
            return await self._check(presented.token)
        except Unauthenticated:
            if presented.by_cookie or self._services.superset is None:
                raise
            return await self._ask_superset(presented)

    async def _ask_superset(self, presented: Presented) -> Identity:
        """Superset says whose session or token it is; we keep the answer for as long as any other access."""
        superset = self._services.superset
        assert superset is not None, "_presented looks for Superset's cookie only where there is one"
        credential = Credential(**{"cookie" if presented.by_cookie else "bearer": presented.token})
        principal = await self._services.blocking(superset.identify, credential)
        return Identity(principal, Audience.API, time.time() + self._services.settings.access_cache_s)

    async def _check(self, token: str) -> Identity:
        tokens, catalog = self._services.tokens, self._services.catalog
        audience, username, expires_at = _read(tokens, token)
        try:
            principal = await self._services.blocking(catalog.principal, username)
        except NotFound as error:
            raise Unauthenticated("The token does not hold; log in again.") from error
        scopes = tokens.scopes(token) if audience is Audience.SERVICE else frozenset()
        return Identity(principal, audience, expires_at, scopes)


def _read(tokens: Tokens, token: str) -> tuple[Audience, str, float]:
    """Which kind of token it is, whose, until when. Raises Unauthenticated."""
    for audience in (Audience.API, Audience.PAGE):
        try:
            return audience, *tokens.check(token, audience)
        except Unauthenticated:
            continue
    return Audience.SERVICE, *tokens.check(token, Audience.SERVICE)


def _check_scope(identity: Identity, policy: Policy) -> None:
    """Raises Forbidden: a service token opens what its scopes name, whoever it is of; a person must be an admin.

    An admin of ours: these routes show and change what all catalogs have, and a Superset decides for itself alone.
    """
    if identity.audience is Audience.SERVICE:
        if policy.scope is None or policy.scope not in identity.scopes:
            needed = f"the scope {policy.scope}" if policy.scope else "a log-in"
            raise Forbidden(f"This service token does not open this route; it needs {needed}.")
    elif policy.scope is not None and not identity.principal.within(NATIVE).is_admin:
        raise Forbidden(f"This needs the role Admin, or a service token with the scope {policy.scope}.")


def identity_of(req: Request) -> Identity:
    """Raises Unauthenticated on a route that is open to anyone."""
    identity: Identity | None = getattr(req.context, "identity", None)
    if identity is None:
        raise Unauthenticated("Log in first: send a Bearer token or the session cookie.")
    return identity


def principal_of(req: Request) -> Principal:
    return identity_of(req).principal


def csrf_token(secret: str, session: str) -> str:
    """Bound to the session's token; sent back as `X-CSRFToken`, as Superset's clients do."""
    return hmac.new(secret.encode(), f"csrf {session}".encode(), hashlib.sha256).hexdigest()


def prove_same_origin(req: Request, services: Services, presented: Presented) -> None:
    """A cookie also comes with requests that other sites cause.

    Raises Forbidden unless the browser says that this one is ours, and it was sent on purpose (header, or our form).
    """
    site, origin = req.get_header("Sec-Fetch-Site"), req.get_header("Origin")
    own_origin = origin is not None and is_own_origin(req, origin, services.settings.base_url)
    same_site = site in ("same-origin", "none") if site is not None else own_origin
    form = (req.content_type or "").startswith(("application/x-www-form-urlencoded", "multipart/form-data"))
    sent = req.get_header("X-CSRFToken") or ""
    expected = csrf_token(services.settings.secret_key.get_secret_value(), presented.token)
    deliberate = bool(req.get_header("X-Requested-With")) or hmac.compare_digest(sent.encode(), expected.encode())
    deliberate = deliberate or (presented.of_superset and bool(sent))  # Superset's own; no other site may set a header
    if not same_site or not (deliberate or (form and own_origin)) or (origin is not None and not own_origin):
        raise Forbidden("A request with the session cookie must come from our pages, with X-Requested-With.")


def is_own_origin(req: Request, origin: str, base_url: str) -> bool:
    parts = urlsplit(base_url)
    if origin.lower() == f"{parts.scheme}://{parts.netloc}".lower():
        return True
    return origin.lower() in (f"http://{req.netloc}".lower(), f"https://{req.netloc}".lower())


def session_of(req: Request, services: Services) -> str | None:
    """The raw token, from wherever it came."""
    presented = _presented(req, services)
    return presented.token if presented else None


def _presented(req: Request, services: Services, policy: Policy = Policy.PEOPLE) -> Presented | None:
    """A header wins; of two cookies, that of the default catalog, but where only our own people have something to do.

    Two on one host are common: browsers send cookies to every port of it. Raises Unauthenticated for another scheme.
    """
    header = req.auth
    if header:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not 0 < len(token.strip()) <= MAX_TOKEN_CHARACTERS:
            raise Unauthenticated("The Authorization header must be: Bearer <token>.")
        return Presented(token.strip(), by_cookie=False)
    names = [(COOKIE, False)]
    if services.superset is not None:
        names.append((services.settings.superset_cookie, True))
    if services.settings.default_catalog == SUPERSET and policy.scope is None:
        names.reverse()
    for name, of_superset in names:
        values = req.get_cookie_values(name)
        if values and 0 < len(values[0]) <= MAX_TOKEN_CHARACTERS:
            return Presented(values[0], by_cookie=True, of_superset=of_superset)
    return None


def _seconds_left(identity: Identity) -> float:
    return identity.expires_at - time.time()
