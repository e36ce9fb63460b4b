"""Logging in and out: tokens for programs, a cookie for people."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from falcon import HTTPSeeOther
from falcon.asgi import Request, Response

from services.api import people
from services.api.authentication import csrf_token, identity_of, is_own_origin, principal_of, session_of
from services.api.inputs import read_form, read_object, read_string
from services.api.peers import client_address
from services.api.services import Services
from shared.catalog.access import NAME as NATIVE
from shared.catalog.native import COOKIE
from shared.errors import Forbidden, InvalidInput, TooManyRequests, Unauthenticated
from shared.identity import Audience, Principal
from shared.metadata.users import MAX_USERNAME_CHARACTERS, sign_in


async def log_in(services: Services, req: Request, username: str, password: str) -> tuple[Principal, str]:
    """The principal and a token for them.

    Raises Unauthenticated alike for unknown users and wrong passwords, TooManyRequests, and Forbidden when another
    site's page sent it.
    """
    refuse_foreign(req, services)
    address = client_address(req, services.settings.trusted_proxies)
    await services.limits.take(username, address)
    if not 1 <= len(username) <= MAX_USERNAME_CHARACTERS or "\0" in username:
        username = ""  # nobody's name: refused after the same work as any other
    principal = await services.blocking(sign_in, services.sessions, username, password)
    await services.limits.give_back(username, address)
    return principal, services.tokens.issue(principal.username, Audience.API, services.settings.token_ttl_s)


def refuse_foreign(req: Request, services: Services) -> None:
    """Raises Forbidden when another site's page sent it: nobody is logged in unawares."""
    origin, site = req.get_header("Origin"), req.get_header("Sec-Fetch-Site")
    if origin is not None and not is_own_origin(req, origin, services.settings.base_url):
        raise Forbidden("Log in and out on our own page.")
    if site not in (None, "same-origin", "none"):
        raise Forbidden("Log in and out on our own page.")


class ApiLogin:
    """POST /api/v1/security/login `{username, password, provider: "db", refresh}` → `{access_token}`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_post(self, req: Request, resp: Response) -> None:
        body = await read_object(req)
        provider = body.get("provider", "db")
        if provider != "db":
            raise InvalidInput('provider must be "db".', field="provider")
        username, password = read_string(body, "username"), read_string(body, "password", limit=10_000)
        if not username or not password:
            missing = "password" if username else "username"
            raise InvalidInput(f"{missing} is missing.", field=missing)
        _, token = await log_in(self._services, req, username, password)
        resp.media = {"access_token": token}
        resp.set_header("Cache-Control", "no-store")


class CsrfToken:
    """GET /api/v1/security/csrf_token/ → `{result}`, for clients that send it back as `X-CSRFToken`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response) -> None:
        secret = self._services.settings.secret_key.get_secret_value()
        resp.media = {"result": csrf_token(secret, session_of(req, self._services) or "")}
        resp.set_header("Cache-Control", "no-store")


class Me:
    """GET /api/v1/me/."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response) -> None:
        principal = principal_of(req)
        known = principal.within(NATIVE)
        names = await self._services.blocking(people.full_names, self._services.sessions, [known.username])
        result: dict[str, Any] = {
            "username": principal.username,
            "name": names.get(known.username) or principal.username,
            "roles": sorted(principal.roles),
            "expires_at": int(identity_of(req).expires_at),
        }
        resp.media = {"result": result}
        resp.set_header("Cache-Control", "no-store")


class LoginPage:
    """GET and POST /login/: the form; a log-in sets the session cookie and goes to a local `next`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_get(self, req: Request, resp: Response) -> None:
        self._show(resp, safe_next(req.get_param("next")), None)

    async def on_post(self, req: Request, resp: Response) -> None:
        form = await read_form(req)
        next_url = safe_next(form.get("next"))
        try:
            _, token = await log_in(self._services, req, form.get("username", ""), form.get("password", ""))
        except (Unauthenticated, TooManyRequests) as error:
            resp.status = 401
            if isinstance(error, TooManyRequests):
                resp.status = 429
                resp.set_header("Retry-After", str(error.retry_after_s))
            self._show(resp, next_url, error.message)
            return
        set_session(resp, token, self._services)
        resp.set_header("Cache-Control", "no-store")
        raise HTTPSeeOther(next_url)

    def _show(self, resp: Response, next_url: str, error: str | None) -> None:
        resp.content_type = "text/html; charset=utf-8"
        resp.text = self._services.pages.templates.render("login.html", error=error, next=next_url, user=None)
        resp.set_header("Cache-Control", "no-store")


class Logout:
    """POST /logout/: forgets the cookie, also one that holds no more."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def on_post(self, req: Request, resp: Response) -> None:
        refuse_foreign(req, self._services)
        resp.unset_cookie(COOKIE, same_site="Lax", path="/")
        raise HTTPSeeOther("/login/")


def set_session(resp: Response, token: str, services: Services) -> None:
    """The session cookie: not for scripts, not for other sites."""
    settings = services.settings
    resp.set_cookie(
        COOKIE,
        token,
        max_age=settings.token_ttl_s,
        path="/",
        http_only=True,
        same_site="Lax",
        secure=settings.base_url.startswith("https://"),
    )


def safe_next(url: str | None) -> str:
    """A path on our own origin; anything else is the gallery. Browsers read `\\` as `/` and drop control characters."""
    if not url or not url.startswith("/") or url.startswith("//") or len(url) > 100_000:
        return "/"
    if "\\" in url or not url.isascii() or any(ord(char) < 33 or ord(char) == 127 for char in url):
        return "/"
    parts = urlsplit(url)
    return url if not parts.scheme and not parts.netloc else "/"
