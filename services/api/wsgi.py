"""gunicorn's entry, `services.api.wsgi:app`. The name is historic: it is ASGI.

The application is built when it is asked for, in the worker process, not when this module is imported.
"""

from __future__ import annotations

from typing import Any

import structlog


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(name)
    from services.api.app import create_app
    from services.api.services import build
    from shared import logs, tracing
    from shared.settings import load

    settings = load()
    logs.configure(settings, "gateway")
    tracing.configure(settings, "gateway")
    if settings.embedded:
        structlog.get_logger(__name__).warning(
            "no_renderer", reason="broker_url is embedded://: use `vitrine up` to render"
        )
    application = globals()["app"] = create_app(build(settings))
    return application
