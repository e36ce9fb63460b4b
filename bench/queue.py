"""Publish and consume: what our envelope, middleware and actors add to a bare dramatiq actor on the same RabbitMQ."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.middleware import CurrentMessage, Retries, TimeLimit

from bench.report import Conditions, Report, Row
from services.renderer.actors import Failures, register
from services.renderer.runtime import DaemonAsyncIO
from shared.errors import VitrineError
from shared.messages.render import RenderRequest
from shared.queue import BrokerPublisher, open_broker
from shared.settings import Settings
from shared.targets import Format, Size, Target, TargetKind
from tests.harness import RabbitMQ

THREADS = 2  # the renderer's default
PATIENCE_S = 120
WARM = 8  # messages before the clock starts


def run(*, quick: bool) -> Report:
    rounds, count = (1, 200) if quick else (7, 2000)
    before = Conditions(f"{rounds} interleaved rounds of {count} messages")
    rates: dict[str, list[tuple[float, float]]] = {"ours": [], "bare": []}
    with RabbitMQ() as server:
        for number in range(-1, rounds):  # the first one warms up
            sides: list[tuple[str, Callable[[str, int], tuple[float, float]]]] = [("ours", _ours), ("bare", _bare)]
            for name, side in sides if number % 2 else reversed(sides):
                vhost = server.create_vhost()
                figures = side(vhost.url, count)
                server.delete_vhost(vhost)
                if number >= 0:
                    rates[name].append(figures)
    report = Report("queue", "Publish and consume", f"bare dramatiq {version('dramatiq')}")
    for i, words in enumerate(("published, one after the other, confirmed", f"consumed by {THREADS} threads")):
        ours, bare = ([figures[i] for figures in rates[side]] for side in ("ours", "bare"))
        short = words.split(",")[0].split(" by")[0]
        report.rows.append(Row(f"messages/s {words}", ours, bare))
        report.rows.append(Row(f"µs a message {short}", [1e6 / rate for rate in ours], [1e6 / rate for rate in bare]))
    report.notes.append(
        f"{before}. Ours: a render request (proto3 JSON) through the publisher's thread pool, taken by the renderer's "
        'own actors and middleware, decoded, and given to a handler that does nothing. Bare: `actor.send("…")` with '
        "confirms, and a synchronous actor that does nothing, with dramatiq's own middleware."
    )
    return report


def _ours(url: str, count: int) -> tuple[float, float]:
    """Messages a second, published and consumed."""
    settings = Settings(secret_key="bench" + 8 * "0a1b2c3d", broker_url=url, render_threads=THREADS)
    publisher = BrokerPublisher(open_broker(settings))
    requests = [_request(number) for number in range(count)]

    async def publish() -> float:
        await asyncio.gather(*(publisher.publish(_request(0)) for _ in range(WARM)))  # every thread connects
        began = time.monotonic()
        for request in requests:
            await publisher.publish(request)
        return count / (time.monotonic() - began)

    published = asyncio.run(publish())
    publisher.close()
    tally = _Tally(count)
    middleware = [CurrentMessage(), DaemonAsyncIO(), TimeLimit(interval=100), Retries(), Failures()]
    broker = open_broker(settings, middleware)

    async def handle(request: RenderRequest, is_last_try: bool) -> None:
        tally.add()

    async def refuse(payload: dict[str, Any], error: VitrineError) -> None:
        raise AssertionError(error.message)

    register(broker, settings, handle, refuse)
    return published, tally.rate(broker)


def _bare(url: str, count: int) -> tuple[float, float]:
    broker = RabbitmqBroker(url=url, confirm_delivery=True)
    broker.add_middleware(CurrentMessage())
    tally = _Tally(count)

    @dramatiq.actor(broker=broker, queue_name="bare")
    def act(what: str) -> None:
        tally.add()

    for _ in range(WARM):
        act.send("native/chart/0")  # connects
    began = time.monotonic()
    for number in range(count):
        act.send(f"native/chart/{number}")
    published = count / (time.monotonic() - began)
    return published, tally.rate(broker)


class _Tally:
    """Counts what a worker takes, from the first message, which waits for its start, to the last."""

    def __init__(self, count: int) -> None:
        self._left = count + WARM
        self._count = count
        self._lock = threading.Lock()
        self._began = self._ended = 0.0
        self._done = threading.Event()

    def add(self) -> None:
        with self._lock:
            self._left -= 1
            self._began = self._began or time.monotonic()
            if not self._left:
                self._ended = time.monotonic()
                self._done.set()

    def rate(self, broker: dramatiq.Broker) -> float:
        worker = dramatiq.Worker(broker, worker_threads=THREADS)
        worker.start()
        try:
            if not self._done.wait(PATIENCE_S):
                raise RuntimeError(f"{self._left} messages were not consumed within {PATIENCE_S} s")
        finally:
            worker.stop()
            broker.close()
        return (self._count + WARM) / (self._ended - self._began)


def _request(number: int) -> RenderRequest:
    now = datetime.now(UTC)
    return RenderRequest(
        target=Target("native", TargetKind.CHART, str(number)),
        executor="ada",
        key=f"{number:032x}",
        generation=int(now.timestamp() * 1000),
        digest=f"{number:032x}",
        window=Size(800, 600),
        thumbnail=Size(800, 600),
        formats=(Format.PNG,),
        deadline=now + timedelta(seconds=285),
        published_at=now,
        correlation_id=f"{number:032x}",
    )
