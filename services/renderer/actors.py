"""The four actors, and the only table from errors to retries."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import dramatiq
from dramatiq.common import q_name
from dramatiq.errors import Retry
from dramatiq.middleware import CurrentMessage, Retries
from dramatiq.middleware.time_limit import TimeLimitExceeded

from shared import metrics
from shared.consuming import FAILURE_OPTION
from shared.errors import BY_CODE, Cancelled, VitrineError
from shared.messages import render
from shared.queue import ACTOR_NAMES, RENDER_QUEUE
from shared.settings import Settings

# Milliseconds before each further try of a transient error. Short: somebody waits, and RabbitMQ must not hold messages
# for long.
BACKOFF_MS = (500, 2_000, 5_000)

Handler = Callable[[render.RenderRequest, bool], Coroutine[Any, Any, None]]
Refuser = Callable[[dict[str, Any], VitrineError], Coroutine[Any, Any, None]]


def backoff_ms(error: VitrineError, tries: int) -> int | None:
    """How long to wait before try number `tries` + 1, or None when the message is dead-lettered instead."""
    return BACKOFF_MS[tries] if error.transient and tries < len(BACKOFF_MS) else None


def register(broker: dramatiq.Broker, settings: Settings, handle: Handler, refuse: Refuser) -> None:
    """Declare the actors on the broker.

    `handle(request, is_last_try)` renders, or raises a VitrineError; `refuse(payload, error)` is told of a payload that
    is no render request we can read, before it is dead-lettered.
    """

    async def act(request: dict[str, Any]) -> None:
        message = CurrentMessage.get_current_message()
        tries = message.options.get("retries", 0) if message else 0
        try:
            decoded = render.decode(request)
        except VitrineError as error:
            await refuse(request, error)
            raise
        try:
            await handle(decoded, tries >= len(BACKOFF_MS))
        except Cancelled:
            return  # as an operator wanted it: no dead letter, which alerts, and which a replay would render after all
        except VitrineError as error:
            delay = backoff_ms(error, tries)
            if delay is None:
                raise
            raise Retry(error.message, delay=delay) from error

    for name in ACTOR_NAMES:
        dramatiq.actor(
            actor_name=name,
            broker=broker,
            queue_name=RENDER_QUEUE,
            time_limit=int(settings.render_time_limit_s * 1000),
            throws=(VitrineError, TimeLimitExceeded),
        )(act)


class SafeRetries(Retries):
    """Retries only what the actor raises as Retry (the table here has decided), and loses none of it."""

    def __init__(self) -> None:
        super().__init__(retry_when=lambda _, error: isinstance(error, Retry))

    def after_process_message(self, broker: dramatiq.Broker, message: Any, **outcome: Any) -> None:
        try:
            super().after_process_message(broker, message, **outcome)  # type: ignore[no-untyped-call]
        except Exception:  # the retry was not published; a message that is not failed is acknowledged, and gone
            reason = "The broker did not take the retry; replay this message."
            message.options[FAILURE_OPTION] = {"code": "broker_unavailable", "reason": reason}
            message.fail()
            raise


class Failures(dramatiq.Middleware):
    """Writes into a failing message why it failed, for its dead letter; and counts."""

    def __init__(self) -> None:
        metrics.begin(metrics.DEAD_LETTERS, BY_CODE)

    def after_declare_queue(self, broker: dramatiq.Broker, queue_name: str) -> None:
        metrics.begin(metrics.MESSAGES_HANDLED, [q_name(queue_name)])

    def after_process_message(
        self, broker: dramatiq.Broker, message: Any, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        metrics.MESSAGES_HANDLED.labels(q_name(message.queue_name)).inc()
        if exception is None or isinstance(exception, Retry):
            return
        code, reason = _describe(exception)
        message.options[FAILURE_OPTION] = {"code": code, "reason": reason}
        metrics.DEAD_LETTERS.labels(code).inc()


def _describe(exception: BaseException) -> tuple[str, str]:
    if isinstance(exception, VitrineError):
        return exception.code, exception.message
    if isinstance(exception, TimeLimitExceeded):
        return "deadline_exceeded", "Dramatiq's time limit ended the render."
    if isinstance(exception, TypeError):  # the arguments do not fit the actor: not our envelope
        return "invalid_input", f"The message's arguments are not those of a render request: {exception}"
    return "internal", f"{type(exception).__name__}; see the worker's log."
