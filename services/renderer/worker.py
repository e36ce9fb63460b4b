"""Entry point: `dramatiq services.renderer.worker`. Several processes of it may run, on one machine or many.

Like any entry point it builds on import: dramatiq's command imports it in each worker process. Nothing imports it but
that.
"""

from __future__ import annotations

import sys

import dramatiq

from services.renderer.runtime import build_broker
from shared import logs, tracing
from shared.errors import InvalidInput
from shared.settings import load


def build() -> dramatiq.Broker:
    """Settings, logs, broker, actors. Ends the process with one line when a setting is wrong."""
    try:
        settings = load()
        if settings.embedded:
            raise InvalidInput(
                "VITRINE_BROKER_URL: a separate renderer needs amqp://…; without a broker run `vitrine up` instead."
            )
    except InvalidInput as error:
        sys.exit(f"vitrine: {error}")
    logs.configure(settings, "renderer")
    tracing.configure(settings, "renderer")
    return build_broker(settings)


dramatiq.set_broker(build())
