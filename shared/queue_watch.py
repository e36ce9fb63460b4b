"""Looks into the queues: how many messages wait, how long, who consumes, and what was dead-lettered and why.

All of it over AMQP, which is always there. What only RabbitMQ's management API knows (messages in hand, rates) is told
when the settings name it. Synchronous: call it on a thread. Raises BrokerUnavailable.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import dramatiq
import pika
from dramatiq.common import xq_name
from pika.exceptions import AMQPError, ChannelClosedByBroker

from shared.consuming import FAILURE_OPTION
from shared.errors import BrokerUnavailable
from shared.management import Management, Rates
from shared.queue import ACTOR_NAMES, QUEUES, WARM_ACTOR, Embedded, Rabbit, with_timeouts
from shared.settings import Settings

MAX_LETTERS = 200  # that are looked through at once
NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class QueueState:
    """None: not known here."""

    name: str
    ready: int
    dead_letters: int
    consumers: int | None = None
    unacked: int | None = None
    oldest_age_s: float | None = None  # of the message that would be delivered next, since it was published
    published_per_s: float | None = None
    acked_per_s: float | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter. `payload` is what its actor was given; `replayable`: an actor of ours can be given it again."""

    id: str
    queue: str
    actor: str
    code: str
    reason: str
    at: float | None  # Unix seconds of its publishing
    payload: dict[str, Any]

    @property
    def replayable(self) -> bool:
        return bool(self.payload) and self.actor in (*ACTOR_NAMES, WARM_ACTOR) and self.code != "invalid_input"


class QueueWatch(Protocol):
    """`queue` is one of shared.queue.QUEUES."""

    def look(self) -> list[QueueState]: ...

    def letters(self, queue: str) -> list[Letter]:
        """The oldest dead letters of a queue, MAX_LETTERS at most."""
        ...

    def drop(self, queue: str, ids: frozenset[str]) -> int:
        """Removes those dead letters; how many there were."""
        ...

    def purge(self, queue: str, *, dead_letters: bool) -> int:
        """Removes all messages that wait, or all dead letters; how many there were."""
        ...


def open_watch(settings: Settings, broker: dramatiq.Broker) -> QueueWatch:
    """Of the broker that the process publishes to; connects at each look."""
    return EmbeddedWatch(broker) if isinstance(broker, Embedded) else RabbitWatch(settings, broker)


class RabbitWatch:
    """A connection for each look: they are seconds apart, and an idle one would have to be kept alive."""

    def __init__(self, settings: Settings, broker: dramatiq.Broker) -> None:
        self._url = with_timeouts(settings.broker_url)
        self._broker = broker
        self._management = Management(settings) if settings.broker_management_url else None

    def look(self) -> list[QueueState]:
        rates = self._management.rates() if self._management else {}
        with self._connected() as connection:
            return [self._state(connection, name, rates.get(name, Rates())) for name in QUEUES]

    def _state(self, connection: Any, name: str, rates: Rates) -> QueueState:
        ready, consumers = _declared(connection, name)
        dead, _ = _declared(connection, xq_name(name))
        age = self._oldest_age_s(connection, name) if ready else None
        return QueueState(name, ready, dead, consumers, rates.unacked, age, rates.published_per_s, rates.acked_per_s)

    def _oldest_age_s(self, connection: Any, name: str) -> float | None:
        """Takes the next message and puts it back, to where it was."""
        if self._counts_deliveries(name):
            return None
        with connection.channel() as channel:
            method, _, body = channel.basic_get(name)
            if method is None:
                return None
            channel.basic_nack(method.delivery_tag, requeue=True)
        return _age_s(_decoded(body).get("message_timestamp"))

    def _counts_deliveries(self, name: str) -> bool:
        """A quorum queue does, and drops what was put back too often."""
        assert isinstance(self._broker, Rabbit)
        return bool(self._broker._build_queue_arguments(name).get("x-queue-type") == "quorum")

    def letters(self, queue: str) -> list[Letter]:
        return self._go_through(queue, MAX_LETTERS, lambda _: False)

    def drop(self, queue: str, ids: frozenset[str]) -> int:
        dropped = [letter for letter in self._go_through(queue, None, lambda one: one.id in ids) if letter.id in ids]
        return len(dropped)

    def purge(self, queue: str, *, dead_letters: bool) -> int:
        with self._connected() as connection, connection.channel() as channel:
            return int(channel.queue_purge(xq_name(queue) if dead_letters else queue).method.message_count)

    def _go_through(self, queue: str, limit: int | None, remove: Callable[[Letter], bool]) -> list[Letter]:
        """Takes dead letters one by one; those not to be removed are put back, in their order."""
        found: list[Letter] = []
        name, again = xq_name(queue), self._counts_deliveries(queue)
        with self._connected() as connection, connection.channel() as channel:
            channel.confirm_delivery()
            there = channel.queue_declare(name, passive=True).method.message_count
            for _ in range(there if limit is None else min(limit, there)):
                method, properties, body = channel.basic_get(name)
                if method is None:
                    break
                letter = letter_of(queue, body)
                found.append(letter)
                if again and not remove(letter):
                    channel.basic_publish("", name, body, properties, mandatory=True)
                if again or remove(letter):
                    channel.basic_ack(method.delivery_tag)
            if not again:
                channel.basic_nack(0, multiple=True, requeue=True)  # 0: all that are not answered yet
        return found

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        try:
            connection = pika.BlockingConnection(pika.URLParameters(self._url))
        except (AMQPError, OSError) as error:
            raise _unavailable(error) from error
        try:
            yield connection
        except ChannelClosedByBroker as error:
            if error.reply_code != NOT_FOUND:
                raise _unavailable(error) from error
            raise BrokerUnavailable("RabbitMQ does not have this queue yet; a renderer declares it.") from error
        except (AMQPError, OSError) as error:
            raise _unavailable(error) from error
        finally:
            if connection.is_open:
                connection.close()


