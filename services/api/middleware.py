"""What every request passes: its correlation id, its line in the log and the metrics, its answer's security headers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import structlog
from falcon.asgi import Request, Response
from prometheus_client import Counter, Histogram

from shared import metrics, tracing
from shared.logs import correlation_id_from

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
)
# Swagger UI sets inline styles; scripts stay as strict as everywhere.
DOCS_CSP = CSP.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_logger = logging.getLogger("vitrine.access")
log = structlog.get_logger("vitrine.access")


@lru_cache(maxsize=4096)  # finding the children by their labels costs as much as counting
def _meters(route: str, method: str, status: int) -> tuple[Counter, Histogram]:
    return metrics.HTTP_REQUESTS.labels(route, method, status), metrics.HTTP_SECONDS.labels(route)


def debugging() -> bool:
    """Whether each request has its line in the log."""
    return _logger.isEnabledFor(logging.DEBUG)


def account(route: str, method: str, status: int, seconds: float) -> None:
    """Count an answered request. `route` is the template, never the path: its values are not a closed set."""
    requests, durations = _meters(route, method, status)
    requests.inc()
    durations.observe(seconds)


class Correlation:
    """Takes the caller's `X-Correlation-ID` or makes one, binds it to the log, gives it back, accounts for the request.

    HEAD is answered by the GET responders; Falcon sends their headers only.
    """

    async def process_request(self, req: Request, resp: Response) -> None:
        req.context.started = time.perf_counter()
        req.context.is_head = req.method == "HEAD"
        if req.context.is_head:
            req.method = "GET"
        caller = req.get_header("traceparent")
        correlation_id = correlation_id_from(req.get_header("X-Correlation-ID") or tracing.correlation_id_of(caller))
        req.context.correlation_id = correlation_id
        req.context.trace = tracing.Request(correlation_id, caller) if tracing.is_on() else None
        structlog.contextvars.bind_contextvars(correlation_id=correlation_id)
        resp.set_header("X-Correlation-ID", correlation_id)

    async def process_response(self, req: Request, resp: Response, resource: object, req_succeeded: bool) -> None:
        if req.context.is_head:
            req.method = "HEAD"
        seconds = time.perf_counter() - req.context.started
        method = req.method if req.method in _METHODS else "other"
        status = resp.status_code
        account(req.uri_template or "none", method, status, seconds)
        if req.context.trace is not None:
            req.context.trace.end(method, req.uri_template or "none", status)
        # Pictures and static files come in hundreds and are counted above: their lines are for who asks for them.
        if status not in (200, 304) or not getattr(resource, "quiet", False):
            _write(log.info, req, method, status, seconds)
        elif debugging():  # asked before: a line that is thrown away costs as much as the answer
            _write(log.debug, req, method, status, seconds)
        structlog.contextvars.unbind_contextvars("correlation_id")


def _write(write: Callable[..., object], req: Request, method: str, status: int, seconds: float) -> None:
    identity = getattr(req.context, "identity", None)
    write(
        "request",
        method=method,
        path=req.path,
        status=status,
        ms=round(seconds * 1000, 1),
        user=identity.principal.username if identity else "",
    )


class SecurityHeaders:
    """The strict policy on every answer, errors included; a resource may set a looser CSP before."""

    def __init__(self, *, https: bool) -> None:
        self._headers = {
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
            "X-Frame-Options": "SAMEORIGIN",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        }
        if https:
            self._headers["Strict-Transport-Security"] = "max-age=31536000"

    async def process_response(self, req: Request, resp: Response, resource: Any, req_succeeded: bool) -> None:
        resp.set_headers(self._headers)
        if resp.get_header("Content-Security-Policy") is None:
            resp.set_header("Content-Security-Policy", CSP)
