"""The broker and the one verb, publish: the only place that knows queue names, middleware order and connection
arguments.

A producer names an actor and never imports one. Every publish waits for RabbitMQ's confirm (unconfirmed ones are lost
when the broker crashes). Queue arguments can't change once a queue exists, so its name carries a version.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict, deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import dramatiq
import pika
import structlog
from dramatiq.brokers.rabbitmq import DEAD_MESSAGE_TTL, RabbitmqBroker
from dramatiq.brokers.stub import StubBroker
from dramatiq.common import dq_name, q_name, xq_name
from dramatiq.errors import BrokerConnectionError

from shared import metrics, tracing
from shared.consuming import FAILURE_OPTION, PRIORITY_OPTION, Consumer, HandingConsumer, Hands
from shared.errors import BrokerUnavailable
from shared.messages import query, render, warm
from shared.settings import Settings
from shared.targets import TargetKind

RENDER_QUEUE = "vitrine_render_v1"  # somebody waits for these
BULK_QUEUE = "vitrine_bulk_v1"  # refreshes and the operator's: viewers never stand behind them
WARM_QUEUE = "vitrine_warm_v1"  # warm-up: consumed by processes of its own, so that no render stands behind it
RENDER_QUEUES = (RENDER_QUEUE, BULK_QUEUE)
SQL_SHORT_QUEUE = "vitrine_sql_short_v1"  # queries for which somebody waits
SQL_LONG_QUEUE = "vitrine_sql_long_v1"  # those that may take hours
SQL_CHART_QUEUE = "vitrine_sql_charts_v1"  # rows of charts in the background: who knows no charts does not consume it
SQL_QUEUES = (SQL_SHORT_QUEUE, SQL_LONG_QUEUE, SQL_CHART_QUEUE)
QUEUES = (*RENDER_QUEUES, WARM_QUEUE, *SQL_QUEUES)
WARM_ACTOR = "warm_up"
QUERY_ACTORS = {  # Superset's own names but for the second
    SQL_SHORT_QUEUE: "get_sql_results",
    SQL_LONG_QUEUE: "get_sql_results_async",
    SQL_CHART_QUEUE: "load_chart_data_into_cache",
}
DEAD_LETTERS_KEPT = 100  # of the embedded broker, which has nowhere else to put them
PRECONDITION_FAILED = 406  # AMQP's
PUBLISH_THREADS = 2
PUBLISH_TIMEOUT_S = 0.7  # the gateway answers 503 in under a second, with room for a busy machine

log = structlog.get_logger(__name__)


def actor_name(kind: TargetKind, *, thumbnail: bool) -> str:
    """Superset's own names: cache_chart_thumbnail, cache_dashboard_thumbnail, cache_chart_screenshot,
    cache_dashboard_screenshot.
    """
    return f"cache_{kind}_{'thumbnail' if thumbnail else 'screenshot'}"


ACTOR_NAMES = tuple(actor_name(kind, thumbnail=thumbnail) for kind in TargetKind for thumbnail in (True, False))


class Rabbit(RabbitmqBroker):
    """Dramatiq's broker with confirms, as many messages in hand as threads, and reasons in dead letters."""

    def __init__(self, url: str, middleware: list[dramatiq.Middleware], threads: int, queue_type: str) -> None:
        super().__init__(url=url, middleware=middleware, confirm_delivery=True)
        self._threads = threads
        self._hands = {name: Hands(threads) for name in SQL_QUEUES}
        self._type = {"x-queue-type": "quorum"} if queue_type == "quorum" else {}

    @property
    def consumer_class(self) -> type[Consumer]:
        return Consumer

    def hand_off(self, message: Any) -> None:
        """Acknowledges a message of a query, soon, while its actor goes on."""
        self._hands[message.queue_name].hand_off(message.message_id)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Any:
        # The default, 2 for each thread, would hoard messages that an idle worker elsewhere could render now. Delayed
        # messages are held, not worked on: few of them in hand would keep later ones waiting.
        in_hand = prefetch if queue_name == dq_name(q_name(queue_name)) else self._threads
        if queue_name in self._hands:
            self.declare_queue(queue_name, ensure=True)
            return HandingConsumer(self, queue_name, in_hand, timeout, self._hands[queue_name])
        return super().consume(queue_name, in_hand, timeout)

    def _build_queue_arguments(self, queue_name: str) -> dict[str, Any]:
        arguments: dict[str, Any] = super()._build_queue_arguments(queue_name)  # type: ignore[no-untyped-call]
        if q_name(queue_name) == WARM_QUEUE and not self._type:  # quorum queues refuse it: there, warm-up has one order
            arguments["x-max-priority"] = warm.MAX_PRIORITY
        return arguments | self._type

    def _declare_queue(self, queue_name: str) -> Any:
        try:
            return super()._declare_queue(queue_name)  # type: ignore[no-untyped-call]
        except pika.exceptions.ChannelClosedByBroker as error:
            if error.reply_code == PRECONDITION_FAILED:
                mend = "set VITRINE_QUEUE_TYPE as it was, or delete the empty queue: docs/deploy.md"
                log.error("queue_exists_otherwise", queue=queue_name, reason=error.reply_text, mend=mend)
            raise

    def _declare_xq_queue(self, queue_name: str) -> Any:
        arguments = {"x-message-ttl": DEAD_MESSAGE_TTL} | self._type
        return self.channel.queue_declare(queue=xq_name(queue_name), durable=True, arguments=arguments)

    def publish_dead_letter(self, message: Any) -> None:
        """Raises BrokerConnectionError or AMQPError when it is not confirmed."""
        letter = {"exchange": "", "routing_key": xq_name(message.queue_name), "body": message.encode()}
        properties = pika.BasicProperties(delivery_mode=2)
        try:
            self.channel.basic_publish(**letter, properties=properties, mandatory=True)
        except (pika.exceptions.AMQPConnectionError, pika.exceptions.AMQPChannelError):
            # RabbitMQ closes a connection that was idle for some heartbeats: this thread's may be long dead.
            del self.connection
            self.channel.basic_publish(**letter, properties=properties, mandatory=True)


