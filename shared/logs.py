"""One log format for every service: structlog over the standard library, JSON unless a person looks on.

The correlation id of a request is bound once (gateway: from the HTTP request; renderer: from the message) and stands in
every line written under it, libraries' lines included.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog

from shared.settings import Settings

_CORRELATION_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_QUIET = {
    "httpx": logging.WARNING,  # a line for each request; what fails is told by who asked
    "httpcore": logging.WARNING,
    "pika": logging.CRITICAL,  # a traceback for each refused connection, which it raises as well
    "apscheduler": logging.WARNING,
    "alembic": logging.WARNING,
    "dramatiq": logging.WARNING,
    "asyncio": logging.WARNING,
}


def configure(settings: Settings, service: str) -> None:
    """Set up logging for this process, to standard error, and log the effective settings, masked."""
    console = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _service(service),
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer = structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    last: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if not console:
        last.append(structlog.processors.format_exc_info)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=[*last, renderer], foreign_pre_chain=shared))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for name, level in _QUIET.items():
        logging.getLogger(name).setLevel(max(level, root.level))
    structlog.get_logger("vitrine").info("settings", **settings.masked())


def correlation_id_from(value: str | None) -> str:
    """The caller's correlation id if it is a plain word of at most 64 characters, else a new one."""
    return value if value and _CORRELATION_ID.fullmatch(value) else os.urandom(16).hex()


@contextmanager
def bound(**values: object) -> Iterator[None]:
    """Bind values (correlation_id, target, key …) to every log line written inside."""
    tokens = structlog.contextvars.bind_contextvars(**values)
    try:
        yield
    finally:
        structlog.contextvars.reset_contextvars(**tokens)


def _service(name: str) -> Any:
    def add(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["service"] = name
        return event

    return add
