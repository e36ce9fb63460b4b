"""What is seen of the queues of a real RabbitMQ, and of the embedded broker."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dramatiq.broker import MessageProxy

from shared.consuming import FAILURE_OPTION
from shared.errors import BrokerUnavailable
from shared.messages.render import RenderRequest, decode
from shared.queue import RENDER_QUEUE, WARM_QUEUE, Embedded, envelope, open_broker
from shared.queue_watch import QueueState, QueueWatch, open_watch
from shared.settings import Settings
from tests.harness.polling import wait_until

EXAMPLE = Path("proto/examples/render_request_thumbnail.v1.json")
FAILURE = {FAILURE_OPTION: {"code": "not_ready", "reason": "A spinner never ended."}}


def request(number: int = 0) -> RenderRequest:
    loaded = decode(json.loads(EXAMPLE.read_text()))
    now = datetime.now(UTC)
    return replace(
        loaded,
        id=str(uuid.uuid4()),
        published_at=now,
        deadline=now + timedelta(minutes=1),
        generation=loaded.generation + number,
    )


def settings_for(url: str, **changes: Any) -> Settings:
    return Settings(secret_key="f3b1c9d27a8e4650b1c2d3e4f5a69788", broker_url=url, **changes)


class Place:
    """A broker with its watch; `bury` puts a dead letter there as a worker does."""

    def __init__(self, url: str) -> None:
        settings = settings_for(url)
        self.broker: Any = open_broker(settings)
        self.watch: QueueWatch = open_watch(settings, self.broker)

    def bury(self, number: int = 0) -> str:
        message = envelope(request(number))
        letter = message.copy(options=FAILURE)
        if isinstance(self.broker, Embedded):
            self.broker.dead_letters_by_queue[RENDER_QUEUE].append(MessageProxy(letter))
        else:
            self.broker.declare_queue(RENDER_QUEUE, ensure=True)
            self.broker.publish_dead_letter(letter)
        return str(letter.message_id)

    def state(self, queue: str = RENDER_QUEUE) -> QueueState:
        return next(state for state in self.watch.look() if state.name == queue)


@pytest.fixture(params=["rabbitmq", "embedded"])
def place(request: pytest.FixtureRequest) -> Any:
    url = request.getfixturevalue("rabbitmq").url if request.param == "rabbitmq" else "embedded://"
    place = Place(url)
    yield place
    place.broker.close()


def test_a_queue_that_nobody_declared_is_empty(rabbitmq: Any) -> None:
    settings = settings_for(rabbitmq.url)
    states = open_watch(settings, open_broker(settings)).look()
    assert [(state.ready, state.dead_letters, state.oldest_age_s) for state in states] == [(0, 0, None)] * len(states)


def test_waiting_messages_are_counted_with_the_age_of_the_next_one_and_stay_where_they_are(place: Place) -> None:
    old = envelope(request())
    place.broker.enqueue(old.copy(message_timestamp=old.message_timestamp - 90_000))
    place.broker.enqueue(envelope(request(1)))
    wait_until(lambda: place.state().ready == 2, 20, "two messages")
    for _ in range(3):  # looking changes nothing
        state = place.state()
        assert state.ready == 2
        assert state.oldest_age_s is not None
        assert 90 <= state.oldest_age_s < 150
    assert place.state(WARM_QUEUE).ready == 0


def test_dead_letters_tell_what_failed_and_are_dropped_one_by_one(place: Place) -> None:
    ids = [place.bury(number) for number in range(3)]
    letters = place.watch.letters(RENDER_QUEUE)
    assert [letter.id for letter in letters] == ids
    assert (letters[0].code, letters[0].reason) == ("not_ready", "A spinner never ended.")
    assert letters[0].actor == "cache_dashboard_thumbnail"
    assert letters[0].replayable
    assert place.state().dead_letters == 3
    assert place.watch.drop(RENDER_QUEUE, frozenset(ids[1:2])) == 1
    assert [letter.id for letter in place.watch.letters(RENDER_QUEUE)] == [ids[0], ids[2]]


def test_purging_takes_the_waiting_or_the_dead(place: Place) -> None:
    place.bury()
    place.broker.enqueue(envelope(request()))
    wait_until(lambda: place.state().ready == 1, 20, "one message")
    assert place.watch.purge(RENDER_QUEUE, dead_letters=False) == 1
    assert (place.state().ready, place.state().dead_letters) == (0, 1)
    assert place.watch.purge(RENDER_QUEUE, dead_letters=True) == 1
    assert place.state().dead_letters == 0


def test_what_is_no_message_is_a_letter_with_a_name_too(rabbitmq: Any) -> None:
    place = Place(rabbitmq.url)
    place.bury()
    rabbitmq.publish(f"{RENDER_QUEUE}.XQ", b"\xff no message")
    wait_until(lambda: len(place.watch.letters(RENDER_QUEUE)) == 2, 20, "two letters")
    garbage = place.watch.letters(RENDER_QUEUE)[1]
    assert garbage.id.startswith("raw-")
    assert not garbage.replayable
    assert place.watch.drop(RENDER_QUEUE, frozenset({garbage.id})) == 1
    place.broker.close()


def test_a_broker_that_is_gone_is_told_without_its_password() -> None:
    settings = settings_for("amqp://vitrine:hidden-word@127.0.0.1:1/")
    with pytest.raises(BrokerUnavailable) as caught:
        open_watch(settings, open_broker(settings)).look()
    assert "hidden-word" not in caught.value.message


def test_the_management_api_adds_what_is_in_hand(rabbitmq: Any) -> None:
    settings = settings_for(rabbitmq.url, broker_management_url=rabbitmq.server.management_url)
    broker: Any = open_broker(settings)
    broker.declare_queue(RENDER_QUEUE, ensure=True)
    broker.enqueue(envelope(request()))
    consumer = broker.consume(RENDER_QUEUE, timeout=5000)
    message = next(consumer)
    look: Callable[[], QueueState] = lambda: open_watch(settings, broker).look()[0]  # noqa: E731
    wait_until(lambda: look().unacked == 1, 60, "the message in hand")
    assert look().ready == 0
    consumer.ack(message)
    consumer.close()
    broker.close()