class _Letters(deque[dict[str, Any]]):
    """The last dead letters as plain data: the messages themselves would keep their exceptions' frames alive."""

    def append(self, message: Any) -> None:
        log.warning("dead_letter", message_id=message.message_id, **message.options.get(FAILURE_OPTION, {}))
        super().append(message.asdict())


def _is_no_middleware_of_another_worker(record: logging.LogRecord) -> bool:
    return "middleware of the same type twice" not in str(record.msg)


class Embedded(StubBroker):
    """Dramatiq's in-process broker, fit to run for weeks."""

    def __init__(self, middleware: list[dramatiq.Middleware]) -> None:
        super().__init__(middleware=middleware)
        # Renders, warm-up and queries have workers of their own on it, and each worker brings one middleware.
        self.logger.addFilter(_is_no_middleware_of_another_worker)
        self.dead_letters_by_queue = defaultdict(lambda: _Letters(maxlen=DEAD_LETTERS_KEPT))  # type: ignore[arg-type,return-value]

    def hand_off(self, message: Any) -> None:
        """Nobody waits for its acknowledgement."""


def open_broker(
    settings: Settings,
    middleware: list[dramatiq.Middleware] | None = None,
    *,
    queues: tuple[str, ...] = QUEUES,
    threads: int = 0,
) -> dramatiq.Broker:
    """A broker for `settings.broker_url`; producers pass no middleware. Connects at the first use, not here.

    A worker consumes `queues`, and has as many messages of each in hand as `threads` (default: render_threads).
    """
    if settings.embedded:
        broker: dramatiq.Broker = Embedded(middleware or [])
    else:
        in_hand = threads or settings.render_threads
        broker = Rabbit(with_timeouts(settings.broker_url), middleware or [], in_hand, settings.queue_type)
    for queue in queues:
        broker.declare_queue(queue)
    return broker


