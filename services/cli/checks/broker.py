"""RabbitMQ: whether we may sign in, whether a message that was confirmed comes back, and who consumes our queues."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.common import dq_name, xq_name
from pika.exceptions import AMQPError, ChannelClosedByBroker, ConnectionBlockedTimeout

from services.cli.checks.finding import Finding, fail, ok, warn
from shared.queue import QUEUES, RENDER_QUEUES, WARM_QUEUE, open_broker
from shared.settings import Settings

ROUND_TRIP_S = 5.0
NOT_FOUND, REFUSED = 404, 403
EMBEDDED = "embedded (VITRINE_BROKER_URL is not set)"


def broker(settings: Settings) -> Iterator[Finding]:
    """Signs in, sends a message through a queue that exists for this only, and compares our queues' arguments."""
    if settings.embedded:
        yield ok("broker", EMBEDDED)
        return
    with _opened(settings) as ours:
        try:
            version = _text(ours.connection._impl.server_properties.get("version", "?"))
            seconds = _round_trip(ours.connection)
        except (AMQPError, OSError) as error:
            yield _down(settings, error)
            return
        yield ok("broker", f"RabbitMQ {version} at {_place(settings)}, there and back in {seconds * 1000:.0f} ms")
        yield _queues(ours)


def workers(settings: Settings) -> Iterator[Finding]:
    """Whether somebody consumes each queue, and what was given up."""
    if settings.embedded:
        yield ok("workers", "threads of the gateway's own process: embedded")
        return
    with _opened(settings) as ours:
        try:
            looks = {queue: (_look(ours, queue), _look(ours, xq_name(queue))) for queue in QUEUES}
        except (AMQPError, OSError) as error:
            yield _down(settings, error)
            return
    for queue, (alive, dead) in looks.items():
        yield _consumed(queue, alive, wanted=_is_wanted(queue, settings))
        if dead and dead[0]:
            mend = "Each holds its reason: vitrine_failure in its options, in RabbitMQ's own page or at /ops."
            yield warn(f"workers:{queue}", f"{dead[0]:,} messages were given up ({xq_name(queue)})", mend)


def _is_wanted(queue: str, settings: Settings) -> bool:
    """Whether a renderer with these settings consumes it, itself or by a process beside it."""
    if queue in RENDER_QUEUES:
        return True
    return settings.warm_threads > 0 if queue == WARM_QUEUE else settings.query_long_threads > 0


def _consumed(queue: str, look: tuple[int, int] | None, *, wanted: bool) -> Finding:
    waiting, consumers = look or (0, 0)
    found = f"{consumers} consume it, {waiting:,} messages wait"
    if consumers or not (wanted or waiting):
        return ok(f"workers:{queue}", found)
    mend = "Start a renderer: dramatiq services.renderer.worker, or vitrine up --services renderer."
    return fail(f"workers:{queue}", found, mend)


@contextlib.contextmanager
def _opened(settings: Settings) -> Iterator[Any]:
    """Ours, with its arguments and time-outs; it connects at its first use."""
    made = open_broker(settings.model_copy(update={"broker_url": _patient(settings.broker_url)}))
    assert isinstance(made, RabbitmqBroker), "asked for only where there is a RabbitMQ"
    try:
        yield made
    finally:
        made.close()


def _patient(url: str) -> str:
    """The gateway gives a broker less than a second; whoever asks what is wrong can wait."""
    parts = urlsplit(url)
    query = {"socket_timeout": "10", "stack_timeout": "15", **dict(parse_qsl(parts.query))}
    return urlunsplit(parts._replace(query=urlencode(query)))


def _round_trip(connection: Any) -> float:
    """Seconds. The queue is ours alone and goes with the connection; a publish returns when it was confirmed."""
    channel = connection.channel()
    channel.confirm_delivery()
    queue = f"vitrine_doctor_{uuid.uuid4().hex}"
    channel.queue_declare(queue, exclusive=True, auto_delete=True)
    began = time.monotonic()
    channel.basic_publish("", queue, b"?", mandatory=True)
    while (body := channel.basic_get(queue, auto_ack=True)[2]) is None:
        if time.monotonic() - began > ROUND_TRIP_S:
            raise TimeoutError(f"a confirmed message did not come back within {ROUND_TRIP_S:g} s")
        connection.sleep(0.02)
    assert body == b"?"
    channel.close()
    return time.monotonic() - began


def _queues(ours: Any) -> Finding:
    """Declaring a queue that is there with other arguments is refused; one that is not there is left so."""
    missing, wrong = 0, []
    declaring = ((ours._declare_queue, str), (ours._declare_dq_queue, dq_name), (ours._declare_xq_queue, xq_name))
    for queue in QUEUES:
        for declare, name in declaring:
            if _look(ours, name(queue)) is None:
                missing += 1
                continue
            try:
                declare(queue)
            except ChannelClosedByBroker as error:
                wrong.append(str(error.reply_text))
                del ours.channel
    if wrong:
        mend = "Delete the queue when it is empty, or set what it was made with (VITRINE_QUEUE_TYPE)."
        return fail("broker:queues", "; ".join(wrong), mend)
    made = len(QUEUES) * len(declaring)
    return ok("broker:queues", f"{made - missing} of {made} are there, as we make them; others are made at first use")


def _look(ours: Any, queue: str) -> tuple[int, int] | None:
    """(messages, consumers); None when there is no such queue."""
    channel = ours.connection.channel()
    try:
        found = channel.queue_declare(queue, passive=True).method
    except ChannelClosedByBroker as error:
        if error.reply_code != NOT_FOUND:
            raise
        return None
    with contextlib.suppress(AMQPError):
        channel.close()
    return found.message_count, found.consumer_count


def _down(settings: Settings, error: Exception) -> Finding:
    place = _place(settings)
    if isinstance(error, ConnectionBlockedTimeout | TimeoutError):
        mend = "It is short of memory or disk (an alarm): rabbitmq-diagnostics alarms; make room."
        return fail("broker", f"{place} takes no messages: {error or 'it blocks publishers'}", mend)
    if isinstance(error, ChannelClosedByBroker) and error.reply_code == REFUSED:
        mend = "Give the user configure, write and read on ^vitrine_ and on the default exchange (set_permissions)."
        return fail("broker", f"{place}: {error.reply_text}", mend)
    cause = error.__cause__ or error.__context__ or error
    mend = "Start RabbitMQ, or correct VITRINE_BROKER_URL (user, password, virtual host)."
    return fail("broker", f"{place}: {type(error).__name__}: {cause}".rstrip(": "), mend)


def _text(value: str | bytes) -> str:
    """pika gives one or the other, as a text is ASCII or not."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _place(settings: Settings) -> str:
    parts = urlsplit(settings.broker_url)
    return f"{parts.hostname}:{parts.port or 5672}"
