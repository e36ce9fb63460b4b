"""The only table from errors to HTTP: RFC 9457 problem JSON for programs, a page for people on page routes.

A body is `{type, title, status, detail, code, correlation_id, field?}`; `code` is one of `shared.errors.BY_CODE`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Protocol
from urllib.parse import urlencode

import falcon
import structlog
from falcon.asgi import App, Request, Response

from shared import errors

STATUS: dict[type[errors.VitrineError], HTTPStatus] = {
    errors.InvalidInput: HTTPStatus.BAD_REQUEST,
    errors.UnknownVersion: HTTPStatus.BAD_REQUEST,
    errors.Unauthenticated: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.TooManyRequests: HTTPStatus.TOO_MANY_REQUESTS,
    errors.ExecutorNotFound: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.QueryRefused: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.QueryFailed: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.QueryTooCostly: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.QueryTimedOut: HTTPStatus.GATEWAY_TIMEOUT,
    errors.QueryCancelled: HTTPStatus.CONFLICT,
    errors.WorkerLost: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.SecretUnreadable: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.ResultsGone: HTTPStatus.GONE,
    errors.ResultTooLarge: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.ProcessesDisagree: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.DeadlineExceeded: HTTPStatus.GATEWAY_TIMEOUT,
    errors.BrokerUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StoreUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ResultsUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.DatabaseUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.CatalogUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.CatalogSignIn: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.BrowserUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.Internal: HTTPStatus.INTERNAL_SERVER_ERROR,
}
RENDER_FAILED = HTTPStatus.BAD_GATEWAY  # what is left in the taxonomy: the origin's page, or the browser, failed
PAGES = ("/dashboard/", "/chart/")
RETRY_AFTER_S = 5  # for a dependency that is down; long enough not to hammer it

# What Falcon raises by itself: no such route, method, media type, too large a body.
_FALCON_CODES = {401: "unauthenticated", 403: "forbidden", 404: "not_found", 429: "too_many_requests"}

log = structlog.get_logger(__name__)


class ErrorPage(Protocol):
    """Renders a page for people: `(status, title, detail, code, correlation_id) → HTML`."""

    def __call__(self, *, status: int, title: str, detail: str, code: str, correlation_id: str) -> str: ...


def status_of(error: errors.VitrineError) -> HTTPStatus:
    """The most specific row of the table."""
    for cls in type(error).__mro__:
        if cls in STATUS:
            return STATUS[cls]
    return RENDER_FAILED


def install(app: App[Request, Response], error_page: ErrorPage) -> None:
    """Every error of every route ends here."""

    async def on_ours(req: Request, resp: Response, error: errors.VitrineError, params: Any) -> None:
        status = status_of(error)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.warning("request_failed", code=error.code, reason=error.message, path=req.path)
        if isinstance(error, errors.Unauthenticated) and wants_page(req):
            to = f"{req.path.rstrip('/')}/" + (f"?{req.query_string}" if req.query_string else "")
            raise falcon.HTTPFound(f"/login/?{urlencode({'next': to})}", headers={"Cache-Control": "no-store"})
        _answer(req, resp, error_page, status, error.message, error.code, error.field, error.more)
        if isinstance(error, errors.TooManyRequests):
            resp.set_header("Retry-After", str(error.retry_after_s))
        elif status is HTTPStatus.SERVICE_UNAVAILABLE:
            resp.set_header("Retry-After", str(RETRY_AFTER_S))
        elif status is HTTPStatus.UNAUTHORIZED:
            resp.set_header("WWW-Authenticate", 'Bearer realm="vitrine"')

    async def on_falcon(req: Request, resp: Response, error: falcon.HTTPError, params: Any) -> None:
        status = HTTPStatus(error.status_code)
        default = "invalid_input" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "internal"
        for name, value in _pairs(error.headers):
            resp.set_header(name, value)
        code = _FALCON_CODES.get(status, default)
        _answer(req, resp, error_page, status, error.description or status.description, code, None)

    async def on_unknown(req: Request, resp: Response, error: Exception, params: Any) -> None:
        log.error("unhandled_error", path=req.path, method=req.method, exc_info=error)
        detail = "This is a fault of ours. The log of the gateway holds the details under the correlation id."
        _answer(req, resp, error_page, HTTPStatus.INTERNAL_SERVER_ERROR, detail, errors.Internal.code, None)

    app.add_error_handler(Exception, on_unknown)
    app.add_error_handler(falcon.HTTPError, on_falcon)
    app.add_error_handler(errors.VitrineError, on_ours)


def wants_page(req: Request) -> bool:
    """A person's browser, or whoever opens one of our pages without asking for JSON; never on the API."""
    if req.path.startswith("/api/"):
        return False
    return "text/html" in req.accept or (req.accept == "*/*" and (req.path == "/" or req.path.startswith(PAGES)))


def _answer(
    req: Request,
    resp: Response,
    error_page: ErrorPage,
    status: HTTPStatus,
    detail: str,
    code: str,
    field: str | None,
    more: Mapping[str, object] = MappingProxyType({}),
) -> None:
    correlation_id = getattr(req.context, "correlation_id", "")
    resp.status = status
    resp.data = resp.media = resp.stream = None
    resp.set_header("Cache-Control", "no-store")
    if wants_page(req):
        resp.content_type = falcon.MEDIA_HTML
        resp.text = error_page(
            status=status, title=status.phrase, detail=detail, code=code, correlation_id=correlation_id
        )
        return
    problem: dict[str, Any] = {
        "type": "about:blank",
        "title": status.phrase,
        "status": int(status),
        "detail": detail,
        "code": code,
        "correlation_id": correlation_id,
    }
    resp.text = json.dumps(problem | ({"field": field} if field else {}) | dict(more))
    resp.content_type = "application/problem+json"


def _pairs(headers: Any) -> list[tuple[str, str]]:
    return list(headers.items() if isinstance(headers, dict) else headers or ())