def with_timeouts(url: str) -> str:
    """pika's defaults wait 10 s and more for a broker that does not answer; what the operator wrote in the URL wins."""
    parts = urlsplit(url)
    query = {
        "socket_timeout": "0.8",
        "stack_timeout": "3",
        "blocked_connection_timeout": "5",
        "heartbeat": "30",
        **dict(parse_qsl(parts.query)),
    }
    return urlunsplit(parts._replace(query=urlencode(query)))


Request = render.RenderRequest | warm.WarmRequest | query.QueryRequest


class Publisher(Protocol):
    """Sends a render request to its actor. Raises BrokerUnavailable when the broker does not confirm it in time."""

    async def publish(self, request: render.RenderRequest) -> None: ...

    def close(self) -> None: ...


class WarmPublisher(Publisher, Protocol):
    """Sends warm requests too."""

    async def publish_warm(self, request: warm.WarmRequest) -> None: ...


class QueryPublisher(WarmPublisher, Protocol):
    """Sends query requests too."""

    async def publish_query(self, request: query.QueryRequest) -> None: ...


class BrokerPublisher:
    """Publishes from a small fixed pool: dramatiq keeps a connection for each thread and never closes those of dead
    threads.
    """

    def __init__(self, broker: dramatiq.Broker) -> None:
        self._broker = broker
        self._pool = ThreadPoolExecutor(PUBLISH_THREADS, thread_name_prefix="publish")
        metrics.begin(metrics.PUBLISH_FAILURES, (*ACTOR_NAMES, WARM_ACTOR, *QUERY_ACTORS.values()))

    async def publish(self, request: render.RenderRequest) -> None:
        await self._publish(request, request.origin.value)

    async def publish_warm(self, request: warm.WarmRequest) -> None:
        await self._publish(request, "warm_up")

    async def publish_query(self, request: query.QueryRequest) -> None:
        await self._publish(request, "query")

    async def _publish(self, request: Request, origin: str) -> None:
        message = envelope(request)
        about = {"trace": request.correlation_id, "sends": request.id, "actor": message.actor_name, "origin": origin}
        with tracing.span("publish", kind="producer", **about):
            await self._confirmed(message)
        metrics.PUBLISHED.labels(message.actor_name, origin).inc()

    async def _confirmed(self, message: dramatiq.Message[Any]) -> None:
        actor = message.actor_name
        try:
            sent = asyncio.get_running_loop().run_in_executor(self._pool, self._broker.enqueue, message)
            await asyncio.wait_for(sent, PUBLISH_TIMEOUT_S)
        except (BrokerConnectionError, pika.exceptions.AMQPError, OSError, TimeoutError) as error:
            metrics.PUBLISH_FAILURES.labels(actor).inc()
            log.warning("publish_failed", actor=actor, request_id=message.message_id, error=type(error).__name__)
            raise BrokerUnavailable(
                "The message broker does not confirm messages; the request was not accepted. Try again shortly."
            ) from error

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._broker.close()


def envelope(request: Request) -> dramatiq.Message[Any]:
    """Dramatiq's message around a request; its id is the request's, so that logs and records join."""
    if isinstance(request, warm.WarmRequest):
        return dramatiq.Message(
            queue_name=WARM_QUEUE,
            actor_name=WARM_ACTOR,
            args=(),
            kwargs={"request": warm.encode(request)},
            options={PRIORITY_OPTION: request.priority},
            message_id=request.id,
        )
    if isinstance(request, query.QueryRequest):
        return dramatiq.Message(
            queue_name=request.queue,
            actor_name=QUERY_ACTORS[request.queue],
            args=(),
            kwargs={"request": query.encode(request)},
            options={},
            message_id=request.id,
        )
    return dramatiq.Message(
        queue_name=RENDER_QUEUE if request.origin is render.Origin.VIEWER else BULK_QUEUE,
        actor_name=actor_name(request.target.kind, thumbnail=request.thumbnail is not None),
        args=(),
        kwargs={"request": render.encode(request)},
        options={},
        message_id=request.id,
    )