class EmbeddedWatch:
    """Of the in-process broker."""

    def __init__(self, broker: Embedded) -> None:
        self._broker = broker

    def look(self) -> list[QueueState]:
        return [self._state(name) for name in QUEUES]

    def _state(self, name: str) -> QueueState:
        queue = self._broker.queues[name]
        with queue.mutex:
            waiting = list(queue.queue)[:1]
            ready, unfinished = len(queue.queue), queue.unfinished_tasks
        age = _age_s(_decoded(waiting[0]).get("message_timestamp")) if waiting else None
        return QueueState(name, ready, len(self._broker.dead_letters_by_queue[name]), 1, unfinished - ready, age)

    def letters(self, queue: str) -> list[Letter]:
        return [letter_from(queue, one) for one in list(self._kept(queue))[:MAX_LETTERS]]

    def drop(self, queue: str, ids: frozenset[str]) -> int:
        kept = self._kept(queue)
        gone = [one for one in list(kept) if letter_from(queue, one).id in ids]
        for one in gone:
            kept.remove(one)
        return len(gone)

    def purge(self, queue: str, *, dead_letters: bool) -> int:
        if dead_letters:
            count = len(self._kept(queue))
            self._kept(queue).clear()
            return count
        count = int(self._broker.queues[queue].qsize())
        self._broker.flush(queue)
        return count

    def _kept(self, queue: str) -> Any:
        return self._broker.dead_letters_by_queue[queue]


def letter_of(queue: str, body: bytes) -> Letter:
    """Of whatever lies there: what is no message of ours is named by its hash."""
    message = _decoded(body)
    return letter_from(queue, message, fallback=f"raw-{hashlib.sha256(body).hexdigest()[:16]}")


def letter_from(queue: str, message: dict[str, Any], *, fallback: str = "") -> Letter:
    options, kwargs = _object(message.get("options")), _object(message.get("kwargs"))
    failure = _object(options.get(FAILURE_OPTION))
    stamp = message.get("message_timestamp")
    return Letter(
        id=_text(message.get("message_id")) or fallback,
        queue=queue,
        actor=_text(message.get("actor_name")),
        code=_text(failure.get("code")) or "internal",
        reason=_text(failure.get("reason"), 2000) or "Nothing was written down; see the worker's log.",
        at=stamp / 1000 if isinstance(stamp, int | float) else None,
        payload=_object(kwargs.get("request")),
    )


def _declared(connection: Any, name: str) -> tuple[int, int]:
    """Ready messages and consumers; nothing when there is no such queue."""
    channel = connection.channel()
    try:
        found = channel.queue_declare(name, passive=True).method
    except ChannelClosedByBroker as error:
        if error.reply_code == NOT_FOUND:
            return 0, 0
        raise
    channel.close()
    return int(found.message_count), int(found.consumer_count)


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        return _object(json.loads(body))
    except (ValueError, RecursionError):
        return {}


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any, limit: int = 200) -> str:
    return value[:limit] if isinstance(value, str) else ""


def _age_s(stamp_ms: Any) -> float | None:
    return max(0.0, time.time() - stamp_ms / 1000) if isinstance(stamp_ms, int | float) else None


def _unavailable(error: Exception) -> BrokerUnavailable:
    told = type(error).__name__  # its text may hold the URL
    return BrokerUnavailable(f"The message broker does not answer ({told}); its queues cannot be looked at.")
