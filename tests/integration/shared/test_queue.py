"""Publishing and dead-lettering on a real RabbitMQ."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dramatiq
import pika
import pytest
import structlog
from dramatiq.middleware import AsyncIO, CurrentMessage, Retries, TimeLimit

from services.renderer.actors import Failures, register
from shared import metrics
from shared.consuming import FAILURE_OPTION
from shared.errors import BrokerUnavailable, ChartFailed, NavigationFailed
from shared.messages.render import Origin, RenderRequest, decode, encode
from shared.messages.warm import WarmRequest
from shared.queue import (
    BULK_QUEUE,
    QUEUES,
    RENDER_QUEUE,
    BrokerPublisher,
    envelope,
    open_broker,
)
from shared.settings import Settings
from tests.harness.polling import wait_until

EXAMPLE = Path("proto/examples/render_request_thumbnail.v1.json")


def request() -> RenderRequest:
    loaded = decode(json.loads(EXAMPLE.read_text()))
    now = datetime.now(UTC)
    return replace(loaded, published_at=now, deadline=now + timedelta(minutes=1))


def settings_for(url: str, **changes: Any) -> Settings:
    return Settings(secret_key="f3b1c9d27a8e4650b1c2d3e4f5a69788", broker_url=url, **changes)


@pytest.fixture
def settings(rabbitmq: Any, request: pytest.FixtureRequest) -> Settings:
    """`@pytest.mark.parametrize("settings", ["quorum"], indirect=True)`: with queues of that type."""
    return settings_for(rabbitmq.url, queue_type=getattr(request, "param", "classic"))


@pytest.fixture
def working(settings: Settings) -> Iterator[Callable[..., None]]:
    """Starts a worker whose handler is the one given; stopped at the end."""
    workers: list[dramatiq.Worker] = []
    refused: list[Any] = []

    async def refuse(payload: Any, error: Exception) -> None:
        refused.append(payload)

    def start(handle: Callable[[RenderRequest, bool], Any]) -> None:
        retries = Retries(retry_when=lambda _, error: isinstance(error, dramatiq.Retry))
        stack = [CurrentMessage(), AsyncIO(), TimeLimit(), retries, Failures()]
        broker = open_broker(settings, stack)
        register(broker, settings, handle, refuse)
        worker = dramatiq.Worker(broker, worker_threads=2)
        worker.start()
        workers.append(worker)

    yield start
    for worker in workers:
        worker.stop()
        worker.broker.close()


def dead_letters(settings: Settings) -> list[dict[str, Any]]:
    with pika.BlockingConnection(pika.URLParameters(settings.broker_url)) as connection:
        channel = connection.channel()
        letters = []
        while (body := channel.basic_get(f"{RENDER_QUEUE}.XQ", auto_ack=True)[2]) is not None:
            letters.append(json.loads(body))
        return letters


def one_dead_letter(settings: Settings) -> dict[str, Any]:
    found: list[dict[str, Any]] = wait_until(lambda: dead_letters(settings), 20, "a dead letter")
    assert len(found) == 1
    return found[0]


def publish(settings: Settings, *messages: Any) -> None:
    broker = open_broker(settings)
    for message in messages:
        broker.enqueue(message)
    broker.close()


async def test_a_published_request_is_confirmed_and_arrives_as_it_was(settings: Settings, working: Any) -> None:
    seen: list[RenderRequest] = []

    async def handle(request: RenderRequest, is_last_try: bool) -> None:
        seen.append(request)

    working(handle)
    publisher = BrokerPublisher(open_broker(settings))
    sent = request()
    await publisher.publish(sent)
    await asyncio.to_thread(wait_until, lambda: seen, 10, "the request")
    assert seen == [sent]
    publisher.close()


async def test_a_broker_that_is_down_is_told_within_a_second_and_used_again_when_back(own_rabbitmq: Any) -> None:
    publisher = BrokerPublisher(open_broker(settings_for(own_rabbitmq.url)))
    await publisher.publish(request())
    own_rabbitmq.kill9()
    began = time.monotonic()
    with pytest.raises(BrokerUnavailable):
        await publisher.publish(request())
    assert time.monotonic() - began < 1
    own_rabbitmq.restart()
    await publisher.publish(request())
    publisher.close()


def test_a_permanent_error_is_tried_once_and_dead_lettered_with_its_reason(settings: Settings, working: Any) -> None:
    tries: list[bool] = []

    async def handle(request: RenderRequest, is_last_try: bool) -> None:
        tries.append(is_last_try)
        raise ChartFailed("The query of 'Sales' failed.")

    working(handle)
    publish(settings, envelope(request()))
    letter = one_dead_letter(settings)
    assert letter["options"][FAILURE_OPTION] == {"code": "chart_failed", "reason": "The query of 'Sales' failed."}
    assert tries == [False]


def test_a_transient_error_is_tried_again_shortly(settings: Settings, working: Any) -> None:
    tries: list[bool] = []

    async def handle(request: RenderRequest, is_last_try: bool) -> None:
        tries.append(is_last_try)
        if len(tries) < 3:
            raise NavigationFailed("503")

    working(handle)
    publish(settings, envelope(request()))
    wait_until(lambda: len(tries) == 3, 15, "three tries")
    assert dead_letters(settings) == []


def test_an_unknown_version_is_dead_lettered_with_its_reason(settings: Settings, working: Any) -> None:
    async def handle(request: RenderRequest, is_last_try: bool) -> None:
        raise AssertionError("never decoded")

    working(handle)
    newer = envelope(request()).copy(kwargs={"request": {**encode(request()), "version": 99}})
    publish(settings, newer)
    assert one_dead_letter(settings)["options"][FAILURE_OPTION]["code"] == "unknown_version"


def test_a_message_for_an_actor_we_do_not_have_is_kept_as_a_dead_letter(settings: Settings, working: Any) -> None:
    async def handle(request: RenderRequest, is_last_try: bool) -> None:
        raise AssertionError("no actor of ours was named")

    working(handle)
    publish(settings, envelope(request()).copy(actor_name="drop_all_tables"))
    assert one_dead_letter(settings)["options"][FAILURE_OPTION]["code"] == "invalid_input"


def test_dead_letters_that_no_actor_saw_are_counted_too(settings: Settings, working: Any) -> None:
    async def handle(request: RenderRequest, is_last_try: bool) -> None:
        raise AssertionError("neither is for an actor of ours")

    working(handle)
    count = lambda: metrics.DEAD_LETTERS.labels("invalid_input")._value.get()  # noqa: E731
    before, plain = count(), envelope(request())
    publish(settings, plain.copy(actor_name="drop_all_tables"), plain.copy(options={"throws": "ValueError"}))
    wait_until(lambda: count() == before + 2, 20, lambda: f"two more than {before} dead letters; {count()} are counted")


def test_garbage_in_the_queue_is_dead_lettered_and_the_worker_lives(settings: Settings, working: Any) -> None:
    seen: list[str] = []

    async def handle(request: RenderRequest, is_last_try: bool) -> None:
        seen.append(request.id)

    working(handle)
    wrong = (
        envelope(request()).copy(kwargs={"nonsense": 1}),
        envelope(request()).copy(kwargs={"request": {"version": 1}}),
    )
    publish(settings, *wrong)  # which declares the queue
    with pika.BlockingConnection(pika.URLParameters(settings.broker_url)) as connection:
        for body in (b"\x00\xff", b"{}", b'{"queue_name": 3}'):
            connection.channel().basic_publish("", RENDER_QUEUE, body)
    publish(settings, envelope(request()))
    wait_until(lambda: seen, 10, "the good request")
    with pika.BlockingConnection(pika.URLParameters(settings.broker_url)) as connection:
        channel = connection.channel()
        wait_until(
            lambda: channel.queue_declare(f"{RENDER_QUEUE}.XQ", passive=True).method.message_count == 5,
            30,
            "five dead letters",
        )


def test_a_dead_letter_keeps_its_reason_though_the_connection_was_idle_too_long(settings: Settings) -> None:
    broker: Any = open_broker(settings)
    broker.declare_queue(RENDER_QUEUE, ensure=True)
    broker.connection.close()  # as RabbitMQ does after missed heartbeats
    letter = envelope(request()).copy(options={FAILURE_OPTION: {"code": "chart_failed", "reason": "no such column"}})
    broker.publish_dead_letter(letter)
    broker.close()
    assert one_dead_letter(settings)["options"][FAILURE_OPTION]["reason"] == "no such column"


def test_refreshes_and_the_operators_requests_never_stand_before_viewers() -> None:
    queues = {origin: envelope(replace(request(), origin=origin)).queue_name for origin in Origin}
    assert queues == {Origin.VIEWER: RENDER_QUEUE, Origin.REFRESH: BULK_QUEUE, Origin.OPERATOR: BULK_QUEUE}


# --- quorum queues ----------------------------------------------------------------------------------------------------


def types_of(rabbitmq: Any) -> dict[str, str]:
    return {queue["name"]: queue["type"] for queue in rabbitmq.server.api("GET", f"queues/{rabbitmq.name}")}


@pytest.mark.parametrize("settings", ["quorum"], indirect=True)
def test_quorum_queues_carry_requests_retries_and_dead_letters_with_their_reasons(
    settings: Settings, working: Any, rabbitmq: Any
) -> None:
    tries: list[bool] = []

    async def handle(request: RenderRequest, is_last_try: bool) -> None:
        tries.append(is_last_try)
        raise NavigationFailed("The server went away.") if len(tries) == 1 else ChartFailed("The query failed.")

    working(handle)
    with_priority = envelope(WarmRequest("a-run", 0, datetime.now(UTC), "c-1", 5))  # which quorum queues do not know
    publish(settings, envelope(request()), with_priority)
    assert one_dead_letter(settings)["options"][FAILURE_OPTION]["code"] == "chart_failed"
    assert tries == [False, False], "one retry, through the delay queue"
    types = types_of(rabbitmq)
    names = {f"{queue}{suffix}" for queue in QUEUES for suffix in ("", ".DQ", ".XQ")}
    assert {name: types[name] for name in names} == dict.fromkeys(names, "quorum")


@pytest.mark.timeout(400)  # a broker that starts twice, on a loaded machine
async def test_what_a_quorum_queue_confirmed_is_there_after_the_broker_was_killed(own_rabbitmq: Any) -> None:
    publisher = BrokerPublisher(open_broker(settings_for(own_rabbitmq.url, queue_type="quorum")))
    await publisher.publish(request())
    own_rabbitmq.kill9()
    own_rabbitmq.restart()
    await asyncio.to_thread(wait_until, lambda: own_rabbitmq.default.get(RENDER_QUEUE), 30, "the request")
    publisher.close()


async def test_queues_of_another_type_are_told_with_what_to_do_and_nothing_is_accepted(
    settings: Settings, rabbitmq: Any
) -> None:
    publish(settings, envelope(request()))
    publisher = BrokerPublisher(open_broker(settings_for(rabbitmq.url, queue_type="quorum")))
    with structlog.testing.capture_logs() as logs, pytest.raises(BrokerUnavailable):
        await publisher.publish(request())
    told = next(line for line in logs if line["event"] == "queue_exists_otherwise")
    assert told["queue"] == RENDER_QUEUE
    assert "VITRINE_QUEUE_TYPE" in told["mend"]
    publisher.close()
